import { type ConfigOf, fields } from '../../plugin/field.ts';
import type { Format, FormatContext, FormatPorts } from '../../plugin/format.ts';
import { debeziumErrors } from '../debezium/errors.ts';
import { debeziumFindings } from '../debezium/findings.ts';
import { keyFindings } from '../debezium/message-key.ts';
import { registryErrors } from '../registry/errors.ts';
import { envelopeOptions, registeredFields, validateRegistered } from '../registry/format-options.ts';
import { avroErrors } from './errors.ts';
import { AvroFormat } from './format.ts';

const avroFields = fields({
  ...registeredFields,
  schemaNameAdjustmentMode: {
    kind: 'choice',
    choices: ['none', 'avro', 'avro_unicode'],
    default: 'avro',
    about:
      '`schema.name.adjustment.mode`: how the names of schemas become names that Avro takes: other characters as `_`, or as `_uXXXX`, which keeps different names apart. `none`: where they are none, the table is refused.',
  },
  fieldNameAdjustmentMode: {
    kind: 'choice',
    choices: ['none', 'avro', 'avro_unicode'],
    default: 'avro',
    about: '`field.name.adjustment.mode`: the same for the names of columns.',
  },
});

export type AvroConfig = ConfigOf<typeof avroFields>;

/** Debezium's envelope in Avro, its schemas in a registry. */
export const avro = {
  role: 'format' as const,
  type: 'avro',
  fields: avroFields,
  errors: [...avroErrors, ...registryErrors, ...debeziumErrors],
  findings: debeziumFindings,
  isBinary: true,
  validate: validateRegistered,
  preflight: keyFindings,
  describes: (): boolean => true,
  create(config: AvroConfig, context: FormatContext, ports: FormatPorts): Format {
    const { schemaNameAdjustmentMode, fieldNameAdjustmentMode, registry } = config;
    return new AvroFormat(context, envelopeOptions(config), { schemaNameAdjustmentMode, fieldNameAdjustmentMode }, registry, ports);
  },
};
