/** A table as one view of the database shows it, with everything that reading its rows takes. */

import { type CopyTable, SluiceError, type TableRegistry } from '#plugin';
import type { Client } from '../client.ts';
import { READ } from '../log/columns.ts';
import { type CatalogueTable, type ReadCatalogueOptions, readCatalogue, type TableName } from './catalogue.ts';
import { surrogateKeyUnfit } from './errors.ts';
import { quoted, type Readable } from './rows-sql.ts';

export interface ReadableTable extends CopyTable, Readable {
  /** The order as indexes of columns. */
  readonly orderIndexes: readonly number[];
}

export interface ReadOptions extends Omit<ReadCatalogueOptions, 'described' | 'isCopied'> {
  readonly registry: TableRegistry;
}

/**
 * Locks the table's definition (until the view ends) and reads how its rows are to be read. Throws SluiceErrors of the table; what the driver throws (no right to read)
 * goes through.
 */
export async function readTable(client: Client, table: TableName, options: ReadOptions, surrogateKey: string | null): Promise<ReadableTable> {
  const { registry } = options;
  const { database, name, label } = table;
  const from = `${quoted(database)}.${quoted(name)}`;
  // Of a definition that is younger than the view the server says so here.
  await client.ask(`SELECT 1 FROM ${from} LIMIT 0`);
  await client.ask(wholeSql(from));
  const found = await readCatalogue(client, table, { ...options, described: registry.described, isCopied: true });
  const { plans, key, estimatedRows } = found;
  const columns = plans.map(({ shape }) => shape);
  const version = registry.version({ kind: 'table', catalog: database, schema: '', name, columns, key });
  const orderIndexes = surrogateKey === null ? key : orderOf(label, found, surrogateKey);
  const ordered = (indexes: readonly number[]) =>
    indexes.map((index) => ({ name: quoted(columns[index]?.name ?? ''), plan: plans[index] as (typeof plans)[number] }));
  const byKey = ordered(key);
  return { label, version, estimatedRows, from, plans, key: byKey, order: orderIndexes === key ? byKey : ordered(orderIndexes), orderIndexes };
}

/**
 * An error of the server's if there is a column that may not be read: the catalogue leaves it out. None of the columns is selected: the driver would read their names in the character
 * sets of their values, of which it does not know all.
 */
function wholeSql(from: string): string {
  return `SELECT 1 FROM (SELECT * FROM ${from} LIMIT 0) AS whole`;
}

/** Registers a table as the catalogue has it now. Throws what the driver throws, and SluiceErrors of the table. */
export async function registerTable(client: Client, table: TableName, options: ReadOptions): Promise<void> {
  const { registry } = options;
  const { database, name } = table;
  await client.ask('START TRANSACTION READ ONLY');
  await client.ask(wholeSql(`${quoted(database)}.${quoted(name)}`));
  const { plans, key } = await readCatalogue(client, table, { ...options, described: registry.described, isCopied: false });
  registry.version({ kind: 'table', catalog: database, schema: '', name, columns: plans.map(({ shape }) => shape), key });
}

/** The surrogate key and, so that no two rows have the same place, the key behind it. */
function orderOf(label: string, { plans, key, nullable }: CatalogueTable, surrogateKey: string): readonly number[] {
  const unfit = (detail: string): SluiceError => new SluiceError(surrogateKeyUnfit, { table: label, detail }, { table: label });
  if (key.length === 0) throw unfit('the table has no primary key by which its rows could be told from each other, and is read whole');
  const index = plans.findIndex(({ shape }) => shape.name === surrogateKey);
  const plan = plans[index];
  if (plan === undefined) throw unfit('there is no such column');
  if (nullable[index] === true) throw unfit('the column may be null, and has no order then');
  if (plan.read === READ.json || plan.read === READ.geometry) throw unfit('values of its type have no order');
  return [index, ...key.filter((column) => column !== index)];
}
