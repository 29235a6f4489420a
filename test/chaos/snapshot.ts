/**
 * Copies of tables under load, on real servers: `npm run test:snapshot -- --help`. For each run: fills tables, starts the workloads and the built daemon, kills the
 * daemon with SIGKILL while it copies, and compares what is rebuilt from the messages with the source.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { type Rebuilt, rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { deleteStream, lastOf } from '../support/streams.ts';

const HELP = `Usage: npm run test:snapshot [-- --runs N] [--mode M] [--rows N] [--kills N] [--clients N] [--scale N] [--parallelism N] [--major N] [--verbose]

  --runs N         of each mode (default 1)
  --mode M         initial (the first copy), incremental (asked for while the log is read), or both, separated by commas (default initial)
  --rows N         of the largest table (default 100000)
  --kills N        kill -9 of the daemon while it copies (default 0)
  --clients N      that update, move, delete and insert the same keys again (default 4)
  --scale N        pgbench beside it, at full speed, with 100,000 accounts each (default 0: without)
  --parallelism N  connections that copy (default 4)
  --major N        of PostgreSQL (default 17)
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
    major: { type: 'string', default: '17' },
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
const LABELS = TABLES.map((table) => `public.${table}`);

const [postgres, nats] = await Promise.all([
  startPostgres({ major: Number(values.major) as 17, own: true, settings: { max_wal_size: '4GB' } }),
  startNats({ own: true, maxFileStore: '40GB' }),
]);
let [failed, made] = [0, 0];
try {
  for (let count = 1; count <= runs; count++) {
    for (const mode of values.mode.split(',')) {
      made++;
      if (!(await one(made, mode))) failed++;
    }
  }
} finally {
  await Promise.all([postgres.dispose(), nats.dispose()]);
}
process.stdout.write(`${made - failed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

async function one(number: number, mode: string): Promise<boolean> {
  const database = await postgres.createDatabase('snapshot');
  const url = postgres.url(database);
  await postgres.query(SNAPSHOT_TABLES, database);
  await postgres.query(fillSql(rows), database);
  if (scale > 0) await run('pgbench', ['-i', '-q', '-s', String(scale), url]);
  const stream = `SNAP${number}`;
  const names = { slot: `snap${number}`, publication: `snap${number}` };
  const snapshot = { mode: mode === 'initial' ? 'initial' : 'no_data', parallelism: Number(values.parallelism) };
  const daemon = await Daemon.create([
    {
      name: 'shop',
      source: { type: 'postgres', url, tables: LABELS, ...names, snapshot },
      sink: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` },
      checkpoint: { maxDelay: '20ms' },
    },
  ]);
  const load = new SnapshotLoad(url, clients, rows);
  const bench = scale === 0 ? null : startPgbench(url);
  try {
    const { ms, killed } = await copyAll(daemon, mode);
    await load.stop();
    await bench?.stop();
    const [history] = scale === 0 ? [] : await postgres.query<{ n: number }>('SELECT count(*)::int AS n FROM pgbench_history', database);
    await postgres.query('INSERT INTO t (id, n) VALUES (999999999, 0)', database);
    await arrived(stream);
    const rebuilt = await rebuildFromStream(nats.url, stream, url, TABLES);
    await daemon.stop();
    await deleteStream(nats.url, stream);
    say(
      `run ${number}, ${mode}`,
      rebuilt,
      `${killed} kills, ${ms} ms, ${load.transactions} transactions beside${history === undefined ? '' : ` and ${history.n} of pgbench`}`,
    );
    if (values.verbose) for (const { time, msg } of daemon.log) process.stdout.write(`  ${String(time)} ${msg}\n`);
    return rebuilt.problems.length === 0;
  } finally {
    await load.stop();
    await bench?.stop();
    await daemon.dispose();
    await postgres.query(`SELECT pg_drop_replication_slot('${names.slot}')`, database);
    await postgres.query(`DROP DATABASE ${database} WITH (FORCE)`);
  }
}

/** Until every table is copied, with the kills spread over it. */
async function copyAll(daemon: Daemon, mode: string): Promise<{ ms: number; killed: number }> {
  daemon.start();
  if (mode !== 'initial') {
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'), 60_000);
    const asked = await sluice(['snapshot', 'start', ...LABELS.flatMap((label) => ['--table', label]), daemon.directory]);
    if (asked.exit !== 0) throw new Error(asked.stderr);
  }
  const began = Date.now();
  const isDone = (): boolean => LABELS.every((label) => daemon.log.some(({ msg }) => msg.startsWith(`Copied ${label}:`)));
  await daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.'), 60_000);
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
  while (!(await lastOf(nats.url, stream, `${stream}.public.t`)).includes('999999999')) await pause(300);
}
