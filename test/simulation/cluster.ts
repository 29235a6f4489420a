import { KafkaFailure, type ProducerIdentity, type StandingRecord, type TopicPartition } from '../../connectors/kafka/drivers/driver.ts';
import type { Appended, Checks } from './checks.ts';
import type { Plan } from './plan.ts';
import type { Event, World } from './world.ts';

/** A produce request as bytes on their way: what the client does with its memory afterwards does not change it. */
export interface Request extends TopicPartition {
  readonly identity: ProducerIdentity;
  readonly records: readonly Appended[];
}

interface ProducerState {
  readonly epoch: number;
  readonly first: number;
  readonly next: number;
  readonly base: number;
}

interface Partition {
  readonly records: StandingRecord[];
  readonly producers: Map<bigint, ProducerState>;
  /** Requests that a broker may still get. */
  onTheWay: number;
}

/** Bytes that are on their way. */
interface Delivery {
  event: Event;
  /** Milliseconds that they may still take when their sender dies. */
  latestMs: number;
  readonly what: string;
  readonly arrive: () => void;
}

export type Fate = 'stored' | 'request lost' | 'answer lost' | 'late' | 'moved' | 'stored, refused' | 'unknown producer' | 'too large';

export const FORGOTTEN = 'UNKNOWN_PRODUCER_ID';
const TROUBLES: readonly Fate[] = ['request lost', 'answer lost', 'late', 'moved', 'stored, refused', 'unknown producer', 'too large'];
/** Bytes of a lost connection come no later than this. */
export const LATEST_MS = 4000;

/** The brokers, which outlive their clients. They keep a real broker's rules for idempotent producers (ProducerStateManager). */
export class Cluster {
  readonly topics = new Map<string, readonly Partition[]>();
  readonly #world: World;
  readonly #checks: Checks;
  readonly #plan: Plan;
  readonly #deliveries = new Set<Delivery>();
  producerIds = 0n;
  /** No byte comes through until then. */
  cutUntil = 0;
  isCalm = false;
  readonly fates = new Map<Fate, number>();

  constructor(world: World, checks: Checks, plan: Plan) {
    this.#world = world;
    this.#checks = checks;
    this.#plan = plan;
  }

  get partitions(): number {
    return this.#plan.partitions;
  }

  get isCut(): boolean {
    return this.#world.now < this.cutUntil;
  }

  partition({ topic, partition }: TopicPartition): Partition {
    return (this.topics.get(topic) as readonly Partition[])[partition] as Partition;
  }

  create(topic: string): void {
    if (this.topics.has(topic)) return;
    const partitions = Array.from({ length: this.#plan.partitions }, () => ({ records: [], producers: new Map(), onTheWay: 0 }));
    this.topics.set(topic, partitions);
  }

  latency(): number {
    const { random } = this.#world;
    return random.next() * this.#plan.latencyMs * (!this.isCalm && random.chance(0.02) ? 40 : 1);
  }

  fate(): Fate {
    const { random } = this.#world;
    const fate = this.isCalm || !random.chance(this.#plan.sinkTrouble) ? 'stored' : random.pick(TROUBLES);
    if (fate !== 'stored') this.fates.set(fate, (this.fates.get(fate) ?? 0) + 1);
    return fate;
  }

  /** Brings the bytes to the broker after `ms`, whoever is alive then. `arrived` is told what came of it. */
  deliver(request: Request, { ms, latestMs }: { ms: number; latestMs: number }, fate: Fate, arrived: (outcome: number | KafkaFailure) => void): void {
    const partition = this.partition(request);
    partition.onTheWay++;
    const what = `${request.topic}/${request.partition} gets ${request.records[0]?.id} +${request.records.length} (${fate})`;
    const arrive = (): void => {
      this.#deliveries.delete(delivery);
      partition.onTheWay--;
      arrived(this.#arrive(request, partition, fate));
    };
    const delivery: Delivery = { event: this.#world.after(null, ms, what, arrive), latestMs, what, arrive };
    this.#deliveries.add(delivery);
  }

  /** The sender is dead. What its kernel has to send again comes when the next process is at work already. */
  crash(): void {
    const { random } = this.#world;
    for (const delivery of this.#deliveries) {
      const { latestMs } = delivery;
      // Its sender has died before this one.
      delivery.latestMs = 0;
      if (latestMs === 0 || this.isCut || !random.chance(0.4)) continue;
      this.#world.cancel(delivery.event);
      delivery.event = this.#world.after(null, random.next() * latestMs, delivery.what, delivery.arrive);
    }
  }

  /**
   * The client has heard that the broker does not know its producer. A broker that has forgotten one takes anything of it: with bytes still on their way,
   * or had the client not heard of it, nobody could tell what comes again from what is new.
   */
  forget(where: TopicPartition): void {
    const { onTheWay, producers } = this.partition(where);
    if (onTheWay === 0 && this.#world.random.chance(0.5)) producers.clear();
  }

  #arrive(request: Request, partition: Partition, fate: Fate): number | KafkaFailure {
    if (fate === 'moved') return new KafkaFailure('NOT_LEADER_OR_FOLLOWER', 'moved');
    if (fate === 'too large' && request.records.length > 1) return new KafkaFailure('MESSAGE_TOO_LARGE', 'too large');
    if (fate === 'unknown producer' && partition.onTheWay === 0) return new KafkaFailure(FORGOTTEN, 'forgotten');
    const outcome = this.#append(request, partition);
    if (outcome instanceof KafkaFailure) this.#world.tell(`refused: ${outcome.code} ${outcome.message}`);
    if (fate === 'stored, refused' && typeof outcome === 'number') return new KafkaFailure('NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'replicas');
    return outcome;
  }

  #append({ topic, partition, identity, records }: Request, { records: stored, producers }: Partition): number | KafkaFailure {
    const { producerId, epoch, sequence } = identity;
    const known = producers.get(producerId);
    if (known !== undefined) {
      if (epoch < known.epoch) return new KafkaFailure('INVALID_PRODUCER_EPOCH', 'an older epoch');
      if (epoch > known.epoch && sequence !== 0) return new KafkaFailure('OUT_OF_ORDER_SEQUENCE_NUMBER', 'a new epoch that does not begin at 0');
      if (epoch === known.epoch) {
        if (sequence === known.first && sequence + records.length === known.next) return known.base;
        if (sequence !== known.next) return new KafkaFailure('OUT_OF_ORDER_SEQUENCE_NUMBER', `${sequence} instead of ${known.next}`);
      }
    }
    const base = stored.length;
    records.forEach((record, index) => {
      this.#checks.appended(`${topic}/${partition}`, record);
      stored.push({ offset: base + index, id: record.id, producerId, epoch, sequence: sequence + index });
    });
    producers.set(producerId, { epoch, first: sequence, next: sequence + records.length, base });
    return base;
  }
}
