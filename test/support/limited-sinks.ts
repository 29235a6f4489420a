/** Sinks that refuse messages of more than 20,000 bytes (or another limit), until they are told to take them. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import kafkajs from 'kafkajs';
import type { KafkaServer, NatsServer } from '../servers/index.ts';
import { createTopic, readTopic } from './kafka-topics.ts';
import { readStream } from './stream-ledger.ts';

const { ConfigResourceTypes, Kafka, logLevel } = kafkajs;

/** What is too large, and what fits. */
export const LARGE = 40_000;
const LIMIT = 20_000;

export interface Stored {
  readonly id: string;
  readonly destination: string;
  /** Columns `id` and `n` of the row. */
  readonly row: number | null;
  /** As the envelope has it; null: a tombstone. */
  readonly op: string | null;
  readonly n: number | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LimitedSink {
  readonly sink: Readonly<Record<string, unknown>>;
  readonly deadLetterTopic: string;
  /** Everything that stands in the sink. */
  stored(): Promise<Stored[]>;
  /** From now on it takes the large ones. */
  allow(): Promise<void>;
}

export async function natsLimited(nats: NatsServer, stream: string, limit = LIMIT): Promise<LimitedSink> {
  const connection = await connect({ servers: nats.url });
  const { streams } = await jetstreamManager(connection);
  await streams.add({ name: stream, subjects: [`${stream}.*.*`, `${stream}.dead-letter`], max_msg_size: limit });
  await connection.close();
  return {
    sink: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` },
    deadLetterTopic: `${stream}.dead-letter`,
    stored: async () => {
      const all: Stored[] = [];
      await readStream(nats.url, stream, ({ id, subject, value, headers = {} }) => {
        all.push({ id, destination: subject, row: numberIn(value?.after, 'id'), op: value?.op ?? null, n: numberIn(value?.after, 'n'), headers });
      });
      return all;
    },
    allow: async () => {
      const again = await connect({ servers: nats.url });
      const manager = await jetstreamManager(again);
      const { config } = await manager.streams.info(stream);
      await manager.streams.update(stream, { ...config, max_msg_size: -1 });
      await again.close();
    },
  };
}

export async function kafkaLimited(
  kafka: KafkaServer,
  name: string,
  driver: string,
  { partitions = 1, others = [], limit = LIMIT }: { partitions?: number; others?: readonly string[]; limit?: number } = {},
): Promise<LimitedSink> {
  const [table, deadLetterTopic] = [`${name}.public.t`, `${name}.dead-letter`];
  const more = others.map((other) => `${name}.public.${other}`);
  for (const topic of more) await createTopic(kafka, topic, { partitions });
  for (const topic of [table, deadLetterTopic]) await createTopic(kafka, topic, { partitions, settings: { 'max.message.bytes': String(limit) } });
  return {
    sink: { type: 'kafka', brokers: kafka.brokers, driver, topic: `${name}.{schema}.{table}` },
    deadLetterTopic,
    stored: async () => {
      const all: Stored[] = [];
      for (const topic of [table, deadLetterTopic, ...more]) {
        for (const { headers, value } of await readTopic(kafka, topic)) {
          const named = Object.fromEntries(headers.map(([key, text]) => [key, String(text)]));
          const envelope = value === null ? {} : JSON.parse(value.toString());
          const { after, op = null } = envelope as { after?: Record<string, unknown>; op?: string };
          all.push({ id: named['sluice.id'] ?? '', destination: topic, row: numberIn(after, 'id'), op, n: numberIn(after, 'n'), headers: named });
        }
      }
      return all;
    },
    allow: async () => {
      const admin = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      const configEntries = [{ name: 'max.message.bytes', value: String(Math.max(1_000_000, limit * 30)) }];
      await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: table, configEntries }] });
      await admin.disconnect();
    },
  };
}

function numberIn(row: Readonly<Record<string, unknown>> | null | undefined, column: string): number | null {
  return (row?.[column] as number | undefined) ?? null;
}
