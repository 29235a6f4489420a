/** MySQL and MariaDB under a load of their own clients. */
import { type MysqlServer, type MysqlVersion, startMysql } from '../servers/index.ts';
import { sluice } from './cli.ts';
import type { Daemon } from './daemon.ts';
import { CONNECTOR } from './load-run.ts';
import type { LoadSource } from './load-source.ts';
import type { MysqlLoad } from './mysql-loads.ts';
import type { Load } from './tpcb.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What is acknowledged survives (`sync_binlog` and `innodb_flush_log_at_trx_commit` are 1), and the log begins a new file every few thousand transactions. */
export async function mysqlLoadSource(version: MysqlVersion, load: MysqlLoad, clients: number): Promise<LoadSource> {
  const server = await startMysql({ version, fsync: true, settings: { 'max-binlog-size': '4M', 'innodb-buffer-pool-size': '256M' } });
  const database = await server.createDatabase('bank');
  await server.query(load.create, database);
  const tables = load.tables.map((table) => `${database}.${table}`);
  const settings = { snapshot: { mode: 'no_data' }, heartbeat: { interval: '1s' } };
  const truncates = new Truncates(server.system === 'mariadb');
  return {
    source: { type: server.system, url: server.url(), tables, ...settings },
    tables,
    ledgerOptions: { wholeRows: true },
    fill: async () => {
      for (const sql of load.fill()) await server.query(sql, database);
    },
    startLoad: () => startLoad(server, database, load, clients, truncates),
    faults: {
      restart: () => server.restart('stop'),
      kill: () => truncates.without(() => server.restart('kill')),
      rotate: () => again(() => server.query('FLUSH BINARY LOGS')),
      purge: (daemon) => purge(server, daemon),
    },
    usualFaults: ['restart', 'kill', 'rotate', 'purge', 'kill', 'purge'],
    end: async () => {
      const name = server.system === 'mysql' ? 'gtid_executed' : 'gtid_binlog_pos';
      const [row] = await server.query<{ gtid: string }>(`SELECT @@GLOBAL.${name} AS gtid`);
      return (row?.gtid ?? '').replace(/\s/g, '');
    },
    hasSaved: async (daemon, end) => (await savedPosition(daemon))?.gtid === end,
    differences: (ledger) => load.differences((sql) => server.query(sql, database), ledger),
    dispose: () => server.dispose(),
  };
}

interface SavedPosition {
  readonly gtid: string;
  readonly file: string;
}

/** Null: it cannot be told now. The daemon is asked if it runs; it has a moment in which it neither answers nor is gone. */
async function savedPosition(daemon: Daemon): Promise<SavedPosition | null> {
  const { exit, stdout } = await sluice(['offsets', 'show', '--json', daemon.directory]);
  if (exit !== 0) return null;
  const offsets = JSON.parse(stdout) as { connector: string; offset: { position: SavedPosition } | null }[];
  return offsets.find(({ connector }) => connector === CONNECTOR)?.offset?.position ?? null;
}

/** Everything that the daemon, by what it has saved, will not ask for again. */
async function purge(server: MysqlServer, daemon: Daemon): Promise<void> {
  await again(() => server.query('FLUSH BINARY LOGS'));
  for (let tries = 0; tries < 50; tries++) {
    const { file = '' } = (await savedPosition(daemon)) ?? {};
    if (file !== '') {
      return again(() => server.query(`PURGE BINARY LOGS TO '${file}'`));
    }
    await sleep(200);
  }
  throw new Error('the daemon does not tell its position');
}

/** A server under load may take more than one attempt to connect to. */
async function again(act: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await act();
      return;
    } catch (error) {
      if (tries === 10) throw error;
      await sleep(500);
    }
  }
}

/** 1213: deadlock; 1205: waited too long for a row. */
const isConflict = (error: unknown): boolean => [1213, 1205].includes((error as { errno?: number }).errno ?? 0);

/**
 * A MariaDB that is killed while it truncates a table may leave the table empty and say nothing of it in its log (seen with 10.11: 22 of 45 that were cut off): that is the server's
 * loss, and no reader of the log can know of it. So none is under way when it is killed.
 */
class Truncates {
  readonly #isMariadb: boolean;
  #isHeld = false;
  #running = 0;

  constructor(isMariadb: boolean) {
    this.#isMariadb = isMariadb;
  }

  /** Not now, where the server is about to be killed. */
  async run(work: () => Promise<unknown>): Promise<void> {
    if (this.#isHeld) return;
    this.#running++;
    await work().finally(() => this.#running--);
  }

  async without(work: () => Promise<void>): Promise<void> {
    this.#isHeld = this.#isMariadb;
    while (this.#isHeld && this.#running > 0) await sleep(5);
    await work().finally(() => {
      this.#isHeld = false;
    });
  }
}

/** Connections that break are made again: the server may be restarted meanwhile. */
function startLoad(server: MysqlServer, database: string, load: MysqlLoad, clients: number, truncates: Truncates): Load {
  let running = true;
  let committed = 0;
  const client = async (): Promise<void> => {
    while (running) {
      const connection = await server.connect(database).catch(() => null);
      try {
        while (running && connection !== null) {
          try {
            const sql = load.transaction();
            if (sql.startsWith('TRUNCATE')) await truncates.run(() => connection.query(sql));
            else await connection.query(sql);
            committed++;
          } catch (error) {
            if (!isConflict(error)) throw error;
            await connection.query('ROLLBACK');
          }
        }
      } catch {
        // The server is gone.
      }
      connection?.destroy();
      if (running) await sleep(100);
    }
  };
  const loops = Array.from({ length: clients }, client);
  return {
    get committed() {
      return committed;
    },
    stop: async () => {
      running = false;
      await Promise.all(loops);
      return committed;
    },
  };
}
