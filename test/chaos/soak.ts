/**
 * `npm run test:soak`: one daemon with two connectors, from one database into Kafka and into NATS, for as long as is asked, at a steady rate and with kill -9 at random moments. Memory
 * and lag are looked at each second; in the end both sinks are read from their beginning and judged by the ledger of the source.
 */
import { spawn } from 'node:child_process';
import { statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startKafka, startNats, startPostgres } from '../servers/index.ts';
import { freePort } from '../servers/process.ts';
import { Daemon } from '../support/daemon.ts';
import { brokenBounds, figuresOf, SINKS, type SinkName, SOAK_BOUNDS, type SoakBounds } from '../support/soak-figures.ts';
import { differencesOf } from '../support/soak-ledger.ts';
import { SOAK_TABLES, SoakLoad } from '../support/soak-load.ts';
import { SoakWatch } from '../support/soak-watch.ts';
import type { SoakReading, SoakVerification } from './soak-verify.ts';

const HELP = `Usage: npm run test:soak [-- --minutes N] [--rows N] [--kills N] [--driver D] [--samples FILE] [--spoil WHAT]

One daemon carries the same table into Kafka 4 (6 partitions) and into NATS JetStream. Ends with 1 where a change was lost, doubled, altered or out of order in
either of them, where memory grew or lag did not stay bounded, and says what.

  --minutes N    length of the load (default 30)
  --rows N       changes a second, in transactions of 50 to 100 (default 5000)
  --kills N      kill -9 of the daemon at random moments, each with a new start at once (default one a minute). Each begins a new process, so that growth
                 over hours shows with --kills 0 only: half an hour of each belongs together
  --driver D     of the Kafka sink: platformatic or kafkajs (default platformatic)
  --samples FILE each second's sample, one JSON object a line
  --spoil WHAT   to see the checks fail: what is read back from the sinks is spoilt in one place: drop, double, swap or change
`;
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rows: { type: 'string', default: '5000' },
    kills: { type: 'string' },
    driver: { type: 'string', default: 'platformatic' },
    samples: { type: 'string' },
    spoil: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const seconds = Number(values.minutes) * 60;
const rowsPerSecond = Number(values.rows);
const kills = Number(values.kills ?? Math.max(1, Math.round(seconds / 60)));
const kafkajs = values.driver === 'kafkajs';
/** kafkajs cannot take up its identity: after a kill it waits for the time-out of a request (5 s) before it reads back. */
const bounds: SoakBounds = { ...SOAK_BOUNDS, catchUpMs: SOAK_BOUNDS.catchUpMs + (kafkajs ? 5_000 : 0) };
/** Bytes on disk for each change, over all of Kafka, NATS and Postgres (its log beside), as measured. */
const DISK_PER_CHANGE = 2_000;
const DISK_BESIDE = 6e9;
const CAUGHT_UP_SECONDS = 0.5;
const CATCH_UP_TIMEOUT_MS = 60_000;
const CONNECTORS: Record<SinkName, string> = { kafka: 'soak-kafka', nats: 'soak-nats' };
const SLOTS: Record<SinkName, string> = { kafka: 'sluice_soak_kafka', nats: 'sluice_soak_nats' };
const STREAM = 'SOAK';
const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

await requireDisk();
say('Starting PostgreSQL, NATS and Kafka …');
const [postgres, nats, kafka] = await Promise.all([
  startPostgres({ major: 17, own: true, fsync: true, settings: { max_wal_size: '4GB', shared_buffers: '512MB' } }),
  startNats({ own: true, maxFileStore: '200GB' }),
  startKafka({ own: true, version: '4', jvm: ['-Xmx1g'] }),
]);
const database = await postgres.createDatabase('soak');
await postgres.query(SOAK_TABLES, database);
const url = postgres.url(database);
const health = `127.0.0.1:${await freePort()}`;
const source = { type: 'postgres', url, tables: ['public.item'], snapshot: { mode: 'no_data' } };
const daemon = await Daemon.create(
  [
    { name: CONNECTORS.kafka, source, sink: { type: 'kafka', brokers: kafka.brokers, driver: values.driver, partitions: 6 } },
    { name: CONNECTORS.nats, source, sink: { type: 'nats', servers: [nats.url], stream: STREAM } },
  ],
  { health: { listen: health } },
);
const failures: string[] = [];
try {
  await soak();
} catch (error) {
  failures.push((error as Error).message);
  say((error as Error).stack ?? '');
} finally {
  if (failures.length > 0) process.stderr.write(`${[...daemon.log.slice(-40).map((line) => JSON.stringify(line)), ...daemon.other].join('\n')}\n`);
  await daemon.dispose();
  await Promise.all([postgres.dispose(), nats.dispose(), kafka.dispose()]);
}
for (const failure of failures) say(`FAILED: ${failure}`);
process.exit(failures.length > 0 ? 1 : 0);

async function soak(): Promise<void> {
  daemon.start();
  for (const sink of SINKS) await daemon.waitForLog(({ msg, connector }) => msg.startsWith('Streaming') && connector === CONNECTORS[sink], 60_000);
  say(`Load of ${seconds} s at ${rowsPerSecond} changes a second, ${kills} kills …`);
  const client = await postgres.connect(database);
  const load = new SoakLoad(url, rowsPerSecond);
  const watch = new SoakWatch({ daemon, health: `http://${health}`, client, load, connectors: CONNECTORS, slots: SLOTS });
  const catchUpMs = await killAtRandom(load, watch);
  await load.stop();
  await watch.stop();
  await caughtUp();
  await client.end();
  const code = await daemon.stop('SIGTERM');
  if (code !== 0) failures.push(`the daemon ended with ${code}`);
  if (daemon.other.length > 0) failures.push(`the daemon said what is no log line: ${daemon.other[0]}`);
  failures.push(...daemon.log.filter(({ level }) => level === 'error').map(({ msg }) => `the daemon logged an error: ${msg}`));
  if (load.rows < rowsPerSecond * seconds * 0.99) failures.push(`the load made ${load.rows} changes only: this machine is too slow for the rate`);
  failures.push(...brokenBounds(watch.samples, bounds));
  if (values.samples !== undefined) await writeFile(values.samples, watch.samples.map((sample) => `${JSON.stringify(sample)}\n`).join(''));
  say(`${load.rows} changes in ${load.transactions} transactions; reading both sinks …`);
  const [fromKafka, fromNats] = await Promise.all([
    verify('kafka', { kafka: kafka.brokers, topic: `${CONNECTORS.kafka}.public.item` }, load.rows),
    verify('nats', { nats: nats.url, stream: STREAM }, load.rows),
  ]);
  report(load, watch, catchUpMs, { kafka: fromKafka, nats: fromNats });
}

/** Lets the load run to its end. Answers with the milliseconds from each kill to caught up. */
async function killAtRandom(load: SoakLoad, watch: SoakWatch): Promise<number[]> {
  const start = performance.now();
  const until = async (ms: number): Promise<void> => {
    for (let said = 0; performance.now() < start + ms; ) {
      await sleep(Math.min(1000, start + ms - performance.now()));
      load.check();
      watch.check();
      const minute = Math.floor((performance.now() - start) / 60_000);
      if (minute > said) say(progress(watch));
      said = Math.max(said, minute);
    }
  };
  const took: number[] = [];
  const slice = (seconds * 1000) / Math.max(1, kills);
  // Between two kills, and behind the last one, is something that is no catching up.
  const apart = bounds.catchUpMs + 5_000;
  for (let kill = 0; kill < kills; kill++) {
    const width = slice - apart * (kill === kills - 1 ? 2 : 1);
    await until(kill * slice + apart + Math.random() * Math.max(0, width));
    took.push(await watch.kill(CAUGHT_UP_SECONDS, CATCH_UP_TIMEOUT_MS));
    say(`Kill ${kill + 1} of ${kills}: caught up ${took.at(-1)} ms after it`);
  }
  await until(seconds * 1000);
  return took;
}

function progress({ samples, messages }: SoakWatch): string {
  const sample = samples.at(-1);
  const lag = SINKS.map((sink) => `${sink} ${sample?.lag[sink]?.toFixed(3) ?? '?'} s`).join(', ');
  return `${sample?.rowsCommitted} changes committed, ${messages.kafka} messages in Kafka, ${messages.nats} in NATS; ${Math.round((sample?.residentBytes ?? 0) / 1e6)} MB, lag ${lag}`;
}

/** What is committed is acknowledged to both slots, which is after it is durable and saved. */
async function caughtUp(): Promise<void> {
  const [end] = await postgres.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  for (let wait = 0; wait < 300; wait++) {
    const done = await postgres.query(`SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn >= '${end?.lsn}'::pg_lsn`);
    if (done.length === SINKS.length) return;
    await sleep(200);
  }
  throw new Error('not caught up within a minute after the end of the load');
}

/** Beside the other one: the daemon has ended, nothing is disturbed. */
async function verify(sink: SinkName, from: SoakVerification['from'], changes: number): Promise<SoakReading> {
  const what: SoakVerification = { database: url, from, spoil: values.spoil as SoakVerification['spoil'] };
  const program = fileURLToPath(new URL('soak-verify.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', program, JSON.stringify(what)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${sink} could not be verified (${code})`);
  const reading = JSON.parse(output) as SoakReading;
  if (differencesOf(reading) > 0) failures.push(`${sink}: ${differencesOf(reading)} differences, ${reading.examples.join('; ')}`);
  if (reading.changes !== changes) failures.push(`${sink}: ${reading.changes} changes arrived, ${changes} were committed`);
  return reading;
}

function report(load: SoakLoad, watch: SoakWatch, catchUpMs: readonly number[], sinks: Record<SinkName, SoakReading>): void {
  const summary = {
    minutes: Number(values.minutes),
    driver: values.driver,
    rows: load.rows,
    transactions: load.transactions,
    loadLatestMs: Math.round(load.latestMs),
    kills,
    catchUpMs,
    differences: { kafka: differencesOf(sinks.kafka), nats: differencesOf(sinks.nats) },
    sinks,
    ...figuresOf(watch.samples, bounds),
    daemonCpuSeconds: Math.round(watch.cpuSeconds * 10) / 10,
    bounds,
    failures,
  };
  process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
}

/** The servers keep all of it until it is read in the end. */
async function requireDisk(): Promise<void> {
  const needed = seconds * rowsPerSecond * DISK_PER_CHANGE + DISK_BESIDE;
  const { bavail, bsize } = await statfs(tmpdir());
  say(`Needs about ${gigabytes(needed)} in ${tmpdir()}; ${gigabytes(bavail * bsize)} are free`);
  if (bavail * bsize >= needed) return;
  say('FAILED: not enough; set TMPDIR to a larger disk, or take fewer --minutes or --rows');
  process.exit(1);
}
