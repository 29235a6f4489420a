/** What a consumer finds in the topics: Debezium's keys, envelopes and tombstones, and after compaction still the whole table (I7). */
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { readTopic } from '../support/kafka-topics.ts';
import type { DebeziumValue } from '../support/stream-ledger.ts';

const TOPIC = 'shop.public.stock';
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Consumed {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly string[];
}

/** Everything that stands in the topic now, as kafkajs' consumer gives it. */
async function consume(kafka: KafkaServer, count: number): Promise<Consumed[]> {
  const consumer = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).consumer({ groupId: 'independent' });
  const consumed: Consumed[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      consumed.push({
        key: message.key && String(message.key),
        value: message.value && String(message.value),
        headers: Object.keys(message.headers ?? {}),
      });
      return Promise.resolve();
    },
  });
  const end = Date.now() + 20_000;
  while (consumed.length < count && Date.now() < end) await sleep(50);
  await consumer.disconnect();
  return consumed;
}

describe.runIf(availableKafkas.length > 0)('consumers of Kafka', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let daemon: Daemon;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([
      startPostgres({ major: 17, own: true }),
      startKafka({ own: true, settings: { 'log.cleaner.backoff.ms': '200' } }),
    ]);
    await postgres.query('create table stock(id int primary key, name text, amount int)');
    const settings = [
      'cleanup.policy=compact',
      'segment.ms=300',
      'min.cleanable.dirty.ratio=0.01',
      'max.compaction.lag.ms=1000',
      'delete.retention.ms=100',
    ];
    daemon = await Daemon.create([
      {
        name: 'shop',
        source: { type: 'postgres', url: postgres.url('postgres'), tables: ['public.stock'] },
        sink: { type: 'kafka', brokers: kafka.brokers, partitions: 2, topicSettings: settings },
      },
    ]);
    daemon.start();
    await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
  });

  afterAll(async () => {
    await daemon.dispose();
    await Promise.all([postgres.dispose(), kafka.dispose()]);
  });

  it('an independent client reads keys, envelopes and tombstones as Debezium writes them', async () => {
    await postgres.query(`insert into stock values (1, 'Zoë', 5); update stock set amount = 6 where id = 1; delete from stock where id = 1`);
    await expect.poll(async () => (await readTopic(kafka, TOPIC).catch(() => [])).length, { timeout: 20_000 }).toBe(4);
    const consumed = await consume(kafka, 4);
    expect(consumed.map(({ key }) => key)).toEqual(Array(4).fill('{"id":1}'));
    expect(consumed[3]?.value).toBeNull();
    const values = consumed.slice(0, 3).map(({ value }) => JSON.parse(value ?? '') as DebeziumValue);
    expect(values.map(({ op }) => op)).toEqual(['c', 'u', 'd']);
    expect(values[1]).toMatchObject({ before: null, after: { id: 1, name: 'Zoë', amount: 6 } });
    expect(values[2]).toMatchObject({ after: null, source: { connector: 'postgresql', name: 'shop', schema: 'public', table: 'stock' } });
    expect(consumed[0]?.headers).toEqual(expect.arrayContaining(['sluice.id', 'sluice.capture', 'sluice.schema']));
  });

  it('after compaction the topic still rebuilds the table', async () => {
    for (let round = 0; round < 20; round++) {
      await postgres.query(
        `insert into stock select i, 'row ' || i, ${round} from generate_series(1, 200) i on conflict (id) do update set amount = excluded.amount;
         delete from stock where id % 7 = ${round % 7}; update stock set id = id + 1000 where id = ${round + 3}`,
      );
      await sleep(100);
    }
    const rebuilt = async (): Promise<{ messages: number; rows: Record<string, unknown>[] }> => {
      const records = await readTopic(kafka, TOPIC);
      const rows = new Map<string, Record<string, unknown>>();
      for (const { key, value } of records) {
        const { after } = value === null ? { after: null } : (JSON.parse(String(value)) as DebeziumValue);
        if (after === null) rows.delete(String(key));
        else rows.set(String(key), after);
      }
      return { messages: records.length, rows: [...rows.values()].sort((a, b) => Number(a['id']) - Number(b['id'])) };
    };
    const table = (): Promise<Record<string, unknown>[]> => postgres.query<Record<string, unknown>>('select id, name, amount from stock order by id');
    await expect.poll(async () => (await rebuilt()).rows, { timeout: 20_000 }).toEqual(await table());
    const { messages: all } = await rebuilt();
    // The segment that is written to is never compacted: more changes close it.
    for (let round = 0; round < 40; round++) {
      await postgres.query(`update stock set amount = amount + 1 where id % 10 = ${round % 10}`);
      await sleep(250);
      if ((await rebuilt()).messages < all / 4) break;
    }
    const compacted = await rebuilt();
    expect(compacted.messages).toBeLessThan(all / 2);
    await expect.poll(async () => (await rebuilt()).rows, { timeout: 20_000 }).toEqual(await table());
  }, 90_000);
});
