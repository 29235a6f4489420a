/**
 * A Kafka that forgets, repeats and answers late, for faults that a real broker cannot be made to show at the right moment. It keeps a real broker's rules for
 * idempotent producers: the batch before is recognised by its sequence number, any other number than the next one is refused, a new epoch begins at 0.
 */

import {
  type KafkaDriver,
  KafkaFailure,
  type RecordSet,
  type StandingRecord,
  type TopicInfo,
  type TopicPartition,
} from '../../connectors/kafka/drivers/driver.ts';
import { SPAN, SPAN_SIZE } from '../../src/record/messages.ts';

interface Stored extends StandingRecord {
  readonly id: string;
}

interface ProducerState {
  epoch: number;
  first: number;
  next: number;
  base: number;
}

class Partition {
  readonly records: Stored[] = [];
  readonly producers = new Map<bigint, ProducerState>();
}

export type Fate = 'stored' | 'request lost' | 'answer lost' | 'late' | 'moved' | 'refused' | 'too large';

/** The brokers: they outlive the processes that write to them. */
export class FakeCluster {
  readonly topics = new Map<string, Partition[]>();
  /** Bytes of dead processes that the kernel has still to deliver. */
  readonly late: RecordSet[] = [];
  producerIds = 0n;
  /** What happened, by lane: for a failing run. */
  readonly history: string[] = [];
  /** Largest number of requests that were under way for one partition at the same time. */
  mostAtOnce = 0;
  readonly fate: (set: RecordSet) => Fate;
  readonly partitions: number;

  constructor(partitions: number, fate: (set: RecordSet) => Fate) {
    this.partitions = partitions;
    this.fate = fate;
  }

  partition({ topic, partition }: TopicPartition): Partition {
    return (this.topics.get(topic) as Partition[])[partition] as Partition;
  }

  /** As ReplicaManager and ProducerStateManager do it. Returns the offset of the first record. */
  append(set: RecordSet): number {
    const { records, producers } = this.partition(set);
    this.tell(set, `append at ${records.length} after ${JSON.stringify(producers.get(set.identity?.producerId ?? 0n))}`);
    const { identity } = set;
    if (identity === null) throw new Error('a set without an identity');
    const known = producers.get(identity.producerId);
    if (known !== undefined) {
      if (identity.epoch < known.epoch) throw new KafkaFailure('INVALID_PRODUCER_EPOCH', 'an older epoch');
      if (identity.epoch > known.epoch && identity.sequence !== 0)
        throw new KafkaFailure('OUT_OF_ORDER_SEQUENCE_NUMBER', 'a new epoch that does not begin at 0');
      if (identity.epoch === known.epoch) {
        if (identity.sequence === known.first && identity.sequence + set.count === known.next) return known.base;
        if (identity.sequence !== known.next) throw new KafkaFailure('OUT_OF_ORDER_SEQUENCE_NUMBER', `${identity.sequence} instead of ${known.next}`);
      }
    }
    const base = records.length;
    for (const id of idsOf(set)) {
      const index = records.length - base;
      records.push({ offset: records.length, id, producerId: identity.producerId, epoch: identity.epoch, sequence: identity.sequence + index });
    }
    producers.set(identity.producerId, { epoch: identity.epoch, first: identity.sequence, next: identity.sequence + set.count, base });
    return base;
  }

  tell({ topic, partition, identity, count }: RecordSet, what: string): void {
    this.history.push(`${topic}/${partition} ${identity?.epoch}:${identity?.sequence}+${count} ${what}`);
  }

  /** The kernel delivers what dead processes had sent; nobody hears the answer. */
  deliverLate(): void {
    for (const set of this.late.splice(0)) {
      try {
        this.append(set);
      } catch {
        // Refused: nobody is there to be told.
      }
    }
  }
}

export function idsOf({ runs }: RecordSet): string[] {
  return runs.flatMap(({ batch, indexes }) =>
    [...indexes].map((index) =>
      batch.bytes.toString('utf8', batch.spans[index * SPAN_SIZE + SPAN.idStart], batch.spans[index * SPAN_SIZE + SPAN.idEnd]),
    ),
  );
}

/** One process's client. */
export class FakeDriver implements KafkaDriver {
  readonly choosesIdentity = true;
  readonly maxRecords = Number.POSITIVE_INFINITY;
  readonly #cluster: FakeCluster;
  readonly #busy = new Map<string, number>();
  #closed = false;

  constructor(cluster: FakeCluster) {
    this.#cluster = cluster;
  }

  connect(): Promise<{ clusterId: string; brokers: number }> {
    return Promise.resolve({ clusterId: 'fake', brokers: 1 });
  }

  clock(): Promise<null> {
    return Promise.resolve(null);
  }

  advertised(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  topicNames(): Promise<readonly string[]> {
    return Promise.resolve([...this.#cluster.topics.keys()]);
  }

  topics(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    const found = names.filter((name) => this.#cluster.topics.has(name));
    const partitions = Array.from({ length: this.#cluster.partitions }, (_, partition) => ({ partition, leader: 1, replicas: 3, inSync: 3 }));
    return Promise.resolve(new Map(found.map((name) => [name, { name, id: `id-${name}`, partitions, rights: null }])));
  }

  tryTopic(): Promise<void> {
    return Promise.resolve();
  }

  createTopic({ name }: { name: string }): Promise<void> {
    if (!this.#cluster.topics.has(name)) {
      this.#cluster.topics.set(
        name,
        Array.from({ length: this.#cluster.partitions }, () => new Partition()),
      );
    }
    return Promise.resolve();
  }

  topicSettings(): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(new Map([['min.insync.replicas', '2']]));
  }

  async offsets(partitions: readonly TopicPartition[], which: 'first' | 'end'): Promise<readonly number[]> {
    await turn();
    return partitions.map((each) => (which === 'first' ? 0 : this.#cluster.partition(each).records.length));
  }

  async read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void): Promise<void> {
    await turn();
    for (const record of this.#cluster.partition(where).records.slice(from, end)) visit(record);
  }

  newProducerId(): Promise<bigint> {
    return Promise.resolve(++this.#cluster.producerIds);
  }

  async produce(set: RecordSet): Promise<number> {
    const key = `${set.topic}/${set.partition}`;
    const busy = (this.#busy.get(key) ?? 0) + 1;
    this.#busy.set(key, busy);
    this.#cluster.mostAtOnce = Math.max(this.#cluster.mostAtOnce, busy);
    try {
      return await this.#produce(set);
    } finally {
      this.#busy.set(key, (this.#busy.get(key) as number) - 1);
    }
  }

  async #produce(set: RecordSet): Promise<number> {
    const fate = this.#cluster.fate(set);
    this.#cluster.tell(set, `${fate} (${idsOf(set)[0]})`);
    await turn();
    if (this.#closed) throw new KafkaFailure('CONNECTION', 'closed');
    if (fate === 'request lost') throw new KafkaFailure('TIMEOUT', 'no answer');
    if (fate === 'moved') throw new KafkaFailure('NOT_LEADER_OR_FOLLOWER', 'moved');
    if (fate === 'too large' && set.count > 1) throw new KafkaFailure('MESSAGE_TOO_LARGE', 'too large');
    // A broker that has forgotten a producer takes anything of it: with bytes still on their way nobody could tell them from new ones.
    const isOnItsWay = this.#cluster.late.some(({ topic, partition }) => topic === set.topic && partition === set.partition);
    if (fate === 'refused' && !isOnItsWay) throw new KafkaFailure('UNKNOWN_PRODUCER_ID', 'forgotten');
    if (fate === 'late') {
      this.#cluster.late.push(set);
      throw new KafkaFailure('CONNECTION', 'reset');
    }
    const base = this.#cluster.append(set);
    if (fate === 'answer lost') throw new KafkaFailure('CONNECTION', 'reset');
    await turn();
    return base;
  }

  renewProducer(): Promise<void> {
    return Promise.reject(new Error('the lanes choose their identity'));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
