/** kafkajs as the driver: its admin client, its idempotent producer and a consumer, each only as far as it can be trusted. */
import type { PluginContext, Runtime } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { type AskEnds, committedEnds } from '../committed-end.ts';
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
import { Admins, topicsOf } from './admin.ts';
import { Clients } from './client.ts';
import { MAX_RECORDS, Producers } from './producer.ts';
import { Reader } from './reader.ts';

export class KafkajsDriver implements KafkaDriver {
  readonly choosesIdentity = false;
  readonly maxRecords = MAX_RECORDS;
  readonly #clients: Clients;
  readonly #admins: Admins;
  readonly #producers: Producers;
  readonly #reader: Reader;
  readonly #runtime: Runtime;
  readonly #stop = new AbortController();

  constructor(config: KafkaConfig, context: PluginContext) {
    this.#runtime = context.runtime;
    this.#clients = new Clients(config, context);
    this.#admins = new Admins(config, context, this.#clients);
    this.#producers = new Producers(config, context, this.#clients, (where) => this.#hasLeader(where));
    this.#reader = new Reader(config, context, this.#clients, this.#admins);
  }

  connect(signal: AbortSignal): Promise<ClusterInfo> {
    return this.#admins.cluster(signal);
  }

  advertised(signal: AbortSignal): Promise<readonly Advertised[]> {
    return this.#admins.advertised(signal);
  }

  clock(): Promise<null> {
    return Promise.resolve(null);
  }

  topicNames(signal: AbortSignal): Promise<readonly string[]> {
    return this.#admins.topicNames(signal);
  }

  async topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    const found = await this.#admins.topics(names, signal);
    this.#reader.expect(found.keys());
    return found;
  }

  createTopic(topic: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#admins.createTopic(topic, false, signal);
  }

  tryTopic(topic: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#admins.createTopic(topic, true, signal);
  }

  topicSettings(topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return this.#admins.topicSettings(topic, signal);
  }

  async offsets(partitions: readonly TopicPartition[], which: 'first' | 'end', signal: AbortSignal): Promise<readonly number[]> {
    const keys = partitions.map(({ topic, partition }) => `${topic}/${partition}`);
    const topicOf = new Map(partitions.map((each, index) => [keys[index] as string, each]));
    const known = (found: ReadonlyMap<string, number>, key: string): number => {
      const offset = found.get(key);
      if (offset === undefined) throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `the brokers know no partition ${key}`);
      return offset;
    };
    if (which === 'first') {
      const firsts = await this.#admins.firsts(topicsOf(partitions), signal);
      return keys.map((key) => known(firsts, key));
    }
    const ask: AskEnds = async (asked, replica) => {
      const ends = await this.#admins.ends(topicsOf(asked.map((key) => topicOf.get(key) as TopicPartition)), replica, signal);
      return new Map(asked.map((key) => [key, known(ends, key)]));
    };
    const ends = await committedEnds([...new Set(keys)], ask, this.#runtime, signal);
    return keys.map((key) => ends.get(key) as number);
  }

  read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void> {
    return this.#reader.read(where, from, end, visit, signal);
  }

  newProducerId(): Promise<bigint> {
    return Promise.reject(new Error('the client chooses its identity'));
  }

  produce(records: RecordSet): Promise<number> {
    return this.#producers.produce(records);
  }

  renewProducer(signal: AbortSignal): Promise<void> {
    return this.#producers.renew(signal);
  }

  async close(): Promise<void> {
    this.#stop.abort(new KafkaFailure('CONNECTION', 'closed'));
    await Promise.all([this.#producers.close(), this.#reader.close(), this.#admins.close()]);
    this.#clients.close();
  }

  async #hasLeader({ topic, partition }: TopicPartition): Promise<boolean> {
    const info = (await this.#admins.topics([topic], this.#stop.signal)).get(topic);
    return info?.partitions.some((each) => each.partition === partition && each.leader >= 0) === true;
  }
}
