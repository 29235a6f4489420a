import type { FindingKind, PluginContext, SinkPlugin } from '#plugin';
import { type KafkaConfig, kafkaFields, validateKafka } from './config.ts';
import type { KafkaDriver } from './drivers/driver.ts';
import { kafkaErrors, undeliverable } from './errors.ts';
import * as findings from './findings.ts';
import { KafkaSink } from './sink.ts';

/** Apache Kafka as a sink. */
export const kafka: SinkPlugin<typeof kafkaFields> = {
  role: 'sink',
  type: 'kafka',
  fields: kafkaFields,
  errors: kafkaErrors,
  findings: Object.values<FindingKind>(findings),
  undeliverable,
  validate: validateKafka,
  create: (config, context) => new KafkaSink(config, context, () => loadDriver(config, context)),
};

/** The library that is not used is not read from disk. */
async function loadDriver(config: KafkaConfig, context: PluginContext): Promise<KafkaDriver> {
  if (config.driver === 'kafkajs') return new (await import('./drivers/kafkajs/driver.ts')).KafkajsDriver(config, context);
  return new (await import('./drivers/platformatic/driver.ts')).PlatformaticDriver(config, context);
}
