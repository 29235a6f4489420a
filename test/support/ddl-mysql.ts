/** Storms of schema changes on MySQL and MariaDB. */
import type { MysqlServer } from '../servers/index.ts';
import type { StormDatabase, Written } from './ddl-database.ts';
import { COLUMNS, connectStorm, lastStamp, putRow, type StormClient } from './ddl-mysql-client.ts';
import { MysqlDdlStorm } from './ddl-mysql-storm.ts';

/** Tables that are only ever altered, or truncated: nothing else of them may be missing. */
const ALTERED = ['t0', 't1', 't2', 'parted'];
/** Tables that are dropped and made anew, or swapped under their name: nothing tells of the rows that go with them. */
const REPLACED = ['r0', 'r1'];
const TABLES = [...ALTERED, ...REPLACED];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function mysqlStorm(server: MysqlServer): Promise<StormDatabase> {
  const database = await server.createDatabase('storm');
  const tables = TABLES.map((table) => `CREATE TABLE ${table} ${COLUMNS}${table === 'parted' ? ' PARTITION BY HASH (id) PARTITIONS 3' : ''}`);
  await server.query(
    `CREATE TABLE ledger (stamp bigint PRIMARY KEY, tab varchar(20), id int, written longtext, at datetime(6)); ${tables.join(';')}`,
    database,
  );
  const read = async <T>(sql: string): Promise<T[]> => {
    const client = await connectStorm(server, database);
    const rows = await client.query<T>(sql);
    client.close();
    return rows;
  };
  const put = async (table: string): Promise<void> => {
    const client = await connectStorm(server, database);
    await client.query('BEGIN');
    await putRow(client, table, 7);
    await client.query('COMMIT');
    client.close();
  };
  return {
    source: {
      type: server.system,
      url: server.url(),
      tables: TABLES.map((table) => `${database}.${table}`),
      snapshot: { mode: 'no_data' },
      heartbeat: { interval: '1s' },
    },
    schema: database,
    tables: TABLES,
    replaced: REPLACED,
    storm: async (random) => new MysqlDdlStorm({ server, database, altered: ALTERED, replaced: REPLACED, random }),
    load: (clients, rows) => new MysqlStormLoad(server, database, clients, rows),
    put,
    lastStamp: () => Promise.resolve(lastStamp()),
    ledger: async () => {
      const rows = await read<{ stamp: string; tab: string; id: string; written: string; at: string }>('SELECT * FROM ledger');
      return new Map(
        rows.map(({ stamp, tab, id, written, at }) => [
          stamp,
          { ...(JSON.parse(written) as Pick<Written, 'row' | 'types' | 'key'>), tab, id: Number(id), xid: '', at, arrived: 0 },
        ]),
      );
    },
    // A table that was renamed to one of these brought its rows along: nothing tells of them.
    rows: async (table) => {
      if (REPLACED.includes(table)) return [];
      const rows = await read<{ id: string; stamp: string }>(`SELECT id, stamp FROM ${table}`);
      return rows.map(({ id, stamp }) => ({ id: Number(id), stamp }));
    },
    restart: () => server.restart('kill'),
  };
}

/** Clients that write and delete rows of their own ids until `stop`. What meets a schema change and is refused is rolled back, and forgotten. */
class MysqlStormLoad {
  transactions = 0;
  #stopping = false;
  readonly #clients: Promise<void>[];

  constructor(server: MysqlServer, database: string, clients: number, rows: number) {
    this.#clients = Array.from({ length: clients }, async (_, number) => {
      while (!this.#stopping) {
        const client = await connectStorm(server, database).catch(() => null);
        if (client !== null) await this.#write(client, () => Math.floor(Math.random() * rows) * clients + number);
        client?.close();
        await pause(100);
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  /** Until it is stopped, or the connection is lost. */
  async #write(client: StormClient, id: () => number): Promise<void> {
    while (!this.#stopping) {
      try {
        await client.query('BEGIN');
        for (let count = 1 + Math.floor(Math.random() * 4); count > 0; count--) {
          const table = TABLES[Math.floor(Math.random() * TABLES.length)] as string;
          if (Math.random() < 0.1) await client.query(`DELETE FROM ${table} WHERE id = ${id()}`);
          else await putRow(client, table, id());
        }
        await client.query(Math.random() < 0.05 ? 'ROLLBACK' : 'COMMIT');
        this.transactions++;
      } catch {
        const isLost = await client.query('ROLLBACK').then(
          () => false,
          () => true,
        );
        if (isLost) return;
      }
    }
  }
}
