/**
 * Copies of tables under load, on real servers: `npm run test:snapshot -- --help`. For each run: fills tables, starts the workloads and the built daemon, kills the
 * daemon with SIGKILL while it copies, and compares what is rebuilt from the messages with the source.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { startMysql, startNats, startPostgres } from '../servers/index.ts';
import type { MysqlVersion } from '../servers/versions.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { type Rebuilt, rebuildFromStream } from '../support/snapshot-check.ts';
import { snapshotDatabase } from '../support/snapshot-database.ts';
import { SnapshotLoad } from '../support/snapshot-load.ts';
import { deleteStream, lastOf } from '../support/streams.ts';

const HELP = `Usage: npm run test:snapshot [-- --runs N] [--mode M] [--rows N] [--kills N] [--clients N] [--scale N] [--parallelism N] [--source S] [--verbose]

  --runs N         of each mode (default 1)
  --mode M         initial (the first copy), incremental (asked for while the log is read), or both, separated by commas (default initial)
  --rows N         of the largest table (default 100000)
  --kills N        kill -9 of the daemon while it copies (default 0)
  --clients N      that update, move, delete and insert the same keys again (default 4)
  --scale N        pgbench beside it, at full speed, with 100,000 accounts each (default 0: without; Postgres only)
  --parallelism N  connections that copy (default 4)
  --source S       postgres-14 to postgres-18, mysql-9, mariadb-11 or mariadb-10.11 (default postgres-17)
  --verbose        the daemon's log too
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1' },
    mode: { type: 'string', default: 'initial' },
    rows: { type: 'string', default: '100000' },
    kills: { type: 'string', default: '0' },
    clients: { type: 'string', default: '4' },
    scale: { type: 'string', default: '0' },
    parallelism: { type: 'string', default: '4' },
    source: { type: 'string', default: 'postgres-17' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [runs, rows, kills, clients, scale] = [values.runs, values.rows, values.kills, values.clients, values.scale].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const run = promisify(execFile);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const TABLES = ['t', 'pair', 'quiet', ...(scale === 0 ? [] : ['pgbench_accounts', 'pgbench_tellers', 'pgbench_branches'])];

const [system, nats] = await Promise.all([startSystem(values.source), startNats({ own: true, maxFileStore: '40GB' })]);
let [failed, made] = [0, 0];
try {
  for (let count = 1; count <= runs; count++) {
    for (const mode of values.mode.split(',')) {
      made++;
      if (!(await one(made, mode))) failed++;
    }
  }
} finally {
  await Promise.all([system.dispose(), nats.dispose()]);
}
process.stdout.write(`${made - failed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

/** What differs from system to system. */
interface System {
  createDatabase(): Promise<Tables>;
  dispose(): Promise<void>;
}
interface Tables {
  readonly url: string;
  readonly labels: readonly string[];
  readonly source: Readonly<Record<string, unknown>>;
  query(sql: string): Promise<unknown>;
  drop(): Promise<unknown>;
}

async function startSystem(name: string): Promise<System> {
  const [kind, major] = name.split('-');
  return kind === 'postgres' ? startPostgresSystem(Number(major) as 17) : startMysqlSystem(name as MysqlVersion);
}

async function startPostgresSystem(major: 17): Promise<System> {
  const server = await startPostgres({ major, own: true, settings: { max_wal_size: '4GB' } });
  return {
    createDatabase: async () => {
      const database = await server.createDatabase('snapshot');
      const url = server.url(database);
      const labels = TABLES.map((table) => `public.${table}`);
      return {
        url,
        labels,
        source: { type: 'postgres', url, tables: labels, slot: database, publication: database },
        query: (sql) => server.query(sql, database),
        drop: async () => {
          await server.query(`SELECT pg_drop_replication_slot('${database}')`, database);
          await server.query(`DROP DATABASE ${database} WITH (FORCE)`);
        },
      };
    },
    dispose: () => server.dispose(),
  };
}

async function startMysqlSystem(version: MysqlVersion): Promise<System> {
  const server = await startMysql({ version, fsync: true });
  return {
    createDatabase: async () => {
      const database = await server.createDatabase('snapshot');
      const labels = TABLES.map((table) => `${database}.${table}`);
      return {
        url: `${server.url().replace(/\/$/, '')}/${database}`,
        labels,
        source: { type: server.system, url: server.url(), tables: labels, heartbeat: { interval: '1s' } },
        query: (sql) => server.query(sql, database),
        drop: () => server.query(`DROP DATABASE ${database}`),
      };
    },
    dispose: () => server.dispose(),
  };
}

async function one(number: number, mode: string): Promise<boolean> {
  const tables = await system.createDatabase();
  const { url, source } = tables;
  const database = snapshotDatabase(url);
  await tables.query(database.tables);
  await tables.query(database.fill(rows));
  if (scale > 0) await run('pgbench', ['-i', '-q', '-s', String(scale), url]);
  const stream = `SNAP${number}`;
  const snapshot = { mode: mode === 'initial' ? 'initial' : 'no_data', parallelism: Number(values.parallelism) };
  const daemon = await Daemon.create([
    {
      name: 'shop',
      source: { ...source, snapshot },
      sink: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{table}` },
      checkpoint: { maxDelay: '20ms' },
    },
  ]);
  const load = new SnapshotLoad(url, clients, rows);
  const bench = scale === 0 ? null : startPgbench(url);
  try {
    const { ms, killed } = await copyAll(daemon, mode, tables.labels);
    await load.stop();
    await bench?.stop();
    await tables.query('INSERT INTO t (id, v, n) VALUES (999999999, 0, 0)');
    await arrived(stream);
    const rebuilt = await rebuildFromStream(nats.url, stream, url, TABLES);
    await daemon.stop();
    await deleteStream(nats.url, stream);
    say(`run ${number}, ${mode}`, rebuilt, `${killed} kills, ${ms} ms, ${load.transactions} transactions beside`);
    if (values.verbose) for (const { time, msg } of daemon.log) process.stdout.write(`  ${String(time)} ${msg}\n`);
    return rebuilt.problems.length === 0;
  } finally {
    await load.stop();
    await bench?.stop();
    await daemon.dispose();
    await tables.drop();
  }
}

/** Until every table is copied, with the kills spread over it. */
async function copyAll(daemon: Daemon, mode: string, labels: readonly string[]): Promise<{ ms: number; killed: number }> {
  daemon.start();
  if (mode !== 'initial') {
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
    const asked = await sluice(['snapshot', 'start', ...labels.flatMap((label) => ['--table', label]), daemon.directory]);
    if (asked.exit !== 0) throw new Error(asked.stderr);
  }
  const began = Date.now();
  const isDone = (): boolean => labels.every((label) => daemon.log.some(({ msg }) => msg.startsWith(`Copied ${label}:`)));
  await daemon.waitForLog(({ msg }) => msg.startsWith(`Copying ${labels[0]?.split('.')[0]}.`), 60_000);
  let killed = 0;
  while (killed < kills) {
    // A hundred thousand rows take about a second: all of the kills come while it copies, most of the time.
    await pause(100 + (Math.random() * rows) / 50 / Math.max(kills, 2));
    if (isDone()) break;
    await daemon.stop('SIGKILL');
    killed++;
    daemon.start();
  }
  while (!isDone()) {
    await pause(20);
    if (Date.now() - began > 1_800_000) throw new Error('it does not come to an end');
  }
  return { ms: Date.now() - began, killed };
}

function say(what: string, { problems, read, readTwice, messages }: Rebuilt, how: string): void {
  const copied = Object.values(read).reduce((sum, each) => sum + each, 0);
  const verdict = problems.length === 0 ? 'exact' : 'NOT EXACT';
  process.stdout.write(`${what}: ${verdict}; ${copied} rows copied (${readTwice} twice), ${messages} messages; ${how}\n`);
  for (const problem of problems.slice(0, 5)) process.stdout.write(`  ${problem}\n`);
}

function startPgbench(url: string): { stop(): Promise<void> } {
  const bench: ChildProcess = spawn('pgbench', ['-n', '-c', '4', '-T', '3600', url], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => bench.once('close', () => resolve()));
  return {
    stop: () => {
      bench.kill('SIGINT');
      return ended;
    },
  };
}

/** The last row that was written stands at the end of its subject. */
async function arrived(stream: string): Promise<void> {
  while (!(await lastOf(nats.url, stream, `${stream}.t`)).includes('999999999')) await pause(300);
}
