import { KafkaFailure, type RecordSet, type StandingRecord, type TopicInfo, type TopicPartition } from '../../connectors/kafka/drivers/driver.ts';
import { classify } from '../../connectors/kafka/failures.ts';
import type { Appended } from './checks.ts';
import type { Cluster } from './cluster.ts';
import { recordsOf, SimulatedDriver } from './driver.ts';
import type { Owner, World } from './world.ts';

/** One producer id, and how many sequence numbers were used under it, by partition. */
interface Generation {
  readonly producerId: bigint;
  readonly used: Map<string, number>;
  readonly pending: Set<Promise<unknown>>;
  isRetired: boolean;
}

/** Kept with a set. */
interface Attempts {
  readonly records: readonly Appended[];
  /** Which may hold the set already. */
  generation: Generation | null;
}

/**
 * A client as kafkajs: its producer's identity is its own, nobody is told of it, and it ends with the process. What it leaves behind when it dies comes
 * within the request time-out, for that is what the sink waits out, and not at all where nothing comes through for so long.
 */
export class PlainDriver extends SimulatedDriver {
  override readonly choosesIdentity = false;
  protected override readonly latestMs: number;
  #generation: Promise<Generation> | null = null;
  readonly #retiring = new Set<Promise<void>>();

  constructor(world: World, owner: Owner, cluster: Cluster, timeoutMs: number) {
    super(world, owner, cluster, timeoutMs);
    this.latestMs = timeoutMs;
  }

  override async topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    const found = await super.topics(names, signal);
    return new Map([...found].map(([name, info]) => [name, { ...info, id: '' }]));
  }

  override read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void> {
    return super.read(where, from, end, ({ offset, id }) => visit({ offset, id, producerId: -1n, epoch: -1, sequence: -1 }), signal);
  }

  override newProducerId(): Promise<bigint> {
    return Promise.reject(new Error('the client chooses its identity'));
  }

  protected override async attempt(set: RecordSet, signal: AbortSignal): Promise<number> {
    set.encoded ??= { records: recordsOf(set), generation: null } satisfies Attempts;
    const attempts = set.encoded as Attempts;
    const generation = await this.#current(signal);
    if (attempts.generation !== null && attempts.generation !== generation) {
      throw new KafkaFailure('PRODUCER_REPLACED', 'the producer that may have written these records was given up');
    }
    const isAgain = attempts.generation !== null;
    attempts.generation = generation;
    const { producerId, used } = generation;
    const { topic, partition } = set;
    const lane = `${topic}/${partition}`;
    const sequence = used.get(lane) ?? 0;
    const call = this.send({ topic, partition, identity: { producerId, epoch: 0, sequence }, records: attempts.records });
    generation.pending.add(call);
    try {
      const offset = await call;
      used.set(lane, sequence + set.count);
      return offset;
    } catch (error) {
      const kind = classify((error as KafkaFailure).code);
      // As the real one: what may stand is not refused by the same producer.
      const isInDoubt = isAgain && (kind === 'too large' || kind === 'bad record');
      if (kind === 'producer' || isInDoubt) this.#retire(generation);
      throw isInDoubt ? new KafkaFailure('PRODUCER_REPLACED', 'refused, and it may stand since an attempt before', error) : error;
    } finally {
      generation.pending.delete(call);
    }
  }

  /** Nothing of a producer that was given up can arrive any more. */
  override renewProducer(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      void Promise.all(this.#retiring).then(() => resolve());
    });
  }

  async #current(signal: AbortSignal): Promise<Generation> {
    for (;;) {
      signal.throwIfAborted();
      this.#generation ??= super.newProducerId(signal).then((producerId) => ({ producerId, used: new Map(), pending: new Set(), isRetired: false }));
      const making = this.#generation;
      const generation = await making.catch((error: unknown) => {
        if (this.#generation === making) this.#generation = null;
        throw error;
      });
      if (!generation.isRetired) return generation;
      if (this.#generation === making) this.#generation = null;
    }
  }

  /** What is under way ends first, then what is on its way to the brokers. */
  #retire(generation: Generation): void {
    if (generation.isRetired) return;
    generation.isRetired = true;
    const retiring = Promise.allSettled(generation.pending)
      .then(() => new Promise<void>((resolve) => void this.world.after(this.owner, this.timeoutMs, 'a producer is given up', resolve)))
      .then(() => void this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }
}
