import type { Format, FormatContext } from '../../plugin/format.ts';
import { VERSION } from '../../version.ts';
import { DebeziumFormat } from './format.ts';
import { type DebeziumConfig, debeziumFields, validateDebezium } from './options.ts';

/** Debezium's envelope: the default format. */
export const debezium = {
  role: 'format' as const,
  type: 'debezium',
  fields: debeziumFields,
  validate: validateDebezium,
  describes: ({ schemasEnable }: DebeziumConfig): boolean => schemasEnable,
  create(config: DebeziumConfig, context: FormatContext): Format {
    return new DebeziumFormat(context, { ...config, version: VERSION });
  },
};
