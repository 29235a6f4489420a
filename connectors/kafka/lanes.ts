/** Gives the messages of each `write()` to their lanes, and drives the lanes: one batch in flight for each, within the window (algorithms §4). */
import { setMaxListeners } from 'node:events';
import { type MessageBatch, Noted, type Place, type SinkContext, SluiceError, SPAN, SPAN_SIZE, sleep } from '#plugin';
import type { KafkaConfig } from './config.ts';
import { type KafkaDriver, KafkaFailure } from './drivers/driver.ts';
import { closed, undeliverable } from './errors.ts';
import { classify, toFailure } from './failures.ts';
import { Job } from './job.ts';
import type { Lane, LaneLimits, Sending } from './lane.ts';
import { LaneMap } from './lane-map.ts';
import { CLUSTER, epochEntry, epochValue, type LaneIdentity, laneValue, topicEntry, topicValue, UNSETTLED } from './place.ts';
import { endOf, findOurs, standsThere } from './read-back.ts';
import type { KnownTopic, Topics } from './topics.ts';
import type { Trouble } from './trouble.ts';
import { lostAt, typedError } from './typed-error.ts';

/** I10: progress within five seconds after the fault clears. */
const LONGEST_PAUSE_MS = 1_000;
const FIRST_PAUSE_MS = 50;
/** Epochs of a producer are 16 bits. */
const LAST_EPOCH = 32_767;

export interface LanesHost {
  readonly config: KafkaConfig;
  readonly context: SinkContext;
  readonly driver: KafkaDriver;
  readonly topics: Topics;
  readonly trouble: Trouble;
  readonly cluster: string;
}

export class Lanes {
  readonly #host: LanesHost;
  readonly #map: LaneMap;
  readonly #jobs = new Set<Job>();
  /** Calls whose topics are not known yet, and all behind them. */
  readonly #arrivals: Job[] = [];
  #admitting = false;
  readonly #beginning = new Set<Lane>();
  #isBeginning = false;
  readonly #ready: Lane[] = [];
  #inFlight = 0;
  #bytes = 0;
  #producerId: bigint | null = null;
  /** The place says that a client is sending. */
  #marked = false;
  #failure: { readonly error: unknown } | null = null;
  readonly #stop = new AbortController();
  readonly #listening = new Map<AbortSignal, () => void>();
  readonly #done = (job: Job, count: number): void => this.#stands(job, count);

  constructor(host: LanesHost) {
    this.#host = host;
    this.#map = new LaneMap(host.topics);
    // Each lane that waits listens, and there may be thousands: no leak.
    setMaxListeners(0, this.#stop.signal);
  }

  /** The lane, made if it is new. */
  lane(topic: string, partition: number): Lane {
    return this.#map.lane(topic, partition);
  }

  /** Resolves with the entries of the place that moved. Rejects with whatever ended the lanes. */
  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    return new Promise<Place>((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure.error as Error);
      if (signal.aborted) return reject(signal.reason as Error);
      this.#listen(signal);
      const job = new Job(batch, resolve, reject);
      this.#jobs.add(job);
      this.#arrivals.push(job);
      void this.#admit();
    });
  }

  /** Nothing that was sent is unanswered. */
  get isSettled(): boolean {
    return this.#failure === null && !this.#map.isSending;
  }

  /** Ends everything: all pending calls are rejected. */
  fail(error: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { error };
    this.#stop.abort(new Error('the sink has ended'));
    for (const job of this.#jobs) job.reject(error);
    this.#jobs.clear();
    this.#arrivals.length = 0;
    this.#ready.length = 0;
    this.#map.clear();
    this.#deafen();
  }

  close(): void {
    this.fail(new SluiceError(closed));
  }

  /** One call after the other, so that the lanes get their messages in call order. Without a new topic it does not wait. */
  async #admit(): Promise<void> {
    if (this.#admitting) return;
    this.#admitting = true;
    try {
      if (!this.#marked) await this.#mark();
      for (let job = this.#arrivals[0]; job !== undefined; job = this.#arrivals[0]) {
        for (const topic of this.#newTopics(job.batch)) await this.#persist(topic, (signal) => this.#host.topics.ensure(topic, signal));
        if (this.#failure !== null) return;
        this.#arrivals.shift();
        this.#distribute(job);
      }
      this.#pump();
    } catch (error) {
      this.fail(error);
    } finally {
      this.#admitting = false;
    }
  }

  /** Before the first message: a client whose identity is not ours to choose may leave bytes behind that come late. */
  async #mark(): Promise<void> {
    const { driver, context, cluster } = this.#host;
    if (!driver.choosesIdentity) await context.savePlace({ [CLUSTER]: cluster, [UNSETTLED]: 'open' });
    this.#marked = true;
  }

  #newTopics(batch: MessageBatch): readonly string[] {
    const { topics } = this.#host;
    const used = new Set<number>();
    for (let at = SPAN.destination; at < batch.count * SPAN_SIZE; at += SPAN_SIZE) used.add(batch.spans[at] as number);
    return [...used].map((destination) => batch.destinations[destination] as string).filter((topic) => topics.known(topic) === undefined);
  }

  #distribute(job: Job): void {
    for (const { lane, indexes } of this.#map.split(job.batch)) {
      job.remaining += indexes.length;
      lane.add({ job, indexes, at: 0 });
      if (lane.state === 'ready') this.#enqueue(lane);
      else if (lane.state === 'new') {
        // Once: to begin again would forget what is under way.
        lane.state = 'beginning';
        this.#beginning.add(lane);
      }
    }
    if (job.remaining === 0) this.#resolve(job);
    if (this.#beginning.size > 0) void this.#begin();
  }

  /** Where new lanes begin is saved before their first message (I5): a run after this one reads back from there. */
  async #begin(): Promise<void> {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    try {
      while (this.#beginning.size > 0) {
        const lanes = [...this.#beginning];
        this.#beginning.clear();
        await this.#persist('the beginning', (signal) => this.#saveBeginnings(lanes, signal));
        for (const lane of lanes) {
          lane.state = 'ready';
          this.#enqueue(lane);
        }
        this.#pump();
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#isBeginning = false;
    }
  }

  /** A producer id, for lanes that have no identity yet. */
  async chooseProducer(signal: AbortSignal): Promise<void> {
    this.#producerId ??= await this.#host.driver.newProducerId(signal);
  }

  newIdentity(): Lane['identity'] {
    return this.#producerId === null ? null : { producerId: this.#producerId, epoch: 0, sequence: 0 };
  }

  async #saveBeginnings(lanes: readonly Lane[], signal: AbortSignal): Promise<void> {
    const { driver, topics, context, cluster } = this.#host;
    if (driver.choosesIdentity) await this.chooseProducer(signal);
    const ends = await driver.offsets(lanes, 'end', signal);
    const entries: Record<string, string> = { [CLUSTER]: cluster };
    lanes.forEach((lane, index) => {
      lane.offset = ends[index] as number;
      lane.identity = this.newIdentity();
      entries[lane.key] = laneValue(lane.offset, lane.identity);
      entries[topicEntry(lane.topic)] = topicValue(topics.known(lane.topic) as KnownTopic);
    });
    await context.savePlace(entries);
  }

  #enqueue(lane: Lane): void {
    if (lane.queued || lane.busy || !lane.waiting) return;
    lane.queued = true;
    this.#ready.push(lane);
  }

  #pump(): void {
    const { window } = this.#host.config;
    while (this.#failure === null && (this.#bytes < window.bytes || this.#inFlight === 0)) {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      lane.queued = false;
      const sending = lane.take(this.#limits(lane), Math.floor(this.#host.context.runtime.nowMicros() / 1000), this.#done);
      if (sending === null) continue;
      this.#inFlight++;
      this.#bytes += sending.bytes;
      lane.busy = true;
      void this.#drive(lane, sending.bytes);
    }
  }

  #limits(lane: Lane): LaneLimits {
    const { config, driver, topics } = this.#host;
    const { maxMessageBytes } = topics.known(lane.topic) as KnownTopic;
    const bytes = maxMessageBytes < 0 ? config.request.bytes : Math.min(config.request.bytes, maxMessageBytes);
    return { bytes, records: Math.min(config.request.records, driver.maxRecords), message: maxMessageBytes };
  }

  /** Sends what the lane has taken until it stands there, or is in its queue again. */
  async #drive(lane: Lane, bytes: number): Promise<void> {
    try {
      while (lane.sending !== null && this.#failure === null) await this.#attempt(lane);
    } catch (error) {
      this.fail(error);
    }
    this.#inFlight--;
    this.#bytes -= bytes;
    lane.busy = false;
    this.#enqueue(lane);
    this.#pump();
  }

  async #attempt(lane: Lane): Promise<void> {
    const { driver, trouble } = this.#host;
    const { signal } = this.#stop;
    const { set } = lane.sending as NonNullable<Lane['sending']>;
    try {
      const base = await driver.produce(set, signal);
      if (this.#failure !== null) return;
      if (lane.unproved && !(await this.#proves(lane, base))) {
        throw new KafkaFailure('DUPLICATE_SEQUENCE_NUMBER', 'other records were stored under these sequence numbers');
      }
      if (this.#failure !== null) return;
      // What was proved stands where a process before this one has put it. Else the log has lost what was confirmed behind there (I8).
      if (!lane.unproved && base < lane.offset) throw lostAt(lane, this.#host.context.connector, `records were stored at offset ${base}`);
      lane.unproved = false;
      lane.confirmed(base, this.#done);
      trouble.over(lane.key);
    } catch (error) {
      if (this.#failure !== null) return;
      await this.#afterFailure(lane, toFailure(error));
    }
  }

  async #afterFailure(lane: Lane, failure: KafkaFailure): Promise<void> {
    const { context, topics, trouble } = this.#host;
    const { signal } = this.#stop;
    lane.failures++;
    const kind = classify(failure.code);
    if ((kind === 'too large' || kind === 'bad record') && lane.halve()) return;
    if (kind === 'producer') {
      trouble.happened(lane.key, failure, `Kafka does not take more of this producer for ${lane.key} (${failure.message})`);
      await this.#persist(lane.key, () => this.#resync(lane));
      return;
    }
    const mayPass = kind === 'again' || (kind === 'missing' && !(await topics.isGone(lane.topic, signal)));
    if (this.#failure !== null) return;
    if (!mayPass) {
      const bytes = lane.sending?.bytes ?? 0;
      const limit = topics.known(lane.topic)?.maxMessageBytes ?? -1;
      const error = typedError(failure, { topic: lane.topic, connector: context.connector, bytes, limit });
      if (undeliverable.includes(error.kind) && lane.sending?.set.count === 1) return this.#handOver(lane, lane.sending, error);
      throw error;
    }
    trouble.happened(lane.key, failure, `Kafka did not confirm messages for ${lane.key} (${failure.message})`);
    await this.#pause(lane.failures);
  }

  /** No attempt will bring this one record through. Nothing behind it is sent before it is known what becomes of it (I3). */
  async #handOver(lane: Lane, { runs }: Sending, error: SluiceError): Promise<void> {
    const { job, indexes } = runs[0] as Sending['runs'][number];
    await this.#host.context.undeliverable(job.batch, indexes[0] as number, error);
    if (this.#failure === null) lane.passOver(this.#done);
  }

  /** A confirmation under sequence numbers that a process before this one has used may be of its records: are these ours? */
  async #proves(lane: Lane, base: number): Promise<boolean> {
    const { runs, set } = lane.sending as NonNullable<Lane['sending']>;
    const first = runs[0] as (typeof runs)[number];
    const last = runs.at(-1) as (typeof runs)[number];
    const wanted = new Map([
      [base, first.job.id(first.indexes[0] as number)],
      [base + set.count - 1, last.job.id(last.indexes.at(-1) as number)],
    ]);
    let answer = false;
    await this.#persist(lane.key, async (signal) => {
      answer = await standsThere(this.#host.driver, lane, wanted, signal);
    });
    return answer;
  }

  /**
   * The broker's answer has made the producer unusable: what of the batch stands in the partition, and what a process before this one left there late?
   * Then on behind it: under the sequence number that follows, or, where that was refused, in the next epoch (KIP-360).
   */
  async #resync(lane: Lane): Promise<void> {
    const { driver, context } = this.#host;
    const { signal } = this.#stop;
    if (!driver.choosesIdentity) await driver.renewProducer(signal);
    const end = await endOf(driver, lane, signal);
    if (end < lane.offset) throw lostAt(lane, context.connector, `it ends at offset ${end}`);
    const { standing, identity } = await findOurs(
      driver,
      lane,
      { from: lane.offset, end, connector: context.connector, identity: lane.identity },
      signal,
    );
    if (this.#failure !== null) return;
    const used = lane.identity;
    lane.settle(standing, this.#done);
    lane.offset = Math.max(lane.offset, end);
    if (used !== null) {
      // What was found there comes first: only a sequence number that goes on from it can be refused when something else has come meanwhile.
      // Never back into an epoch before the one that was begun: what comes late in it would be taken for new.
      const isNews = identity !== null && (identity.epoch > used.epoch || (identity.epoch === used.epoch && identity.sequence !== used.sequence));
      lane.identity = isNews ? identity : await this.#nextEpoch(lane, used, signal);
      lane.unproved = true;
    }
    if (standing.size === 0) return;
    const noted = lane.noted ?? new Noted(context.connector);
    for (const id of standing.keys()) noted.note('', id);
    lane.expect(noted);
  }

  /** Saved before it is used: else a process after this one would go on in the old epoch, and our bytes that come late would be taken for new. */
  async #nextEpoch(lane: Lane, { producerId, epoch }: LaneIdentity, signal: AbortSignal): Promise<LaneIdentity> {
    const isLast = epoch >= LAST_EPOCH;
    const next = { producerId: isLast ? await this.#host.driver.newProducerId(signal) : producerId, epoch: isLast ? 0 : epoch + 1, sequence: 0 };
    await this.#host.context.savePlace({ [epochEntry(lane.key)]: epochValue(next) });
    return next;
  }

  /** For as long as it takes: what the brokers refuse for good ends it with a typed error. */
  async #persist<T>(what: string, action: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const { context, trouble } = this.#host;
    const { signal } = this.#stop;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const answer = await action(signal);
        if (attempt > 1) trouble.over(what);
        return answer;
      } catch (error) {
        if (signal.aborted) return undefined;
        // What was found out by our own code (a state that cannot be saved, a topic that is not what it was) is not asked again.
        const failure = toFailure(error);
        const kind = classify(failure.code);
        if (kind !== 'again' && kind !== 'missing') {
          throw typedError(failure, { topic: what, connector: context.connector, bytes: 0, limit: -1 });
        }
        trouble.happened(what, failure, `Kafka did not answer for ${what} (${failure.message})`);
        await this.#pause(attempt);
      }
    }
    return undefined;
  }

  async #pause(failures: number): Promise<void> {
    const { runtime } = this.#host.context;
    const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
    await sleep(runtime, full / 2 + (runtime.random() * full) / 2, this.#stop.signal).catch(() => undefined);
  }

  #stands(job: Job, count: number): void {
    job.remaining -= count;
    if (job.remaining === 0) this.#resolve(job);
  }

  #resolve(job: Job): void {
    this.#jobs.delete(job);
    job.resolve(job.moved);
    if (this.#jobs.size === 0) this.#deafen();
  }

  /** One listener however many calls are pending: they end together. */
  #listen(signal: AbortSignal): void {
    if (this.#listening.has(signal)) return;
    const aborted = (): void => this.fail(signal.reason);
    this.#listening.set(signal, aborted);
    signal.addEventListener('abort', aborted, { once: true });
  }

  #deafen(): void {
    for (const [signal, aborted] of this.#listening) signal.removeEventListener('abort', aborted);
    this.#listening.clear();
  }
}
