/** Node's own locks: `__proto__` cannot be used anywhere, and, where neither Kafka's driver nor the HTTP API needs it, no text becomes code. */
import { afterEach, expect, it } from 'vitest';
import { startKafka, startMysql, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readTopic } from '../support/kafka-topics.ts';
import { readStream } from '../support/stream-ledger.ts';

const PROTO = '--disable-proto=throw';
const CODE = '--disallow-code-generation-from-strings';

let ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  ends = [];
}, 60_000);

async function kept<T extends { dispose(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  ends.push(() => started.dispose());
  return started;
}

it('Postgres and MariaDB to NATS with both', async () => {
  const [postgres, mariadb, nats] = await Promise.all([
    kept(startPostgres({ major: 17, own: true })),
    kept(startMysql({ version: 'mariadb-11' })),
    kept(startNats({ own: true })),
  ]);
  await postgres.query('CREATE TABLE t (id int PRIMARY KEY, "__proto__" text); INSERT INTO t VALUES (1, \'a\')');
  const database = await mariadb.createDatabase();
  await mariadb.query(`CREATE TABLE ${database}.t (id int PRIMARY KEY, \`__proto__\` text); INSERT INTO ${database}.t VALUES (1, 'a')`);
  const daemon = await kept(
    Daemon.create([
      {
        name: 'p',
        source: { type: 'postgres', url: postgres.url(), tables: ['public.t'] },
        sink: { type: 'nats', servers: [nats.url], stream: 'P' },
      },
      {
        name: 'm',
        source: { type: 'mariadb', url: mariadb.url(), tables: [`${database}.t`] },
        sink: { type: 'nats', servers: [nats.url], stream: 'M' },
      },
    ]),
  );
  daemon.start([], {}, [PROTO, CODE]);
  await daemon.waitForLog(({ msg, connector }) => connector === 'p' && msg.startsWith('Streaming'));
  await daemon.waitForLog(({ msg, connector }) => connector === 'm' && msg.startsWith('Streaming'));
  await Promise.all([postgres.query("INSERT INTO t VALUES (2, 'b')"), mariadb.query(`INSERT INTO ${database}.t VALUES (2, 'b')`)]);
  const rows = async (stream: string): Promise<unknown[]> => {
    const found: unknown[] = [];
    await readStream(nats.url, stream, ({ value }) => found.push(Object.entries(value?.after ?? {})));
    return found;
  };
  for (const stream of ['P', 'M']) {
    await expect
      .poll(() => rows(stream), { timeout: 20_000 })
      .toEqual([
        [
          ['id', 1],
          ['__proto__', 'a'],
        ],
        [
          ['id', 2],
          ['__proto__', 'b'],
        ],
      ]);
  }
  expect((await sluice(['status', daemon.directory])).exit).toBe(0);
}, 120_000);

it.each(['platformatic', 'kafkajs'])(
  'Postgres to Kafka (%s), with the HTTP API, without __proto__',
  async (driver) => {
    const [postgres, kafka] = await Promise.all([kept(startPostgres({ major: 17, own: true })), kept(startKafka())]);
    await postgres.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
    const topic = `hardened_${driver}`;
    const source = { type: 'postgres', url: postgres.url(), tables: ['public.t'] };
    const daemon = await kept(
      Daemon.create([{ name: 'k', source, sink: { type: 'kafka', driver, brokers: kafka.brokers, topic } }], { http: { listen: '127.0.0.1:0' } }),
    );
    daemon.start([], {}, [PROTO]);
    await expect.poll(async () => (await readTopic(kafka, topic).catch(() => [])).length, { timeout: 30_000 }).toBe(1);
    expect((await fetch(`${await daemon.apiUrl()}/connectors/k/status`)).status).toBe(200);
  },
  120_000,
);
