/**
 * What a start reads back must be all that the process before it has written, wherever it is on its way: else it is written twice, behind what followed it.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MessageBatch } from '../../src/record/messages.ts';
import { type FaultProxy, type KafkaServer, startKafka, startProxy } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { KAFKA_DRIVERS, kafkaSink, unlimited } from '../support/kafka-sinks.ts';
import { createTopic, describeTopic, readTopic, topicOffsets, writeRecords } from '../support/kafka-topics.ts';
import { messageBatch, series } from '../support/message-batches.ts';

const { Kafka, logLevel } = kafkajs;
const FAST = { bytes: 900 * 1024, records: 4000, timeout: 2000 };

function messages(topic: string, from: number, to: number): MessageBatch {
  return messageBatch(series({ connector: 'shop', destinations: [topic] }, from, to));
}

/** Numbers of this connector's messages, as they stand in the topic's one partition. */
async function numbers(server: KafkaServer, topic: string): Promise<number[]> {
  const order = new Map(series({ connector: 'shop', destinations: [topic] }, 0, 1000).map(({ id }, at) => [id, at]));
  const ids = (await readTopic(server, topic)).map(({ headers }) => String(headers.find(([name]) => name === 'sluice.id')?.[1]));
  return ids.flatMap((id) => order.get(id) ?? []);
}

/** Of a partition, without what names the topic. */
async function filesOf(directory: string, partition: string): Promise<string[]> {
  const all = await readdir(directory, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && entry.parentPath.endsWith(`/${partition}`) && entry.name !== 'partition.metadata')
    .map((entry) => join(entry.parentPath, entry.name));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka over %s: three brokers', (driver) => {
  let server: KafkaServer;

  beforeAll(async () => {
    server = await startKafka({ own: true, cluster: 3 });
  });

  afterAll(() => server.dispose());

  it('what the leader has and its replicas do not have yet is waited for, not written again (I3, I4)', async () => {
    await createTopic(server, 'behind', { partitions: 1, replicas: 3, settings: { 'min.insync.replicas': '2' } });
    const first = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    await first.sink.open(null, unlimited);
    const place = await first.sink.write(messages('behind', 0, 20), unlimited);
    const [partition] = await describeTopic(server, 'behind');
    const follower = server.nodes.find(({ id }) => id !== partition?.leader);
    follower?.signal('SIGSTOP');
    const lost = first.sink.write(messages('behind', 20, 30), unlimited).catch(() => undefined);
    await sleep(500);
    const closing = first.sink.close();
    const again = kafkaSink({ brokers: server.brokers, driver, request: FAST }, { previousShutdown: 'unclean' });
    setTimeout(() => follower?.signal('SIGCONT'), 4_000);
    const written = await again.sink.open({ ...first.saved, ...place }, unlimited);
    expect(written.transactions.length).toBeGreaterThan(0);
    // Cut otherwise than before: no broker would recognise it.
    await Promise.all([again.sink.write(messages('behind', 20, 25), unlimited), again.sink.write(messages('behind', 25, 40), unlimited)]);
    await again.sink.close();
    await Promise.all([closing, lost]);
    expect(await numbers(server, 'behind')).toEqual(upTo(40));
  }, 120_000);
});

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka over %s: one broker', (driver) => {
  let server: KafkaServer;
  let proxy: FaultProxy;

  beforeAll(async () => {
    server = await startKafka({
      own: true,
      advertise: async ({ port }) => {
        proxy = await startProxy(`127.0.0.1:${port}`);
        return { host: proxy.host, port: proxy.port };
      },
    });
  });

  afterAll(async () => {
    await proxy.close();
    await server.dispose();
  });

  it("a stranger's open transaction hides nothing of what stands behind its beginning (I4)", async () => {
    await createTopic(server, 'strange', { partitions: 1 });
    const client = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING });
    const first = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    await first.sink.open(null, unlimited);
    const place = await first.sink.write(messages('strange', 0, 20), unlimited);
    await first.sink.write(messages('strange', 20, 25), unlimited);
    const producer = client.producer({ transactionalId: `other-${driver}`, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic: 'strange', messages: [{ key: 'x', value: 'foreign' }] });
    await first.sink.write(messages('strange', 25, 40), unlimited);
    await first.sink.close();
    const again = kafkaSink({ brokers: server.brokers, driver, request: FAST }, { previousShutdown: 'unclean' });
    await again.sink.open({ ...first.saved, ...place }, unlimited);
    await again.sink.write(messages('strange', 20, 45), unlimited);
    await again.sink.close();
    await transaction.commit();
    await producer.disconnect();
    expect(await numbers(server, 'strange')).toEqual(upTo(45));
  }, 60_000);

  it('after an orderly end with a batch on its way the next start waits for it (algorithms §4, I4)', async () => {
    await createTopic(server, 'late', { partitions: 1 });
    const first = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    const stop = new AbortController();
    await first.sink.open(null, unlimited);
    const place = await first.sink.write(messages('late', 0, 20), unlimited);
    proxy.blackhole();
    const lost = first.sink.write(messages('late', 20, 30), stop.signal).catch(() => undefined);
    await sleep(300);
    stop.abort(new Error('the time to drain is over'));
    await Promise.all([lost, first.sink.close()]);
    const again = kafkaSink({ brokers: server.brokers, driver, request: FAST }, { previousShutdown: 'clean' });
    setTimeout(() => proxy.heal(), 500);
    await again.sink.open({ ...first.saved, ...place }, unlimited);
    await again.sink.write(messages('late', 20, 25), unlimited);
    await again.sink.write(messages('late', 25, 40), unlimited);
    await again.sink.close();
    expect(await numbers(server, 'late')).toEqual(upTo(40));
    // Both have ended with nothing on its way, or can tell their bytes from new ones.
    expect(again.saved['!unsettled'] ?? null).toBeNull();
  }, 60_000);

  it('a partition that loses its end under a running sink is a typed stop, and what says so is not overwritten (I8)', async () => {
    await createTopic(server, 'shorter', { partitions: 1 });
    const tested = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    await tested.sink.open(null, unlimited);
    await tested.sink.write(messages('shorter', 0, 50), unlimited);
    const [node] = server.nodes;
    await node?.kill();
    for (const path of await filesOf(node?.directory ?? '', 'shorter-0')) await rm(path);
    await node?.start();
    await expect(tested.sink.write(messages('shorter', 50, 60), unlimited)).rejects.toMatchObject({ code: 'SLUICE_KAFKA_TOPIC_LOST' });
    await tested.sink.close();
  }, 60_000);

  it('partitions that were added are used where only strangers have written behind the place', async () => {
    await createTopic(server, 'use', { partitions: 2 });
    const first = kafkaSink({ brokers: server.brokers, driver, request: FAST });
    await first.sink.open(null, unlimited);
    const place = await first.sink.write(messages('use', 0, 60), unlimited);
    await first.sink.close();
    await writeRecords(server, 'use', 0, [{ key: 'other', value: 'foreign' }]);
    const admin = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.createPartitions({ topicPartitions: [{ topic: 'use', count: 4 }] });
    await admin.disconnect();
    await expect.poll(async () => (await describeTopic(server, 'use')).length).toBe(4);
    const again = kafkaSink({ brokers: server.brokers, driver, addedPartitions: 'use', request: FAST });
    await again.sink.open({ ...first.saved, ...place }, unlimited);
    await again.sink.write(messages('use', 60, 160), unlimited);
    await again.sink.close();
    const ends = (await topicOffsets(server, 'use')).map(({ end }) => Number(end));
    expect(Math.min(...ends.slice(2))).toBeGreaterThan(0);
  }, 60_000);
});
