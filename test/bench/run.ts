/**
 * `npm run bench`: one table, everything in one run on one machine, parity checked. Ratios count, bare times do not.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { createTopic } from '../support/kafka-topics.ts';
import type { DebeziumValue } from '../support/stream-ledger.ts';
import { deleteStream } from '../support/streams.ts';
import { copySlot, dropSlot, type Parity, writeBacklog } from './backlog.ts';
import { type Debezium, drainDebezium, provideDebezium } from './debezium.ts';
import { type Latency, measureLatency } from './latency.ts';
import { Measured, type Usage } from './measure.ts';
import { parityOfStream, parityOfTopic, RowSum } from './parity.ts';
import { kafkaSink, MAIN, natsSink, program } from './programs.ts';
import { type Row, report } from './report.ts';

if (process.argv[2] === 'snapshot') {
  await import('./snapshot.ts');
  process.exit(0);
}
if (process.argv[2] === 'mysql') {
  await import('./mysql.ts');
  process.exit(0);
}

if (process.argv[2] === 'fleet') {
  await import('./fleet.ts');
  process.exit(0);
}

const HELP = `Usage: npm run bench [-- --rows N] [--rounds N] [--sinks LIST] [--partitions N] [--without-debezium] [--json]

Drains the same backlog by pg_recvlogical, a bare reader, Sluice into nothing, into NATS and into Kafka, and by the NATS publisher and the Kafka lanes
alone, and by Debezium's engine into nothing and into Kafka; then start-up, latency and idle memory. Prints rows/s, CPU per row, peak memory and the ratios.

  --rows N     rows of the backlog, in transactions of 1,000 (default 1000000)
  --rounds N   repetitions, interleaved; the median counts (default 3)
  --sinks LIST nats, kafka, kafkajs or some of them, separated by commas (default nats,kafka)
  --partitions N  of the Kafka topic (default 6)
  --without-debezium  leave the rival out (Maven and a JDK are needed for it)
  --json       one JSON document instead of the table

npm run bench -- snapshot --help: the first copy of a table, against psql.
npm run bench -- mysql --help: the log of MySQL and MariaDB, against their own readers, and the first copy.
npm run bench -- fleet --help: fifty connectors in one process, and two in a process each.
`;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    sinks: { type: 'string', default: 'nats,kafka' },
    partitions: { type: 'string', default: '6' },
    'without-debezium': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const ROWS = Number(values.rows);
const ROUNDS = Number(values.rounds);
const SINKS = new Set(values.sinks.split(','));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

interface Bench {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly kafka: KafkaServer;
  readonly database: string;
  readonly endLsn: string;
  readonly parity: Parity;
  readonly home: string;
}

say('Starting PostgreSQL, NATS and Kafka …');
const [postgres, nats, kafka] = await Promise.all([
  startPostgres({ major: 17, own: true, settings: { shared_buffers: '512MB', max_wal_size: '8GB' } }),
  startNats({ own: true }),
  startKafka({ own: true, jvm: ['-Xmx1g', '-XX:TieredStopAtLevel=4'] }),
]);
const debezium = values['without-debezium'] ? null : await provideDebezium().catch(withoutDebezium);
const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
try {
  const database = await postgres.createDatabase('bench');
  say(`Writing ${ROWS.toLocaleString('en')} rows …`);
  const bench: Bench = { postgres, nats, kafka, database, home, ...(await writeBacklog(postgres, database, ROWS, 1000)) };
  say('What Sluice makes of the rows, against the source …');
  const sum = new RowSum();
  await sluiceOnce(bench, 'parity_0', { type: 'stdout' }, (line) => sum.add((JSON.parse(line) as { value: DebeziumValue | null }).value));
  requireParity(sum.parity, bench.parity);
  const rows: Row[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [name, drain] of Object.entries(DRAINS())) {
      say(`Round ${round} of ${ROUNDS}: ${name} …`);
      rows.push({ name, ...(await drain(bench, round)) });
    }
  }
  say('Start-up, latency, idle memory …');
  const live = await measureLive(bench);
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ rows, live }, null, 2)}\n`
      : report(rows, live, {
          rows: ROWS,
          cores: cpus().length,
          postgres: postgres.version,
          nats: nats.version,
          kafka: kafka.version,
          node: process.version,
        }),
  );
} finally {
  await Promise.all([postgres.dispose(), nats.dispose(), kafka.dispose()]);
  await rm(home, { recursive: true, force: true });
}
process.exit(0);

type Drained = Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'> & { readonly count: number };

function DRAINS(): Record<string, (bench: Bench, round: number) => Promise<Drained>> {
  return {
    pg_recvlogical: recvlogical,
    'bare reader in bursts': bareReader,
    'Sluice into nothing': intoNothing,
    ...(SINKS.has('nats') ? { 'Sluice into NATS': intoNats, 'NATS publisher alone': publisherAlone } : {}),
    ...(SINKS.has('kafka') ? kafkaDrains('Kafka', 'platformatic') : {}),
    ...(SINKS.has('kafkajs') ? kafkaDrains('Kafka (kafkajs)', 'kafkajs') : {}),
    ...(debezium === null ? {} : debeziumDrains(debezium)),
  };
}

async function recvlogical({ postgres: server, database, endLsn }: Bench, round: number): Promise<Drained> {
  const slot = `recv_${round}`;
  await copySlot(server, database, slot);
  const run = new Measured('pg_recvlogical', [
    '-d',
    server.url(database),
    '-S',
    slot,
    '--start',
    '-f',
    '/dev/null',
    '--endpos',
    endLsn,
    '-o',
    'proto_version=1',
    '-o',
    'publication_names=bench',
    '--no-loop',
  ]);
  const usage = await run.done;
  if (usage.exitCode !== 0) throw new Error(`pg_recvlogical: ${usage.stderr}`);
  await dropSlot(server, database, slot);
  return { ...usage, count: ROWS };
}

async function bareReader({ postgres: server, database }: Bench, round: number): Promise<Drained> {
  const slot = `bare_${round}`;
  await copySlot(server, database, slot);
  const answer = await program('bare-reader.ts', [server.url(database), slot, 'bench', String(ROWS)]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await dropSlot(server, database, slot);
  return { ...answer, count: answer.rows };
}

async function intoNothing(bench: Bench, round: number): Promise<Drained> {
  const slot = `nothing_${round}`;
  const usage = await sluiceOnce(bench, slot, { type: 'blackhole' });
  const count = Number(/"messages":(\d+)/.exec(usage.stderr)?.[1] ?? Number.NaN);
  if (count !== ROWS) throw new Error(`void: ${count} of ${ROWS} rows arrived\n${usage.stderr}`);
  return { ...usage, count };
}

async function intoNats(bench: Bench, round: number): Promise<Drained> {
  const stream = `BENCH_${round}`;
  const usage = await sluiceOnce(bench, `nats_${round}`, natsSink(bench.nats, stream));
  const arrived = await parityOfStream(bench.nats.url, stream);
  requireParity(arrived, bench.parity);
  await deleteStream(bench.nats.url, stream);
  return { ...usage, count: arrived.rows };
}

async function publisherAlone(bench: Bench, round: number): Promise<Drained> {
  const stream = `ALONE_${round}`;
  const drained = await sinkAlone(bench, `alone_${round}`, natsSink(bench.nats, stream));
  await deleteStream(bench.nats.url, stream);
  return drained;
}

/** The sink itself, with the bytes of the first rows of the backlog again and again. */
async function sinkAlone(bench: Bench, slot: string, sink: Record<string, unknown>): Promise<Drained> {
  await copySlot(bench.postgres, bench.database, slot);
  const file = await writeConnector(bench, slot, sink);
  const answer = await program('publisher.ts', [JSON.stringify({ file, messages: ROWS, sample: Math.min(ROWS, 100_000) })]);
  await dropSlot(bench.postgres, bench.database, slot);
  return { ...answer, count: answer.rows };
}

function kafkaDrains(name: string, driver: string): Record<string, (bench: Bench, round: number) => Promise<Drained>> {
  const sink = (bench: Bench, topic: string): Record<string, unknown> => kafkaSink(bench.kafka, topic, Number(values.partitions), driver);
  return {
    [`Sluice into ${name}`]: async (bench, round) => {
      const topic = `into-${driver}-${round}`;
      const usage = await sluiceOnce(bench, `${driver}_${round}`, sink(bench, topic));
      const arrived = await parityOfTopic(bench.kafka, topic);
      requireParity(arrived, bench.parity);
      return { ...usage, count: arrived.rows };
    },
    [`${name} lanes alone`]: (bench, round) => sinkAlone(bench, `lanes${driver}_${round}`, sink(bench, `alone-${driver}-${round}`)),
  };
}

function withoutDebezium(error: Error): null {
  say(`Debezium is left out: ${error.message}`);
  return null;
}

function debeziumDrains(engine: Debezium): Record<string, (bench: Bench, round: number) => Promise<Drained>> {
  const drain = async ({ postgres: server, database, kafka: broker }: Bench, slot: string, topic?: string): Promise<Drained> => {
    await copySlot(server, database, slot);
    const usage = await drainDebezium(
      engine,
      { postgres: server, database, slot, rows: ROWS },
      topic === undefined ? undefined : { kafka: broker, topic },
    );
    await dropSlot(server, database, slot);
    return { ...usage, count: ROWS };
  };
  return {
    'Debezium into nothing': (bench, round) => drain(bench, `dbz_nothing_${round}`),
    ...(SINKS.has('kafka') ? { 'Debezium into Kafka': intoKafka } : {}),
  };

  async function intoKafka(bench: Bench, round: number): Promise<Drained> {
    const topic = `into-debezium-${round}`;
    await createTopic(bench.kafka, topic, { partitions: Number(values.partitions) });
    const drained = await drain(bench, `dbz_kafka_${round}`, topic);
    requireParity(await parityOfTopic(bench.kafka, topic), bench.parity);
    return drained;
  }
}

function requireParity(arrived: Parity, source: Parity): void {
  if (arrived.rows === source.rows && arrived.hash === source.hash) return;
  throw new Error(`void: ${JSON.stringify(arrived)} arrived, the source has ${JSON.stringify(source)}`);
}

async function writeConnector({ postgres: server, database, home: directory }: Bench, slot: string, sink: Record<string, unknown>): Promise<string> {
  const file = join(directory, `${slot}.json`);
  const source = { type: 'postgres', url: server.url(database), tables: ['public.bench'], slot, publication: 'bench', snapshot: { mode: 'no_data' } };
  await writeFile(file, JSON.stringify({ name: slot.replace('_', '-'), source, sink }));
  return file;
}

/** The built product, as a user runs it. Counted from the moment it streams: start-up is a line of its own. */
async function sluiceOnce(bench: Bench, slot: string, sink: Record<string, unknown>, stdout?: (line: string) => void): Promise<Usage> {
  await copySlot(bench.postgres, bench.database, slot);
  const file = await writeConnector(bench, slot, sink);
  process.env['SLUICE_DATA_DIR'] = join(bench.home, slot);
  process.env['SLUICE_HEALTH'] = '127.0.0.1:0';
  const run = new Measured(process.execPath, [MAIN, 'run', '--once', file], {
    stderr: (line, self) => {
      if (line.includes('"msg":"Streaming')) self.mark();
    },
    ...(stdout === undefined ? {} : { stdout }),
  });
  const usage = await run.done;
  if (usage.exitCode !== 0) throw new Error(`sluice: ${usage.stderr}`);
  await dropSlot(bench.postgres, bench.database, slot);
  return usage;
}

/** Start to the first event, commit to NATS at 500 transactions a second, and memory when idle, of one running daemon. */
async function measureLive(bench: Bench): Promise<{ startSeconds: number; latency: Latency; idleBytes: number }> {
  await bench.postgres.query(
    `select pg_create_logical_replication_slot('live', 'pgoutput'); insert into bench values (0, 0, 'first', 0.00, 'x', now())`,
    bench.database,
  );
  const file = await writeConnector(bench, 'live', natsSink(bench.nats, 'LIVE'));
  process.env['SLUICE_DATA_DIR'] = join(bench.home, 'live');
  const subject = 'LIVE.public.bench';
  const { connect } = await import('@nats-io/transport-node');
  const connection = await connect({ servers: bench.nats.url });
  const first = new Promise<number>((resolve) => {
    connection.subscribe(subject, { max: 1, callback: () => resolve(performance.now()) });
  });
  await connection.flush();
  const started = performance.now();
  const daemon = new Measured(process.execPath, [MAIN, 'run', file]);
  const startSeconds = ((await first) - started) / 1000;
  await connection.close();
  const options = { servers: bench.nats.url, subject, perSecond: 500, firstId: ROWS * 2 };
  await measureLatency(bench.postgres, bench.database, { ...options, seconds: 5 });
  const latency = await measureLatency(bench.postgres, bench.database, { ...options, seconds: 20, firstId: ROWS * 3 });
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const idleBytes = daemon.residentBytes();
  daemon.child.kill('SIGTERM');
  await daemon.done;
  return { startSeconds, latency, idleBytes };
}
