/**
 * Debezium's transaction metadata and heartbeats through the whole daemon, which is killed again and again: each transaction begins and ends once, its changes are
 * numbered without a gap, and heartbeats come while nothing changes.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas, natsAvailable } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { createTopic, readTopic } from '../support/kafka-topics.ts';
import { readStream } from '../support/stream-ledger.ts';

const KILLS = 2;
/** More rows than a batch takes. */
const LARGEST = 300;
const TOPICS = ['shop.public.a', 'shop.public.b', 'shop.transaction', '__debezium-heartbeat.shop'];
const CONNECTOR = {
  name: 'shop',
  format: { type: 'debezium', provideTransactionMetadata: true, heartbeatInterval: '200ms' },
  batch: { maxRecords: 50 },
  // Longer than a life: what stands in the sink is recognised there, not by the offset.
  checkpoint: { maxDelay: '2s' },
};
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Value {
  readonly ts_ms: number;
  readonly status?: 'BEGIN' | 'END';
  readonly id: string;
  readonly event_count: number;
  readonly data_collections: readonly { readonly data_collection: string; readonly event_count: number }[];
  readonly source: { readonly table: string };
  readonly transaction: { readonly id: string; readonly total_order: number; readonly data_collection_order: number } | null;
}

interface Message {
  readonly topic: string;
  readonly id: string;
  readonly key: string | null;
  readonly value: Value | null;
}

/** Number of the transaction in Debezium's id of it. */
const numberOf = (id: string): string => id.slice(0, id.indexOf(':'));

function grouped(messages: readonly Message[]): Map<string, Message[]> {
  const groups = new Map<string, Message[]>();
  for (const message of messages) {
    const id = message.value?.status === undefined ? message.value?.transaction?.id : message.value.id;
    if (id === undefined) continue;
    const group = groups.get(numberOf(id)) ?? [];
    groups.set(numberOf(id), [...group, message]);
  }
  return groups;
}

/** One transaction: all that was written of it, in whatever order the partitions give it. */
function checkTransaction(messages: readonly Message[]): void {
  const of = (status: 'BEGIN' | 'END' | undefined): Value[] =>
    messages.flatMap(({ value }) => (value?.status === status && value !== null ? [value] : []));
  const [changes, begins, ends] = [of(undefined), of('BEGIN'), of('END')];
  expect([begins.length, ends.length]).toEqual([1, 1]);
  const orders = (values: readonly Value[], field: 'total_order' | 'data_collection_order'): number[] =>
    values.map(({ transaction }) => transaction?.[field] as number).sort((one, other) => one - other);
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  expect(orders(changes, 'total_order')).toEqual(upTo(changes.length));
  const [end] = ends as [Value];
  expect(end.event_count).toBe(changes.length);
  for (const { data_collection, event_count } of end.data_collections) {
    const ofTable = changes.filter(({ source }) => `public.${source.table}` === data_collection);
    expect(orders(ofTable, 'data_collection_order')).toEqual(upTo(event_count));
  }
  expect(end.data_collections.reduce((sum, { event_count }) => sum + event_count, 0)).toBe(changes.length);
}

describe('transaction metadata and heartbeats', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer | null = null;
  let nats: NatsServer | null = null;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [postgres, kafka, nats] = await Promise.all([
      startPostgres({ major: 17 }),
      availableKafkas.length > 0 ? startKafka() : null,
      natsAvailable ? startNats() : null,
    ]);
  }, 240_000);

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(async () => {
    await Promise.all([postgres.dispose(), kafka?.dispose(), nats?.dispose()]);
  });

  /** Runs the load under kills. Returns how many transactions changed captured tables, and the number of rows. */
  async function run(sink: object): Promise<{ readonly running: Daemon; readonly transactions: number; readonly rows: number }> {
    const database = await postgres.createDatabase('transactions');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text); CREATE TABLE other (id int)');
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.a', 'public.b'], slot: database, snapshot: { mode: 'no_data' } };
    daemon = await Daemon.create([{ ...CONNECTOR, source, sink }]);
    const running = daemon.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    let rows = 0;
    let transactions = 0;
    let kills = 0;
    const load = async (): Promise<void> => {
      for (let index = 0; kills < KILLS || index % 8 !== 1; index++) {
        const size = index % 10 === 5 ? LARGEST : 1 + (index % 4);
        const insert = (table: string, from: number): string =>
          `INSERT INTO ${table} SELECT i, 'v' FROM generate_series(${from}, ${from + size - 1}) i;`;
        // The last one is of a captured table: its END says that all before it has come.
        if (index % 8 === 3) await sql('INSERT INTO other VALUES (1)');
        else {
          await sql(`BEGIN; ${insert('a', rows)} INSERT INTO other VALUES (2); ${insert('b', rows + size)} COMMIT`);
          rows += 2 * size;
          transactions++;
        }
        await sleep(40);
      }
    };
    const loaded = load();
    for (; kills < KILLS; kills++) {
      await expect.poll(() => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 20_000 }).toBe(true);
      await sleep(300 + Math.random() * 300);
      await running.stop('SIGKILL');
      running.start();
    }
    await loaded;
    return { running, transactions, rows };
  }

  async function check(read: () => Promise<readonly Message[]>, sink: object): Promise<readonly Message[]> {
    const { running, transactions, rows } = await run(sink);
    const changed = (messages: readonly Message[]): number => messages.filter(({ value }) => value?.transaction != null).length;
    const ended = (messages: readonly Message[]): number => messages.filter(({ value }) => value?.status === 'END').length;
    await expect.poll(async () => ended(await read()), { timeout: 60_000, interval: 300 }).toBeGreaterThanOrEqual(transactions);
    const heartbeats = async (): Promise<readonly Message[]> => (await read()).filter(({ topic }) => topic.startsWith('__debezium'));
    // Nothing changes any more.
    const before = (await heartbeats()).length;
    await expect.poll(async () => (await heartbeats()).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + 3);
    expect(await running.stop('SIGTERM')).toBe(0);
    const messages = await read();
    const all = grouped(messages);
    expect([all.size, changed(messages)]).toEqual([transactions, rows]);
    for (const group of all.values()) checkTransaction(group);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length);
    for (const { key, value } of await heartbeats()) {
      expect(key).toBe('{"serverName":"shop"}');
      expect(Object.keys(value ?? {})).toEqual(['ts_ms']);
    }
    return messages;
  }

  it('of the last transaction before the end of `run --once` tell its END', async () => {
    const database = await postgres.createDatabase('once');
    await postgres.query('CREATE TABLE a (id int PRIMARY KEY)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.a'], slot: database, snapshot: { mode: 'no_data' } };
    // Three rows, and a batch for each.
    daemon = await Daemon.create([{ ...CONNECTOR, batch: { maxRecords: 1 }, source, sink: { type: 'stdout' } }]);
    expect(await daemon.start(['--once']).exit()).toBe(0);
    await postgres.query('INSERT INTO a VALUES (1), (2), (3)', database);
    expect(await daemon.start(['--once']).exit()).toBe(0);
    const lines = daemon.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly topic: string; readonly value: Value });
    expect(lines.map(({ topic, value }) => [topic, value.status ?? value.transaction?.total_order])).toEqual([
      ['shop.transaction', 'BEGIN'],
      ['shop.public.a', 1],
      ['shop.public.a', 2],
      ['shop.public.a', 3],
      ['shop.transaction', 'END'],
    ]);
    expect(lines.at(-1)?.value.event_count).toBe(3);
  });

  it.runIf(natsAvailable)(
    'in a stream, where BEGIN stands before all changes and END behind them',
    async () => {
      const server = nats as NatsServer;
      const read = async (): Promise<Message[]> => {
        const messages: Message[] = [];
        await readStream(server.url, 'TRANSACTIONS', ({ subject, id, key, value }) =>
          messages.push({ topic: subject, id, key, value: value as unknown as Value | null }),
        );
        return messages;
      };
      const messages = await check(read, { type: 'nats', servers: [server.url], stream: 'TRANSACTIONS' });
      for (const group of grouped(messages).values()) {
        const orders = group.map(({ value }) => value?.status ?? value?.transaction?.total_order);
        expect(orders).toEqual(['BEGIN', ...Array.from({ length: group.length - 2 }, (_, index) => index + 1), 'END']);
      }
    },
    120_000,
  );

  it.runIf(availableKafkas.length > 0)(
    'in topics',
    async () => {
      const server = kafka as KafkaServer;
      const read = async (): Promise<Message[]> => {
        const records = await Promise.all(TOPICS.map(async (topic) => (await readTopic(server, topic)).map((record) => ({ topic, ...record }))));
        return records.flat().map(({ topic, key, value, headers }) => ({
          topic,
          id: String(headers.find(([name]) => name === 'sluice.id')?.[1]),
          key: key === null ? null : key.toString('utf8'),
          value: value === null ? null : (JSON.parse(value.toString('utf8')) as Value),
        }));
      };
      // There from the start, so that each life writes more than topics.
      for (const topic of TOPICS) await createTopic(server, topic, { partitions: 3 });
      await check(read, { type: 'kafka', brokers: server.brokers });
    },
    120_000,
  );
});
