import {
  type ClusterInfo,
  type KafkaDriver,
  KafkaFailure,
  type NewTopic,
  type ProducerIdentity,
  type RecordSet,
  type StandingRecord,
  type TopicInfo,
  type TopicPartition,
} from '../../connectors/kafka/drivers/driver.ts';
import { eachHeader, type MessageBatch, SPAN, SPAN_SIZE } from '../../src/record/messages.ts';
import type { Appended } from './checks.ts';
import type { Cluster, Fate, Request } from './cluster.ts';
import { FORGOTTEN, LATEST_MS } from './cluster.ts';
import type { Owner, World } from './world.ts';

/** Fates in which the client hears nothing of the broker. */
const UNANSWERED: ReadonlySet<Fate> = new Set<Fate>(['request lost', 'answer lost', 'late']);

/** Answers that come at once as often as not: nothing that they could be mixed up with is under way when the engine asks for them. */
const DESCRIPTIONS: ReadonlySet<string> = new Set(['connect', 'topic names', 'topics', 'topic settings']);

/** One process's Kafka client over the simulated network. */
export class SimulatedDriver implements KafkaDriver {
  readonly choosesIdentity: boolean = true;
  readonly maxRecords = Number.POSITIVE_INFINITY;
  protected readonly world: World;
  protected readonly owner: Owner;
  readonly #cluster: Cluster;
  protected readonly timeoutMs: number;
  /** Bytes on their way come no later than this. */
  protected readonly latestMs: number = LATEST_MS;
  /** Ends a call that is under way. */
  readonly #calls = new Set<(failure: KafkaFailure) => boolean>();
  readonly #busy = new Set<string>();
  #closed = false;

  constructor(world: World, owner: Owner, cluster: Cluster, timeoutMs: number) {
    this.world = world;
    this.owner = owner;
    this.#cluster = cluster;
    this.timeoutMs = timeoutMs;
  }

  connect(signal: AbortSignal): Promise<ClusterInfo> {
    return this.#ask('connect', signal, () => ({ clusterId: 'simulated', brokers: 3 }));
  }

  /** Nobody can be dialled here. */
  clock(): Promise<null> {
    return Promise.resolve(null);
  }

  advertised(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  topicNames(signal: AbortSignal): Promise<readonly string[]> {
    return this.#ask('topic names', signal, () => [...this.#cluster.topics.keys()]);
  }

  topics(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, TopicInfo>> {
    return this.#ask('topics', signal, () => {
      const partitions = Array.from({ length: this.#cluster.partitions }, (_, partition) => ({ partition, leader: 1, replicas: 3, inSync: 3 }));
      const found = names.filter((name) => this.#cluster.topics.has(name));
      return new Map(found.map((name) => [name, { name, id: `id-${name}`, partitions, rights: null }]));
    });
  }

  createTopic({ name }: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#ask('create topic', signal, () => this.#cluster.create(name));
  }

  tryTopic(_topic: NewTopic, signal: AbortSignal): Promise<void> {
    return this.#ask('try topic', signal, () => undefined);
  }

  topicSettings(_topic: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return this.#ask('topic settings', signal, () => new Map([['min.insync.replicas', '2']]));
  }

  offsets(partitions: readonly TopicPartition[], which: 'first' | 'end', signal: AbortSignal): Promise<readonly number[]> {
    return this.#ask('offsets', signal, () => partitions.map((each) => (which === 'first' ? 0 : this.#cluster.partition(each).records.length)));
  }

  read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void> {
    return this.#ask('read', signal, () => this.#cluster.partition(where).records.slice(from, end).forEach(visit));
  }

  newProducerId(signal: AbortSignal): Promise<bigint> {
    return this.#ask('new producer id', signal, () => ++this.#cluster.producerIds);
  }

  renewProducer(_signal: AbortSignal): Promise<void> {
    return Promise.reject(new Error('the lanes choose their identity'));
  }

  async produce(set: RecordSet, signal: AbortSignal): Promise<number> {
    const lane = `${set.topic}/${set.partition}`;
    // Concurrent idempotent sends to one partition lose records in one client and reorder in the other (libraries.md §4, trap E).
    if (this.#busy.has(lane)) this.world.violated('I3', `two requests are under way for ${lane}`);
    this.#busy.add(lane);
    try {
      return await this.attempt(set, signal);
    } finally {
      this.#busy.delete(lane);
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const end of [...this.#calls]) end(new KafkaFailure('CONNECTION', 'closed'));
    return Promise.resolve();
  }

  protected attempt(set: RecordSet, _signal: AbortSignal): Promise<number> {
    set.encoded ??= recordsOf(set);
    const { topic, partition } = set;
    return this.send({ topic, partition, identity: set.identity as ProducerIdentity, records: set.encoded as readonly Appended[] });
  }

  protected send(request: Request): Promise<number> {
    const cluster = this.#cluster;
    const world = this.world;
    return this.#call('no answer to produce', (resolve, reject) => {
      const fate = cluster.fate();
      if (cluster.isCut) {
        // Into a black hole: the bytes are lost, or come when it ends. Nothing is heard of them before the time-out.
        const ms = cluster.cutUntil - world.now + world.random.next() * 300;
        if (world.random.chance(0.5) && this.#comes(ms)) cluster.deliver(request, { ms, latestMs: this.latestMs }, 'stored', () => undefined);
        return;
      }
      if (UNANSWERED.has(fate) && world.random.chance(0.6)) {
        world.after(this.owner, 2 * cluster.latency(), `produce: connection lost (${fate})`, () => reject(new KafkaFailure('CONNECTION', 'reset')));
      }
      if (fate === 'request lost') return;
      const ms = fate === 'late' ? world.random.next() * this.latestMs : cluster.latency();
      if (!this.#comes(ms)) return;
      cluster.deliver(request, { ms, latestMs: this.latestMs }, fate, (outcome) => {
        if (UNANSWERED.has(fate) || cluster.isCut) return;
        world.after(this.owner, cluster.latency(), `${request.topic}/${request.partition} answers`, () => {
          if (typeof outcome === 'number') resolve(outcome);
          else if (reject(outcome) && outcome.code === FORGOTTEN) cluster.forget(request);
        });
      });
    });
  }

  /** What takes longer than bytes are kept is given up by both ends. */
  #comes(ms: number): boolean {
    return this.choosesIdentity || ms < this.latestMs;
  }

  /** A call that only asks, or creates. */
  async #ask<T>(what: string, signal: AbortSignal, answer: () => T): Promise<T> {
    signal.throwIfAborted();
    const cluster = this.#cluster;
    return this.#call<T>(`no answer to ${what}`, (resolve, reject) => {
      if (cluster.isCut) return;
      const answered = (): void => {
        if (cluster.isCut) return;
        const fate = cluster.fate();
        if (UNANSWERED.has(fate)) reject(new KafkaFailure('CONNECTION', 'reset'));
        else if (fate === 'moved') reject(new KafkaFailure('LEADER_NOT_AVAILABLE', 'moved'));
        else resolve(answer());
      };
      if (DESCRIPTIONS.has(what) && this.world.random.chance(0.6)) answered();
      else this.world.after(this.owner, cluster.latency(), what, answered);
    });
  }

  /** Settles once: by what `begin` arranges, by the time-out, or by `close`. */
  #call<T>(late: string, begin: (resolve: (answer: T) => void, reject: (failure: KafkaFailure) => boolean) => void): Promise<T> {
    if (this.#closed) return Promise.reject(new KafkaFailure('CONNECTION', 'closed'));
    return new Promise<T>((resolve, reject) => {
      const timer = this.world.after(this.owner, this.timeoutMs, late, () => fail(new KafkaFailure('TIMEOUT', 'no answer')));
      const over = (): boolean => {
        if (!this.#calls.delete(fail)) return false;
        this.world.cancel(timer);
        return true;
      };
      /** False: it was settled before. */
      const fail = (failure: KafkaFailure): boolean => {
        if (!over()) return false;
        reject(failure);
        return true;
      };
      this.#calls.add(fail);
      begin((answer) => {
        if (over()) resolve(answer);
      }, fail);
    });
  }
}

/** Copies what is sent. What is sent again is copied once. */
export function recordsOf(set: RecordSet): readonly Appended[] {
  return set.runs.flatMap(({ batch, indexes }) => [...indexes].map((index) => recordOf(batch, index)));
}

function recordOf(batch: MessageBatch, message: number): Appended {
  const text = (span: number): string | null => {
    const start = batch.spans[message * SPAN_SIZE + span] as number;
    return start < 0 ? null : batch.bytes.toString('latin1', start, batch.spans[message * SPAN_SIZE + span + 1]);
  };
  let version = '';
  eachHeader(batch, message, (name, value) => {
    if (name === 'sluice.schema') version = value;
  });
  return { id: text(SPAN.idStart) ?? '', key: text(SPAN.keyStart), value: text(SPAN.valueStart), version };
}
