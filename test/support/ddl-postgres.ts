/** Storms of schema changes on PostgreSQL. */
import pg from 'pg';
import type { PostgresServer } from '../servers/index.ts';
import type { StormDatabase, Written } from './ddl-database.ts';
import { ALTERED_TABLES, DdlStorm, REPLACED_TABLES, STORM_SQL, StormLoad, stormTablesSql } from './ddl-storm.ts';

export async function postgresStorm(server: PostgresServer): Promise<StormDatabase> {
  const database = await server.createDatabase('storm');
  const url = server.url(database);
  await server.query(STORM_SQL, database);
  await server.query(stormTablesSql(), database);
  const tables = [...ALTERED_TABLES, ...REPLACED_TABLES];
  const read = async <T extends pg.QueryResultRow>(sql: string): Promise<T[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<T>(sql);
    await client.end();
    return rows;
  };
  return {
    source: {
      type: 'postgres',
      url,
      tables: tables.map((table) => `public.${table}`),
      newTablesInterval: '300ms',
      snapshot: { mode: 'no_data' },
    },
    schema: 'public',
    tables,
    replaced: REPLACED_TABLES,
    storm: (random) => DdlStorm.open(url, random),
    load: (clients, rows) => new StormLoad(url, clients, rows),
    put: (table) => server.query(`SELECT storm.put('${table}', 7)`, database),
    lastStamp: async () => Number((await read<{ stamp: string }>('SELECT last_value::text AS stamp FROM storm.stamps'))[0]?.stamp),
    ledger: async () => {
      const rows = await read<{ stamp: string } & Omit<Written, 'arrived' | 'key'>>(
        'SELECT tab, id, stamp::text AS stamp, row, types, xid::text AS xid, at::text AS at FROM storm.ledger',
      );
      return new Map(rows.map(({ stamp, ...written }) => [stamp, { ...written, key: null, arrived: 0 }]));
    },
    rows: (table) => read(`SELECT id, stamp::text AS stamp FROM public.${table}`),
    restart: () => server.restart('kill'),
  };
}
