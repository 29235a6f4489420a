/** Puts the lanes' batches together into one request for each broker. */
import type { Connection } from '@platformatic/kafka';
import { type Runtime, rootMessage } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { classify } from '../../failures.ts';
import { withDeadline } from '../deadline.ts';
import { KafkaFailure, type RecordSet, refuseHopeless } from '../driver.ts';
import { BatchMemory } from './batch-memory.ts';
import type { Cluster } from './cluster.ts';
import { offsetOf, PRODUCE, type ProduceAnswer, parseProduceAnswer, produceRequest } from './produce.ts';
import { encodeRecordBatch } from './record-batch.ts';

/** A link that carries less than 100 kB/s is no link: a request may take longer by its size. */
const LEAST_BYTES_PER_MS = 100;
const DURING_SASL = /during SASL authentication/;

/**
 * Requests under way to one broker. It serves the requests of a connection one after the other, and each waits for the replicas: a second one is on
 * its way meanwhile, what comes after that is put together into one.
 */
const REQUESTS_IN_FLIGHT = 2;
/** Bytes of one request; a larger batch goes alone. Below the brokers' `socket.request.max.bytes` (100 MiB). */
const REQUEST_BYTES = 8 * 1024 * 1024;
/** Share of the request time-out that the broker may wait for its replicas: its answer must come before we give up. */
const BROKER_SHARE = 0.8;

interface Waiting {
  readonly set: RecordSet;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: unknown) => void;
}

interface Broker {
  readonly waiting: Waiting[];
  inFlight: number;
  scheduled: boolean;
}

export class ProduceQueue {
  readonly #runtime: Runtime;
  readonly #cluster: Cluster;
  readonly #config: KafkaConfig;
  readonly #brokers = new Map<number, Broker>();
  readonly #memory = new BatchMemory();
  #closed = false;

  constructor(cluster: Cluster, config: KafkaConfig, runtime: Runtime) {
    this.#runtime = runtime;
    this.#cluster = cluster;
    this.#config = config;
  }

  /** Resolves with the offset of the set's first record. Rejects with whatever the library throws. */
  async add(set: RecordSet): Promise<number> {
    // Once: a repetition is the same bytes, and so a double that the broker recognises (algorithms §4).
    set.encoded ??= encodeRecordBatch(set, this.#config.compression, this.#memory);
    refuseHopeless(set, (set.encoded as Buffer).length);
    const node = await this.#cluster.leaderNode(set);
    if (this.#closed) throw closed();
    return new Promise((resolve, reject) => {
      const broker = this.#broker(node);
      broker.waiting.push({ set, resolve, reject });
      this.#schedule(node, broker);
    });
  }

  close(): void {
    this.#closed = true;
    for (const broker of this.#brokers.values()) for (const { reject } of broker.waiting.splice(0)) reject(closed());
  }

  #broker(node: number): Broker {
    let broker = this.#brokers.get(node);
    if (broker === undefined) {
      broker = { waiting: [], inFlight: 0, scheduled: false };
      this.#brokers.set(node, broker);
    }
    return broker;
  }

  /** After this turn: lanes that become ready together share a request. */
  #schedule(node: number, broker: Broker): void {
    if (broker.scheduled || broker.inFlight >= REQUESTS_IN_FLIGHT || broker.waiting.length === 0) return;
    broker.scheduled = true;
    setImmediate(() => {
      broker.scheduled = false;
      if (broker.waiting.length === 0) return;
      void this.#send(node, broker, takeSome(broker.waiting));
      this.#schedule(node, broker);
    });
  }

  async #send(node: number, broker: Broker, some: readonly Waiting[]): Promise<void> {
    broker.inFlight++;
    try {
      const answers = await this.#request(
        node,
        some.map(({ set }) => set),
      );
      for (const { set, resolve, reject } of some) {
        const outcome = offsetOf(set, answers);
        if (typeof outcome === 'number') this.#stored(set, outcome, resolve);
        else reject(outcome);
      }
      if (some.some(({ set }) => isMoved(offsetOf(set, answers)))) this.#relearn(some);
    } catch (error) {
      for (const { reject } of some) reject(error);
      this.#relearn(some);
    } finally {
      broker.inFlight--;
      this.#schedule(node, broker);
    }
  }

  /** The broker has answered for the set: it has read all of it, and it is not sent again. */
  #stored(set: RecordSet, offset: number, resolve: (offset: number) => void): void {
    this.#memory.give(set.encoded as Buffer);
    set.encoded = null;
    resolve(offset);
  }

  async #request(node: number, sets: readonly RecordSet[]): Promise<readonly ProduceAnswer[]> {
    const connection = await this.#cluster.node(node);
    const timeoutMs = Math.floor(this.#config.request.timeout * BROKER_SHARE);
    const bytes = sets.reduce((sum, { encoded }) => sum + (encoded as Buffer).length, 0);
    await this.#cluster.ready(connection);
    try {
      const answer = new Promise<readonly ProduceAnswer[]>((resolve, reject) => {
        const answered = (error: Error | null, answers?: readonly ProduceAnswer[]): void => (error ? reject(error) : resolve(answers ?? []));
        connection.send(PRODUCE.key, PRODUCE.version, () => produceRequest(sets, timeoutMs), parseProduceAnswer, true, true, answered);
      });
      return await withDeadline(this.#runtime, this.#config.request.timeout + Math.ceil(bytes / LEAST_BYTES_PER_MS), answer);
    } catch (error) {
      if (DURING_SASL.test(rootMessage(error))) throw this.#renewed(connection, error);
      // Whatever it was, this connection is not to be trusted any more: its answers may be out of step.
      this.#cluster.discard(connection as Connection);
      throw error;
    }
  }

  /** It was being proved again who we are when this was sent: the broker has ended the connection, and another one serves. */
  #renewed(connection: Connection, error: unknown): KafkaFailure {
    this.#cluster.discard(connection);
    return new KafkaFailure('CONNECTION', 'the connection ended while its login was renewed', error);
  }

  /** Who leads these now? The lanes send again after a pause, and then to the one that is known by then. */
  #relearn(some: readonly Waiting[]): void {
    void this.#cluster.refresh([...new Set(some.map(({ set }) => set.topic))]).catch(() => undefined);
  }
}

function takeSome(waiting: Waiting[]): readonly Waiting[] {
  let bytes = 0;
  let count = 0;
  while (count < waiting.length) {
    bytes += ((waiting[count] as Waiting).set.encoded as Buffer).length;
    if (count > 0 && bytes > REQUEST_BYTES) break;
    count++;
  }
  return waiting.splice(0, count);
}

function isMoved(outcome: number | KafkaFailure): boolean {
  return outcome instanceof KafkaFailure && (classify(outcome.code) === 'again' || classify(outcome.code) === 'missing');
}

function closed(): KafkaFailure {
  return new KafkaFailure('CONNECTION', 'closed');
}
