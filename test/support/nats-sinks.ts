import { type JetStreamManager, jetstreamManager, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';
import type { NatsConfig } from '../../connectors/nats/config.ts';
import { nats } from '../../connectors/nats/index.ts';
import type { Runtime } from '../../src/plugin/runtime.ts';
import type { Sink } from '../../src/plugin/sink.ts';
import { type LogLine, pluginContext } from './plugin-context.ts';

const never = new AbortController().signal;

export type SinkOptions = Partial<NatsConfig> & { readonly servers: readonly string[]; readonly stream: string };

/** A sink with the defaults of the field table. */
export function natsSink(
  options: SinkOptions,
  connector = 'shop',
  runtime?: Runtime,
): { readonly sink: Sink; readonly log: LogLine[]; readonly retries: string[] } {
  const own = pluginContext(connector);
  const context = runtime === undefined ? own : { ...own, runtime };
  const config: NatsConfig = {
    subject: '{connector}.{schema}.{table}',
    createStream: true,
    exclusive: true,
    replicas: 1,
    storage: 'file',
    window: { messages: 256, bytes: 8 * 1024 * 1024 },
    publishTimeout: 5000,
    ...options,
  };
  return { sink: nats.create(config, context), log: context.lines, retries: context.retries };
}

export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly id: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/**
 * Looks at streams independently of the sink. A connection per question: one that was there before the server was restarted may swallow the question
 * (what is published while it is not connected is thrown away by the next dial).
 */
export class StreamObserver {
  readonly #options: ConnectionOptions;

  constructor(servers: readonly string[], options: ConnectionOptions = {}) {
    this.#options = { ...options, servers: [...servers] };
  }

  async create(config: Partial<StreamConfig> & { name: string }): Promise<StreamInfo> {
    return this.#ask((manager) => manager.streams.add(config));
  }

  async update(stream: string, config: Partial<StreamConfig>): Promise<void> {
    await this.#ask((manager) => manager.streams.update(stream, config));
  }

  async info(stream: string): Promise<StreamInfo> {
    return this.#ask((manager) => manager.streams.info(stream));
  }

  async delete(stream: string): Promise<void> {
    await this.#ask((manager) => manager.streams.delete(stream));
  }

  async purge(stream: string, keep: number): Promise<void> {
    await this.#ask((manager) => manager.streams.purge(stream, { keep }));
  }

  /** So that the subjects are free for the next test. */
  async deleteAll(): Promise<void> {
    await this.#ask(async (manager) => {
      for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
    });
  }

  async publish(subject: string, body: string): Promise<void> {
    await this.#ask(async (_, connection) => {
      connection.publish(subject, body);
      await connection.flush();
    });
  }

  /** Everything that stands in the stream, in order. */
  async read(stream: string): Promise<StoredMessage[]> {
    return this.#ask(async (manager) => {
      const { state } = await manager.streams.info(stream);
      const read: StoredMessage[] = [];
      for (let sequence = state.first_seq; sequence <= state.last_seq; sequence += 64) {
        const length = Math.min(64, state.last_seq - sequence + 1);
        const some = Array.from({ length }, (_, at) => manager.streams.getMessage(stream, { seq: sequence + at }));
        for (const message of await Promise.all(some)) {
          if (message === null) continue;
          const headers = Object.fromEntries([...message.header]);
          read.push({ sequence: message.seq, subject: message.subject, id: message.header.get('Nats-Msg-Id'), body: message.string(), headers });
        }
      }
      return read;
    });
  }

  async ids(stream: string): Promise<string[]> {
    return (await this.read(stream)).map(({ id }) => id);
  }

  async #ask<T>(question: (manager: JetStreamManager, connection: NatsConnection) => Promise<T>): Promise<T> {
    const connection = await connect(this.#options);
    try {
      return await question(await jetstreamManager(connection, { checkAPI: false }), connection);
    } finally {
      await connection.close();
    }
  }
}

/** Opens, writes and closes without a way to give up. */
export const unlimited = never;
