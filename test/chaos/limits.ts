/**
 * `npm run test:limits`: memory and liveness at the edges, on real servers: a frozen sink, an idle table in a busy database, a fast shutdown of Postgres, one very large
 * transaction, very large rows, very many tables, one memory budget for two connectors (bounds.ts). Prints what it measured; ends with 1 if a bound was broken.
 */
import { parseArgs } from 'node:util';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';
import { deleteStream } from '../support/streams.ts';
import { type Bench, largeRow, manyTables, oneBudget } from './bounds.ts';

const HELP = `Usage: npm run test:limits [-- --only frozen,idle,shutdown,large,row,tables,budget] [options]

  --only LIST    which of them (default all)
  --rows N       large: rows of the large transaction (default 5000000)
  --into SINK    large: nats or blackhole (default nats)
  --freeze N     frozen: seconds for which the sink is frozen (default 60)
  --bytes N      row: bytes of the large row (default 100000000)
  --tables N     tables: how many (default 10000)
  --budget N     budget: maxMemory in MiB (default 64)
`;
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'frozen,idle,shutdown,large,row,tables,budget' },
    rows: { type: 'string', default: '5000000' },
    into: { type: 'string', default: 'nats' },
    freeze: { type: 'string', default: '60' },
    bytes: { type: 'string', default: '100000000' },
    tables: { type: 'string', default: '10000' },
    budget: { type: 'string', default: '64' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const MB = 1e6;
const TABLE = 'create table big(id bigint primary key, n int, name text, amount numeric(12,2), body text, at timestamptz)';
const INSERT = `insert into big select i, 1, 'customer ' || i, 1.23, rpad(md5(i::text), 60, 'x'), now() from generate_series`;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const [postgres, nats]: [PostgresServer, NatsServer] = await Promise.all([
  startPostgres({ major: 17, own: true, settings: { max_wal_size: '8GB', wal_sender_timeout: '10s' } }),
  startNats({ own: true }),
]);
let broken = 0;
const figures: (readonly [what: string, value: string])[] = [];
try {
  const bench: Bench = {
    postgres,
    nats,
    verdict,
    figure: (what, value) => {
      figures.push([what, value]);
      process.stdout.write(`        ${what}: ${value}\n`);
    },
    caughtUp: async (connector, timeoutMs) => await confirmedPast(connector, await walEnd(), timeoutMs),
  };
  const scenarios: Record<string, () => Promise<void>> = {
    frozen: frozenSink,
    idle: idleTable,
    shutdown: fastShutdown,
    large: () => largeTransaction(bench),
    row: () => largeRow(bench, Number(values.bytes)),
    tables: () => manyTables(bench, Number(values.tables)),
    budget: () => oneBudget(bench, Number(values.budget)),
  };
  for (const name of values.only.split(',')) await (scenarios[name] as () => Promise<void>)();
  if (figures.length > 0) process.stdout.write(`\n| | |\n|---|---|\n${figures.map((line) => `| ${line.join(' | ')} |\n`).join('')}`);
} finally {
  await Promise.all([postgres.dispose(), nats.dispose()]);
}
process.exit(broken > 0 ? 1 : 0);

function verdict(what: string, value: number, bound: number, unit: string): void {
  if (value > bound) broken++;
  process.stdout.write(`${value > bound ? 'BROKEN' : 'held  '}  ${what}: ${value.toFixed(1)} ${unit} (bound ${bound.toFixed(1)} ${unit})\n`);
}

async function begin(name: string, sink: Record<string, unknown>, tables = ['public.big']): Promise<{ daemon: Daemon; database: string }> {
  const database = await postgres.createDatabase(name);
  await postgres.query(`${TABLE}; create table other(id int generated always as identity primary key, filler text)`, database);
  const daemon = await Daemon.create([
    { name, source: { type: 'postgres', url: postgres.url(database), tables, snapshot: { mode: 'no_data' } }, sink } as { name: string },
  ]);
  daemon.start();
  await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
  return { daemon, database };
}

async function confirmedPast(name: string, lsn: string, timeoutMs: number): Promise<number> {
  const started = performance.now();
  for (;;) {
    const [row] = await postgres.query<{ done: boolean }>(
      `select confirmed_flush_lsn >= '${lsn}'::pg_lsn as done from pg_replication_slots where slot_name = 'sluice_${name.replaceAll('-', '_')}'`,
    );
    if (row?.done === true) return (performance.now() - started) / 1000;
    if (performance.now() - started > timeoutMs) return Number.POSITIVE_INFINITY;
    await sleep(50);
  }
}

async function walEnd(): Promise<string> {
  const [row] = await postgres.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  return row?.lsn ?? '';
}

/** Resident memory bounded, the replication connection alive, delivery resumed by itself. */
async function frozenSink(): Promise<void> {
  const { daemon, database } = await begin('frozen', { type: 'nats', servers: [nats.url], stream: 'FROZEN' });
  let running = true;
  let id = 0;
  const load = (async () => {
    const client = await postgres.connect(database);
    while (running) {
      await client.query(`${INSERT}(${id + 1}, ${id + 2000}) i`);
      id += 2000;
      await sleep(30);
    }
    await client.end();
  })();
  await sleep(3000);
  const before = await daemon.residentBytes();
  const pid = (): Promise<{ pid: number }[]> => postgres.query(`select pid from pg_stat_replication`, database);
  const [sender] = await pid();
  nats.signal('SIGSTOP');
  let peak = 0;
  for (let second = 0; second < Number(values.freeze); second++) {
    await sleep(1000);
    peak = Math.max(peak, await daemon.residentBytes());
  }
  const [after] = await pid();
  nats.signal('SIGCONT');
  const resumed = performance.now();
  const [{ confirmed }] = (await postgres.query<{ confirmed: string }>(
    `select confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = 'sluice_frozen'`,
  )) as [{ confirmed: string }];
  while ((await confirmedPast('frozen', confirmed, 0)) === Number.POSITIVE_INFINITY) await sleep(20);
  for (;;) {
    const [row] = await postgres.query<{ moved: boolean }>(
      `select confirmed_flush_lsn > '${confirmed}'::pg_lsn as moved from pg_replication_slots where slot_name = 'sluice_frozen'`,
    );
    if (row?.moved === true || performance.now() - resumed > 60_000) break;
    await sleep(50);
  }
  verdict('frozen sink: resumed after', (performance.now() - resumed) / 1000, 5, 's');
  running = false;
  await load;
  verdict('frozen sink: memory above what it was', (peak - before) / MB, 160, 'MB');
  verdict('frozen sink: replication connections lost', sender?.pid === after?.pid ? 0 : 1, 0, '');
  verdict('frozen sink: caught up after', await confirmedPast('frozen', await walEnd(), 120_000), 120, 's');
  await daemon.dispose();
}

/** The captured table is idle, the database is busy: the slot keeps up. */
async function idleTable(): Promise<void> {
  const { daemon, database } = await begin('idle', { type: 'blackhole' });
  for (let round = 0; round < 15; round++) {
    await postgres.query(`insert into other(filler) select repeat('x', 1000) from generate_series(1, 2000)`, database);
    await sleep(1000);
  }
  const [row] = await postgres.query<{ behind: string }>(
    `select pg_current_wal_lsn() - confirmed_flush_lsn as behind from pg_replication_slots where slot_name = 'sluice_idle'`,
  );
  verdict('idle table in a busy database: slot behind', Number(row?.behind) / MB, 10, 'MB');
  verdict('idle table in a busy database: caught up after', await confirmedPast('idle', await walEnd(), 30_000), 11, 's');
  await daemon.dispose();
}

/** A fast shutdown waits for every walsender's client to confirm. */
async function fastShutdown(): Promise<void> {
  const { daemon, database } = await begin('shutdown', { type: 'blackhole' });
  await postgres.query(`${INSERT}(1, 1000) i`, database);
  const started = performance.now();
  await postgres.stop('fast');
  verdict('fast shutdown of Postgres took', (performance.now() - started) / 1000, 3, 's');
  await postgres.start();
  const back = performance.now();
  const streams = (): number => daemon.log.filter(({ msg }) => msg.startsWith('Streaming')).length;
  while (streams() < 2 && performance.now() - back < 30_000) await sleep(20);
  verdict('after the restart streaming again after', (performance.now() - back) / 1000, 5, 's');
  await daemon.dispose();
}

/** Peak memory of one transaction against the same rows in transactions of 1,000. */
async function largeTransaction(bench: Bench): Promise<void> {
  const rows = Number(values.rows);
  const peaks: number[] = [];
  for (const perTransaction of [1000, rows]) {
    const name = perTransaction === rows ? 'large' : 'small';
    const { daemon, database } = await begin(
      name,
      values.into === 'nats' ? { type: 'nats', servers: [nats.url], stream: name.toUpperCase() } : { type: values.into },
    );
    const client = await postgres.connect(database);
    const started = performance.now();
    for (let from = 1; from <= rows; from += perTransaction) await client.query(`${INSERT}(${from}, ${from + perTransaction - 1}) i`);
    await client.end();
    await confirmedPast(name, await walEnd(), 600_000);
    peaks.push(await daemon.residentBytes('VmHWM'));
    bench.figure(
      `${rows} rows into ${values.into} in transactions of ${perTransaction}`,
      `${((performance.now() - started) / 1000).toFixed(0)} s, peak ${((peaks.at(-1) ?? 0) / MB).toFixed(0)} MB`,
    );
    await daemon.stop('SIGTERM');
    await daemon.dispose();
    // The server's store is bounded, and a full one is waited for.
    if (values.into === 'nats') await deleteStream(nats.url, name.toUpperCase());
  }
  verdict('one transaction of all rows: peak memory against transactions of 1,000', (peaks[1] ?? 0) / (peaks[0] ?? 1), 1.3, '×');
}
