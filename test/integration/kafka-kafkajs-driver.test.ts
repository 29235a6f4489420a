/** kafkajs behind the driver interface, against a real broker; what is stored is looked at without it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { KafkaConfig } from '../../connectors/kafka/config.ts';
import { KafkaFailure, type RecordSet, type StandingRecord } from '../../connectors/kafka/drivers/driver.ts';
import { Admins } from '../../connectors/kafka/drivers/kafkajs/admin.ts';
import { KafkajsDriver } from '../../connectors/kafka/drivers/kafkajs/driver.ts';
import { classify } from '../../connectors/kafka/failures.ts';
import type { CredentialCommand } from '../../src/plugin/credential.ts';
import { SluiceError } from '../../src/plugin/error.ts';
import type { MessageBatch } from '../../src/record/messages.ts';
import { run } from '../servers/command.ts';
import { type FaultProxy, type KafkaServer, startKafka, startProxy } from '../servers/index.ts';
import { classPath } from '../servers/maven.ts';
import { resolveKafka } from '../servers/resolve.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { unlimited } from '../support/kafka-sinks.ts';
import { allow, createTopic, readTopic, topicOffsets, writeRecords } from '../support/kafka-topics.ts';
import { messageBatch, type TestMessage } from '../support/message-batches.ts';
import { pluginContext } from '../support/plugin-context.ts';

const { Kafka, logLevel, Partitioners } = kafkajs;
const REQUEST_MS = 1_500;
/** What these tests write is years old: half a minute after its start a broker would delete it. */
const KEEP = { 'log.retention.ms': '-1' };

function config(options: Partial<KafkaConfig> & { readonly brokers: readonly string[] }): KafkaConfig {
  return {
    driver: 'kafkajs',
    topic: '{table}',
    createTopics: true,
    topicSettings: [],
    addedPartitions: 'ignore',
    compression: 'none',
    request: { bytes: 900 * 1024, records: 4000, timeout: REQUEST_MS },
    window: { bytes: 16 * 1024 * 1024 },
    ...options,
  };
}

function setOf(topic: string, partition: number, batch: MessageBatch): RecordSet {
  const indexes = Int32Array.from({ length: batch.count }, (_, index) => index);
  return {
    topic,
    partition,
    runs: [{ batch, indexes }],
    count: batch.count,
    timestampMs: 1_700_000_000_123,
    identity: null,
    maxBytes: -1,
    encoded: null,
  };
}

function messages(topic: string, from: number, to: number, filler = ''): TestMessage[] {
  return Array.from({ length: to - from }, (_, index) => ({
    id: `shop/7/${from + index}/0/0`,
    destination: topic,
    key: `{"id":${(from + index) % 7}}`,
    value: (from + index) % 10 === 3 ? null : JSON.stringify({ number: from + index, filler }),
    headers: [
      ['z.first', '1'],
      ['a.second', 'Zoë'],
    ],
  }));
}

/** Prints what it reads of partition 0 of each topic. */
const JAVA_CONSUMER = `
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

class Consumer {
  public static void main(String[] args) throws Exception {
    Map<String, Object> options = Map.of("bootstrap.servers", args[0], "check.crcs", true);
    var out = new java.io.PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (int index = 1; index < args.length; index++) {
      var partition = new TopicPartition(args[index], 0);
      try (var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer())) {
        consumer.assign(List.of(partition));
        consumer.seekToBeginning(List.of(partition));
        long end = consumer.endOffsets(List.of(partition)).get(partition);
        while (consumer.position(partition) < end) {
          for (var record : consumer.poll(Duration.ofSeconds(1))) {
            String id = new String(record.headers().lastHeader("sluice.id").value(), StandardCharsets.UTF_8);
            out.println(record.topic() + " " + record.offset() + " " + id + " " + record.value());
          }
        }
      }
    }
    out.flush();
  }
}
`;

/** Whatever is not closed by its test. */
const drivers: KafkajsDriver[] = [];
const driverOf = (options: Partial<KafkaConfig> & { readonly brokers: readonly string[] }): KafkajsDriver => {
  const driver = new KafkajsDriver(config(options), pluginContext());
  drivers.push(driver);
  return driver;
};

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'resolved',
    (error: unknown) => (error instanceof KafkaFailure || error instanceof SluiceError ? error.code : String(error)),
  );

/** Of several attempts one after the other, each once. */
async function codesOf(attempts: number, call: () => Promise<unknown>): Promise<readonly string[]> {
  const codes = new Set<string>();
  for (let attempt = 0; attempt < attempts; attempt++) codes.add(await codeOf(call()));
  return [...codes];
}

/** As the lanes do: the same set again until it stands. A broker that was away leads nothing for a moment. */
async function persist(driver: KafkajsDriver, set: RecordSet): Promise<number> {
  for (const until = performance.now() + 20_000; ; ) {
    try {
      return await driver.produce(set);
    } catch (error) {
      if (!(error instanceof KafkaFailure) || classify(error.code) !== 'again' || performance.now() > until) throw error;
      await sleep(100);
    }
  }
}

async function standing(driver: KafkajsDriver, topic: string, partition: number, from: number, end: number): Promise<StandingRecord[]> {
  const records: StandingRecord[] = [];
  await driver.read({ topic, partition }, from, end, (record) => records.push(record), unlimited);
  return records;
}

describe.runIf(availableKafkas.length > 0)('kafkajs driver', () => {
  let server: KafkaServer;

  beforeAll(async () => {
    server = await startKafka({ own: true, settings: { ...KEEP, 'num.partitions': '3', 'auto.create.topics.enable': 'true' } });
  });

  afterAll(async () => {
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
    await server.dispose();
  });

  it('tells the cluster, creates topics with the defaults of the broker or not, and finds them without making others', async () => {
    const driver = driverOf({ brokers: server.brokers });
    const { clusterId, brokers } = await driver.connect(unlimited);
    expect(clusterId).toMatch(/^[\w-]{22}$/);
    expect(brokers).toBe(1);
    await driver.createTopic({ name: 'made', partitions: 2, replication: 1, settings: { 'cleanup.policy': 'compact' } }, unlimited);
    await driver.createTopic({ name: 'made', partitions: 2, replication: 1, settings: {} }, unlimited);
    await driver.createTopic({ name: 'by-default', partitions: -1, replication: -1, settings: {} }, unlimited);
    expect(await codeOf(driver.createTopic({ name: 'three', partitions: 1, replication: 3, settings: {} }, unlimited))).toBe(
      'INVALID_REPLICATION_FACTOR',
    );
    const found = await driver.topics(['nobody', 'made', 'nobody-2', 'by-default', 'nobody-3'], unlimited);
    expect([...found.keys()].sort()).toEqual(['by-default', 'made']);
    expect(found.get('made')?.partitions).toEqual([0, 1].map((partition) => ({ partition, leader: 1, replicas: 1, inSync: 1 })));
    expect(found.get('by-default')?.partitions).toHaveLength(3);
    expect([...(await driver.topicNames(unlimited))].sort()).toEqual(['by-default', 'made']);
    const settings = await driver.topicSettings('made', unlimited);
    expect(settings.get('cleanup.policy')).toBe('compact');
    expect(Number(settings.get('max.message.bytes'))).toBeGreaterThan(1_000_000);
    expect(await codeOf(driver.topicSettings('nobody', unlimited))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    await driver.close();
  });

  it('writes what the batch holds, and reads its ids back', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'thousand', { partitions: 3 });
    const batch = messageBatch(messages('thousand', 0, 1000, 'ü'.repeat(100)));
    expect(await driver.produce(setOf('thousand', 1, batch))).toBe(0);
    expect(await driver.produce(setOf('thousand', 1, messageBatch(messages('thousand', 1000, 1010))))).toBe(1000);
    const stored = await readTopic(server, 'thousand');
    expect(stored).toHaveLength(1010);
    expect(stored.map(({ sequence }) => sequence)).toEqual(stored.map((_, index) => index));
    expect(stored[0]?.producerId).toBeGreaterThanOrEqual(0n);
    expect(stored[0]?.timestamp).toBe(1_700_000_000_123n);
    expect(stored[2]?.headers.map(String)).toEqual(['z.first,1', 'a.second,Zoë', 'sluice.id,shop/7/2/0/0']);
    expect(String(stored[2]?.key)).toBe('{"id":2}');
    expect(JSON.parse(String(stored[2]?.value))).toEqual({ number: 2, filler: 'ü'.repeat(100) });
    expect(stored[3]?.value).toBeNull();
    const partitions = [0, 1, 2].map((partition) => ({ topic: 'thousand', partition }));
    expect(await driver.offsets(partitions, 'first', unlimited)).toEqual([0, 0, 0]);
    expect(await driver.offsets([...partitions].reverse(), 'end', unlimited)).toEqual([0, 1010, 0]);
    const [first, second, empty] = await Promise.all([
      standing(driver, 'thousand', 1, 990, 1005),
      standing(driver, 'made', 0, 0, 10),
      standing(driver, 'thousand', 2, 0, 10),
    ]);
    expect(first?.map(({ offset, id }) => [offset, id])).toEqual(
      Array.from({ length: 15 }, (_, index) => [990 + index, `shop/7/${990 + index}/0/0`]),
    );
    expect(second).toEqual([]);
    expect(empty).toEqual([]);
    // Again, and beyond what is there.
    expect(await standing(driver, 'thousand', 1, 1008, 99_999)).toHaveLength(2);
    await driver.close();
  });

  it('reads past strangers, markers of transactions and what is not there', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'holes');
    await writeRecords(server, 'holes', 0, [{ key: 'k', value: 'a stranger' }]);
    await driver.produce(setOf('holes', 0, messageBatch(messages('holes', 0, 2))));
    const client = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING });
    const stranger = client.producer({
      transactionalId: 'x',
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await stranger.connect();
    for (const end of ['commit', 'abort'] as const) {
      const transaction = await stranger.transaction();
      await transaction.send({ topic: 'holes', messages: [{ key: 'k', value: 'in a transaction' }] });
      await transaction[end]();
    }
    await stranger.disconnect();
    // A transaction is ended before its marker is written.
    const end = async (): Promise<readonly number[]> => driver.offsets([{ topic: 'holes', partition: 0 }], 'end', unlimited);
    await expect.poll(end, { timeout: 10_000 }).toEqual([7]);
    await driver.produce(setOf('holes', 0, messageBatch(messages('holes', 2, 3))));
    await expect.poll(end, { timeout: 10_000 }).toEqual([8]);
    const all = (await standing(driver, 'holes', 0, 0, 99)).map(({ offset, id }) => [offset, id]);
    expect(all.filter(([, id]) => id !== null)).toEqual([
      [1, 'shop/7/0/0/0'],
      [2, 'shop/7/1/0/0'],
      [7, 'shop/7/2/0/0'],
    ]);
    // Nothing but a marker.
    expect(await standing(driver, 'holes', 0, 4, 5)).toEqual([]);
    await driver.close();
  });

  it('asks about many topics, and is not held up by one that is gone', async () => {
    const driver = driverOf({ brokers: server.brokers });
    const names = Array.from({ length: 60 }, (_, index) => `many-${index}`);
    for (const name of names) await driver.createTopic({ name, partitions: 2, replication: 1, settings: {} }, unlimited);
    await expect.poll(async () => (await driver.topics([...names, 'many-none'], unlimited)).size).toBe(60);
    const partitions = names.flatMap((topic) => [0, 1].map((partition) => ({ topic, partition })));
    for (const topic of names.slice(0, 10)) await driver.produce(setOf(topic, 1, messageBatch(messages(topic, 0, 3))));
    expect((await driver.offsets(partitions, 'end', unlimited)).reduce((sum, end) => sum + end)).toBe(30);
    const admin = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: ['many-0'] });
    await admin.disconnect();
    await expect.poll(() => driver.topicNames(unlimited)).not.toContain('many-0');
    // The client asks for all topics that it knows when it learns of a new one, and fails with the one that is gone.
    const set = setOf('many-20', 0, messageBatch(messages('many-20', 0, 3)));
    expect(await codesOf(5, () => driver.produce(set))).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'PRODUCER_REPLACED']);
    await driver.renewProducer(unlimited);
    expect(await driver.produce(setOf('many-20', 0, messageBatch(messages('many-20', 0, 3))))).toBe(0);
    const reads = await Promise.all(names.slice(1, 10).map((topic) => standing(driver, topic, 1, 1, 3)));
    expect(reads.flat()).toHaveLength(18);
    expect(await codeOf(standing(driver, 'many-0', 1, 0, 3))).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    await driver.close();
  });

  it('writes every compression so that brokers and the Java consumer can read it', async ({ skip }) => {
    const codecs = ['none', 'gzip', 'snappy', 'lz4'] as const;
    // More than one block of each.
    const filler = Array.from({ length: 1000 }, (_, index) => (index * 7919).toString(36)).join('');
    for (const compression of codecs) {
      const driver = driverOf({ brokers: server.brokers, compression });
      await createTopic(server, `codec-${compression}`);
      await driver.produce(setOf(`codec-${compression}`, 0, messageBatch(messages('codec', 0, 200, filler))));
      const stored = await readTopic(server, `codec-${compression}`);
      expect(stored.map((record) => record.compression)).toEqual(stored.map(() => compression));
      expect(JSON.parse(String(stored[100]?.value))).toEqual({ number: 100, filler });
      expect((await standing(driver, `codec-${compression}`, 0, 0, 200)).map(({ id }) => id)).toEqual(messages('codec', 0, 200).map(({ id }) => id));
      await driver.close();
    }
    const kafka = await resolveKafka('4', true);
    if (kafka.kind !== 'binary') throw new Error('not ours');
    if (!(await run(kafka.java, ['--list-modules'])).includes('jdk.compiler')) return skip('this Java cannot compile the consumer');
    const source = join(await mkdtemp(join(tmpdir(), 'sluice-')), 'Consumer.java');
    await writeFile(source, JAVA_CONSUMER);
    const topics = codecs.map((compression) => `codec-${compression}`);
    const lines = (await run(kafka.java, ['-cp', await classPath(kafka.path), source, server.brokers[0] as string, ...topics])).trim().split('\n');
    const wanted = messages('codec', 0, 200, filler).map(({ value }, offset) => `${offset} shop/7/${offset}/0/0 ${value}`);
    expect(lines).toEqual(topics.flatMap((topic) => wanted.map((line) => `${topic} ${line}`)));
    await rm(dirname(source), { recursive: true });
  });

  it('says what a broker refuses, and goes on with the next', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'small', { settings: { 'max.message.bytes': '2000' } });
    expect(await codeOf(driver.produce(setOf('small', 0, messageBatch(messages('small', 0, 1, 'x'.repeat(5000))))))).toBe('MESSAGE_TOO_LARGE');
    const next = setOf('small', 0, messageBatch(messages('small', 1, 2)));
    expect(await driver.produce(next)).toBe(0);
    await createTopic(server, 'keyed', { settings: { 'cleanup.policy': 'compact' } });
    const keyless = messageBatch([{ id: 'shop/7/1/0/0', destination: 'keyed', value: '{}' }]);
    expect(await codeOf(driver.produce(setOf('keyed', 0, keyless)))).toBe('INVALID_RECORD');
    const unknown = setOf('nobody', 0, messageBatch(messages('nobody', 0, 1)));
    // However often: it may be a broker that has just started.
    expect(await codesOf(6, () => driver.produce(unknown))).toEqual(['UNKNOWN_TOPIC_OR_PARTITION']);
    expect(await codeOf(driver.produce(setOf('small', 7, messageBatch(messages('small', 1, 2)))))).toBe('NO_RESPONSE');
    expect(await driver.produce(setOf('small', 0, messageBatch(messages('small', 2, 3))))).toBe(1);
    expect(await driver.topicNames(unlimited)).not.toContain('nobody');
    await driver.close();
    expect(await codeOf(driver.produce(next))).toBe('CONNECTION');
  });

  it('stores a set once that is sent twice, also when its answer was lost', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'frozen');
    await driver.produce(setOf('frozen', 0, messageBatch(messages('frozen', 0, 3))));
    const set = setOf('frozen', 0, messageBatch(messages('frozen', 3, 6)));
    server.signal('SIGSTOP');
    expect(await codeOf(driver.produce(set))).toBe('TIMEOUT');
    expect(await codeOf(driver.produce(set))).toMatch(/TIMEOUT|CONNECTION/);
    server.signal('SIGCONT');
    expect(await persist(driver, set)).toBe(3);
    expect(await persist(driver, setOf('frozen', 0, messageBatch(messages('frozen', 6, 7))))).toBe(6);
    expect(await topicOffsets(server, 'frozen')).toEqual([{ first: 0n, end: 7n }]);
    await driver.close();
  });

  it('does not send what another producer may have stored', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'renewed', { partitions: 2 });
    await driver.produce(setOf('renewed', 0, messageBatch(messages('renewed', 0, 1))));
    server.signal('SIGSTOP');
    const set = setOf('renewed', 0, messageBatch(messages('renewed', 1, 2)));
    expect(await codeOf(driver.produce(set))).toBe('TIMEOUT');
    server.signal('SIGCONT');
    // A partition that there is not: the client resolves without having sent.
    const nowhere = setOf('renewed', 9, messageBatch(messages('renewed', 0, 1)));
    expect(await codesOf(5, () => driver.produce(nowhere))).toEqual(['NO_RESPONSE', 'PRODUCER_REPLACED']);
    expect(await codeOf(driver.produce(set))).toBe('PRODUCER_REPLACED');
    const began = performance.now();
    await driver.renewProducer(unlimited);
    expect(performance.now() - began).toBeGreaterThan(REQUEST_MS - 200);
    expect((await standing(driver, 'renewed', 0, 0, 9)).map(({ id }) => id)).toEqual(['shop/7/0/0/0', 'shop/7/1/0/0']);
    expect(await persist(driver, setOf('renewed', 0, messageBatch(messages('renewed', 2, 3))))).toBe(2);
    const [first, , third] = await readTopic(server, 'renewed');
    expect(third?.producerId).not.toBe(first?.producerId);
    await driver.close();
  });

  it('comes back after the broker was killed, on the same producer', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'killed');
    await driver.produce(setOf('killed', 0, messageBatch(messages('killed', 0, 1))));
    await server.restart('kill');
    expect(await persist(driver, setOf('killed', 0, messageBatch(messages('killed', 1, 2))))).toBe(1);
    const stored = await readTopic(server, 'killed');
    expect(stored).toHaveLength(2);
    expect(stored[1]?.producerId).toBe(stored[0]?.producerId);
    expect(await standing(driver, 'killed', 0, 0, 2)).toHaveLength(2);
    await driver.close();
  });

  it('finds a broker behind one that says nothing, and says why it found none', async () => {
    const driver = driverOf({ brokers: ['127.0.0.1:1', '[::1]:1', ...server.brokers] });
    expect((await driver.connect(unlimited)).brokers).toBe(1);
    await driver.close();
    const failure = await driverOf({ brokers: ['127.0.0.1:1'] })
      .connect(unlimited)
      .catch((error: unknown) => error as KafkaFailure);
    expect(failure).toMatchObject({ code: 'CONNECTION', message: expect.stringContaining('ECONNREFUSED 127.0.0.1:1') });
    const aborted = new AbortController();
    const call = driverOf({ brokers: ['127.0.0.1:1'] }).connect(aborted.signal);
    aborted.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });
});

describe.runIf(availableKafkas.length > 0)('kafkajs driver, reading what is not all there', () => {
  let server: KafkaServer;
  let proxy: FaultProxy;

  beforeAll(async () => {
    server = await startKafka({
      own: true,
      settings: KEEP,
      advertise: async ({ port }) => {
        proxy = await startProxy(`127.0.0.1:${port}`);
        return { host: '127.0.0.1', port: proxy.port };
      },
    });
  });

  afterAll(async () => {
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
    await proxy.close();
    await server.dispose();
  });

  it('does not take it for nothing that no answer comes through', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'cut');
    await driver.produce(setOf('cut', 0, messageBatch(messages('cut', 0, 400, 'x'.repeat(1000)))));
    // As a path that loses large packets does it: questions and small answers get through.
    const link = proxy as unknown as { passFromServer(link: { client: { end(): void }; server: { destroy(): void } }, chunk: Buffer): void };
    let cuts = 0;
    const pass = link.passFromServer.bind(link);
    const spy = vi.spyOn(link, 'passFromServer').mockImplementation((ends, chunk) => {
      if (chunk.length < 20_000) return pass(ends, chunk);
      cuts++;
      ends.client.end();
      ends.server.destroy();
    });
    expect(await codeOf(standing(driver, 'cut', 0, 0, 400))).toMatch(/^(CONNECTION|TIMEOUT)$/);
    expect(cuts).toBeGreaterThan(9);
    // The library connects again at once, however often.
    expect(cuts).toBeLessThan(1_500);
    spy.mockRestore();
    expect(await standing(driver, 'cut', 0, 0, 400)).toHaveLength(400);
    await driver.close();
  });

  it('rejects when it is aborted in the middle, and visits no more', async () => {
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, 'aborted');
    await driver.produce(setOf('aborted', 0, messageBatch(messages('aborted', 0, 100))));
    const stop = new AbortController();
    let visited = 0;
    const visit = (): void => {
      visited++;
      stop.abort(new Error('enough'));
    };
    await expect(driver.read({ topic: 'aborted', partition: 0 }, 0, 100, visit, stop.signal)).rejects.toThrow('enough');
    expect(visited).toBe(1);
    await driver.close();
  });

  it.each([
    ['some', 4],
    ['all', 10],
  ] as const)('%s of it is deleted when its end is known already: what is left is not passed over', async (which, offset) => {
    const topic = `deleted-${which}`;
    const driver = driverOf({ brokers: server.brokers });
    await createTopic(server, topic);
    await driver.produce(setOf(topic, 0, messageBatch(messages(topic, 0, 10))));
    const admin = new Kafka({ brokers: [...server.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic);
    const { ends } = Admins.prototype;
    const spy = vi.spyOn(Admins.prototype, 'ends').mockImplementationOnce(async function (this: Admins, ...asked) {
      const found = await ends.apply(this, asked);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
      return found;
    });
    expect(await codeOf(standing(driver, topic, 0, 0, 10))).toBe(which === 'all' ? 'resolved' : 'OFFSET_NOT_AVAILABLE');
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockRestore();
    await admin.disconnect();
    expect((await standing(driver, topic, 0, 0, 10)).map((record) => record.offset)).toEqual([4, 5, 6, 7, 8, 9].slice(offset - 4));
    await driver.close();
  });
});

describe.runIf(availableKafkas.length > 0)('kafkajs driver, secured', () => {
  let server: KafkaServer;
  const ca = (): string => server.certificates?.ca as string;

  beforeAll(async () => {
    server = await startKafka({ own: true, tls: 'verify', users: [{ name: 'sluice', password: 'a-secret,=with signs' }], settings: KEEP });
    await createTopic(server, 'shop.a');
  });

  afterAll(async () => {
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
    await server.dispose();
  });

  const printing = async (text: string): Promise<CredentialCommand> => {
    const path = join(tmpdir(), `sluice-token-${process.pid}-${Math.random().toString(36).slice(2)}`);
    await writeFile(path, text);
    return { command: ['/bin/cat', path], timeout: 10_000 };
  };

  it('logs in with PLAIN, SCRAM, a token and a client certificate, and may do what the ACLs say', async () => {
    await allow(server, { user: 'sluice', resource: 'topic', name: 'shop.', prefix: true, operations: ['read', 'write', 'describe'] });
    const password = 'a-secret,=with signs';
    const ways: Partial<KafkaConfig>[] = [
      { sasl: { mechanism: 'plain', user: 'sluice', password } },
      { sasl: { mechanism: 'scram-sha-256', user: 'sluice', password } },
      { sasl: { mechanism: 'scram-sha-512', user: 'sluice', password } },
      { sasl: { mechanism: 'oauthbearer', token: await printing(JSON.stringify({ access_token: server.token('sluice') })) } },
    ];
    for (const way of ways) {
      const driver = driverOf({ brokers: server.saslBrokers, tls: { ca: ca() }, ...way });
      await driver.connect(unlimited);
      await driver.produce(setOf('shop.a', 0, messageBatch(messages('shop.a', 0, 1))));
      await driver.close();
    }
    const { clientCert: cert, clientKey: key } = server.certificates as NonNullable<KafkaServer['certificates']>;
    const driver = driverOf({ brokers: server.sslBrokers, tls: { ca: ca(), cert, key } });
    expect(await driver.produce(setOf('shop.a', 0, messageBatch(messages('shop.a', 0, 1))))).toBe(4);
    expect(await codeOf(driver.produce(setOf('other', 0, messageBatch(messages('other', 0, 1)))))).toBe('TOPIC_AUTHORIZATION_FAILED');
    expect(await codeOf(driver.topics(['shop.a', 'other'], unlimited))).toBe('TOPIC_AUTHORIZATION_FAILED');
    expect(await codeOf(driver.topicSettings('shop.a', unlimited))).toBe('TOPIC_AUTHORIZATION_FAILED');
    expect(await codeOf(driver.createTopic({ name: 'shop.b', partitions: 1, replication: 1, settings: {} }, unlimited))).toBe(
      'TOPIC_AUTHORIZATION_FAILED',
    );
    const failure = await standing(driver, 'shop.a', 0, 0, 5).catch((error: unknown) => error as KafkaFailure);
    expect(failure).toMatchObject({ message: expect.stringContaining('--group sluice-shop-') });
    await allow(server, { user: 'sluice', resource: 'group', name: 'sluice-shop-', prefix: true, operations: ['read'] });
    expect(await standing(driver, 'shop.a', 0, 0, 5)).toHaveLength(5);
    await driver.close();
  });

  it('says which of them was refused, without the secret', async () => {
    const wrong = 'not-the-password';
    const tls = { ca: ca() };
    const failing = async (options: Partial<KafkaConfig> & { readonly brokers: readonly string[] }): Promise<KafkaFailure> => {
      const driver = driverOf(options);
      const failure = await driver.connect(unlimited).catch((error: unknown) => error as KafkaFailure);
      await driver.close();
      expect(JSON.stringify([failure, String(failure), (failure as Error).message])).not.toContain(wrong);
      return failure as KafkaFailure;
    };
    for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
      const sasl = { mechanism, user: 'sluice', password: wrong };
      expect(await failing({ brokers: server.saslBrokers, tls, sasl })).toMatchObject({ code: 'SASL_AUTHENTICATION_FAILED' });
    }
    const expired = await printing(server.token('sluice', -60));
    expect(await failing({ brokers: server.saslBrokers, tls, sasl: { mechanism: 'oauthbearer', token: expired } })).toMatchObject({
      code: 'SASL_AUTHENTICATION_FAILED',
    });
    const token = { mechanism: 'oauthbearer', token: { command: ['/bin/false'], timeout: 10_000 } } as const;
    expect(await failing({ brokers: server.saslBrokers, tls, sasl: token })).toMatchObject({ code: 'SLUICE_CREDENTIAL_COMMAND' });
    const sasl = { mechanism: 'plain', user: 'sluice', password: wrong } as const;
    expect(await failing({ brokers: server.saslBrokers, tls: {}, sasl })).toMatchObject({ code: 'TLS' });
    expect(await failing({ brokers: server.saslBrokers, tls: { ...tls, serverName: 'elsewhere' }, sasl })).toMatchObject({ code: 'TLS' });
    expect(await failing({ brokers: server.sslBrokers, tls })).toMatchObject({ code: expect.stringMatching(/TLS|CONNECTION/) });
    expect(await failing({ brokers: server.brokers, tls })).toMatchObject({ code: expect.stringMatching(/TLS|CONNECTION|TIMEOUT/) });
    expect(await failing({ brokers: server.saslBrokers, sasl })).toMatchObject({ code: expect.stringMatching(/CONNECTION|TIMEOUT/) });
  });
});
