/** The databases whose tables are copied under load: their tables, how a client changes rows, and the rows at the end. */
import mysql from 'mysql2/promise';
import pg from 'pg';

export type Row = Readonly<Record<string, unknown>>;

export interface LoadClient {
  query(sql: string): Promise<unknown>;
  end(): Promise<unknown>;
}

/** What one client may do with a row of its own: `id`, which moves to `moved` and back. */
export interface Turn {
  readonly id: number;
  readonly moved: number;
  readonly client: number;
  readonly clients: number;
}

export interface SnapshotDatabase {
  /** Definitions of `t`, `pair` and `quiet`. Every row has a version that only grows for a key, also over a deletion. */
  readonly tables: string;
  fill(rows: number): string;
  connect(): Promise<LoadClient>;
  /** Statements that may be put together to a transaction. */
  statements(turn: Turn): readonly string[];
  /** Two clients met on a row: the transaction is rolled back. */
  isDeadlock(error: unknown): boolean;
  /** In pieces: there may be ten millions of them. */
  rows(tables: readonly string[]): AsyncIterable<{ readonly table: string; readonly rows: readonly Row[] }>;
}

export function snapshotDatabase(url: string): SnapshotDatabase {
  return url.startsWith('mysql:') ? new MysqlDatabase(url) : new PostgresDatabase(url);
}

const FETCH = 50_000;

/** `big` is out of line: an update leaves it out. */
class PostgresDatabase implements SnapshotDatabase {
  readonly #url: string;
  readonly tables = `
  CREATE SEQUENCE versions;
  CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL, pad text, big text);
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE pair (a int, b text COLLATE "C", v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL, PRIMARY KEY (a, b));
  CREATE TABLE quiet (id uuid PRIMARY KEY, n int NOT NULL)`;

  constructor(url: string) {
    this.#url = url;
  }

  fill(rows: number): string {
    return `INSERT INTO t (id, n, pad, big) SELECT g, 0, repeat('p', 40), CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 100) END FROM generate_series(1, ${rows}) g;
    INSERT INTO pair (a, b, n) SELECT g % 100, 'k' || g, 0 FROM generate_series(1, ${Math.ceil(rows / 4)}) g;
    INSERT INTO quiet SELECT md5(g::text)::uuid, g FROM generate_series(1, 500) g;
    ANALYZE`;
  }

  async connect(): Promise<LoadClient> {
    const client = new pg.Client({ connectionString: this.#url });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  statements({ id, moved, client, clients }: Turn): readonly string[] {
    const pair = `a = ${id % 100} AND b = 'k${id}'`;
    return [
      `UPDATE t SET n = n + 1, v = nextval('versions') WHERE id = ${id}`,
      // Out of line, unchanged: 1 row in 50, often.
      `UPDATE t SET n = n + 1, v = nextval('versions') WHERE id = ${Math.max(50, Math.ceil(id / 50) * 50)} AND ${Math.ceil(id / 50)} % ${clients} = ${client}`,
      `DELETE FROM t WHERE id = ${id}`,
      `INSERT INTO t (id, n, pad, big) VALUES (${id}, -1, 'again', CASE WHEN ${id} % 50 = 0 THEN repeat('y', 3000) END) ON CONFLICT DO NOTHING`,
      `UPDATE t SET id = ${moved}, v = nextval('versions') WHERE id = ${id} AND NOT EXISTS (SELECT FROM t WHERE id = ${moved})`,
      `UPDATE t SET id = ${id}, v = nextval('versions') WHERE id = ${moved} AND NOT EXISTS (SELECT FROM t WHERE id = ${id})`,
      `UPDATE pair SET n = n + 1, v = nextval('versions') WHERE ${pair}`,
      `DELETE FROM pair WHERE ${pair}`,
      `INSERT INTO pair (a, b, n) VALUES (${id % 100}, 'k${id}', -1) ON CONFLICT DO NOTHING`,
    ];
  }

  isDeadlock(error: unknown): boolean {
    return (error as { code?: string }).code === '40P01';
  }

  async *rows(tables: readonly string[]): AsyncGenerator<{ readonly table: string; readonly rows: readonly Row[] }> {
    const client = new pg.Client({ connectionString: this.#url });
    await client.connect();
    await client.query('BEGIN');
    for (const table of tables) {
      await client.query(`DECLARE rows_of_${table} CURSOR FOR SELECT to_jsonb(t) AS row FROM ${table} t`);
      for (let more = true; more; ) {
        const { rows } = await client.query<{ row: Row }>(`FETCH ${FETCH} FROM rows_of_${table}`);
        yield { table, rows: rows.map(({ row }) => row) };
        more = rows.length > 0;
      }
    }
    await client.end();
  }
}

/** Versions of rows that clients of this process write. */
let versions = 0;

class MysqlDatabase implements SnapshotDatabase {
  readonly #url: string;
  readonly tables = `
  CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL, n int NOT NULL, pad varchar(40), big mediumtext);
  CREATE TABLE pair (a int, b varchar(20) COLLATE utf8mb4_bin, v bigint NOT NULL, n int NOT NULL, PRIMARY KEY (a, b));
  CREATE TABLE quiet (id char(36) PRIMARY KEY, n int NOT NULL)`;

  constructor(url: string) {
    this.#url = url;
  }

  fill(rows: number): string {
    const digits = `(${Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(' UNION ALL ')})`;
    const places = Math.max(1, Math.ceil(Math.log10(rows + 1)));
    const names = Array.from({ length: places }, (_, place) => `p${place}`);
    const numbers = (count: number): string =>
      `(SELECT 1 + ${names.map((name, place) => `${name}.d * ${10 ** place}`).join(' + ')} AS g FROM ${names.map((name) => `${digits} ${name}`).join(', ')} HAVING g <= ${count}) numbers`;
    return `INSERT INTO t (id, v, n, pad, big) SELECT g, 0, 0, repeat('p', 40), CASE WHEN g % 50 = 0 THEN repeat(sha2(g, 256), 100) END FROM ${numbers(rows)};
      INSERT INTO pair (a, b, v, n) SELECT g % 100, concat('k', g), 0, 0 FROM ${numbers(Math.ceil(rows / 4))};
      INSERT INTO quiet SELECT concat(left(sha2(g, 256), 30), '-'), g FROM ${numbers(Math.min(rows, 500))};
      ANALYZE TABLE t, pair, quiet`;
  }

  async connect(): Promise<LoadClient> {
    const client = await mysql.createConnection({ uri: this.#url, multipleStatements: true });
    client.on('error', () => undefined);
    await client.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return client;
  }

  statements({ id, moved }: Turn): readonly string[] {
    const pair = `a = ${id % 100} AND b = 'k${id}'`;
    const version = (): number => ++versions;
    return [
      `UPDATE t SET n = n + 1, v = ${version()} WHERE id = ${id}`,
      `DELETE FROM t WHERE id = ${id}`,
      `INSERT IGNORE INTO t (id, v, n, pad) VALUES (${id}, ${version()}, -1, 'again')`,
      `UPDATE IGNORE t SET id = ${moved}, v = ${version()} WHERE id = ${id}`,
      `UPDATE IGNORE t SET id = ${id}, v = ${version()} WHERE id = ${moved}`,
      `UPDATE pair SET n = n + 1, v = ${version()} WHERE ${pair}`,
      `DELETE FROM pair WHERE ${pair}`,
      `INSERT IGNORE INTO pair (a, b, v, n) VALUES (${id % 100}, 'k${id}', ${version()}, -1)`,
    ];
  }

  isDeadlock(error: unknown): boolean {
    return [1213, 1205].includes((error as { errno?: number }).errno ?? 0);
  }

  async *rows(tables: readonly string[]): AsyncGenerator<{ readonly table: string; readonly rows: readonly Row[] }> {
    const client = await mysql.createConnection({ uri: this.#url, supportBigNumbers: true, bigNumberStrings: true });
    for (const table of tables) {
      const [rows] = await client.query(`SELECT * FROM ${table}`);
      yield { table, rows: rows as Row[] };
    }
    await client.end();
  }
}
