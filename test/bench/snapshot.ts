/**
 * `npm run bench -- snapshot`: the first copy of a table, against `COPY … TO STDOUT` by psql in the same run. Counts and hashes of what arrived are checked.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafka, startNats, startPostgres } from '../servers/index.ts';
import type { DebeziumValue } from '../support/stream-ledger.ts';
import { deleteStream } from '../support/streams.ts';
import { copySlot, dropSlot, type Parity, writeBacklog } from './backlog.ts';
import { Measured, type Usage } from './measure.ts';
import { parityOfStream, parityOfTopic, RowSum } from './parity.ts';
import { kafkaSink, MAIN, natsSink, program } from './programs.ts';
import { bar, type Summary, sinkBars, summarise, tableOf } from './report.ts';

const HELP = `Usage: npm run bench -- snapshot [--rows N] [--rounds N] [--sinks LIST] [--json]

Copies one table by psql, and by Sluice with one and with two connections into nothing, and into NATS and Kafka, whose clients are measured alone too.
Prints rows/s, CPU per row, peak memory and the ratios.

  --rows N      rows of the table (default 1000000)
  --rounds N    repetitions, interleaved; the median counts (default 3)
  --sinks LIST  nats, kafka or both, separated by commas; none: an empty list (default nats,kafka)
  --json        one JSON document instead of the table
`;

/** With one connection, of psql's rows/s. */
const SHARE_OF_PSQL = 0.4;
const KAFKA_PARTITIONS = 6;

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    sinks: { type: 'string', default: 'nats,kafka' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [rows, rounds] = [Number(values.rows), Number(values.rounds)];
const sinks = new Set(values.sinks.split(','));
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const [postgres, nats, kafka] = await Promise.all([
  startPostgres({ major: 17, own: true, settings: { shared_buffers: '512MB', max_wal_size: '8GB' } }),
  startNats({ own: true }),
  startKafka({ own: true, jvm: ['-Xmx1g', '-XX:TieredStopAtLevel=4'] }),
]);
const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
let runs = 0;
try {
  const database = await postgres.createDatabase('bench');
  say(`Writing ${rows.toLocaleString('en')} rows …`);
  const { parity } = await writeBacklog(postgres, database, rows, 10_000);
  await postgres.query('VACUUM ANALYZE bench', database);
  say('What Sluice makes of the rows, against the source …');
  const sum = new RowSum();
  await copied(database, 1, { type: 'stdout' }, (line) => sum.add((JSON.parse(line) as { value: DebeziumValue | null }).value));
  requireParity(sum.parity, parity);
  const measured = new Map<string, Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'>[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const [name, run] of Object.entries(drains(database, parity))) {
      say(`Round ${round} of ${rounds}: ${name} …`);
      measured.set(name, [...(measured.get(name) ?? []), await run(round)]);
    }
  }
  const table = [...measured].map(([name, usages]) =>
    summarise(
      name,
      usages.map((usage) => ({ name, count: rows, ...usage })),
    ),
  );
  process.stdout.write(values.json ? `${JSON.stringify(table, null, 2)}\n` : text(table));
} finally {
  await Promise.all([postgres.dispose(), nats.dispose(), kafka.dispose()]);
  await rm(home, { recursive: true, force: true });
}
process.exit(0);

type Drain = (round: number) => Promise<Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'>>;

function drains(database: string, parity: Parity): Readonly<Record<string, Drain>> {
  return {
    'psql COPY': () => byPsql(database),
    'Sluice into nothing': () => intoNothing(database, 1),
    'two connections into nothing': () => intoNothing(database, 2),
    ...(sinks.has('nats') ? natsDrains(database, parity) : {}),
    ...(sinks.has('kafka') ? kafkaDrains(database, parity) : {}),
  };
}

function natsDrains(database: string, parity: Parity): Readonly<Record<string, Drain>> {
  return {
    'Sluice into NATS': async (round) => {
      const stream = `COPY_${round}`;
      const usage = await copied(database, 1, natsSink(nats, stream));
      requireParity(await parityOfStream(nats.url, stream), parity);
      await deleteStream(nats.url, stream);
      return usage;
    },
    'NATS publisher alone': async (round) => {
      const alone = await sinkAlone(database, natsSink(nats, `ALONE_${round}`));
      await deleteStream(nats.url, `ALONE_${round}`);
      return alone;
    },
  };
}

function kafkaDrains(database: string, parity: Parity): Readonly<Record<string, Drain>> {
  return {
    'Sluice into Kafka': async (round) => {
      const usage = await copied(database, 1, kafkaSink(kafka, `copy-${round}`, KAFKA_PARTITIONS));
      requireParity(await parityOfTopic(kafka, `copy-${round}`), parity);
      return usage;
    },
    'Kafka lanes alone': (round) => sinkAlone(database, kafkaSink(kafka, `alone-${round}`, KAFKA_PARTITIONS)),
  };
}

function text(table: readonly Summary[]): string {
  const of = (name: string): Summary => table.find((each) => each.name === name) as Summary;
  const nothing = of('Sluice into nothing');
  return [
    `${rows.toLocaleString('en')} rows, ${cpus().length} cores, PostgreSQL ${postgres.version}, NATS ${nats.version}, Kafka ${kafka.version}, Node ${process.version}. Medians of ${rounds}; parity checked.`,
    '',
    ...tableOf(table),
    '',
    bar("into nothing: of psql's rows/s", nothing.rate / of('psql COPY').rate, '≥', SHARE_OF_PSQL),
    ...(sinks.has('nats') ? sinkBars('Sluice into NATS', of('Sluice into NATS'), of('NATS publisher alone'), nothing) : []),
    ...(sinks.has('kafka') ? sinkBars('Sluice into Kafka', of('Sluice into Kafka'), of('Kafka lanes alone'), nothing) : []),
    '',
  ].join('\n');
}

function requireParity(arrived: Parity, source: Parity): void {
  if (arrived.rows === source.rows && arrived.hash === source.hash) return;
  throw new Error(`void: ${JSON.stringify(arrived)} arrived, the source has ${JSON.stringify(source)}`);
}

async function byPsql(database: string): Promise<Usage> {
  const usage = await new Measured('psql', [postgres.url(database), '-q', '-o', '/dev/null', '-c', 'COPY bench TO STDOUT']).done;
  if (usage.exitCode !== 0) throw new Error(`psql: ${usage.stderr}`);
  return usage;
}

async function intoNothing(database: string, parallelism: number): Promise<Usage> {
  const usage = await copied(database, parallelism, { type: 'blackhole' });
  const count = Number(/"messages":(\d+)/.exec(usage.stderr)?.[1] ?? Number.NaN);
  if (count !== rows) throw new Error(`void: ${count} of ${rows} rows arrived\n${usage.stderr}`);
  return usage;
}

/** The sink itself, with the bytes of the first rows again and again. */
async function sinkAlone(database: string, sink: object): Promise<Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'>> {
  const slot = `alone_${++runs}`;
  await copySlot(postgres, database, slot);
  const file = await writeConnector(database, slot, { mode: 'no_data' }, sink);
  const answer = await program('publisher.ts', [JSON.stringify({ file, messages: rows, sample: Math.min(rows, 100_000) })]);
  await dropSlot(postgres, database, slot);
  return answer;
}

async function writeConnector(database: string, slot: string, snapshot: object, sink: object): Promise<string> {
  const file = join(home, `${slot}.json`);
  const url = postgres.url(database);
  const source = { type: 'postgres', url, tables: ['public.bench'], slot, publication: 'bench', snapshot, heartbeat: { enabled: false } };
  await writeFile(file, JSON.stringify({ name: slot.replace('_', '-'), source, sink }));
  return file;
}

/** The built product, as a user runs it, counted from the moment it begins to copy. */
async function copied(database: string, parallelism: number, sink: object, stdout?: (line: string) => void): Promise<Usage> {
  const slot = `copy_${++runs}`;
  const file = await writeConnector(database, slot, { mode: 'initial', parallelism }, sink);
  process.env['SLUICE_DATA_DIR'] = join(home, slot);
  process.env['SLUICE_HEALTH'] = '127.0.0.1:0';
  let isMarked = false;
  const usage = await new Measured(process.execPath, [MAIN, 'run', '--once', file], {
    stderr: (line, self) => {
      // Only the first one is where it begins: later ones tell how far it is.
      if (isMarked || !line.includes('"msg":"Copying public.bench')) return;
      isMarked = true;
      self.mark();
    },
    ...(stdout === undefined ? {} : { stdout }),
  }).done;
  if (usage.exitCode !== 0) throw new Error(`sluice: ${usage.stderr}`);
  await dropSlot(postgres, database, slot);
  return usage;
}
