/** PostgreSQL under the real pgbench, which must be on the PATH. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { startPostgres } from '../servers/index.ts';
import { differencesOfTpcb } from './compare-tpcb.ts';
import type { LoadSource } from './load-source.ts';
import { type Load, TPCB_TABLES } from './tpcb.ts';

const run = promisify(execFile);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function pgbenchSource(options: { readonly major: 17; readonly scale: number; readonly clients: number }): Promise<LoadSource> {
  const postgres = await startPostgres({ major: options.major, own: true, fsync: true, settings: { max_wal_size: '4GB' } });
  const database = await postgres.createDatabase('bank');
  const url = postgres.url(database);
  const scale = String(options.scale);
  await run('pgbench', ['-i', '-s', scale, '-I', 'dtp', url]);
  const tables = TPCB_TABLES.map((table) => `public.${table}`);
  return {
    source: { type: 'postgres', url, tables, insertOnly: ['public.pgbench_history'], snapshot: { mode: 'no_data' } },
    tables,
    ledgerOptions: {},
    fill: async () => void (await run('pgbench', ['-i', '-s', scale, '-I', 'g', url])),
    startLoad: () =>
      startPgbench(url, options.clients, async () => {
        const [row] = await postgres.query<{ n: string }>('select count(*) as n from pgbench_history', database);
        return Number(row?.n);
      }),
    faults: { restart: () => postgres.restart('fast'), kill: () => postgres.restart('kill') },
    usualFaults: ['restart'],
    end: async () => {
      // Also what the writer has not written yet.
      await sleep(1000);
      const [row] = await postgres.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      return row?.lsn ?? '';
    },
    hasSaved: async (_daemon, end) => {
      const [row] = await postgres.query<{ done: boolean }>(
        `select confirmed_flush_lsn >= '${end}'::pg_lsn as done from pg_replication_slots where slot_name = 'sluice_bank'`,
      );
      return row?.done === true;
    },
    differences: (ledger) => differencesOfTpcb(postgres, database, ledger),
    dispose: () => postgres.dispose(),
  };
}

/** pgbench ends when the server is restarted: it is started again until it is stopped. */
function startPgbench(url: string, clients: number, count: () => Promise<number>): Pick<Load, 'stop'> {
  let running = true;
  let child: ChildProcess | null = null;
  const loop = (async () => {
    while (running) {
      const bench = spawn('pgbench', ['-n', '-c', String(clients), '-T', '36000', url], { stdio: 'ignore' });
      child = bench;
      await new Promise((resolve) => bench.once('close', resolve));
      if (running) await sleep(200);
    }
  })();
  return {
    stop: async () => {
      running = false;
      child?.kill('SIGINT');
      await loop;
      return count();
    },
  };
}
