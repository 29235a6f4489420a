import type { KafkaConfig } from '../../connectors/kafka/config.ts';
import { kafka } from '../../connectors/kafka/index.ts';
import type { SinkContext } from '../../src/plugin/context.ts';
import type { Sink } from '../../src/plugin/sink.ts';
import { type LogLine, pluginContext } from './plugin-context.ts';

export type KafkaSinkOptions = Partial<KafkaConfig> & { readonly brokers: readonly string[] };

/** Both clients are held to the same suites. */
export const KAFKA_DRIVERS = ['platformatic', 'kafkajs'] as const;

export interface TestedSink {
  readonly sink: Sink;
  readonly log: LogLine[];
  readonly retries: string[];
  /** What it saved of its place by itself. */
  readonly saved: Record<string, string | null>;
}

/** A sink with the defaults of the field table, but for smaller topics. */
export function kafkaSink(options: KafkaSinkOptions, context: Partial<SinkContext> & { connector?: string } = {}): TestedSink {
  const own = pluginContext(context.connector ?? 'shop');
  const config: KafkaConfig = {
    driver: 'platformatic',
    topic: '{connector}.{schema}.{table}',
    createTopics: true,
    topicSettings: [],
    addedPartitions: 'ignore',
    compression: 'none',
    request: { bytes: 900 * 1024, records: 4000, timeout: 5000 },
    window: { bytes: 16 * 1024 * 1024 },
    ...options,
  };
  return { sink: kafka.create(config, { ...own, ...context }), log: own.lines, retries: own.retries, saved: own.saved };
}

export const unlimited = new AbortController().signal;
