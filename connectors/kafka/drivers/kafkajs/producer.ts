/**
 * Writes through kafkajs' idempotent producer. It resolves without having sent, gives up sequence numbers that may have been used, and stays with a
 * producer that nothing is taken from (reference: libraries §4, A to P). So: one partition and one call in flight for each, every answer looked at, the
 * same records on the same producer after a failure, and a new one only when the old one is of no use.
 */
import type { Message, Producer, RecordMetadata } from 'kafkajs';
import { type PluginContext, sleep } from '#plugin';
import type { KafkaConfig } from '../../config.ts';
import { classify, toFailure } from '../../failures.ts';
import { withDeadline } from '../deadline.ts';
import { KafkaFailure, type RecordSet, recordBytesOf, refuseHopeless, type TopicPartition } from '../driver.ts';
import type { Client, Clients } from './client.ts';
import { COMPRESSION } from './codecs.ts';
import { messagesOf } from './messages.ts';

/** kafkajs sorts a call's messages to their partitions by copying them once for each message: 20,000 of them block the process for seconds. */
export const MAX_RECORDS = 1_000;

const ALL_IN_SYNC = -1;
/** Share of the request time-out that the broker may wait for its replicas: its answer must come before we give up. */
const BROKER_SHARE = 0.8;
/**
 * How often a set may fail, without a broker having said anything about it, before the producer is taken for one that sends nothing any more. Brokers
 * that do not know of a new topic yet are not meant: the lanes pause between attempts.
 */
const MAX_UNSENT = 5;
/** A call waits for others of its broker behind a lock, at most for so long; what takes much longer never ends. */
const LOCK_MS = 65_535;
/** Where kafkajs begins again at 0 in the middle of a batch, and the broker does not. */
const SEQUENCES = 2 ** 31;
/** Who leads is asked again after this time at the latest. */
const METADATA_MS = 60_000;

/** One producer id. */
interface Generation {
  readonly client: Client;
  readonly producer: Producer;
  readonly pending: Set<Promise<unknown>>;
  /** Sequence numbers that were used, by partition. */
  readonly used: Map<string, number>;
  /** Given up: nothing new is sent. */
  retired: boolean;
}

/** Kept with a set. */
interface Attempts {
  readonly messages: Message[];
  /** Which may hold the set already. */
  generation: Generation | null;
  unsent: number;
}

export class Producers {
  readonly #config: KafkaConfig;
  readonly #context: PluginContext;
  readonly #clients: Clients;
  /** Whether the brokers know this partition's leader. */
  readonly #hasLeader: (where: TopicPartition) => Promise<boolean>;
  #making: Promise<Generation> | null = null;
  readonly #retiring = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(config: KafkaConfig, context: PluginContext, clients: Clients, hasLeader: (where: TopicPartition) => Promise<boolean>) {
    this.#config = config;
    this.#context = context;
    this.#clients = clients;
    this.#hasLeader = hasLeader;
  }

  /** Resolves with the offset of the set's first record. */
  async produce(set: RecordSet): Promise<number> {
    set.encoded ??= { messages: messagesOf(set), generation: null, unsent: 0 } satisfies Attempts;
    const attempts = set.encoded as Attempts;
    // What compression makes of it the library does not tell before it has sent it.
    if (this.#config.compression === 'none') refuseHopeless(set, bytesOf(set));
    const generation = await this.#generation();
    if (attempts.generation !== null && attempts.generation !== generation) {
      throw new KafkaFailure('PRODUCER_REPLACED', 'the producer that may have written these records was given up');
    }
    const lane = `${set.topic}/${set.partition}`;
    if ((generation.used.get(lane) ?? 0) + set.count >= SEQUENCES) {
      this.#retire(generation);
      throw new KafkaFailure('PRODUCER_REPLACED', 'the producer has used up its sequence numbers');
    }
    const isAgain = attempts.generation === generation;
    attempts.generation = generation;
    const call = this.#send(generation, set, attempts, isAgain);
    generation.pending.add(call);
    try {
      const offset = await call;
      generation.used.set(lane, (generation.used.get(lane) ?? 0) + set.count);
      return offset;
    } finally {
      generation.pending.delete(call);
    }
  }

  /** Resolves when nothing of a producer that was given up can arrive any more. It was given up when its failure was seen. */
  async renew(signal: AbortSignal): Promise<void> {
    while (this.#retiring.size > 0) await withDeadline(this.#context.runtime, 2 * this.#clients.patienceMs, Promise.all(this.#retiring), signal);
  }

  /** Waits for what is under way, within the request time-out. Throws nothing. */
  async close(): Promise<void> {
    this.#stop.abort(new KafkaFailure('CONNECTION', 'closed'));
    if (this.#making === null) return;
    const generation = await withDeadline(this.#context.runtime, this.#config.request.timeout, this.#making).catch(() => null);
    if (generation !== null) await this.#end(generation);
  }

  async #send(generation: Generation, set: RecordSet, attempts: Attempts, isAgain: boolean): Promise<number> {
    const { request, compression } = this.#config;
    const call = generation.producer.sendBatch({
      acks: ALL_IN_SYNC,
      timeout: Math.floor(request.timeout * BROKER_SHARE),
      compression: COMPRESSION[compression],
      topicMessages: [{ topic: set.topic, messages: attempts.messages }],
    });
    try {
      return offsetOf(set, await withDeadline(this.#context.runtime, LOCK_MS + this.#clients.patienceMs, call));
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === 'TIMEOUT') generation.client.sockets.endSilent(request.timeout);
      // Our own deadline: a call that never ends could still send.
      const isLost = error instanceof KafkaFailure && error.code === 'TIMEOUT';
      const kind = classify(failure.code);
      const isRefused = kind === 'producer';
      // It may stand since an attempt before. kafkajs takes its sequence number back with every error: the next set would be taken for a repetition of this one.
      const isInDoubt = isAgain && (kind === 'too large' || kind === 'bad record');
      if (!isRefused && !isLost && !isInDoubt && !(await this.#isStuck(set, attempts, failure))) throw failure;
      this.#retire(generation);
      throw isRefused ? failure : new KafkaFailure('PRODUCER_REPLACED', failure.message, failure);
    }
  }

  /**
   * Two ways in which a producer never sends a set again: its list of brokers is wrong (the call resolves with nothing), or it asks for a topic that is
   * gone whenever it asks for any (the call fails as if this one did not exist).
   */
  async #isStuck(set: RecordSet, attempts: Attempts, { code }: KafkaFailure): Promise<boolean> {
    if (code !== 'NO_RESPONSE' && code !== 'UNKNOWN_TOPIC_OR_PARTITION' && code !== 'LEADER_NOT_AVAILABLE') {
      attempts.unsent = 0;
      return false;
    }
    if (++attempts.unsent < MAX_UNSENT) return false;
    return code === 'NO_RESPONSE' || this.#hasLeader(set).catch(() => false);
  }

  async #generation(): Promise<Generation> {
    for (;;) {
      this.#stop.signal.throwIfAborted();
      this.#making ??= this.#make();
      const making = this.#making;
      const forget = (): void => {
        if (this.#making === making) this.#making = null;
      };
      const generation = await making.catch((error: unknown) => {
        forget();
        throw error;
      });
      if (!generation.retired) return generation;
      forget();
    }
  }

  async #make(): Promise<Generation> {
    const client = await this.#clients.make();
    const producer = client.kafka.producer({
      idempotent: true,
      allowAutoTopicCreation: false,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition as number,
      metadataMaxAge: METADATA_MS,
      // It takes no fewer for an idempotent producer.
      retry: { retries: 1 },
    });
    const generation: Generation = { client, producer, pending: new Set(), used: new Map(), retired: false };
    try {
      await withDeadline(this.#context.runtime, this.#clients.patienceMs, producer.connect());
      return generation;
    } catch (error) {
      void this.#end(generation);
      throw toFailure(error);
    }
  }

  /** The next call makes a new one. What is still under way ends first, and then what is on its way to the brokers. */
  #retire(generation: Generation): void {
    if (generation.retired) return;
    generation.retired = true;
    const retiring = this.#end(generation)
      .then(() => sleep(this.#context.runtime, this.#config.request.timeout, this.#stop.signal))
      .catch(() => undefined)
      .finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  /** Throws nothing. */
  async #end({ client, producer, pending }: Generation): Promise<void> {
    const { runtime } = this.#context;
    const { timeout } = this.#config.request;
    await withDeadline(runtime, timeout, Promise.allSettled(pending)).catch(() => undefined);
    await withDeadline(runtime, Math.min(timeout, 1_000), producer.disconnect()).catch(() => undefined);
    client.sockets.close();
  }
}

/** Resolved is not written: the answer must say so of exactly this partition. */
function offsetOf({ topic, partition }: TopicPartition, answers: readonly RecordMetadata[]): number {
  const [answer, ...others] = answers;
  const lane = `${topic}/${partition}`;
  if (answer === undefined) throw new KafkaFailure('NO_RESPONSE', `the client resolved without an answer for ${lane}`);
  const offset = Number(answer.baseOffset ?? -1);
  if (others.length > 0 || answer.topicName !== topic || answer.partition !== partition || answer.errorCode !== 0 || !(offset >= 0)) {
    throw new KafkaFailure('NO_RESPONSE', `the client's answer does not say where ${lane} stands`);
  }
  return offset;
}

function bytesOf({ runs }: RecordSet): number {
  let bytes = 0;
  for (const { batch, indexes } of runs) for (const index of indexes) bytes += recordBytesOf(batch, index);
  return bytes;
}
