/**
 * Copies of tables under load, on real servers: `npx tsx --conditions=source test/chaos/snapshot.ts --runs 30 --rows 100000 --kills 2`. For each run: fills tables, starts a
 * workload and the built daemon, kills the daemon with SIGKILL so often while it copies, and compares what is rebuilt from the messages with the source.
 */
import { parseArgs } from 'node:util';
import { startNats, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';
import { rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { readStream } from '../support/stream-ledger.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1' },
    rows: { type: 'string', default: '100000' },
    kills: { type: 'string', default: '0' },
    clients: { type: 'string', default: '4' },
    parallelism: { type: 'string', default: '4' },
    major: { type: 'string', default: '17' },
    verbose: { type: 'boolean', default: false },
  },
});
const [runs, rows, kills, clients, parallelism] = [values.runs, values.rows, values.kills, values.clients, values.parallelism].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const DONE = 'All tables are copied.';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const [postgres, nats] = await Promise.all([startPostgres({ major: Number(values.major) as 17, own: true }), startNats({ own: true })]);
let failed = 0;
try {
  for (let run = 1; run <= runs; run++) if (!(await one(run))) failed++;
} finally {
  await Promise.all([postgres.dispose(), nats.dispose()]);
}
process.stdout.write(`${runs - failed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

async function one(run: number): Promise<boolean> {
  const database = await postgres.createDatabase('snapshot');
  const url = postgres.url(database);
  await postgres.query(SNAPSHOT_TABLES, database);
  await postgres.query(fillSql(rows), database);
  const stream = `SNAP${run}`;
  const source = {
    type: 'postgres',
    url,
    tables: ['public.*'],
    slot: `snap${run}`,
    publication: `snap${run}`,
    snapshot: { mode: 'initial', parallelism },
  };
  const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
  const daemon = await Daemon.create([{ name: 'shop', source, sink, checkpoint: { maxDelay: '20ms' } }]);
  const load = clients === 0 ? null : new SnapshotLoad(url, clients, rows);
  const began = Date.now();
  let killed = 0;
  try {
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.'), 60_000);
    while (killed < kills && !daemon.log.some(({ msg }) => msg === DONE)) {
      await pause(100 + Math.random() * 900);
      if (daemon.log.some(({ msg }) => msg === DONE)) break;
      await daemon.stop('SIGKILL');
      killed++;
      daemon.start();
    }
    await daemon.waitForLog(({ msg }) => msg === DONE, 600_000);
    const copiedMs = Date.now() - began;
    await load?.stop();
    await postgres.query('INSERT INTO t (id, n) VALUES (999999999, 0)', database);
    await arrived(stream);
    const rebuilt = await rebuildFromStream(nats.url, stream, url, ['t', 'pair', 'quiet']);
    await daemon.stop();
    const read = Object.values(rebuilt.read).reduce((sum, each) => sum + each, 0);
    process.stdout.write(
      `run ${run}: ${rebuilt.problems.length === 0 ? 'exact' : 'NOT EXACT'}; ${killed} kills, ${read} rows copied (${rebuilt.readTwice} twice) in ${copiedMs} ms, ` +
        `${load?.transactions ?? 0} transactions beside, ${rebuilt.messages} messages\n${rebuilt.problems
          .slice(0, 5)
          .map((each) => `  ${each}\n`)
          .join('')}`,
    );
    if (values.verbose) for (const { time, msg } of daemon.log) process.stdout.write(`  ${String(time)} ${msg}\n`);
    return rebuilt.problems.length === 0;
  } finally {
    await load?.stop();
    await daemon.dispose();
  }
}

async function arrived(stream: string): Promise<void> {
  for (let isHere = false; !isHere; ) {
    await readStream(nats.url, stream, ({ value }) => {
      if (value?.after?.['id'] === 999_999_999) isHere = true;
    });
    if (!isHere) await pause(300);
  }
}
