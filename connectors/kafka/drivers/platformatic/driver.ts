/** @platformatic/kafka as the driver: its connections, and our own produce requests (record-batch.ts). */
import {
  type Connection,
  type ConnectionOptions,
  createTopicsV7,
  describeConfigsV4,
  describeQuorumV2,
  fetchV12,
  initProducerIdV4,
  listOffsetsV7,
} from '@platformatic/kafka';
import { type PluginContext, sleep } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { platformaticSecurity } from '../../connection.ts';
import { classify, toFailure } from '../../failures.ts';
import { AS_CONSUMER, type AskEnds, committedEnds } from '../committed-end.ts';
import { withDeadline } from '../deadline.ts';
import {
  type Advertised,
  type ClusterInfo,
  type KafkaDriver,
  KafkaFailure,
  type NewTopic,
  type RecordSet,
  type StandingRecord,
  type TopicInfo,
  type TopicPartition,
} from '../driver.ts';
import { Cluster } from './cluster.ts';
import { protocolFailure } from './produce.ts';
import { ProduceQueue } from './produce-queue.ts';

/** ConfigResource.Type. */
const RESOURCE_TOPIC = 2 as const;
/** ListOffsets: special timestamps. */
const LATEST = -1n;
const EARLIEST = -2n;
const READ_UNCOMMITTED = 0;
const FETCH_BYTES = 8 * 1024 * 1024;
const FETCH_WAIT_MS = 100;
/** How often a fetch may bring nothing before what is left is taken for not there. */
const EMPTY_FETCHES = 5;
/** Calls that only ask are repeated this often when a leader has just moved. */
const ATTEMPTS = 4;
const PAUSE_MS = 200;
/** Of the controllers. */
const METADATA_TOPIC = '__cluster_metadata';
const ID_HEADER = 'sluice.id';
const SEQUENCES = 2 ** 31;
const IS_CONTROL = 1 << 5;

/** AclOperation's numbers as bits of `topicAuthorizedOperations` (KIP-430). */
const RIGHT = { read: 3, write: 4, describeConfigs: 10 } as const;
const RIGHTS_UNKNOWN = -2_147_483_648;

export class PlatformaticDriver implements KafkaDriver {
  readonly choosesIdentity = true;
  readonly maxRecords = Number.POSITIVE_INFINITY;
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #cluster: Cluster;
  readonly #queue: ProduceQueue;

  constructor(config: KafkaConfig, context: PluginContext) {
    this.#config = config;
    this.#context = context;
    const { runtime, connector } = context;
    const secure = (host: string): Promise<ConnectionOptions> => platformaticSecurity(config, context, host);
    this.#cluster = new Cluster({ config, runtime, clientId: `sluice-${connector}`, secure });
    this.#queue = new ProduceQueue(this.#cluster, config, runtime);
  }

  async connect(signal: AbortSignal): Promise<ClusterInfo> {
    const { clusterId, brokers } = await this.#cluster.connect(signal);
    return { clusterId: clusterId ?? '', brokers: brokers.length };
  }

  async advertised(signal: AbortSignal): Promise<readonly Advertised[]> {
    const { brokers } = await this.#cluster.metadata([], signal);
    return brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port }));
  }

  async clock(signal: AbortSignal): Promise<number | null> {
    const topics = [{ topicName: METADATA_TOPIC, partitions: [{ partitionIndex: 0 }] }];
    try {
      const connection = await this.#cluster.any();
      const answer = await withDeadline(this.#context.runtime, this.#config.request.timeout, describeQuorumV2.api.async(connection, topics));
      const { leaderId, currentVoters = [] } = answer.topics[0]?.partitions[0] ?? {};
      // Of itself the leader says the time (KIP-836).
      const millis = currentVoters.find(({ replicaId }) => replicaId === leaderId)?.lastCaughtUpTimestamp ?? -1n;
      return millis <= 0n ? null : Number(millis) * 1000;
    } catch {
      signal.throwIfAborted();
      return null;
    }
  }

  async topicNames(signal: AbortSignal): Promise<readonly string[]> {
    const { topics } = await this.#cluster.metadata(null, signal);
    return topics.flatMap(({ name, isInternal }) => (name === null || isInternal ? [] : [name as string]));
  }

  async topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    const { topics } = await this.#cluster.metadata(names, signal);
    const found = new Map<string, TopicInfo>();
    for (const { name, errorCode, topicId, partitions, topicAuthorizedOperations } of topics) {
      const failure = errorCode === 0 ? null : protocolFailure(errorCode, null);
      if (failure?.code === 'UNKNOWN_TOPIC_OR_PARTITION') continue;
      if (failure !== null && classify(failure.code) !== 'again') throw new KafkaFailure(failure.code, `${name}: ${failure.message}`);
      const has = (bit: number): boolean => (topicAuthorizedOperations & (1 << bit)) !== 0;
      found.set(name as string, {
        name: name as string,
        id: topicId,
        partitions: [...partitions]
          .sort((a, b) => a.partitionIndex - b.partitionIndex)
          .map(({ partitionIndex, leaderId, replicaNodes, isrNodes }) => ({
            partition: partitionIndex,
            leader: leaderId,
            replicas: replicaNodes.length,
            inSync: isrNodes.length,
          })),
        rights:
          topicAuthorizedOperations === RIGHTS_UNKNOWN
            ? null
            : { read: has(RIGHT.read), write: has(RIGHT.write), describeConfigs: has(RIGHT.describeConfigs) },
      });
    }
    return found;
  }

  createTopic(topic: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#createTopic(topic, false, signal);
  }

  tryTopic(topic: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#createTopic(topic, true, signal);
  }

  async #createTopic({ name, partitions, replication, settings }: NewTopic, onlyTry: boolean, signal: AbortSignal): Promise<void> {
    const configs = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }));
    const topic = { name, numPartitions: partitions, replicationFactor: replication, assignments: [], configs };
    try {
      await this.#asking(signal, async (connection) => createTopicsV7.api.async(connection, [topic], this.#config.request.timeout, onlyTry));
    } catch (error) {
      if (!(error instanceof KafkaFailure) || error.code !== 'TOPIC_ALREADY_EXISTS') throw error;
    }
  }

  async topicSettings(topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const resources = [{ resourceType: RESOURCE_TOPIC, resourceName: topic, configurationKeys: null as unknown as string[] }];
    const { results } = await this.#asking(signal, (connection) => describeConfigsV4.api.async(connection, resources, false, false));
    return new Map((results[0]?.configs ?? []).flatMap(({ name, value }) => (value === null || value === undefined ? [] : [[name, value]])));
  }

  async offsets(partitions: readonly TopicPartition[], which: 'first' | 'end', signal: AbortSignal): Promise<readonly number[]> {
    if (which === 'first') return this.#offsets(partitions, EARLIEST, AS_CONSUMER, signal);
    const byKey = new Map(partitions.map((each) => [`${each.topic}/${each.partition}`, each]));
    const ask: AskEnds = async (keys, replica) => {
      const asked = keys.map((key) => byKey.get(key) as TopicPartition);
      const ends = await this.#offsets(asked, LATEST, replica, signal);
      return new Map(keys.map((key, index) => [key, ends[index] as number]));
    };
    const ends = await committedEnds([...byKey.keys()], ask, this.#context.runtime, signal);
    return partitions.map(({ topic, partition }) => ends.get(`${topic}/${partition}`) as number);
  }

  async #offsets(partitions: readonly TopicPartition[], timestamp: bigint, replica: number, signal: AbortSignal): Promise<readonly number[]> {
    const found = new Map<string, number>();
    let failure: KafkaFailure | null = null;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const open = partitions.filter(({ topic, partition }) => !found.has(`${topic}/${partition}`));
      if (open.length === 0) break;
      if (attempt > 0) await this.#pause(open, signal);
      const byNode = new Map<number, TopicPartition[]>();
      for (const each of open) {
        try {
          const node = await this.#cluster.leaderNode(each);
          byNode.set(node, [...(byNode.get(node) ?? []), each]);
        } catch (error) {
          failure = toFailure(error);
        }
      }
      const outcomes = await Promise.allSettled([...byNode].map(([node, some]) => this.#offsetsOf(node, some, { timestamp, replica }, found)));
      for (const outcome of outcomes) if (outcome.status === 'rejected') failure = toFailure(outcome.reason);
      signal.throwIfAborted();
      if (failure !== null && classify(failure.code) !== 'again' && classify(failure.code) !== 'missing') throw failure;
    }
    return partitions.map(({ topic, partition }) => {
      const offset = found.get(`${topic}/${partition}`);
      if (offset === undefined) throw failure ?? new KafkaFailure('NO_RESPONSE', `no broker told the end of ${topic}/${partition}`);
      return offset;
    });
  }

  async read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void> {
    // What retention has removed is a gap like any other.
    const [first = from] = await this.offsets([where], 'first', signal);
    let next = Math.max(from, first);
    let empty = 0;
    while (next < end && empty < EMPTY_FETCHES) {
      const batches = await this.#fetch(where, next, signal);
      if (batches === null) {
        // Retention has gone past us; or the log has lost its end, and then there is nothing to go on with (I8).
        const [begin = next] = await this.offsets([where], 'first', signal);
        if (begin <= next) throw new KafkaFailure('OFFSET_OUT_OF_RANGE', `${where.topic}/${where.partition} ends before offset ${next}`);
        next = begin;
        continue;
      }
      const before = next;
      for (const batch of batches) {
        const base = Number(batch.firstOffset);
        const isControl = (batch.attributes & IS_CONTROL) !== 0;
        for (const { offsetDelta, headers } of batch.records) {
          const offset = base + offsetDelta;
          if (offset < next || offset >= end) continue;
          const id = isControl ? null : idOf(headers as readonly (readonly [Buffer, Buffer])[]);
          const sequence = batch.firstSequence < 0 ? -1 : (batch.firstSequence + offsetDelta) % SEQUENCES;
          visit({ offset, id, producerId: batch.producerId, epoch: batch.producerEpoch, sequence });
        }
        next = Math.max(next, base + batch.lastOffsetDelta + 1);
      }
      empty = next === before ? empty + 1 : 0;
    }
  }

  async newProducerId(signal: AbortSignal): Promise<bigint> {
    // No transactional id: the cluster keeps nothing for it, and the id is never given to anybody else.
    const { producerId } = await this.#asking(signal, (connection) => initProducerIdV4.api.async(connection, null, 0, -1n, -1));
    return producerId;
  }

  async produce(records: RecordSet): Promise<number> {
    try {
      return await this.#queue.add(records);
    } catch (error) {
      throw toFailure(error);
    }
  }

  renewProducer(): Promise<void> {
    return Promise.reject(new Error('the lanes choose their identity'));
  }

  async close(): Promise<void> {
    this.#queue.close();
    await this.#cluster.close();
  }

  async #offsetsOf(
    node: number,
    partitions: readonly TopicPartition[],
    { timestamp, replica }: { readonly timestamp: bigint; readonly replica: number },
    found: Map<string, number>,
  ): Promise<void> {
    const byTopic = new Map<string, { partitionIndex: number; currentLeaderEpoch: number; timestamp: bigint }[]>();
    for (const { topic, partition } of partitions) {
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), { partitionIndex: partition, currentLeaderEpoch: -1, timestamp }]);
    }
    const connection = await this.#cluster.node(node);
    const request = [...byTopic].map(([name, some]) => ({ name, partitions: some }));
    const { topics } = await this.#call(connection, () => listOffsetsV7.api.async(connection, replica, READ_UNCOMMITTED, request));
    for (const { name, partitions: some } of topics)
      for (const { partitionIndex, offset } of some) found.set(`${name}/${partitionIndex}`, Number(offset));
  }

  /** Null: that offset is not there. */
  async #fetch(where: TopicPartition, offset: number, signal: AbortSignal) {
    const { topic, partition } = where;
    for (let attempt = 1; ; attempt++) {
      try {
        const connection = await this.#cluster.leaderOf(where);
        const wanted = { partition, currentLeaderEpoch: -1, fetchOffset: BigInt(offset), lastFetchedEpoch: -1, partitionMaxBytes: FETCH_BYTES };
        const topics = [{ topicId: topic, partitions: [wanted] }] as unknown as Parameters<typeof fetchV12.api.async>[7];
        const call = () => fetchV12.api.async(connection, FETCH_WAIT_MS, 1, FETCH_BYTES, READ_UNCOMMITTED, 0, -1, topics, [], '');
        const { responses } = await this.#call(connection, call);
        return responses[0]?.partitions[0]?.records ?? [];
      } catch (error) {
        signal.throwIfAborted();
        const failure = toFailure(error);
        if (failure.code === 'OFFSET_OUT_OF_RANGE') return null;
        if (attempt >= ATTEMPTS || (classify(failure.code) !== 'again' && classify(failure.code) !== 'missing')) throw failure;
        await this.#pause([where], signal);
      }
    }
  }

  /** A question that any broker can answer, or pass on to the controller. */
  async #asking<T>(signal: AbortSignal, ask: (connection: Connection) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const connection = await this.#cluster.any();
        return await this.#call(connection, () => ask(connection));
      } catch (error) {
        signal.throwIfAborted();
        const failure = toFailure(error);
        if (attempt >= ATTEMPTS || classify(failure.code) !== 'again') throw failure;
        await sleep(this.#context.runtime, PAUSE_MS, signal);
      }
    }
  }

  /** A request that was not answered ends its connection: the library loses its way in the answers behind a late one. */
  async #call<T>(connection: Connection, call: () => Promise<T>): Promise<T> {
    try {
      await this.#cluster.ready(connection);
      return await withDeadline(this.#context.runtime, this.#config.request.timeout, call());
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === 'TIMEOUT' || failure.code === 'CONNECTION') this.#cluster.discard(connection);
      throw failure;
    }
  }

  async #pause(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    await sleep(this.#context.runtime, PAUSE_MS, signal);
    await this.#cluster.refresh([...new Set(partitions.map(({ topic }) => topic))]).catch(() => undefined);
  }
}

function idOf(headers: readonly (readonly [Buffer, Buffer])[]): string | null {
  for (const [name, value] of headers) if (name.toString('latin1') === ID_HEADER) return value.toString('utf8');
  return null;
}
