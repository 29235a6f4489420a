/**
 * What the client libraries lose, double or reorder when they are used as their documentation shows (libraries.md §4, servers.md §8.1), tried through the lanes
 * on real brokers. The letters are those of the dossier.
 */
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sink } from '../../src/plugin/sink.ts';
import type { Place } from '../../src/record/position.ts';
import { type FaultProxy, type KafkaServer, startKafka, startProxy } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { KAFKA_DRIVERS, kafkaSink, type TestedSink, unlimited } from '../support/kafka-sinks.ts';
import { createTopic, readTopic, writeRecords } from '../support/kafka-topics.ts';
import { messageBatch, series } from '../support/message-batches.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const FAST = { bytes: 900 * 1024, records: 4000, timeout: 1500 };

async function ids(server: KafkaServer, topic: string): Promise<string[]> {
  return (await readTopic(server, topic)).map(({ headers }) => String(headers.find(([name]) => name === 'sluice.id')?.[1]));
}

/** Writes numbered batches until told to stop; resolves with the number of messages. */
function writeOn(sink: Sink, topic: string, perBatch: number): { stop(): Promise<number> } {
  let running = true;
  const done = (async () => {
    let next = 0;
    const pending: Promise<unknown>[] = [];
    while (running) {
      pending.push(sink.write(messageBatch(series({ connector: 'shop', destinations: [topic] }, next, next + perBatch)), unlimited));
      next += perBatch;
      if (pending.length > 8) await pending.shift();
      await sleep(2);
    }
    await Promise.all(pending);
    return next;
  })();
  return {
    stop: () => {
      running = false;
      return done;
    },
  };
}

async function expectOnceInOrder(server: KafkaServer, topic: string, total: number): Promise<void> {
  const expected = series({ connector: 'shop', destinations: [topic] }, 0, total).map(({ id }) => id);
  const order = new Map(expected.map((id, at) => [id, at]));
  const records = await readTopic(server, topic);
  const found = records.map(({ partition, headers }) => ({ partition, id: String(headers.find(([name]) => name === 'sluice.id')?.[1]) }));
  expect({ records: found.length, different: new Set(found.map(({ id }) => id)).size }).toEqual({ records: total, different: total });
  const newest = new Map<number, number>();
  let inversions = 0;
  for (const { partition, id } of found) {
    const at = order.get(id) as number;
    if (at < (newest.get(partition) ?? -1)) inversions++;
    newest.set(partition, at);
  }
  expect(inversions).toBe(0);
}

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka over %s: one broker', (driver) => {
  let server: KafkaServer;
  let proxy: FaultProxy;
  let tested: TestedSink | null = null;

  beforeAll(async () => {
    server = await startKafka({
      own: true,
      advertise: async ({ port }) => {
        proxy = await startProxy(`127.0.0.1:${port}`);
        return { host: '127.0.0.1', port: proxy.port };
      },
    });
  });

  afterAll(async () => {
    await tested?.sink.close();
    await proxy.close();
    await server.dispose();
  });

  async function opened(topic: string, partitions: number): Promise<Sink> {
    await tested?.sink.close();
    await createTopic(server, topic, { partitions });
    tested = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    await tested.sink.open(null, unlimited);
    return tested.sink;
  }

  it('E, and 50 concurrent idempotent sends of which one was stored: one call in flight for each partition', async () => {
    const sink = await opened('concurrent', 1);
    const calls = Array.from({ length: 50 }, (_, call) =>
      sink.write(messageBatch(series({ connector: 'shop', destinations: ['concurrent'] }, call, call + 1)), unlimited),
    );
    await Promise.all(calls);
    await expectOnceInOrder(server, 'concurrent', 50);
  });

  it('B, D, E, O: answers lost, connections reset in the middle of requests and of answers: once, in order', async () => {
    const sink = await opened('resets', 4);
    const writing = writeOn(sink, 'resets', 50);
    for (let fault = 0; fault < 12; fault++) {
      await sleep(150);
      if (fault % 3 === 0) proxy.cut();
      // In the middle of an answer: the request was carried out.
      else proxy.cutAfter(fault * 17);
    }
    proxy.heal();
    await expectOnceInOrder(server, 'resets', await writing.stop());
  });

  it('nothing gets through for longer than the request time-out: the same batch again, until it does', async () => {
    const sink = await opened('silence', 2);
    const writing = writeOn(sink, 'silence', 20);
    await sleep(200);
    proxy.blackhole();
    await sleep(4000);
    proxy.heal();
    await sleep(300);
    await expectOnceInOrder(server, 'silence', await writing.stop());
    expect(tested?.log.filter(({ level }) => level === 'warn').length).toBeLessThan(6);
    // A client may try again by itself for so long; once it was said that it does not work, it is said that it does again.
    const hasWarned = tested?.log.some(({ level }) => level === 'warn');
    expect(tested?.log.some(({ message }) => message === 'Kafka takes messages again.')).toBe(hasWarned);
  });

  it('a producer that is fenced: somebody writes under its id in a later epoch, and it goes on behind that, once and in order (I3, I4)', async () => {
    const sink = await opened('fenced', 1);
    const writing = writeOn(sink, 'fenced', 20);
    for (let fence = 0; fence < 3; fence++) {
      await sleep(200);
      const newest = (await readTopic(server, 'fenced')).filter(({ producerId }) => producerId >= 0n).at(-1);
      const { producerId = -1n, producerEpoch = 0 } = newest ?? {};
      const identity = { producerId, epoch: producerEpoch + 1, sequence: 0 };
      await writeRecords(server, 'fenced', 0, [{ key: null, value: null, headers: { stranger: 'x' } }], identity);
    }
    await sleep(200);
    const total = await writing.stop();
    const records = await readTopic(server, 'fenced');
    const own = records.flatMap(({ headers }) => headers.find(([name]) => name === 'sluice.id')?.[1]?.toString() ?? []);
    expect(own).toEqual(series({ connector: 'shop', destinations: ['fenced'] }, 0, total).map(({ id }) => id));
    expect(records.length).toBe(total + 3);
    expect(new Set(records.map(({ producerId, producerEpoch }) => `${producerId}/${producerEpoch}`)).size).toBeGreaterThan(3);
  });

  it('P: a large call is made into batches that no client chokes on', async () => {
    const sink = await opened('large', 1);
    await sink.write(messageBatch(series({ connector: 'shop', destinations: ['large'] }, 0, 20_000)), unlimited);
    await expectOnceInOrder(server, 'large', 20_000);
  });

  it('kill -9 of the process with bytes still on their way: neither lost nor doubled (algorithms §4)', async () => {
    const sink = await opened('killed', 3);
    const first = tested as TestedSink;
    const message = (from: number, to: number) => messageBatch(series({ connector: 'shop', destinations: ['killed'] }, from, to));
    const place: Place = await sink.write(message(0, 90), unlimited);
    // What is written now stays in the proxy, as in a dead process's socket.
    proxy.blackhole();
    const lost = sink.write(message(90, 180), unlimited);
    await sleep(300);
    const again = kafkaSink(
      { brokers: [(server.nodes[0] as (typeof server.nodes)[number]).direct], driver, request: FAST },
      { previousShutdown: 'unclean' },
    );
    tested = null;
    // The advertised address is the proxy's: it lets new connections through, and the old bytes with them.
    setTimeout(() => proxy.heal(), 200);
    await again.sink.open({ ...first.saved, ...place }, unlimited);
    await again.sink.write(message(90, 270), unlimited);
    await again.sink.close();
    await first.sink.close();
    await lost.catch(() => undefined);
    await expectOnceInOrder(server, 'killed', 270);
  });

  it('a topic that is deleted and made again is not the one that was written to (I8)', async () => {
    const sink = await opened('deleted', 1);
    const first = tested as TestedSink;
    const place = await sink.write(messageBatch(series({ connector: 'shop', destinations: ['deleted'] }, 0, 10)), unlimited);
    const admin = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: ['deleted'] });
    await admin.disconnect();
    const open = async (): Promise<unknown> => {
      const again = kafkaSink({ brokers: server.brokers, driver, request: FAST });
      return again.sink.open({ ...first.saved, ...place }, unlimited).finally(() => again.sink.close());
    };
    await expect(open()).rejects.toMatchObject({ code: 'SLUICE_KAFKA_TOPIC_LOST' });
    await createTopic(server, 'deleted');
    await expect(open()).rejects.toMatchObject({ code: 'SLUICE_KAFKA_TOPIC_LOST' });
  });
});

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka over %s: three brokers', (driver) => {
  let server: KafkaServer;

  beforeAll(async () => {
    server = await startKafka({ own: true, cluster: 3 });
  });

  afterAll(() => server.dispose());

  it('A, G, H: leaders move in a rolling restart under load: once, in order', async () => {
    await createTopic(server, 'rolling', { partitions: 6, replicas: 3, settings: { 'min.insync.replicas': '2' } });
    const { sink } = kafkaSink({ brokers: server.brokers, driver });
    await sink.open(null, unlimited);
    const writing = writeOn(sink, 'rolling', 60);
    for (const node of server.nodes) {
      await sleep(500);
      await node.restart('stop');
    }
    await sleep(1000);
    const total = await writing.stop();
    await sink.close();
    await expectOnceInOrder(server, 'rolling', total);
  }, 120_000);

  it('not enough replicas in sync: it waits, says so once, and goes on by itself (I10)', async () => {
    await createTopic(server, 'insync', { partitions: 3, replicas: 3, settings: { 'min.insync.replicas': '3' } });
    const tested = kafkaSink({ brokers: server.brokers, driver });
    await tested.sink.open(null, unlimited);
    await tested.sink.write(messageBatch(series({ connector: 'shop', destinations: ['insync'] }, 0, 30)), unlimited);
    const node = server.nodes[2] as (typeof server.nodes)[number];
    await node.kill();
    const waiting = tested.sink.write(messageBatch(series({ connector: 'shop', destinations: ['insync'] }, 30, 60)), unlimited);
    await sleep(10_000);
    await node.start();
    await waiting;
    await tested.sink.close();
    expect(await ids(server, 'insync')).toHaveLength(60);
    expect(tested.log.some(({ level }) => level === 'warn')).toBe(true);
  }, 120_000);
});
