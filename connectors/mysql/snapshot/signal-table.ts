/** The table whose new rows are commands (`snapshot.signalTable`): read in the log like any other, published and copied never. */
import { SluiceError } from '#plugin';
import type { Client } from '../client.ts';
import { signalTableMissing, signalTableUnfit } from './errors.ts';
import { quoted } from './rows-sql.ts';

const COLUMNS = `SELECT DATA_TYPE AS type, EXTRA AS extra FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
const TEXTS = ['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext'];
/** What the columns `id`, `type` and `data` may be, in this order; their names are the user's, as in Debezium. */
const TYPES = [TEXTS, TEXTS, [...TEXTS, 'json']];

/** `label`: `database.table`. Throws a SluiceError if there can be no signals in it. */
export async function demandSignalTable(client: Client, label: string): Promise<void> {
  const problem = await signalTableProblem(client, label);
  if (problem !== null) throw problem;
}

export async function signalTableProblem(client: Client, label: string): Promise<SluiceError | null> {
  const dot = label.indexOf('.');
  const [database, name] = [label.slice(0, dot), label.slice(dot + 1)];
  const sql = `CREATE TABLE ${quoted(database)}.${quoted(name)} (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))`;
  const columns = await client.rows<{ type: string; extra: string }>('the signal table', COLUMNS, [database, name]);
  if (columns.length === 0) return new SluiceError(signalTableMissing, { table: label, sql }, { table: label });
  const fits =
    columns.length === TYPES.length && columns.every(({ type, extra }, at) => !/GENERATED/i.test(extra) && TYPES[at]?.includes(type.toLowerCase()));
  const detail = 'it has other columns than three texts, for id, type and data';
  return fits ? null : new SluiceError(signalTableUnfit, { table: label, detail, sql }, { table: label });
}
