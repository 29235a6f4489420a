/**
 * `npm run bench -- snapshot`: the first copy of a table, against `COPY … TO STDOUT` by psql in the same run. Counts and hashes of what arrived are checked.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startPostgres } from '../servers/index.ts';
import type { DebeziumValue } from '../support/stream-ledger.ts';
import { dropSlot, writeBacklog } from './backlog.ts';
import { Measured, type Usage } from './measure.ts';
import { RowSum } from './parity.ts';
import { median } from './report.ts';

const HELP = `Usage: npm run bench -- snapshot [--rows N] [--rounds N] [--json]

Copies one table by psql, and by Sluice with one and with two connections into nothing. Prints rows/s, CPU per row, peak memory and the ratio to psql.

  --rows N     rows of the table (default 1000000)
  --rounds N   repetitions, interleaved; the median counts (default 3)
  --json       one JSON document instead of the table
`;

/** Issue: at least this share of psql's rows/s with one connection. */
const BAR = 0.4;

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [rows, rounds] = [Number(values.rows), Number(values.rounds)];
const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const postgres = await startPostgres({ major: 17, own: true, settings: { shared_buffers: '512MB', max_wal_size: '8GB' } });
const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
let runs = 0;
try {
  const database = await postgres.createDatabase('bench');
  say(`Writing ${rows.toLocaleString('en')} rows …`);
  const { parity } = await writeBacklog(postgres, database, rows, 10_000);
  await dropSlot(postgres, database, 'bench');
  await postgres.query('VACUUM ANALYZE bench', database);
  say('What Sluice makes of the rows, against the source …');
  const sum = new RowSum();
  await copied(database, 1, { type: 'stdout' }, (line) => sum.add((JSON.parse(line) as { value: DebeziumValue | null }).value));
  if (JSON.stringify(sum.parity) !== JSON.stringify(parity))
    throw new Error(`void: ${JSON.stringify(sum.parity)} arrived, the source has ${JSON.stringify(parity)}`);
  const measured: Record<string, Usage[]> = { 'psql COPY': [], 'Sluice, one connection': [], 'Sluice, two connections': [] };
  for (let round = 1; round <= rounds; round++) {
    say(`Round ${round} of ${rounds} …`);
    measured['psql COPY']?.push(await byPsql(database));
    measured['Sluice, one connection']?.push(await intoNothing(database, 1));
    measured['Sluice, two connections']?.push(await intoNothing(database, 2));
  }
  const table = Object.entries(measured).map(([name, usages]) => ({
    name,
    rate: median(usages.map(({ seconds }) => rows / seconds)),
    cpu: median(usages.map(({ cpuMicros }) => cpuMicros / rows)),
    peakMiB: median(usages.map(({ peakBytes }) => peakBytes / 1024 / 1024)),
  }));
  process.stdout.write(values.json ? `${JSON.stringify(table, null, 2)}\n` : text(table));
} finally {
  await postgres.dispose();
  await rm(home, { recursive: true, force: true });
}

function text(table: readonly { readonly name: string; readonly rate: number; readonly cpu: number; readonly peakMiB: number }[]): string {
  const [psql, one] = table as [(typeof table)[number], (typeof table)[number]];
  const share = one.rate / psql.rate;
  const lines = table.map(
    ({ name, rate, cpu, peakMiB }) =>
      `| ${name.padEnd(23)} | ${Math.round(rate).toLocaleString('en').padStart(9)} | ${cpu.toFixed(2).padStart(10)} | ${peakMiB.toFixed(0).padStart(8)} |`,
  );
  return [
    `${rows.toLocaleString('en')} rows, ${cpus().length} cores, PostgreSQL ${postgres.version}, Node ${process.version}. Medians of ${rounds}; parity checked.`,
    '',
    `| ${'what'.padEnd(23)} | rows/s    | CPU µs/row | peak MiB |`,
    `|${'-'.repeat(25)}|-----------|------------|----------|`,
    ...lines,
    '',
    `one connection against psql: ${share.toFixed(2)} ≥ ${BAR}: ${share >= BAR ? 'met' : 'MISSED'}`,
    '',
  ].join('\n');
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

/** The built product, as a user runs it, counted from the moment it begins to copy. */
async function copied(database: string, parallelism: number, sink: object, stdout?: (line: string) => void): Promise<Usage> {
  const slot = `copy_${++runs}`;
  const file = join(home, `${slot}.json`);
  const source = {
    type: 'postgres',
    url: postgres.url(database),
    tables: ['public.bench'],
    slot,
    publication: 'bench',
    snapshot: { mode: 'initial', parallelism },
    heartbeat: { enabled: false },
  };
  await writeFile(file, JSON.stringify({ name: `copy-${runs}`, source, sink }));
  process.env['SLUICE_DATA_DIR'] = join(home, slot);
  process.env['SLUICE_HEALTH'] = '127.0.0.1:0';
  const usage = await new Measured(process.execPath, [MAIN, 'run', '--once', file], {
    stderr: (line, self) => {
      if (line.includes('"msg":"Copying public.bench')) self.mark();
    },
    ...(stdout === undefined ? {} : { stdout }),
  }).done;
  if (usage.exitCode !== 0) throw new Error(`sluice: ${usage.stderr}`);
  await dropSlot(postgres, database, slot);
  return usage;
}
