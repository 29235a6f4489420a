/** A workload that shows a seam which is not exact: keys are updated, moved, deleted and inserted again, and out-of-line values are left unchanged. */
import pg from 'pg';

/** Every row has a version that only grows for a key, also over a deletion. `big` is out of line: an update leaves it out. */
export const SNAPSHOT_TABLES = `
  CREATE SEQUENCE versions;
  CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL, pad text, big text);
  ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE pair (a int, b text COLLATE "C", v bigint NOT NULL DEFAULT nextval('versions'), n int NOT NULL, PRIMARY KEY (a, b));
  CREATE TABLE quiet (id uuid PRIMARY KEY, n int NOT NULL)`;

export function fillSql(rows: number): string {
  return `INSERT INTO t (id, n, pad, big) SELECT g, 0, repeat('p', 40), CASE WHEN g % 50 = 0 THEN repeat(md5(g::text), 100) END FROM generate_series(1, ${rows}) g;
    INSERT INTO pair (a, b, n) SELECT g % 100, 'k' || g, 0 FROM generate_series(1, ${Math.ceil(rows / 4)}) g;
    INSERT INTO quiet SELECT md5(g::text)::uuid, g FROM generate_series(1, 500) g;
    ANALYZE`;
}

/** Clients that write until `stop`; each has keys of its own, so that a key's versions are in the order of its commits. */
export class SnapshotLoad {
  #stopping = false;
  readonly #clients: Promise<void>[] = [];
  transactions = 0;

  constructor(url: string, clients: number, rows: number) {
    for (let client = 0; client < clients; client++) this.#clients.push(this.#write(url, client, clients, rows));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #write(url: string, client: number, clients: number, rows: number): Promise<void> {
    const connection = new pg.Client({ connectionString: url });
    connection.on('error', () => undefined);
    await connection.connect();
    const own = (): number => Math.floor(Math.random() * Math.ceil(rows / clients)) * clients + client + 1;
    try {
      while (!this.#stopping) {
        const id = own();
        const moved = rows * 10 + id;
        const pair = `a = ${id % 100} AND b = 'k${id}'`;
        const statements = [
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
        const picked = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () => statements[Math.floor(Math.random() * statements.length)]);
        try {
          await connection.query(`BEGIN; ${picked.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`);
          this.transactions++;
        } catch (error) {
          // Two clients met on a row of the second statement.
          if ((error as { code?: string }).code !== '40P01') throw error;
          await connection.query('ROLLBACK');
        }
      }
    } finally {
      await connection.end();
    }
  }
}
