/**
 * `npm run bench -- mysql`: a backlog in the log of MySQL and of MariaDB, against the server's own reader of logs and the bare library; and the first copy of the
 * table, against `mariadb --quick`, all in one run. Counts and hashes of what arrived are checked.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { clientProgram } from '../servers/mysql-clients.ts';
import type { MysqlVersion } from '../servers/versions.ts';
import type { DebeziumValue } from '../support/stream-ledger.ts';
import type { Parity } from './backlog.ts';
import { Measured, type Usage } from './measure.ts';
import { type LogPlace, logPlace, prepareTable, writeBacklog } from './mysql-backlog.ts';
import { RowSum } from './parity.ts';
import { MAIN, program } from './programs.ts';
import { bar, type Summary, summarise, tableOf } from './report.ts';

const HELP = `Usage: npm run bench -- mysql [--servers LIST] [--rows N] [--rounds N] [--json]

For each server: drains the same backlog by its own reader of logs (raw, from the server), by the bare library, and by Sluice into nothing; then reads the table
by mariadb --quick, and copies it by Sluice into nothing. Prints rows/s, CPU per row, peak memory and the ratios.

  --servers LIST  mysql-9, mariadb-11, mariadb-10.11 or some of them, separated by commas (default mysql-9,mariadb-11)
  --rows N        rows of the table, in transactions of 1,000 (default 1000000)
  --rounds N      repetitions, interleaved; the median counts (default 3)
  --json          one JSON document instead of the tables
`;

/** Of the bare library's rows/s, and of those of mariadb --quick. */
const SHARE_OF_LIBRARY = 0.7;
const SHARE_OF_CLIENT = 0.3;
/** Debezium 3.6.1 into nothing, measured by itself on such a machine (docs/benchmark.md): rows/s, and how many times as many are asked for. */
const DEBEZIUM = { stream: { rate: 54_000, times: 5 }, copy: { rate: 67_000, times: 4 } };

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    servers: { type: 'string', default: 'mysql-9,mariadb-11' },
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
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const home = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
process.env['SLUICE_HEALTH'] = '127.0.0.1:0';

type Drained = Pick<Usage, 'seconds' | 'cpuMicros' | 'peakBytes'>;

interface Bench {
  readonly server: MysqlServer;
  readonly database: string;
  readonly from: LogPlace;
  readonly parity: Parity;
  readonly directory: string;
  /** A data directory that stands in front of the backlog. */
  readonly start: string;
}

try {
  for (const version of values.servers.split(',')) await measure(version as MysqlVersion);
} finally {
  await rm(home, { recursive: true, force: true });
}
process.exit(0);

async function measure(version: MysqlVersion): Promise<void> {
  say(`Starting ${version} …`);
  const server = await startMysql({ version, own: true, settings: { 'innodb-buffer-pool-size': '512M', 'max-binlog-size': '1G' } });
  try {
    const bench = await prepared(server, version);
    const measured = new Map<string, Drained[]>();
    for (let round = 1; round <= rounds; round++) {
      for (const [name, run] of Object.entries(drains(bench))) {
        say(`${version}, round ${round} of ${rounds}: ${name} …`);
        measured.set(name, [...(measured.get(name) ?? []), await run(round)]);
      }
    }
    const table = [...measured].map(([name, usages]) =>
      summarise(
        name,
        usages.map((usage) => ({ name, count: rows, ...usage })),
      ),
    );
    process.stdout.write(values.json ? `${JSON.stringify({ server: version, table }, null, 2)}\n` : text(server, table));
  } finally {
    await server.dispose();
  }
}

async function prepared(server: MysqlServer, version: MysqlVersion): Promise<Bench> {
  const database = await server.createDatabase('bench');
  await prepareTable(server, database);
  const directory = join(home, version);
  const start = join(directory, 'start');
  await mkdir(directory);
  const bench = { server, database, from: await logPlace(server), parity: { rows: 0, hash: '' }, directory, start };
  // One life in front of the backlog: what it stores is where each of the others begins.
  await sluice(bench, start, 'no_data', { type: 'blackhole' });
  say(`Writing ${rows.toLocaleString('en')} rows …`);
  const parity = await writeBacklog(server, database, rows);
  say('What Sluice makes of the rows, against the source …');
  for (const mode of ['no_data', 'initial'] as const) {
    const sum = new RowSum('sha256');
    await sluice(bench, await dataDirectory(bench, mode, 'parity'), mode, { type: 'stdout' }, (line) => {
      const { value } = JSON.parse(line) as { value: DebeziumValue | null };
      sum.add(value);
    });
    requireParity(sum.parity, parity);
  }
  return { ...bench, parity };
}

function drains(bench: Bench): Readonly<Record<string, (round: number) => Promise<Drained>>> {
  const reader = bench.server.system === 'mysql' ? 'mysqlbinlog' : 'mariadb-binlog';
  return {
    [`${reader} --raw`]: (round) => byReader(bench, reader, round),
    'the bare library': () => byLibrary(bench),
    'Sluice into nothing': async (round) => intoNothing(bench, 'no_data', await dataDirectory(bench, 'no_data', String(round))),
    'mariadb --quick': () => byClient(bench),
    'Sluice copies into nothing': async (round) => intoNothing(bench, 'initial', await dataDirectory(bench, 'initial', String(round))),
  };
}

function text(server: MysqlServer, table: readonly Summary[]): string {
  const of = (name: string): Summary => table.find((each) => each.name.startsWith(name)) as Summary;
  const [streamed, copied] = [of('Sluice into nothing'), of('Sluice copies')];
  const times = (rate: number, { rate: rival, times: asked }: { rate: number; times: number }, what: string): string =>
    bar(`${what}: rows/s against Debezium's ${rival.toLocaleString('en')}`, rate / rival, '≥', asked);
  return [
    `${rows.toLocaleString('en')} rows, ${cpus().length} cores, ${server.version} ${server.release}, Node ${process.version}. Medians of ${rounds}; parity checked.`,
    '',
    ...tableOf(table),
    '',
    bar("log into nothing: of the bare library's rows/s", streamed.rate / of('the bare library').rate, '≥', SHARE_OF_LIBRARY),
    times(streamed.rate, DEBEZIUM.stream, 'log into nothing'),
    bar('copy into nothing: of the rows/s of mariadb --quick', copied.rate / of('mariadb --quick').rate, '≥', SHARE_OF_CLIENT),
    times(copied.rate, DEBEZIUM.copy, 'copy into nothing'),
    '',
    '',
  ].join('\n');
}

function requireParity(arrived: Parity, source: Parity): void {
  if (arrived.rows === source.rows && arrived.hash === source.hash) return;
  throw new Error(`void: ${JSON.stringify(arrived)} arrived, the source has ${JSON.stringify(source)}`);
}

function account({ host, port }: MysqlServer): readonly string[] {
  return ['--no-defaults', `--host=${host}`, `--port=${port}`, '--user=root'];
}

async function byReader({ server, from, directory }: Bench, name: 'mysqlbinlog' | 'mariadb-binlog', round: number): Promise<Usage> {
  const { command, args: first } = await clientProgram(name);
  const prefix = join(directory, `raw-${round}-`);
  const asked = ['--read-from-remote-server', '--raw', '--to-last-log', `--result-file=${prefix}`, `--start-position=${from.position}`, from.file];
  const usage = await new Measured(command, [...first, ...account(server), ...asked]).done;
  if (usage.exitCode !== 0) throw new Error(`${name}: ${usage.stderr}`);
  return usage;
}

async function byLibrary({ server, from }: Bench): Promise<Drained> {
  const { rows: read, ...usage } = await program('mysql-bare-reader.ts', [
    server.host,
    String(server.port),
    from.file,
    String(from.position),
    String(rows),
  ]);
  if (read !== rows) throw new Error(`void: ${read} of ${rows} rows came`);
  return usage;
}

/** What it prints is thrown away by the system. */
async function byClient({ server, database }: Bench): Promise<Usage> {
  const { command, args: first, plugins } = await clientProgram('mariadb');
  const asked = [...account(server), `--plugin-dir=${plugins}`, '--quick', '--batch', '--execute=SELECT * FROM bench', database];
  const usage = await new Measured('sh', ['-c', 'exec "$0" "$@" > /dev/null', command, ...first, ...asked]).done;
  if (usage.exitCode !== 0) throw new Error(`mariadb: ${usage.stderr}`);
  return usage;
}

async function intoNothing(bench: Bench, mode: Mode, directory: string): Promise<Usage> {
  const usage = await sluice(bench, directory, mode, { type: 'blackhole' });
  const count = Number(/"messages":(\d+)/.exec(usage.stderr)?.[1] ?? Number.NaN);
  if (count !== rows) throw new Error(`void: ${count} of ${rows} rows arrived\n${usage.stderr}`);
  return usage;
}

type Mode = 'no_data' | 'initial';

async function dataDirectory({ directory, start }: Bench, mode: Mode, name: string): Promise<string> {
  const path = join(directory, `${mode}-${name}`);
  if (mode === 'no_data') await cp(start, path, { recursive: true });
  return path;
}

/** The built product, as a user runs it, counted from the moment it reads: start-up is a line of its own. */
async function sluice(
  { server, database, directory }: Bench,
  dataDir: string,
  mode: Mode,
  sink: object,
  stdout?: (line: string) => void,
): Promise<Usage> {
  const file = join(directory, `${mode}.json`);
  const source = { type: server.system, url: server.url(), tables: [`${database}.bench`], snapshot: { mode } };
  await writeFile(file, JSON.stringify({ name: 'bench', source, sink }));
  process.env['SLUICE_DATA_DIR'] = dataDir;
  const begins = mode === 'initial' ? '"msg":"Copying ' : '"msg":"Streaming';
  let isMarked = false;
  const usage = await new Measured(process.execPath, [MAIN, 'run', '--once', file], {
    stderr: (line, self) => {
      if (isMarked || !line.includes(begins)) return;
      isMarked = true;
      self.mark();
    },
    ...(stdout === undefined ? {} : { stdout }),
  }).done;
  if (usage.exitCode !== 0) throw new Error(`sluice: ${usage.stderr}`);
  return usage;
}
