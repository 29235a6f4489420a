import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  type MsgRequest,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { errors, type NatsConnection, nanos } from '@nats-io/transport-node';
import { rootMessage, type SinkContext, SluiceError } from '#plugin';
import type { NatsConfig } from './config.ts';
import { jetStreamDisabled, jetStreamUnavailable, permission, streamMissing, streamRefused } from './errors.ts';
import { CODE } from './pub-ack.ts';
import { subjectFilter, subjectsOf } from './subject.ts';

/** Time for one question to the JetStream API. */
export const API_TIMEOUT_MS = 5_000;
/** A replay after a crash comes within seconds; the ids of two minutes (the server's default) at 100,000/s would be gigabytes in the server. */
const DUPLICATE_WINDOW_MS = 10_000;
/** Messages asked for at once when reading back. */
const FETCH_MESSAGES = 4_096;
const FETCH_EXPIRES_MS = 2_000;
const MESSAGE_ID = 'Nats-Msg-Id';

/** One message as read back. */
export type Visit = (sequence: number, subject: string, id: string) => void;

export interface ReadOptions {
  /** Only these subjects. */
  readonly filter?: string;
  /** Asked after each message: true ends the reading. */
  readonly until?: () => boolean;
}

/** The stream that a connector writes to, over one connection. Everything here throws SluiceError, `auto` for what passes by itself. */
export class StreamAccess {
  readonly #connection: NatsConnection;
  readonly #config: NatsConfig;
  readonly #connector: string;
  /** What the stream must listen to. */
  readonly #subjects: readonly string[];

  readonly #timeoutMs: number;

  constructor(connection: NatsConnection, config: NatsConfig, context: SinkContext, timeoutMs = API_TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs;
    this.#connection = connection;
    this.#config = config;
    this.#connector = context.connector;
    this.#subjects = subjectsOf(config, context);
  }

  /** The stream's settings and state, null if there is none. */
  async info(): Promise<StreamInfo | null> {
    return this.#asked(async () => {
      const manager = await this.#manager();
      try {
        return await manager.streams.info(this.#config.stream);
      } catch (error) {
        if (error instanceof JetStreamApiError && error.code === CODE.streamNotFound) return null;
        throw error;
      }
    });
  }

  /**
   * Makes the stream. Without limits, so that it throws nothing away; `discard: new`, so that where limits are set later a full stream makes Sluice
   * wait instead of losing the oldest messages unread.
   */
  async create(): Promise<StreamInfo> {
    const { stream, replicas, storage } = this.#config;
    const wanted: Partial<StreamConfig> & { name: string } = {
      name: stream,
      subjects: [...this.#subjects],
      retention: RetentionPolicy.Limits,
      storage: storage === 'memory' ? StorageType.Memory : StorageType.File,
      num_replicas: replicas,
      discard: DiscardPolicy.New,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      allow_direct: true,
    };
    return this.#asked(async () => {
      const manager = await this.#manager();
      try {
        return await manager.streams.add(wanted);
      } catch (error) {
        // A server that is not in a cluster says so as a fault of its own (500).
        const isFinal = error instanceof JetStreamApiError && (error.status < 500 || error.code === CODE.replicasUnsupported);
        if (!isFinal) throw error;
        // Another connector made it meanwhile.
        const existing = await manager.streams.info(stream).catch(() => null);
        if (existing !== null) return existing;
        throw new SluiceError(streamRefused, { stream, subjects: this.#subjects.join(','), detail: error.message }, { cause: error });
      }
    });
  }

  /** A stream that listens to one of these subjects; null: none that this user sees. */
  async holderOf(subjects: readonly string[]): Promise<string | null> {
    const manager = await this.#manager();
    for (const subject of subjects) {
      try {
        for await (const name of manager.streams.names(subject)) return name;
      } catch (error) {
        // Few users may ask that: then making the stream tells.
        if (!(error instanceof errors.PermissionViolationError || error instanceof JetStreamApiError || error instanceof errors.RequestError))
          throw this.#typed(error);
      }
    }
    return null;
  }

  /** Lets the stream listen to exactly these subjects. */
  async listenTo(config: StreamConfig, subjects: readonly string[]): Promise<void> {
    const { stream } = this.#config;
    try {
      await (await this.#manager()).streams.update(stream, { ...config, subjects: [...subjects] });
    } catch (error) {
      if (error instanceof JetStreamApiError && error.status < 500)
        throw new SluiceError(streamRefused, { stream, subjects: subjects.join(','), detail: error.message }, { cause: error });
      throw this.#typed(error);
    }
  }

  missing(): SluiceError {
    const { stream, replicas } = this.#config;
    return new SluiceError(streamMissing, { stream, replicas, subjects: this.#subjects.join(',') });
  }

  /** Sequence and id of the last message of a subject (wildcards allowed), null if there is none. */
  async last(subject: string): Promise<{ readonly sequence: number; readonly id: string } | null> {
    return this.#asked(async () => {
      const message = await (await this.#manager()).streams.getMessage(this.#config.stream, { last_by_subj: subject });
      return message === null ? null : { sequence: message.seq, id: message.header.get(MESSAGE_ID) };
    });
  }

  /**
   * Visits what stands from sequence `from` to `to`, headers only, in order, and returns how many messages that were. `until` ends it early. Messages
   * that are gone are not visited.
   */
  async readBack(info: StreamInfo, from: number, to: number, visit: Visit, signal: AbortSignal, options: ReadOptions = {}): Promise<number> {
    const first = Math.max(from, info.state.first_seq);
    if (info.state.messages === 0 || first > to) return 0;
    // Consumers of the other retentions take the place of the real ones and remove messages: there it is read one by one.
    const byConsumer = info.config.retention === RetentionPolicy.Limits;
    try {
      return await this.#asked(() =>
        byConsumer ? this.#readByConsumer(first, to, visit, signal, options) : this.#readOneByOne(first, to, visit, signal, options),
      );
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  async #readByConsumer(from: number, to: number, visit: Visit, signal: AbortSignal, options: ReadOptions): Promise<number> {
    const { stream } = this.#config;
    const manager = await this.#manager();
    const created = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
      headers_only: true,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(30_000),
      ...(options.filter === undefined ? {} : { filter_subject: options.filter }),
    });
    let left = created.num_pending;
    let read = 0;
    const consumer = await jetstream(this.#connection, { timeout: API_TIMEOUT_MS }).consumers.get(stream, created.name);
    try {
      while (left > 0) {
        signal.throwIfAborted();
        const wanted = Math.min(left, FETCH_MESSAGES);
        let got = 0;
        const messages = await consumer.fetch({ max_messages: wanted, expires: FETCH_EXPIRES_MS });
        for await (const message of messages) {
          if (message.seq > to) return read;
          got++;
          read++;
          visit(message.seq, message.subject, message.headers?.get(MESSAGE_ID) ?? '');
          if (options.until?.() === true) return read;
        }
        if (this.#connection.isClosed()) throw new errors.ClosedConnectionError();
        // Nothing came although there was something: it was removed meanwhile, or the consumer was lost with its server. Which one, info tells.
        if (got === 0) left = (await consumer.info()).num_pending;
        else left -= got;
      }
    } finally {
      // It goes away by itself too.
      await manager.consumers.delete(stream, created.name).catch(() => undefined);
    }
    return read;
  }

  async #readOneByOne(from: number, to: number, visit: Visit, signal: AbortSignal, options: ReadOptions): Promise<number> {
    const manager = await this.#manager();
    let next = from;
    let read = 0;
    while (next <= to) {
      signal.throwIfAborted();
      // `next_by_subj` finds the next message at or after the sequence, over all gaps (nats-server 2.9, JSApiMsgGetRequest).
      const message = await manager.streams.getMessage(this.#config.stream, { seq: next, next_by_subj: options.filter ?? '>' } as MsgRequest);
      if (message === null || message.seq > to) break;
      visit(message.seq, message.subject, message.header.get(MESSAGE_ID));
      read++;
      if (options.until?.() === true) break;
      next = message.seq + 1;
    }
    return read;
  }

  async #manager() {
    return jetstreamManager(this.#connection, { checkAPI: false, timeout: this.#timeoutMs });
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw this.#typed(error);
    }
  }

  #typed(error: unknown): unknown {
    if (error instanceof SluiceError) return error;
    const address = this.#connection.isClosed() ? 'the connection' : this.#connection.getServer();
    for (let at: unknown = error; at instanceof Error; at = at.cause) {
      if (at instanceof errors.PermissionViolationError) return permissionError(this.#config, this.#connector, at);
      if (at instanceof JetStreamApiError && at.code === CODE.jetStreamDisabled) return new SluiceError(jetStreamDisabled, {}, { cause: error });
    }
    return new SluiceError(jetStreamUnavailable, { address, detail: rootMessage(error) }, { cause: error });
  }
}

export function permissionError(
  config: NatsConfig,
  connector: string,
  violation: { readonly operation: string; readonly subject: string },
): SluiceError {
  return new SluiceError(permission, {
    operation: violation.operation === 'subscription' ? 'subscribe to' : 'publish to',
    subject: violation.subject,
    subjects: subjectFilter(config.subject, connector),
    stream: config.stream,
  });
}
