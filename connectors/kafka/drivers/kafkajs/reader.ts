/**
 * Reads partitions. kafkajs reads only as a member of a consumer group, and joining one takes seconds (`group.initial.rebalance.delay.ms`): reads that
 * are asked for together, or soon after each other, share a session.
 */
import { type PluginContext, sleep, type Timer } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { classify } from '../../failures.ts';
import { AS_CONSUMER } from '../committed-end.ts';
import { KafkaFailure, type StandingRecord, type TopicPartition } from '../driver.ts';
import { ABOUT_ONE, type Admins, topicsOf } from './admin.ts';
import type { Clients } from './client.ts';
import { type Reading, ReadSession } from './read-session.ts';

/** A session without work ends after this time. */
const IDLE_MS = 1_000;
/** Before a new one after a failure: the coordinator of a group may be loading, or moving. */
const PAUSE_MS = 250;

export class Reader {
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #clients: Clients;
  readonly #admins: Admins;
  /** Those that others asked about: likely to be read next, so that a session is for all of them. */
  readonly #topics = new Set<string>();
  readonly #waiting = new Set<Reading>();
  #session: ReadSession | null = null;
  #ending: Promise<void> | null = null;
  #scheduled = false;
  #idle: Timer | null = null;
  #closed = false;

  constructor(config: KafkaConfig, context: PluginContext, clients: Clients, admins: Admins) {
    this.#config = config;
    this.#context = context;
    this.#clients = clients;
    this.#admins = admins;
  }

  /** These exist, and may be read soon. */
  expect(topics: Iterable<string>): void {
    for (const topic of topics) this.#topics.add(topic);
  }

  async read(where: TopicPartition, from: number, end: number, visit: (record: StandingRecord) => void, signal: AbortSignal): Promise<void> {
    const key = `${where.topic}/${where.partition}`;
    const first = (await this.#admins.firsts([where.topic], signal)).get(key);
    const committed = (await this.#admins.ends([where.topic], AS_CONSUMER, signal)).get(key);
    if (first === undefined || committed === undefined) throw new KafkaFailure('UNKNOWN_TOPIC_OR_PARTITION', `the brokers know no partition ${key}`);
    // What is not there is not asked for: the client would begin anywhere, or wait.
    const next = Math.max(from, first);
    const last = Math.min(end, committed);
    if (next >= last) return;
    await new Promise<void>((resolve, reject) => {
      const { topic, partition } = where;
      const until = this.#context.runtime.monotonicMs() + this.#clients.patienceMs;
      const reading: Reading = {
        topic,
        partition,
        next,
        end: last,
        visit,
        resolve: done(resolve),
        reject: done(reject),
        until,
        movedAt: 0,
        fetches: 0,
        leader: null,
      };
      const aborted = (): void => this.#drop(reading, signal.reason);
      function done<T extends unknown[]>(settle: (...args: T) => void): (...args: T) => void {
        return (...args) => {
          signal.removeEventListener('abort', aborted);
          settle(...args);
        };
      }
      if (this.#closed) return reject(new KafkaFailure('CONNECTION', 'closed'));
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', aborted, { once: true });
      this.#waiting.add(reading);
      this.#schedule();
    });
  }

  /** Throws nothing. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const reading of this.#waiting) this.#drop(reading, new KafkaFailure('CONNECTION', 'closed'));
    this.#session?.fail(new KafkaFailure('CONNECTION', 'closed'));
    await this.#ending;
  }

  #drop(reading: Reading, reason: unknown): void {
    this.#waiting.delete(reading);
    this.#session?.leave(reading, reason);
    reading.reject(reason);
    this.#schedule();
  }

  /** After this turn: reads that are asked for together begin together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#assign();
    });
  }

  #assign(): void {
    if (this.#closed || this.#ending !== null) return;
    this.#idle?.clear();
    const session = this.#session;
    if (session === null) {
      this.#begin();
      return;
    }
    for (const reading of this.#waiting) if (session.take(reading)) this.#waiting.delete(reading);
    if (session.isBusy) return;
    if (this.#waiting.size > 0) this.#endSession();
    else this.#idle = this.#context.runtime.setTimer(() => this.#endSession(), IDLE_MS, true);
  }

  #begin(): void {
    if (this.#waiting.size === 0) return;
    const wanted = topicsOf([...this.#waiting]);
    const session = new ReadSession({
      config: this.#config,
      context: this.#context,
      clients: this.#clients,
      admins: this.#admins,
      topics: new Set([...wanted, ...this.#topics]),
      changed: () => this.#schedule(),
      failed: (readings, reason) => this.#failed(readings, reason),
    });
    this.#session = session;
    this.#assign();
    void session.start();
  }

  #failed(readings: readonly Reading[], reason: unknown): void {
    const { runtime } = this.#context;
    const code = reason instanceof KafkaFailure ? reason.code : '';
    // A topic that is gone by now fails the session for all: the next one is without those that nobody waits for.
    const isOfOthers = ABOUT_ONE.has(code) && this.#topics.size > 0;
    if (isOfOthers) this.#topics.clear();
    const mayPass = classify(code) === 'again';
    const now = runtime.monotonicMs();
    for (const reading of readings) {
      if (!this.#closed && (isOfOthers || (mayPass && now < reading.until))) this.#waiting.add(reading);
      else reading.reject(reason);
    }
    this.#endSession(PAUSE_MS);
  }

  #endSession(pauseMs = 0): void {
    const session = this.#session;
    if (session === null) return;
    this.#session = null;
    this.#idle?.clear();
    this.#ending = session
      .end()
      .then(() => sleep(this.#context.runtime, pauseMs))
      .finally(() => {
        this.#ending = null;
        this.#schedule();
      });
  }
}
