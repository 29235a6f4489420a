/** The table whose new rows are commands (`snapshot.signalTable`): captured like any other, published and copied never. */
import type pg from 'pg';
import { SluiceError } from '#plugin';
import { tableKindOf } from '../catalog.ts';
import { quoteTable } from '../client.ts';
import { signalTableMissing, signalTableUnfit } from './errors.ts';

interface Found {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly relkind: string;
  readonly persistence: string;
  readonly ancestors: readonly number[] | null;
}

// Generated columns are not in the log before 18.
const COLUMNS = `SELECT t.typname::text AS type, a.attgenerated <> '' AS generated FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

const TEXTS = ['varchar', 'text', 'bpchar'];
/** What the columns `id`, `type` and `data` may be, in this order; their names are the user's, as in Debezium. */
const TYPES = [[...TEXTS, 'uuid'], TEXTS, [...TEXTS, 'json', 'jsonb']];

/** Why there can be no signals in it; null: there can. */
export async function signalTableProblem(client: pg.Client, label: string, found: Found | null, database: string): Promise<SluiceError | null> {
  const dot = label.indexOf('.');
  const sql = createSql(found ?? { schema: label.slice(0, dot), name: label.slice(dot + 1) });
  if (found === null) return new SluiceError(signalTableMissing, { table: label, database, sql }, { table: label });
  const unfit = (detail: string): SluiceError => new SluiceError(signalTableUnfit, { table: label, detail, sql }, { table: label });
  const kind = tableKindOf(found.relkind, found.persistence);
  if (kind !== 'table') return unfit(`it is a${/^[aeiou]/.test(kind) ? 'n' : ''} ${kind}`);
  if (found.ancestors !== null) return unfit('it is a partition');
  const { rows } = await client.query<{ type: string; generated: boolean }>(COLUMNS, [found.oid]);
  const fits = rows.length === TYPES.length && rows.every(({ type, generated }, at) => !generated && TYPES[at]?.includes(type));
  return fits ? null : unfit('it has other columns than three texts, for id, type and data');
}

function createSql(table: { readonly schema: string; readonly name: string }): string {
  return `CREATE TABLE ${quoteTable(table)} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))`;
}
