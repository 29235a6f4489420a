/** Gives the messages of each `write()` to their lanes, and drives the lanes: one batch in flight for each, within the window (algorithms §4). */
import { once, setMaxListeners } from 'node:events';
import { type MessageBatch, Noted, type Place, SluiceError, sleep } from '#plugin';
import { KafkaFailure, type RecordSet } from './drivers/driver.ts';
import { closed, undeliverable } from './errors.ts';
import { classify, toFailure } from './failures.ts';
import { Identities } from './identities.ts';
import { Job } from './job.ts';
import type { Lane, LaneLimits, Sending } from './lane.ts';
import { LaneMap } from './lane-map.ts';
import type { LanesHost } from './lanes-host.ts';
import { Pace } from './pace.ts';
import { Persistence } from './persistence.ts';
import { endOf, findOurs, standsThere } from './read-back.ts';
import type { KnownTopic } from './topics.ts';
import { lostAt, typedError } from './typed-error.ts';

/** For an answer, before the sink ends. */
const LONGEST_QUIET_MS = 1_000;

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
  readonly #pace: Pace;
  readonly identities: Identities;
  #failure: { readonly error: unknown } | null = null;
  readonly #stop = new AbortController();
  readonly #persist: Persistence;
  /** Requests that are not answered yet. */
  readonly #asked = new Set<Promise<number>>();
  /** Nothing more is sent: the sink is about to end. */
  #isHalted = false;
  /** It ended because of one message, and what other lanes have sent may still come. */
  leftInDoubt = false;
  readonly #listening = new Map<AbortSignal, () => void>();
  readonly #done = (job: Job, count: number): void => this.#stands(job, count);

  constructor(host: LanesHost) {
    this.#host = host;
    this.identities = new Identities(host);
    this.#map = new LaneMap(host.topics);
    this.#pace = new Pace(host.config.window.bytes, host.config.request.timeout);
    this.#persist = new Persistence(host, this.#stop.signal);
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

  /** Whether a message was found behind the place. */
  stands(batch: MessageBatch, index: number): boolean {
    return this.#map.stands(batch, index);
  }

  /** Partitions that lack a message to all of them; null: it goes to one. */
  lacking(batch: MessageBatch, index: number): readonly number[] | null {
    return this.#map.lacking(batch, index);
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
    this.#pace.close();
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
      await this.identities.mark();
      for (let job = this.#arrivals[0]; job !== undefined; job = this.#arrivals[0]) {
        for (const topic of this.#map.newTopics(job.batch)) await this.#persist.until(topic, (signal) => this.#host.topics.ensure(topic, signal));
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
        await this.#persist.until('the beginning', (signal) => this.identities.begin(lanes, signal));
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

  #enqueue(lane: Lane): void {
    if (lane.queued || lane.busy || !lane.waiting) return;
    lane.queued = true;
    this.#ready.push(lane);
  }

  #pump(): void {
    while (this.#failure === null && !this.#isHalted && (this.#bytes < this.#pace.windowBytes || this.#inFlight === 0)) {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      lane.queued = false;
      const sending = lane.take(this.#limits(lane), this.#nowMs(), this.#done);
      if (sending === null) continue;
      this.#inFlight++;
      this.#bytes += sending.bytes;
      lane.busy = true;
      void this.#drive(lane, sending.bytes);
    }
  }

  #nowMs(): number {
    return Math.floor(this.#host.context.runtime.nowMicros() / 1000);
  }

  #limits(lane: Lane): LaneLimits {
    const { config, driver, topics } = this.#host;
    const { maxMessageBytes } = topics.known(lane.topic) as KnownTopic;
    const allowed = Math.min(config.request.bytes, this.#pace.batchBytes);
    const bytes = maxMessageBytes < 0 ? allowed : Math.min(allowed, maxMessageBytes);
    return { bytes, records: Math.min(config.request.records, driver.maxRecords), message: maxMessageBytes };
  }

  /** Sends what the lane has taken until it stands there, or is in its queue again. */
  async #drive(lane: Lane, bytes: number): Promise<void> {
    try {
      while (lane.sending !== null && this.#failure === null && !this.#isHalted) await this.#attempt(lane);
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
    try {
      const base = await this.#produce(lane, lane.sending as Sending);
      if (this.#failure !== null) return;
      if (lane.unproved && !(await this.#proves(lane, base))) {
        throw new KafkaFailure('DUPLICATE_SEQUENCE_NUMBER', 'other records were stored under these sequence numbers');
      }
      if (this.#failure !== null) return;
      // What was proved stands where a process before this one has put it. Else the log has lost what was confirmed behind there (I8).
      if (!lane.unproved && base < lane.offset) throw lostAt(lane, this.#host.context.connector, `records were stored at offset ${base}`);
      lane.unproved = false;
      lane.confirmed(base, this.#done);
      this.#host.trouble.over(lane.key);
    } catch (error) {
      if (this.#failure !== null) return;
      await this.#afterFailure(lane, toFailure(error));
    }
  }

  /** What is sent again takes turns, within what the link carries. */
  async #produce({ failures }: Lane, { set, bytes }: Sending): Promise<number> {
    const { runtime } = this.#host.context;
    if (failures > 0) await this.#pace.again(bytes);
    const [from, inFlight] = [runtime.monotonicMs(), this.#bytes];
    try {
      if (this.#isHalted && !this.#stop.signal.aborted) await once(this.#stop.signal, 'abort');
      if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
      const base = await this.#ask(set);
      this.#pace.answered(runtime.monotonicMs() - from, inFlight);
      return base;
    } catch (error) {
      if (!this.#stop.signal.aborted && toFailure(error).code === 'TIMEOUT') this.#pace.timedOut();
      throw error;
    } finally {
      if (failures > 0) this.#pace.end(bytes);
    }
  }

  async #ask(set: RecordSet): Promise<number> {
    const answer = this.#host.driver.produce(set, this.#stop.signal);
    this.#asked.add(answer);
    try {
      return await answer;
    } catch (error) {
      this.leftInDoubt ||= this.#isHalted;
      throw error;
    } finally {
      this.#asked.delete(answer);
    }
  }

  async #afterFailure(lane: Lane, failure: KafkaFailure): Promise<void> {
    const { context, topics, trouble } = this.#host;
    const { signal } = this.#stop;
    lane.failures++;
    const kind = classify(failure.code);
    const isOfRecords = kind === 'too large' || kind === 'bad record';
    // A limit that was lowered is looked at before the sequence number: what may stand there already is not cut, and no dead letter.
    if (isOfRecords && lane.doubtful) {
      await this.#persist.until(lane.key, () => this.#look(lane));
      return;
    }
    if (isOfRecords && lane.halve()) return;
    if (kind === 'producer') {
      trouble.happened(lane.key, failure, `Kafka does not take more of this producer for ${lane.key} (${failure.message})`);
      await this.#persist.until(lane.key, () => this.#resync(lane));
      return;
    }
    const mayPass = kind === 'again' || kind === 'clock' || (kind === 'missing' && !(await topics.isGone(lane.topic, signal)));
    if (this.#failure !== null) return;
    if (!mayPass) {
      const bytes = lane.sending?.bytes ?? 0;
      const limit = topics.known(lane.topic)?.maxMessageBytes ?? -1;
      const error = typedError(failure, { topic: lane.topic, connector: context.connector, bytes, limit });
      if (undeliverable.includes(error.kind) && lane.sending?.set.count === 1) return this.#handOver(lane, lane.sending, error);
      throw error;
    }
    if (kind === 'again') lane.doubtful = true;
    if (kind === 'clock') lane.restamp(this.#nowMs());
    trouble.happened(lane.key, failure, `Kafka did not confirm messages for ${lane.key} (${failure.message})`);
    await this.#persist.pause(lane.failures);
  }

  /** No attempt will bring this one record through. Nothing behind it is sent before it is known what becomes of it (I3). */
  async #handOver(lane: Lane, { runs }: Sending, error: SluiceError): Promise<void> {
    const { job, indexes } = runs[0] as Sending['runs'][number];
    try {
      await this.#host.context.undeliverable(job.batch, indexes[0] as number, error);
    } catch (cause) {
      await this.#quiet();
      throw cause;
    }
    if (this.#failure === null) lane.passOver(this.#done);
  }

  /**
   * What the other lanes have sent is answered before the sink ends. The next life reads back what stands; a table that is stopped by then writes nothing to
   * its lanes, so that no sequence number would tell what comes there later (I4).
   */
  async #quiet(): Promise<void> {
    this.#isHalted = true;
    const over = new AbortController();
    const longest = sleep(this.#host.context.runtime, LONGEST_QUIET_MS, over.signal).catch(() => undefined);
    await Promise.race([Promise.allSettled(this.#asked), longest]);
    over.abort();
    this.leftInDoubt ||= this.#asked.size > 0 || this.#map.isDoubtful;
  }

  /** Does what is being sent stand there? Under the same identity, whose sequence number still tells what comes late; what does not is taken once more. */
  async #look(lane: Lane): Promise<void> {
    const { driver, context } = this.#host;
    const { signal } = this.#stop;
    const range = { from: lane.offset, end: await endOf(driver, lane, signal), connector: context.connector, identity: lane.identity };
    const { standing } = await findOurs(driver, lane, range, signal);
    if (this.#failure === null) lane.settle(standing, this.#done);
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
    await this.#persist.until(lane.key, async (signal) => {
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
      lane.identity = isNews ? identity : await this.identities.nextEpoch(lane, used, signal);
      lane.unproved = true;
    }
    if (standing.size === 0) return;
    const noted = lane.noted ?? new Noted(context.connector);
    for (const id of standing.keys()) noted.note('', id);
    lane.expect(noted);
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
