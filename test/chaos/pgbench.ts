/**
 * `npm run test:pgbench`: the real pgbench (it must be on the PATH) streams into NATS or Kafka, with or without kill -9 of the daemon, restarts of both servers and
 * faults of the brokers; then the tables are rebuilt from what arrived and compared with the source.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';
import { startPostgres } from '../servers/index.ts';
import type { KafkaVersion } from '../servers/versions.ts';
import { differencesOfTpcb } from '../support/compare-tpcb.ts';
import { Daemon } from '../support/daemon.ts';
import { TPCB_TABLES } from '../support/tpcb.ts';
import { kafkaTarget, natsTarget } from './target.ts';

const HELP = `Usage: npm run test:pgbench [-- --seconds N] [--scale N] [--clients N] [--kills N]
                              [--shared] [--sink kafka] [--driver D] [--kafka V] [--partitions N] [--brokers N] [--faults LIST]

  --seconds N   length of the load (default 60)
  --scale N     pgbench's scale: 100,000 accounts each (default 10)
  --clients N   connections of pgbench (default 8)
  --kills N     kill -9 of the daemon at random moments; with it, one restart each of Postgres and the sink (default 0)
  --shared      the stream is shared with other writers ("exclusive": false)
  --sink S      nats or kafka (default nats)
  --driver D    for Kafka: platformatic or kafkajs (default platformatic)
  --kafka V     its version, 4 or 3.9 (default 4)
  --partitions N, --brokers N   for Kafka (default 6 and 1)
  --faults LIST what happens to the sink under load, one after the other: freeze (60 s); with three brokers also rolling and kill, one broker after the other
`;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    scale: { type: 'string', default: '10' },
    clients: { type: 'string', default: '8' },
    kills: { type: 'string', default: '0' },
    shared: { type: 'boolean', default: false },
    sink: { type: 'string', default: 'nats' },
    driver: { type: 'string', default: 'platformatic' },
    kafka: { type: 'string', default: '4' },
    partitions: { type: 'string', default: '6' },
    brokers: { type: 'string', default: '1' },
    faults: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const seconds = Number(values.seconds);
const kills = Number(values.kills);
const run = promisify(execFile);
const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const [postgres, target] = await Promise.all([
  startPostgres({ major: 17, own: true, fsync: true, settings: { max_wal_size: '4GB' } }),
  values.sink === 'kafka'
    ? kafkaTarget({
        driver: values.driver,
        version: values.kafka as KafkaVersion,
        partitions: Number(values.partitions),
        brokers: Number(values.brokers),
      })
    : natsTarget(!values.shared),
]);
const database = await postgres.createDatabase('bank');
const url = postgres.url(database);
await run('pgbench', ['-i', '-s', values.scale, '-I', 'dtp', url]);
const daemon = await Daemon.create([
  {
    name: 'bank',
    source: {
      type: 'postgres',
      url,
      tables: TPCB_TABLES.map((table) => `public.${table}`),
      insertOnly: ['public.pgbench_history'],
      snapshot: { mode: 'no_data' },
    },
    sink: target.sink,
  } as { name: string },
]);
let failed = true;
try {
  daemon.start();
  await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
  say('Filling the tables …');
  await run('pgbench', ['-i', '-s', values.scale, '-I', 'g', url]);
  say(`Load of ${seconds} s with ${kills} kills …`);
  const load = startPgbench();
  const end = Date.now() + seconds * 1000;
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(((end - Date.now()) / (kills - kill + 1)) * (0.5 + Math.random() * 0.5));
    await daemon.stop('SIGKILL');
    daemon.start();
    if (kill === Math.ceil(kills / 3)) await postgres.restart('fast');
    if (kill === Math.ceil((kills * 2) / 3)) await target.restart();
  }
  for (const fault of values.faults.split(',').filter((name) => name !== '')) {
    say(`Fault: ${fault} …`);
    await (target.faults[fault] as () => Promise<void>)();
  }
  await sleep(Math.max(0, end - Date.now()));
  say(await load.stop());
  await caughtUp();
  const code = await daemon.stop('SIGTERM');
  say(`Caught up; the daemon ended with ${code}. Comparing …`);
  const ledger = await target.ledger();
  const differences = await differencesOfTpcb(postgres, database, ledger);
  failed = differences.length > 0 || ledger.duplicates > 0 || ledger.disordered > 0 || code !== 0;
  process.stdout.write(
    `${JSON.stringify({ sink: values.sink, messages: ledger.messages, kills, faults: values.faults, differences, duplicates: ledger.duplicates, disordered: ledger.disordered }, null, 2)}\n`,
  );
} finally {
  if (failed)
    process.stderr.write(
      `${daemon.log
        .slice(-40)
        .map((line) => JSON.stringify(line))
        .join('\n')}\n${daemon.other.join('\n')}\n`,
    );
  await daemon.dispose();
  await Promise.all([postgres.dispose(), target.dispose()]);
}
process.exit(failed ? 1 : 0);

/** pgbench ends when the server is restarted: it is started again until it is stopped. */
function startPgbench(): { stop(): Promise<string> } {
  let running = true;
  let transactions = 0;
  let child: ChildProcess | null = null;
  const loop = (async () => {
    while (running) {
      const bench = spawn('pgbench', ['-n', '-c', values.clients, '-T', String(seconds + 600), url], { stdio: ['ignore', 'pipe', 'ignore'] });
      let output = '';
      child = bench;
      bench.stdout.on('data', (text: Buffer) => {
        output += text.toString();
      });
      await new Promise((resolve) => bench.once('close', resolve));
      transactions += Number(/actually processed: (\d+)/.exec(output)?.[1] ?? 0);
      if (running) await sleep(200);
    }
  })();
  return {
    stop: async () => {
      running = false;
      const rows = await postgres.query<{ n: string }>('select count(*) as n from pgbench_history', database);
      child?.kill('SIGINT');
      await loop;
      return `pgbench has ended: ${rows[0]?.n ?? transactions} transactions`;
    },
  };
}

async function caughtUp(): Promise<void> {
  await sleep(1000);
  const [{ lsn }] = (await postgres.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')) as [{ lsn: string }];
  for (let wait = 0; wait < 600; wait++) {
    const [row] = await postgres.query<{ done: boolean }>(
      `select confirmed_flush_lsn >= '${lsn}'::pg_lsn as done from pg_replication_slots where slot_name = 'sluice_bank'`,
    );
    if (row?.done === true) return;
    await sleep(200);
  }
  throw new Error('not caught up within two minutes');
}
