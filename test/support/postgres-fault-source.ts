/** Postgres under the fault matrix. */
import pg from 'pg';
import type { PostgresServer } from '../servers/index.ts';
import { FAULT_TABLES } from './fault-load.ts';
import type { FaultSource } from './fault-source.ts';

/** The slot of a connector. */
export function slotOf(connector: string): string {
  return `sluice_${connector.replaceAll('-', '_')}`;
}

export function postgresFaultSource(postgres: PostgresServer): FaultSource {
  const confirmed = async (connector: string): Promise<string> => {
    const [slot] = await postgres.query<{ lsn: string }>(
      `SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = '${slotOf(connector)}'`,
    );
    return slot?.lsn ?? 'no slot';
  };
  return {
    createDatabase: async (prefix) => {
      const database = await postgres.createDatabase(prefix);
      await postgres.query(FAULT_TABLES, database);
      return database;
    },
    config: (database, through) => ({
      type: 'postgres',
      url: through(postgres.url(database)),
      tables: ['public.item', 'public.entry'],
      insertOnly: ['public.entry'],
    }),
    connect: async (database) => {
      const client = new pg.Client({ connectionString: postgres.url(database), connectionTimeoutMillis: 5_000 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        await client.query(`SET statement_timeout = '20s'`);
      } catch (error) {
        await client.end().catch(() => undefined);
        throw error;
      }
      return { query: async <T>(sql: string) => (await client.query(sql)).rows as T[], end: () => client.end() };
    },
    query: (sql, database) => postgres.query(sql, database),
    progress: async (connector, _daemon, database) => {
      const client = await postgres.connect(database);
      const [row] = (await client.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')).rows;
      const sql = `SELECT confirmed_flush_lsn >= '${row?.lsn}'::pg_lsn AS done FROM pg_replication_slots WHERE slot_name = '${slotOf(connector)}'`;
      return {
        isDone: async () => (await client.query<{ done: boolean }>(sql)).rows[0]?.done === true,
        end: () => client.end(),
      };
    },
    acknowledged: (connector) => confirmed(connector),
    forget: async (connector) => {
      const slot = slotOf(connector);
      // The next test's database has a slot of its own; this one would keep the log.
      await postgres.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}' AND NOT active`);
    },
  };
}
