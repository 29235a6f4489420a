/**
 * `npm run bench -- fleet`: fifty connectors in one process, from commit to stream while all are well and while seven of them are in trouble; and what two connectors gain by
 * a process each, which is the most that they could gain by a thread each.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { FiftyConnectors } from '../support/fifty-connectors.ts';
import { copySlot, dropSlot, writeBacklog } from './backlog.ts';
import { Measured, type Usage } from './measure.ts';
import { MAIN } from './programs.ts';

const HELP = `Usage: npm run bench -- fleet [--rows N] [--per-second N] [--seconds N]

Writes into the tables of 43 connectors of one process, before and after seven more are added that fail, each in a way of its own, and prints how long rows took from their
commit to the stream. Then drains two backlogs into nothing by two connectors of one process, and of a process each.

  --rows N        rows of each backlog (default 500000)
  --per-second N  transactions a second, over all tables (default 200)
  --seconds N     of each load (default 30)
`;

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    rows: { type: 'string', default: '500000' },
    'per-second': { type: 'string', default: '200' },
    seconds: { type: 'string', default: '30' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const say = (text: string): void => void process.stdout.write(`${text}\n`);

await measureFleet(Number(values['per-second']), Number(values.seconds));
await measureThreads(Number(values.rows));
process.exit(0);

async function measureFleet(perSecond: number, seconds: number): Promise<void> {
  const fleet = await FiftyConnectors.begin();
  try {
    await fleet.load(perSecond, 5);
    for (const name of ['43 connectors, all well', 'and 7 in trouble']) {
      if (name !== '43 connectors, all well') await fleet.trouble();
      const { p50Ms, p99Ms, maxMs, rows } = await fleet.load(perSecond, seconds);
      const bytes = await fleet.daemon.residentBytes();
      const delays = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1)).join(' / ');
      say(`${name}: ${rows} rows, p50 / p99 / max ${delays} ms, ${(bytes / 2 ** 20).toFixed(0)} MiB`);
    }
  } finally {
    await fleet.dispose();
  }
}

async function measureThreads(rows: number): Promise<void> {
  const postgres = await startPostgres({ major: 17, own: true, settings: { shared_buffers: '512MB', max_wal_size: '8GB' } });
  const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  try {
    const database = await postgres.createDatabase('bench');
    await writeBacklog(postgres, database, rows, 1000);
    for (const round of [1, 2, 3]) {
      for (const [name, groups] of [
        ['one connector', [['a']]],
        ['two connectors, one process', [['a', 'b']]],
        ['two connectors, two processes', [['a'], ['b']]],
      ] as const) {
        const { seconds, cpuMicros, peakBytes } = await drain(postgres, database, join(home, `${round}-${name.replaceAll(/\W/g, '')}`), groups);
        const count = groups.flat().length * rows;
        say(
          `${name}: ${Math.round(count / seconds)} rows/s, ${(cpuMicros / count).toFixed(2)} us per row, ${(peakBytes / 2 ** 20).toFixed(0)} MiB (${cpus().length} cores)`,
        );
      }
    }
  } finally {
    await postgres.dispose();
    await rm(home, { recursive: true, force: true });
  }
}

/** One process for each group of connectors, all at once. Times are of the slowest, the rest is the sum. */
async function drain(
  postgres: PostgresServer,
  database: string,
  home: string,
  groups: readonly (readonly string[])[],
): Promise<Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'>> {
  process.env['SLUICE_HEALTH'] = '127.0.0.1:0';
  const runs: Promise<Usage>[] = [];
  for (const [index, names] of groups.entries()) {
    const files: string[] = [];
    for (const name of names) {
      await copySlot(postgres, database, name);
      const file = `${home}-${name}.json`;
      const source = { type: 'postgres', url: postgres.url(database), tables: ['public.bench'], slot: name, publication: 'bench' };
      await writeFile(file, JSON.stringify({ name, source: { ...source, snapshot: { mode: 'no_data' } }, sink: { type: 'blackhole' } }));
      files.push(file);
    }
    process.env['SLUICE_DATA_DIR'] = `${home}-${index}`;
    let streaming = 0;
    const run = new Measured(process.execPath, [MAIN, 'run', '--once', ...files], {
      stderr: (line, self) => {
        if (line.includes('"msg":"Streaming') && ++streaming === names.length) self.mark();
      },
    });
    runs.push(run.done);
  }
  const usages = await Promise.all(runs);
  for (const name of groups.flat()) await dropSlot(postgres, database, name);
  const failed = usages.find(({ exitCode }) => exitCode !== 0);
  if (failed !== undefined) throw new Error(`sluice: ${failed.stderr}`);
  return {
    seconds: Math.max(...usages.map(({ seconds }) => seconds)),
    cpuMicros: usages.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    peakBytes: usages.reduce((sum, { peakBytes }) => sum + peakBytes, 0),
  };
}
