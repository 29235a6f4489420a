import type { Format, FormatContext } from '../../plugin/format.ts';
import { VERSION } from '../../version.ts';
import { definitionTopic } from './definitions.ts';
import { debeziumErrors } from './errors.ts';
import { debeziumFindings } from './findings.ts';
import { DebeziumFormat } from './format.ts';
import { heartbeatTopic } from './heartbeats.ts';
import { keyFindings } from './message-key.ts';
import { type DebeziumConfig, debeziumFields, validateDebezium } from './options.ts';
import { transactionTopic } from './transactions.ts';

/** Debezium's envelope: the default format. */
export const debezium = {
  role: 'format' as const,
  type: 'debezium',
  fields: debeziumFields,
  errors: debeziumErrors,
  findings: debeziumFindings,
  validate: validateDebezium,
  preflight: keyFindings,
  destinations: ({ provideTransactionMetadata, heartbeatInterval }: DebeziumConfig, connector: string): readonly string[] => [
    ...(provideTransactionMetadata ? [transactionTopic(connector)] : []),
    ...(heartbeatInterval === undefined ? [] : [heartbeatTopic(connector)]),
  ],
  definitions: ({ includeSchemaChanges }: DebeziumConfig, connector: string): string | null =>
    includeSchemaChanges ? definitionTopic(connector) : null,
  describes: ({ schemasEnable }: DebeziumConfig): boolean => schemasEnable,
  create(config: DebeziumConfig, context: FormatContext): Format {
    return new DebeziumFormat(context, { ...config, version: VERSION });
  },
};
