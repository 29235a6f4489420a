/** A workload that shows a seam which is not exact: keys are updated, moved, deleted and inserted again, and out-of-line values are left unchanged. */
import { type SnapshotDatabase, snapshotDatabase } from './snapshot-database.ts';

const postgres = snapshotDatabase('postgres:');

/** Of Postgres. */
export const SNAPSHOT_TABLES = postgres.tables;
export const fillSql = (rows: number): string => postgres.fill(rows);

/** Clients that write until `stop`; each has keys of its own, so that a key's versions are in the order of its commits. */
export class SnapshotLoad {
  #stopping = false;
  readonly #clients: Promise<void>[] = [];
  transactions = 0;

  constructor(url: string, clients: number, rows: number) {
    const database = snapshotDatabase(url);
    for (let client = 0; client < clients; client++) this.#clients.push(this.#write(database, client, clients, rows));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #write(database: SnapshotDatabase, client: number, clients: number, rows: number): Promise<void> {
    const connection = await database.connect();
    const own = (): number => Math.floor(Math.random() * Math.ceil(rows / clients)) * clients + client + 1;
    try {
      while (!this.#stopping) {
        const id = own();
        const picked = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () => {
          const statements = database.statements({ id, moved: rows * 10 + id, client, clients });
          return statements[Math.floor(Math.random() * statements.length)];
        });
        try {
          await connection.query(`BEGIN; ${picked.join('; ')}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`);
          this.transactions++;
        } catch (error) {
          if (!database.isDeadlock(error)) throw error;
          await connection.query('ROLLBACK');
        }
      }
    } finally {
      await connection.end();
    }
  }
}
