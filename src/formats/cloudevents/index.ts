import { type ConfigOf, fields } from '../../plugin/field.ts';
import type { Finding } from '../../plugin/finding.ts';
import type { Encoder, Format, FormatContext, FormatPlugin } from '../../plugin/format.ts';
import type { TableOutline } from '../../plugin/outline.ts';
import type { CloudEventsHeaders } from '../../plugin/sink.ts';
import type { TableVersion } from '../../record/table.ts';
import { VERSION } from '../../version.ts';
import { debeziumErrors } from '../debezium/errors.ts';
import { debeziumFindings } from '../debezium/findings.ts';
import { keyFindings } from '../debezium/message-key.ts';
import type { DebeziumOptions } from '../debezium/options.ts';
import { debeziumFields, validateDebezium } from '../debezium/options.ts';
import { IN_VALUE } from './attributes.ts';
import { type BatchCounter, CloudEventsEncoder } from './encoder.ts';

/** What belongs to Debezium's envelope, not to its rows. */
const {
  schemasEnable,
  columnPropagateSourceType,
  datatypePropagateSourceType,
  provideTransactionMetadata,
  heartbeatInterval,
  includeSchemaChanges,
  ...rowFields
} = debeziumFields;

const cloudEventsFields = fields({
  mode: {
    kind: 'choice',
    choices: ['structured', 'binary'],
    default: 'structured',
    about:
      '`structured`: attributes and data in the value, one JSON object. `binary`: the data are the value, the attributes headers (`ce_…` in Kafka, `ce-…` in NATS).',
  },
  ...rowFields,
});

type CloudEventsConfig = ConfigOf<typeof cloudEventsFields>;

/** Kafka's form, and that of sinks that have none of their own. */
const PLAIN: CloudEventsHeaders = { prefix: 'ce_', isPercentEncoded: false };

/** CloudEvents 1.0 with Debezium's attributes. */
class CloudEventsFormat implements Format {
  readonly #context: FormatContext;
  readonly #options: DebeziumOptions;
  readonly #form: CloudEventsHeaders | typeof IN_VALUE;
  readonly #counter: BatchCounter = { batch: 0 };

  constructor(context: FormatContext, options: DebeziumOptions, mode: CloudEventsConfig['mode']) {
    this.#context = context;
    this.#options = options;
    this.#form = mode === 'structured' ? IN_VALUE : (context.cloudEvents ?? PLAIN);
  }

  prepare(table: TableVersion): Encoder {
    return new CloudEventsEncoder(this.#context, this.#options, this.#counter, table, this.#form);
  }

  begin(): void {
    this.#counter.batch++;
  }
}

/** With what its rows do not have. */
function asDebezium(config: CloudEventsConfig): DebeziumOptions {
  return {
    ...config,
    schemasEnable: false,
    columnPropagateSourceType: [],
    datatypePropagateSourceType: [],
    provideTransactionMetadata: false,
    includeSchemaChanges: false,
    version: VERSION,
  };
}

export const cloudevents = {
  role: 'format' as const,
  type: 'cloudevents',
  fields: cloudEventsFields,
  errors: debeziumErrors,
  findings: debeziumFindings,
  validate: (config: CloudEventsConfig): ReturnType<NonNullable<FormatPlugin['validate']>> => validateDebezium(asDebezium(config)),
  preflight: (config: CloudEventsConfig, tables: readonly TableOutline[]): readonly Finding[] => keyFindings(asDebezium(config), tables),
  create(config: CloudEventsConfig, context: FormatContext): Format {
    return new CloudEventsFormat(context, asDebezium(config), config.mode);
  },
};
