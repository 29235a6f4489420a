/** MySQL and MariaDB under the fault matrix. */
import type { Connection } from 'mysql2/promise';
import { isBefore } from '../../connectors/mysql/log/place.ts';
import { parseGtids } from '../../connectors/mysql/log/position.ts';
import { controlRequest } from '../../src/cli/control-client.ts';
import type { MysqlServer } from '../servers/index.ts';
import type { Daemon } from './daemon.ts';
import type { FaultSource } from './fault-source.ts';

/** Of the connectors; the load is the superuser's. */
export const ACCOUNT = { user: 'sluice', password: 'sluice-secret' };

const GRANT = `GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${ACCOUNT.user}'@'%'`;

const TABLES = `
  CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, note mediumtext NOT NULL);
  CREATE TABLE entry (writer int NOT NULL, n bigint NOT NULL);
  CREATE TABLE ledger (id bigint NOT NULL, version bigint NOT NULL, op text NOT NULL, PRIMARY KEY (id, version));
  CREATE TABLE entry_ledger (writer int NOT NULL, n bigint NOT NULL, PRIMARY KEY (writer, n));
  CREATE TABLE looked (at bigint AUTO_INCREMENT PRIMARY KEY);`;

/** ER_OPTION_PREVENTS_STATEMENT: the server is read-only. */
const READ_ONLY = 1290;

export interface SavedPosition {
  readonly gtid: string;
  readonly file: string;
  readonly pos: string;
}

/** What a daemon that runs has saved of the log; null: it does not answer now, or has saved nothing. */
export async function savedPosition(connector: string, daemon: Daemon): Promise<SavedPosition | null> {
  try {
    const offsets = (await controlRequest(daemon.dataDir, 'offsets/show')) as { connector: string; offset: { position: SavedPosition } | null }[];
    return offsets.find((row) => row.connector === connector)?.offset?.position ?? null;
  } catch {
    return null;
  }
}

export function mysqlFaultSource(server: MysqlServer): FaultSource {
  return {
    createDatabase: async (prefix) => {
      const database = await server.createDatabase(prefix.replaceAll('-', '_'));
      await server.query(TABLES, database);
      await server.query(
        `CREATE USER IF NOT EXISTS '${ACCOUNT.user}'@'%' IDENTIFIED BY '${ACCOUNT.password}'; ${GRANT}; GRANT SELECT ON ${database}.* TO '${ACCOUNT.user}'@'%'`,
      );
      return database;
    },
    config: (database, through) => ({
      type: server.system,
      url: through(server.url({ user: ACCOUNT.user })),
      password: ACCOUNT.password,
      tables: [`${database}.item`, `${database}.entry`],
    }),
    connect: async (database) => {
      const client = await server.connect(database);
      return {
        query: async <T>(sql: string) => (await client.query(sql))[0] as unknown as T[],
        // One that is broken would wait for its server.
        end: () => Promise.resolve(client.destroy()),
      };
    },
    query: (sql, database) => server.query(sql, database),
    progress: async (connector, daemon, database) => {
      const client = await server.connect(database);
      // A server that has just come back has written nothing yet: what was saved before it went would pass for all, and no recovery be seen.
      await client.query('INSERT INTO looked VALUES ()').catch((error: { errno?: number }) => {
        if (error.errno !== READ_ONLY) throw error;
      });
      const hasRead = await endOf(server, client);
      return {
        isDone: async () => {
          const saved = await savedPosition(connector, daemon);
          return saved !== null && hasRead(saved);
        },
        end: () => Promise.resolve(client.destroy()),
      };
    },
    acknowledged: async (connector, daemon) => JSON.stringify(await savedPosition(connector, daemon)),
    // The server keeps its log by its age, whoever reads it.
    forget: () => Promise.resolve(),
  };
}

/** Where the log ends now: whether what was saved has all that stands before. */
async function endOf({ system }: MysqlServer, client: Connection): Promise<(saved: SavedPosition) => boolean> {
  const ask = async <T>(sql: string): Promise<T> => ((await client.query(sql))[0] as unknown as T[])[0] as T;
  const isMysql = system === 'mysql';
  if (isMysql && (await ask<{ mode: string }>('SELECT @@GLOBAL.gtid_mode AS mode')).mode !== 'ON') {
    const { File: file, Position: pos } = await ask<{ File: string; Position: string }>('SHOW BINARY LOG STATUS');
    return (saved) => !isBefore(saved, { file, pos });
  }
  const { gtid } = await ask<{ gtid: string }>(`SELECT @@GLOBAL.${isMysql ? 'gtid_executed' : 'gtid_binlog_pos'} AS gtid`);
  const last = lastOf(gtid.replace(/\s/g, ''));
  return (saved) => {
    const read = parseGtids(saved.gtid, system);
    return read !== null && last.every((each) => ('covers' in read ? read.covers(each) : read.contains(each)));
  };
}

/** The last transaction of each interval of a set of MySQL, of each domain of MariaDB's: who has read them in the order of the log has read all. */
function lastOf(gtids: string): string[] {
  return gtids.split(',').flatMap((part) => {
    const [source, ...intervals] = part.split(':');
    return intervals.length === 0 ? part : intervals.map((interval) => `${source}:${interval.split('-').at(-1)}`);
  });
}
