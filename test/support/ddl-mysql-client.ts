/** A client of a storm on MySQL or MariaDB, and how it writes a row and notes what it was. */
import mysql from 'mysql2/promise';
import type { MysqlServer } from '../servers/index.ts';
import { nativeText, readDefinition, readingSql, valueFor } from './ddl-mysql-values.ts';

export const COLUMNS = '(id int NOT NULL, kind int NOT NULL, stamp bigint NOT NULL, PRIMARY KEY (id))';

export interface StormClient {
  query<T = Record<string, string | null>>(sql: string): Promise<T[]>;
  close(): void;
}

/** Values come as the server prints them. */
export async function connectStorm(server: MysqlServer, database: string): Promise<StormClient> {
  const client = await mysql.createConnection({
    uri: server.url(),
    database,
    multipleStatements: true,
    // Read as text, whatever it is.
    typeCast: (field) => field.string('utf8'),
  });
  client.on('error', () => undefined);
  // Behind another's lock each gives way rather than to stop all others.
  await client.query(
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2, time_zone = '+00:00'",
  );
  return { query: async <T>(sql: string) => (await client.query(sql))[0] as T[], close: () => client.destroy() };
}

/** Of all rows that this process writes. */
let stamps = 0;

export function lastStamp(): number {
  return stamps;
}

/**
 * Writes a row and what it is into the ledger, in the transaction that is open: the table's definition is locked from the first look at the row until its end, so that what the
 * server tells of it is that of the row.
 */
export async function putRow(client: StormClient, table: string, id: number): Promise<void> {
  const there = await client.query(`SELECT id FROM ${table} WHERE id = ${id} FOR UPDATE`);
  const [shown] = await client.query(`SHOW CREATE TABLE ${table}`);
  const { columns, key } = readDefinition(Object.values(shown ?? {})[1] ?? '');
  const stamp = ++stamps;
  const given = new Map(columns.filter(({ isGenerated }) => !isGenerated).map((column) => [column.name, valueFor(column)] as const));
  given
    .set('id', String(id))
    .set('kind', String(id % 3))
    .set('stamp', String(stamp));
  await client.query(
    there.length > 0
      ? `UPDATE ${table} SET ${[...given].map(([name, value]) => `\`${name}\` = ${value}`).join(', ')} WHERE id = ${id}`
      : `INSERT INTO ${table} (${[...given.keys()].map((name) => `\`${name}\``).join(', ')}) VALUES (${[...given.values()].join(', ')})`,
  );
  const [row = {}] = await client.query(
    `SELECT ${columns.map((column) => `${readingSql(column)} AS \`${column.name}\``).join(', ')} FROM ${table} WHERE id = ${id}`,
  );
  const texts = Object.fromEntries(columns.map(({ name, type }) => [name, nativeText(type, row[name] ?? null)]));
  const written = { row: texts, types: Object.fromEntries(columns.map(({ name, type }) => [name, type])), key };
  await client.query(mysql.format('INSERT INTO ledger VALUES (?, ?, ?, ?, CURRENT_TIMESTAMP(6))', [stamp, table, id, JSON.stringify(written)]));
}
