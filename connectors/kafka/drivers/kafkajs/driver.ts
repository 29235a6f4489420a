/** kafkajs as the driver: its admin client, its idempotent producer and a consumer, each only as far as it can be trusted. */
import type { PluginContext } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import {
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
  readonly #stop = new AbortController();

  constructor(config: KafkaConfig, context: PluginContext) {
    this.#clients = new Clients(config, context);
    this.#admins = new Admins(config, context, this.#clients);
    this.#producers = new Producers(config, context, this.#clients, (where) => this.#hasLeader(where));
    this.#reader = new Reader(config, context, this.#clients, this.#admins);
  }

  connect(signal: AbortSignal): Promise<ClusterInfo> {
    return this.#admins.cluster(signal);
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
    return this.#admins.createTopic(topic, signal);
  }

  topicSettings(topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return this.#admins.topicSettings(topic, signal);
  }

  async offsets(partitions: readonly TopicPartition[], which: 'first' | 'end', signal: AbortSignal): Promise<readonly number[]> {
    const found = await this.#admins.ends(topicsOf(partitions), signal);
    return partitions.map(({ topic, partition }) => {
      const ends = found.get(`${topic}/${partition}`);
      if (ends === undefined) throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `the brokers know no partition ${topic}/${partition}`);
      return ends[which];
    });
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
