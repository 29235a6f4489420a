import type { MysqlServer } from '../servers/index.ts';
import type { Parity } from './backlog.ts';

/** The benchmark's table, as the one of PostgreSQL: a bigint key, int, text, numeric(12,2), 60-character text, a point in time. */
const TABLE = `CREATE TABLE bench (id bigint PRIMARY KEY, n int NOT NULL, name varchar(60) NOT NULL, amount decimal(12,2) NOT NULL, body text NOT NULL, at timestamp(6) NOT NULL)`;
const PER_TRANSACTION = 1000;
const INSERT = `INSERT INTO bench SELECT i, i % 2147483647, CONCAT('customer ', i), (i % 10000000) / 100, LEFT(SHA2(i, 256), 60),
  TIMESTAMP('2026-01-01 00:00:00') + INTERVAL (i * 1000001) MICROSECOND FROM (SELECT ? + n AS i FROM thousand) numbers`;

/** Where the log stands, as the server tells it. */
export interface LogPlace {
  readonly file: string;
  readonly position: number;
}

export async function prepareTable(server: MysqlServer, database: string): Promise<void> {
  const digits = `(SELECT 0 AS d ${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => `UNION ALL SELECT ${digit}`).join(' ')})`;
  await server.query(
    `${TABLE}; CREATE TABLE thousand (n int PRIMARY KEY); INSERT INTO thousand SELECT a.d + 10 * b.d + 100 * c.d FROM ${digits} a, ${digits} b, ${digits} c`,
    database,
  );
}

export async function logPlace(server: MysqlServer): Promise<LogPlace> {
  const [row] = await server.query<{ File: string; Position: string }>(server.system === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  return { file: row?.File ?? '', position: Number(row?.Position) };
}

/** Writes `rows` rows (a multiple of 1,000) in transactions of 1,000. What it answers with is computed as `RowSum` computes it, by SHA-256: MySQL has no MD5 any more. */
export async function writeBacklog(server: MysqlServer, database: string, rows: number): Promise<Parity> {
  const client = await server.connect(database);
  try {
    for (let from = 1; from <= rows; from += PER_TRANSACTION) await client.query(INSERT, [from]);
    const [found] = await client.query(
      `SELECT COUNT(*) AS rows_, SUM(CAST(CONV(SUBSTR(SHA2(CONCAT_WS('|', id, n, name, amount, body, CAST(UNIX_TIMESTAMP(at) * 1000000 AS unsigned)), 256), 1, 13), 16, 10) AS unsigned)) AS hash FROM bench`,
    );
    const [{ rows_, hash }] = found as unknown as [{ rows_: number; hash: string }];
    return { rows: Number(rows_), hash: String(hash) };
  } finally {
    await client.end();
  }
}
