import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../../src/record/position.ts';
import { type FaultProxy, type KafkaServer, startKafka, startProxy } from '../servers/index.ts';
import { sinkSuite } from '../suites/sink.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { KAFKA_DRIVERS, kafkaSink, unlimited } from '../support/kafka-sinks.ts';
import { createTopic, readTopic, topicOffsets, writeRecords } from '../support/kafka-topics.ts';
import { messageBatch, series } from '../support/message-batches.ts';

const ID = 'sluice.id';
/** What a start after a recovery waits out. */
const SHORT = { bytes: 900 * 1024, records: 4000, timeout: 1000 };

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka sink over %s', (driver) => {
  let server: KafkaServer;
  let proxy: FaultProxy;
  let count = 0;

  beforeAll(async () => {
    server = await startKafka({
      own: true,
      settings: { 'num.partitions': '3' },
      advertise: async ({ port }) => {
        proxy = await startProxy(`kafka://127.0.0.1:${port}`);
        return { host: '127.0.0.1', port: Number(new URL(proxy.through(`kafka://127.0.0.1:${port}`)).port) };
      },
    });
  });

  afterAll(async () => {
    await proxy.close();
    await server.dispose();
  });

  const ids = async (topic: string): Promise<string[]> =>
    (await readTopic(server, topic)).map(({ headers }) => String(headers.find(([name]) => name === ID)?.[1]));

  sinkSuite(`over ${driver}`, { readsBack: true, totalOrder: false }, async () => {
    const prefix = `suite-${++count}`;
    const destinations = ['orders', 'lines', 'customers'].map((name) => `${prefix}.${name}`);
    const saved: Record<string, string | null> = {};
    return {
      sink: () =>
        kafkaSink(
          { brokers: server.brokers, driver, topic: `${prefix}.{table}`, partitions: 1 },
          { savePlace: (entries) => Promise.resolve(void Object.assign(saved, entries)) },
        ).sink,
      saved: () => ({ ...saved }),
      destinations,
      ids: async () => (await Promise.all(destinations.map((topic) => ids(topic).catch(() => [])))).flat(),
      stall: async () => {
        proxy.blackhole();
        return async () => proxy.heal();
      },
      dispose: () => Promise.resolve(),
    };
  });

  it('writes key, value, headers and id as the format made them; a tombstone has no value', async () => {
    const { sink } = kafkaSink({ brokers: server.brokers, driver, partitions: 1 });
    await sink.open(null, unlimited);
    await sink.write(
      messageBatch([
        {
          id: 'shop/7/A.1/0/0',
          destination: 'wire',
          key: '{"id":1,"name":"Zoë"}',
          value: '{"a":"ü"}',
          headers: [
            ['sluice.schema', '3'],
            ['x', 'y'],
          ],
        },
        { id: 'shop/7/A.1/1/0', destination: 'wire', key: '{"id":1}', value: null },
        { id: 'shop/7/A.1/2/0', destination: 'wire', value: '{}' },
      ]),
      unlimited,
    );
    await sink.close();
    const [first, second, third] = await readTopic(server, 'wire');
    expect(String(first?.key)).toBe('{"id":1,"name":"Zoë"}');
    expect(String(first?.value)).toBe('{"a":"ü"}');
    expect(first?.headers.map(([name, value]) => [name, String(value)])).toEqual([
      ['sluice.schema', '3'],
      ['x', 'y'],
      [ID, 'shop/7/A.1/0/0'],
    ]);
    expect(second).toMatchObject({ value: null });
    expect(String(second?.key)).toBe('{"id":1}');
    expect(third).toMatchObject({ key: null });
  });

  it.each(['gzip', 'snappy', 'lz4'] as const)('compresses with %s', async (compression) => {
    const { sink } = kafkaSink({ brokers: server.brokers, driver, partitions: 1, compression });
    await sink.open(null, unlimited);
    const messages = series({ connector: 'shop', destinations: [`packed-${compression}`], valueBytes: 300 }, 0, 500);
    await sink.write(messageBatch(messages), unlimited);
    await sink.close();
    const records = await readTopic(server, `packed-${compression}`);
    expect(records.map(({ value }) => String(value))).toEqual(messages.map(({ value }) => value));
    expect(records[0]?.compression).toBe(compression);
  });

  it('also recognises what it wrote where other producers write into the topic (algorithms §2)', async () => {
    const destinations = ['mixed'];
    await createTopic(server, 'mixed', { partitions: 2 });
    const messages = (from: number, to: number) => series({ connector: 'shop', destinations }, from, to);
    const first = kafkaSink({ brokers: server.brokers, driver });
    await first.sink.open(null, unlimited);
    let place: Place = {};
    place = { ...place, ...(await first.sink.write(messageBatch(messages(0, 40)), unlimited)) };
    for (const partition of [0, 1]) await writeRecords(server, 'mixed', partition, [{ key: 'other', value: 'foreign' }]);
    await first.sink.write(messageBatch(messages(40, 80)), unlimited);
    await first.sink.close();
    const again = kafkaSink({ brokers: server.brokers, driver });
    const written = await again.sink.open({ ...first.saved, ...place }, unlimited);
    expect(written.transactions.length).toBeGreaterThan(0);
    await again.sink.write(messageBatch(messages(40, 120)), unlimited);
    await again.sink.close();
    const ours = (await ids('mixed')).filter((id) => id !== 'undefined');
    expect([...ours].sort()).toEqual(
      messages(0, 120)
        .map(({ id }) => id)
        .sort(),
    );
  });

  it('a place that is recovered knows of the topics beside those of the tables, and nothing stands in them twice (I4)', async () => {
    const topic = `transactions-${driver}`;
    const begin = { id: 'shop/7/A.1/begin/0', destination: topic, key: 'k', value: 'BEGIN' };
    const end = { id: 'shop/7/A.1/end/0', destination: topic, key: 'k', value: 'END' };
    const open = (): ReturnType<typeof kafkaSink>['sink'] =>
      kafkaSink({ brokers: server.brokers, driver, partitions: 1, topic: `${topic}.{table}`, request: SHORT }, { extraDestinations: [topic] }).sink;
    const first = open();
    await first.open(null, unlimited);
    await first.write(messageBatch([begin]), unlimited);
    await first.close();
    const lost = open();
    expect((await lost.open(null, unlimited)).holdsOutput).toBe(true);
    const { place } = await lost.recover(unlimited);
    await lost.close();
    const second = open();
    expect((await second.open(place, unlimited)).transactions).toEqual(['7/A.1']);
    await second.write(messageBatch([begin, end]), unlimited);
    await second.close();
    expect(await ids(topic)).toEqual([begin.id, end.id]);
  });

  it('keeps the partitions that it began with when some are added (I3)', async () => {
    await createTopic(server, 'grown', { partitions: 2 });
    const first = kafkaSink({ brokers: server.brokers, driver });
    await first.sink.open(null, unlimited);
    const moved = await first.sink.write(messageBatch(series({ connector: 'shop', destinations: ['grown'] }, 0, 60)), unlimited);
    await first.sink.close();
    const place = { ...first.saved, ...moved, '#grown': String(first.saved['#grown']).replace(/^2/, '1') };
    // As if one had been there at the beginning: the other was added.
    delete (place as Record<string, unknown>)['grown/1'];
    const again = kafkaSink({ brokers: server.brokers, driver });
    await again.sink.open(place, unlimited);
    const before = await topicOffsets(server, 'grown');
    await again.sink.write(messageBatch(series({ connector: 'shop', destinations: ['grown'] }, 60, 120)), unlimited);
    await again.sink.close();
    const after = await topicOffsets(server, 'grown');
    expect(after[1]?.end).toBe(before[1]?.end);
    expect(Number(after[0]?.end) - Number(before[0]?.end)).toBe(60);
    expect(again.log.some(({ code }) => code === 'SLUICE_KAFKA_PARTITIONS_ADDED')).toBe(true);
  });

  it('a TRUNCATE goes to every partition, a message without a key to the one of its table (algorithms §4)', async () => {
    await createTopic(server, 'spread', { partitions: 3 });
    const { sink } = kafkaSink({ brokers: server.brokers, driver });
    await sink.open(null, unlimited);
    const batch = messageBatch([
      { id: 'shop/7/A.1/0/0', destination: 'spread', value: 'truncate', spread: -1 },
      ...Array.from({ length: 5 }, (_, n) => ({ id: `shop/7/A.1/${n + 1}/0`, destination: 'spread', value: 'keyless', spread: 4 })),
    ]);
    await sink.write(batch, unlimited);
    await sink.close();
    const records = await readTopic(server, 'spread');
    expect(
      records
        .filter(({ value }) => String(value) === 'truncate')
        .map(({ partition }) => partition)
        .sort(),
    ).toEqual([0, 1, 2]);
    expect(new Set(records.filter(({ value }) => String(value) === 'keyless').map(({ partition }) => partition))).toEqual(new Set([1]));
  });

  it('halves a batch that is too large until one record is found, and names it', async () => {
    await createTopic(server, 'small', { partitions: 1, settings: { 'max.message.bytes': '20000' } });
    const { sink } = kafkaSink({ brokers: server.brokers, driver });
    await sink.open(null, unlimited);
    const fine = series({ connector: 'shop', destinations: ['small'], valueBytes: 3000 }, 0, 60);
    await sink.write(messageBatch(fine), unlimited);
    expect(await ids('small')).toEqual(fine.map(({ id }) => id));
    const large = { id: 'shop/7/A.1/0/0', destination: 'small', key: 'k', value: 'x'.repeat(30_000) };
    await expect(
      sink.write(messageBatch([...series({ connector: 'shop', destinations: ['small'], valueBytes: 3000 }, 60, 70), large]), unlimited),
    ).rejects.toMatchObject({
      code: 'SLUICE_KAFKA_MESSAGE_TOO_LARGE',
    });
    await sink.close();
  });
});
