/** Topics, records and rights of a Kafka server, for tests, without the client that the product uses: see test/servers/kafka-protocol.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaServer } from '../servers/kafka.ts';
import {
  API,
  type ClusterMetadata,
  overWire,
  type PartitionMetadata,
  readMetadata,
  type WireConnection,
  WireWriter,
} from '../servers/kafka-protocol.ts';
import { type BatchIdentity, decodeBatches, encodeBatch, type NewRecord, type StoredRecord } from './kafka-records.ts';

const WAIT_MS = 30_000;
const UNKNOWN_TOPIC = 3;

export interface TopicOptions {
  /** 1 when left out. */
  partitions?: number;
  /** As many as there are brokers, at most 3, when left out. */
  replicas?: number;
  /** `min.insync.replicas`, `max.message.bytes`, `cleanup.policy` … */
  settings?: Record<string, string>;
}

/** Creates a topic and waits until every partition has a leader that every running node knows. */
export async function createTopic(server: KafkaServer, name: string, options: TopicOptions = {}): Promise<void> {
  await overWire(anyAddress(server), async (connection) => {
    const { brokers } = await readMetadata(connection);
    const partitions = options.partitions ?? 1;
    const replicas = options.replicas ?? Math.min(3, brokers.length);
    const body = new WireWriter();
    body.array([name], (topic) => {
      body.string(topic).int32(partitions).int16(replicas).int32(0);
      body.array(Object.entries(options.settings ?? {}), ([key, value]) => body.string(key).string(value));
    });
    const answer = await connection.request(API.createTopics, 2, body.int32(WAIT_MS).int8(0).done());
    answer.int32(); // throttle time
    const [result] = answer.array(() => ({ name: answer.string(), error: answer.int16(), message: answer.string() }));
    if (result === undefined || result.error !== 0) throw new Error(`topic ${name} was not created: ${result?.message} (error ${result?.error})`);
    await waitFor(`a leader for ${name}`, async () => {
      for (const address of allAddresses(server)) {
        const found = await overWire(address, (each) => describe(each, name));
        if (found.length !== partitions || found.some((partition) => partition.leader < 0)) return false;
      }
      return true;
    });
  });
}

/** The partitions of a topic in their order, with leader and in-sync replicas; empty when there is no such topic. */
export function describeTopic(server: KafkaServer, name: string): Promise<PartitionMetadata[]> {
  return overWire(anyAddress(server), (connection) => describe(connection, name));
}

/** The first offset of each partition, and the one after its last (aborted transactions and markers counted). */
export async function topicOffsets(server: KafkaServer, name: string): Promise<{ first: bigint; end: bigint }[]> {
  return eachPartition(server, name, async (connection, partition) => ({
    first: await listOffset(connection, name, partition, -2n),
    end: await listOffset(connection, name, partition, -1n),
  }));
}

/** Every record of a topic, by partition and in order, with what its batch says of the producer. */
export async function readTopic(server: KafkaServer, name: string): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  await eachRecord(server, name, (record) => records.push(record));
  return records;
}

/** The same for a topic that is larger than memory: `take` gets one record after the other. */
export async function eachRecord(server: KafkaServer, name: string, take: (record: StoredRecord) => void): Promise<void> {
  // Where reading goes on after a connection was lost, by partition.
  const places = new Map<number, bigint>();
  await eachPartition(server, name, async (connection, partition) => {
    const end = await listOffset(connection, name, partition, -1n);
    let at = places.get(partition) ?? (await listOffset(connection, name, partition, -2n));
    while (at < end) {
      const batches = decodeBatches(await fetchFrom(connection, name, partition, at), partition);
      if (batches.next <= at) throw new Error(`${name}/${partition} gives nothing at ${at}, although it ends at ${end}`);
      const from = at;
      at = batches.next;
      places.set(partition, at);
      for (const record of batches.records) if (record.offset >= from) take(record);
    }
  });
}

/** Writes records to one partition as a stranger would: in one batch, without a producer id if none is given, acknowledged by all in-sync replicas. */
export async function writeRecords(
  server: KafkaServer,
  name: string,
  partition: number,
  records: readonly NewRecord[],
  identity?: BatchIdentity,
): Promise<void> {
  await overWire(await leaderAddress(server, name, partition), async (connection) => {
    const batch = encodeBatch(records, identity);
    const body = new WireWriter().string(null).int16(-1).int32(WAIT_MS);
    body.array([name], (topic) => {
      body.string(topic).array([partition], (number) => body.int32(number).int32(batch.length).raw(batch));
    });
    const answer = await connection.request(API.produce, 3, body.done());
    const [error] = answer.array(() => {
      answer.string();
      return answer.array(() => {
        answer.int32();
        const code = answer.int16();
        answer.take(16);
        return code;
      })[0];
    });
    if (error !== 0) throw new Error(`${name}/${partition} took no records (error ${error})`);
  });
}

const RESOURCES = { topic: 2, group: 3, cluster: 4, 'transactional-id': 5 } as const;
const OPERATIONS = {
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  'describe-configs': 10,
  'alter-configs': 11,
  'idempotent-write': 12,
} as const;
const ALLOW = 3;

export interface AccessRule {
  user: string;
  resource: keyof typeof RESOURCES;
  /** `kafka-cluster` for the cluster; `*` for every one. */
  name: string;
  /** Every resource whose name begins with it. */
  prefix?: boolean;
  operations: readonly (keyof typeof OPERATIONS)[];
}

/** Lets a user of a secured server do something, and waits until every running node knows. */
export async function allow(server: KafkaServer, rule: AccessRule): Promise<void> {
  const pattern = rule.prefix ? 4 : 3;
  const entry = (operation: keyof typeof OPERATIONS) =>
    new WireWriter()
      .int8(RESOURCES[rule.resource])
      .string(rule.name)
      .int8(pattern)
      .string(`User:${rule.user}`)
      .string('*')
      .int8(OPERATIONS[operation])
      .int8(ALLOW)
      .done();
  await overWire(anyAddress(server), async (connection) => {
    const body = new WireWriter();
    body.array(rule.operations, (operation) => body.raw(entry(operation)));
    const answer = await connection.request(API.createAcls, 1, body.done());
    answer.int32(); // throttle time
    const refused = answer.array(() => ({ error: answer.int16(), message: answer.string() })).find((result) => result.error !== 0);
    if (refused !== undefined) throw new Error(`the ACL was not made: ${refused.message} (error ${refused.error})`);
  });
  await waitFor('the ACL', async () => {
    for (const address of allAddresses(server)) {
      for (const operation of rule.operations) {
        const known = await overWire(address, async (connection) => {
          const answer = await connection.request(API.describeAcls, 1, entry(operation));
          answer.int32(); // throttle time
          const failed = answer.int16() !== 0;
          answer.string();
          return !failed && answer.int32() > 0;
        });
        if (!known) return false;
      }
    }
    return true;
  });
}

async function describe(connection: WireConnection, name: string): Promise<PartitionMetadata[]> {
  const [topic] = (await readMetadata(connection, [name])).topics;
  if (topic === undefined || topic.error === UNKNOWN_TOPIC) return [];
  return topic.partitions.sort((a, b) => a.partition - b.partition);
}

async function listOffset(connection: WireConnection, name: string, partition: number, time: bigint): Promise<bigint> {
  const body = new WireWriter().int32(-1);
  body.array([name], (topic) => body.string(topic).array([partition], (number) => body.int32(number).int64(time)));
  const answer = await connection.request(API.listOffsets, 1, body.done());
  const [result] = answer.array(() => {
    answer.string();
    return answer.array(() => ({ partition: answer.int32(), error: answer.int16(), time: answer.int64(), offset: answer.int64() }))[0];
  });
  if (result === undefined || result.error !== 0) throw new Error(`${name}/${partition} tells no offset (error ${result?.error})`);
  return result.offset;
}

async function fetchFrom(connection: WireConnection, name: string, partition: number, offset: bigint): Promise<Buffer> {
  const body = new WireWriter()
    .int32(-1)
    .int32(500)
    .int32(1)
    .int32(8 << 20)
    .int8(0);
  body.array([name], (topic) =>
    body.string(topic).array([partition], (number) =>
      body
        .int32(number)
        .int64(offset)
        .int32(8 << 20),
    ),
  );
  const answer = await connection.request(API.fetch, 4, body.done());
  answer.int32(); // throttle time
  const [result] = answer.array(() => {
    answer.string();
    return answer.array(() => {
      const error = { partition: answer.int32(), code: answer.int16() }.code;
      answer.take(16); // high watermark, last stable offset
      answer.array(() => answer.take(16)); // aborted transactions
      return { error, bytes: answer.take(Math.max(0, answer.int32())) };
    })[0];
  });
  if (result === undefined || result.error !== 0) throw new Error(`${name}/${partition} cannot be read (error ${result?.error})`);
  return result.bytes;
}

/** Asks each partition's leader, over one connection per partition. */
async function eachPartition<T>(server: KafkaServer, name: string, ask: (connection: WireConnection, partition: number) => Promise<T>): Promise<T[]> {
  const partitions = await describeTopic(server, name);
  if (partitions.length === 0) throw new Error(`there is no topic ${name}`);
  const answers: T[] = [];
  for (const { partition } of partitions) answers.push(await askLeader(server, name, partition, ask));
  return answers;
}

/** Once more where the leader has just moved. */
async function askLeader<T>(
  server: KafkaServer,
  name: string,
  partition: number,
  ask: (connection: WireConnection, partition: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await overWire(await leaderAddress(server, name, partition), (connection) => ask(connection, partition));
    } catch (error) {
      if (attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function leaderAddress(server: KafkaServer, name: string, partition: number): Promise<string> {
  let address: string | null = null;
  await waitFor(`a leader of ${name}/${partition}`, async () => {
    const metadata: ClusterMetadata = await overWire(anyAddress(server), (connection) => readMetadata(connection, [name]));
    const leader = metadata.topics[0]?.partitions.find((each) => each.partition === partition)?.leader;
    const broker = metadata.brokers.find((each) => each.id === leader);
    if (broker === undefined) return false;
    // Past a proxy that the test may have put before it.
    address = server.nodes.find((node) => node.id === broker.id)?.direct ?? `${broker.host}:${broker.port}`;
    return true;
  });
  return address as unknown as string;
}

/** The nodes that run, past any proxy; all that is known of a server that is not ours. */
function allAddresses(server: KafkaServer): string[] {
  return server.external ? [...server.brokers] : server.nodes.filter((node) => node.pid !== 0).map((node) => node.direct);
}

function anyAddress(server: KafkaServer): string {
  const [address] = allAddresses(server);
  if (address === undefined) throw new Error('no Kafka node runs');
  return address;
}

async function waitFor(what: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${WAIT_MS} ms`);
    await sleep(20);
  }
}
