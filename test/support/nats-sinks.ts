import { jetstreamManager, type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { NatsConfig } from '../../connectors/nats/config.ts';
import { nats } from '../../connectors/nats/index.ts';
import type { Sink } from '../../src/plugin/sink.ts';
import { type LogLine, pluginContext } from './plugin-context.ts';

const never = new AbortController().signal;

export type SinkOptions = Partial<NatsConfig> & { readonly servers: readonly string[]; readonly stream: string };

/** A sink with the defaults of the field table. */
export function natsSink(options: SinkOptions, connector = 'shop'): { readonly sink: Sink; readonly log: LogLine[]; readonly retries: string[] } {
  const context = pluginContext(connector);
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

/** A client of its own, to look at a stream independently of the sink. */
export class StreamObserver {
  readonly connection: NatsConnection;

  private constructor(connection: NatsConnection) {
    this.connection = connection;
  }

  static async connect(servers: readonly string[], options: Parameters<typeof connect>[0] = {}): Promise<StreamObserver> {
    return new StreamObserver(await connect({ servers: [...servers], maxReconnectAttempts: -1, reconnectTimeWait: 100, ...options }));
  }

  async create(config: Partial<StreamConfig> & { name: string }): Promise<StreamInfo> {
    return (await jetstreamManager(this.connection)).streams.add(config);
  }

  async update(stream: string, config: Partial<StreamConfig>): Promise<void> {
    await (await jetstreamManager(this.connection)).streams.update(stream, config);
  }

  async info(stream: string): Promise<StreamInfo> {
    return (await jetstreamManager(this.connection)).streams.info(stream);
  }

  async delete(stream: string): Promise<void> {
    await (await jetstreamManager(this.connection)).streams.delete(stream);
  }

  /** So that the subjects are free for the next test. */
  async deleteAll(): Promise<void> {
    const manager = await jetstreamManager(this.connection);
    for await (const { config } of manager.streams.list()) await manager.streams.delete(config.name);
  }

  /** Everything that stands in the stream, in order. */
  async read(stream: string): Promise<StoredMessage[]> {
    const manager = await jetstreamManager(this.connection);
    const { state } = await manager.streams.info(stream);
    const read: StoredMessage[] = [];
    for (let sequence = state.first_seq; sequence <= state.last_seq; sequence += 64) {
      const some = Array.from({ length: Math.min(64, state.last_seq - sequence + 1) }, (_, at) => manager.streams.getMessage(stream, { seq: sequence + at }));
      for (const message of await Promise.all(some)) {
        if (message === null) continue;
        const headers = Object.fromEntries([...message.header]);
        read.push({ sequence: message.seq, subject: message.subject, id: message.header.get('Nats-Msg-Id'), body: message.string(), headers });
      }
    }
    return read;
  }

  async ids(stream: string): Promise<string[]> {
    return (await this.read(stream)).map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}

/** Opens, writes and closes without a way to give up. */
export const unlimited = never;
