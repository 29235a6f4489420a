/**
 * Questions about topics through kafkajs' admin client. It asks for the metadata of every topic that it was ever asked about, and if one of them is
 * gone it fails whatever the question was; so it is thrown away after a failure, and when it knows many topics.
 */
import kafkajs, { type Admin, type ITopicMetadata } from 'kafkajs';
import { type PluginContext, sleep } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { classify, toFailure } from '../../failures.ts';
import { withDeadline } from '../deadline.ts';
import { type Advertised, type ClusterInfo, KafkaFailure, type NewTopic, type TopicInfo, type TopicPartition } from '../driver.ts';
import type { Client, Clients } from './client.ts';
import { clusterOf, endsOf, type KafkajsCluster } from './cluster.ts';

const { ConfigResourceTypes } = kafkajs;

/** Calls that only ask are repeated this often. */
const ATTEMPTS = 4;
const PAUSE_MS = 200;
/** Topics whose metadata one client asks for with each question. */
const MAX_TOPICS = 50;
const PARALLEL = 8;
const CLOSE_MS = 1_000;
const INTERNAL: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state', '__share_group_state']);
const NONE: ReadonlySet<string> = new Set();
const FORBIDDEN: ReadonlySet<string> = new Set(['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED']);
/** About a single topic of those that were asked for. */
export const ABOUT_ONE: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'TOPIC_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
]);

interface Connected {
  readonly client: Client;
  readonly admin: Admin;
  readonly cluster: KafkajsCluster;
  /** That it knows of. */
  readonly topics: Set<string>;
}

export class Admins {
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #clients: Clients;
  #current: Promise<Connected> | null = null;

  constructor(config: KafkaConfig, context: PluginContext, clients: Clients) {
    this.#config = config;
    this.#context = context;
    this.#clients = clients;
  }

  async cluster(signal: AbortSignal): Promise<ClusterInfo> {
    try {
      const { clusterId, brokers } = await this.#ask(signal, ({ admin }) => admin.describeCluster());
      return { clusterId, brokers: brokers.length };
    } catch (error) {
      // The client learns it with the metadata of all topics, and gives up where any partition of the cluster has no leader.
      if (error instanceof KafkaFailure && error.code === 'LEADER_NOT_AVAILABLE') return { clusterId: '', brokers: 1 };
      throw error;
    }
  }

  async topicNames(signal: AbortSignal): Promise<readonly string[]> {
    const names = await this.#ask(signal, ({ admin }) => admin.listTopics());
    return names.filter((name) => !INTERNAL.has(name));
  }

  async topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    const found = new Map<string, TopicInfo>();
    if (names.length > 0) await this.#topics(names, found, signal);
    return found;
  }

  async createTopic({ name, partitions, replication, settings }: NewTopic, validateOnly: boolean, signal: AbortSignal): Promise<void> {
    const configEntries = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }));
    const topics = [{ topic: name, numPartitions: partitions, replicationFactor: replication, configEntries }];
    // False: it exists. It is a request like any other: `timeout` is the broker's.
    const options = { topics, validateOnly, waitForLeaders: false, timeout: this.#config.request.timeout };
    await this.#ask(signal, ({ admin }) => admin.createTopics(options));
  }

  async topicSettings(topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }];
    const question = async ({ admin, topics }: Connected) => {
      // A client that knows no topic asks for the metadata of all there are first.
      if (topics.size === 0) {
        topics.add(topic);
        await admin.fetchTopicOffsets(topic);
      }
      return admin.describeConfigs({ resources, includeSynonyms: false });
    };
    const answer = await this.#ask(signal, question, undefined, FORBIDDEN);
    const entries = answer.resources[0]?.configEntries ?? [];
    return new Map(entries.flatMap(({ configName, configValue }) => (typeof configValue === 'string' ? [[configName, configValue]] : [])));
  }

  /** First offsets that are still there, of every partition of each topic, by `topic/partition`. */
  async firsts(topics: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    await this.#eachTopic(topics, async (topic) => {
      const answer = await this.#ask(signal, ({ admin }) => admin.fetchTopicOffsets(topic), topic);
      for (const { partition, low } of answer) found.set(`${topic}/${partition}`, Number(low));
    });
    return found;
  }

  /** Likewise where they end, for a consumer or for a follower (committed-end.ts). The client's own question ends where a foreign transaction is open. */
  async ends(topics: readonly string[], replica: number, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    await this.#eachTopic(topics, async (topic) => {
      const ends = await this.#ask(signal, ({ cluster }) => endsOf(cluster, topic, replica), topic);
      for (const [partition, end] of ends) found.set(`${topic}/${partition}`, end);
    });
    return found;
  }

  async #eachTopic(topics: readonly string[], work: (topic: string) => Promise<void>): Promise<void> {
    const waiting = [...topics];
    const worker = async (): Promise<void> => {
      for (let topic = waiting.shift(); topic !== undefined; topic = waiting.shift()) await work(topic);
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, topics.length) }, worker));
  }

  /** `host:port` of each broker, as clients are told, by its node id. */
  async addresses(signal: AbortSignal): Promise<ReadonlyMap<number, string>> {
    return new Map((await this.advertised(signal)).map(({ id, host, port }) => [id, `${host}:${port}`]));
  }

  async advertised(signal: AbortSignal): Promise<readonly Advertised[]> {
    const { brokers } = await this.#ask(signal, ({ admin }) => admin.describeCluster());
    return brokers.map(({ nodeId, host, port }) => ({ id: nodeId, host, port }));
  }

  /** Throws nothing. */
  async close(): Promise<void> {
    if (this.#current === null) return;
    const current = await withDeadline(this.#context.runtime, CLOSE_MS, this.#current).catch(() => null);
    if (current !== null) await this.#end(current);
  }

  /** One that does not exist fails the question for all: it is found by halves. */
  async #topics(names: readonly string[], found: Map<string, TopicInfo>, signal: AbortSignal): Promise<void> {
    try {
      const { topics } = await this.#ask(signal, ({ admin }) => admin.fetchTopicMetadata({ topics: [...names] }), undefined, ABOUT_ONE);
      for (const topic of topics) found.set(topic.name, infoOf(topic));
    } catch (error) {
      if (!(error instanceof KafkaFailure) || !ABOUT_ONE.has(error.code)) throw error;
      if (names.length > 1) {
        const middle = Math.ceil(names.length / 2);
        await this.#topics(names.slice(0, middle), found, signal);
        await this.#topics(names.slice(middle), found, signal);
      } else if (error.code !== 'UNKNOWN_TOPIC_OR_PARTITION') {
        throw new KafkaFailure(error.code, `${names[0]}: ${error.message}`, error);
      }
    }
  }

  /** `topic`: which the client will know of afterwards. `harmless`: failures at the first of which it ends, and which leave the client as it was. */
  async #ask<T>(signal: AbortSignal, question: (connected: Connected) => Promise<T>, topic?: string, harmless = NONE): Promise<T> {
    const { runtime } = this.#context;
    for (let attempt = 1; ; attempt++) {
      let connected: Connected | null = null;
      try {
        connected = await withDeadline(runtime, this.#clients.patienceMs, this.#connected(topic), signal);
        return await withDeadline(runtime, this.#clients.patienceMs, question(connected), signal);
      } catch (error) {
        signal.throwIfAborted();
        const failure = failureOf(error);
        if (harmless.has(failure.code)) throw failure;
        if (connected !== null) this.#discard(connected);
        if (attempt >= ATTEMPTS || classify(failure.code) !== 'again') throw failure;
        await sleep(runtime, PAUSE_MS, signal);
      }
    }
  }

  async #connected(topic: string | undefined): Promise<Connected> {
    this.#current ??= this.#connect();
    const current = this.#current;
    try {
      const connected = await current;
      if (topic === undefined || connected.topics.has(topic)) return connected;
      if (connected.topics.size < MAX_TOPICS) {
        connected.topics.add(topic);
        return connected;
      }
    } catch (error) {
      if (this.#current === current) this.#current = null;
      throw error;
    }
    if (this.#current === current) this.#current = null;
    // Others may still be asking it.
    this.#context.runtime.setTimer(() => void current.then((full) => this.#end(full)), this.#clients.patienceMs, true);
    return this.#connected(topic);
  }

  async #connect(): Promise<Connected> {
    const client = await this.#clients.make();
    const connected = { client, admin: client.kafka.admin(), cluster: clusterOf(client.kafka), topics: new Set<string>() };
    try {
      await withDeadline(this.#context.runtime, this.#clients.patienceMs, connected.admin.connect());
      await withDeadline(this.#context.runtime, this.#clients.patienceMs, connected.cluster.connect());
      return connected;
    } catch (error) {
      void this.#end(connected);
      throw error;
    }
  }

  #discard(connected: Connected): void {
    const current = this.#current;
    void current?.then(
      (known) => {
        if (known === connected && this.#current === current) this.#current = null;
      },
      () => undefined,
    );
    void this.#end(connected);
  }

  async #end({ client, admin, cluster }: Connected): Promise<void> {
    await withDeadline(this.#context.runtime, CLOSE_MS, Promise.all([admin.disconnect(), cluster.disconnect()])).catch(() => undefined);
    client.sockets.close();
  }
}

/** Where no broker could answer, the client goes on with nothing, and trips over it. */
function failureOf(error: unknown): KafkaFailure {
  return error instanceof TypeError ? new KafkaFailure('NO_RESPONSE', 'no broker answered', error) : toFailure(error);
}

function infoOf({ name, partitions }: ITopicMetadata): TopicInfo {
  return {
    name,
    id: '',
    partitions: [...partitions]
      .sort((a, b) => a.partitionId - b.partitionId)
      .map(({ partitionId, leader, replicas, isr }) => ({ partition: partitionId, leader, replicas: replicas.length, inSync: isr.length })),
    rights: null,
  };
}

/** Of these, every topic once. */
export function topicsOf(partitions: readonly TopicPartition[]): readonly string[] {
  return [...new Set(partitions.map(({ topic }) => topic))];
}
