/** What of the captured tables is copied without being asked for, and in which order. */
import { parsePatterns, snapshotChoice, type WantedTable } from '#plugin';
import type { Client } from '../client.ts';
import type { MysqlConfig } from '../config.ts';
import type { TableName } from './catalogue.ts';

const SIZES = `SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, CAST(COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) AS CHAR) AS size
  FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')`;

/** Names of the captured tables whose rows can be copied; `tables` in the order of the configuration's patterns. */
export async function wantedTables(client: Client, config: MysqlConfig, tables: readonly TableName[]): Promise<readonly WantedTable[]> {
  const choice = snapshotChoice(config.snapshot);
  return (await inOrder(client, config, tables)).map(({ database, name, label }) => ({
    label,
    // The log tells every change under this name, whatever table it is of: a copy stays true.
    identity: '',
    // All rows of a table that comes are in the log.
    isNew: false,
    ...choice(database, name),
  }));
}

async function inOrder(client: Client, { snapshot, tables: patterns }: MysqlConfig, tables: readonly TableName[]): Promise<readonly TableName[]> {
  if (snapshot.order === 'listed') {
    const parsed = parsePatterns(patterns);
    const rank = ({ database, name }: TableName): number => parsed.findIndex((pattern) => pattern.matches(database, name));
    return [...tables].sort((a, b) => rank(a) - rank(b) || (a.label < b.label ? -1 : 1));
  }
  const rows = await client.rows<{ db: string; name: string; size: string }>('the sizes of tables', SIZES);
  const sizes = new Map(rows.map(({ db, name, size }) => [`${db}.${name}`, Number(size)]));
  const direction = snapshot.order === 'smallest' ? 1 : -1;
  return [...tables].sort((a, b) => direction * ((sizes.get(a.label) ?? 0) - (sizes.get(b.label) ?? 0)));
}
