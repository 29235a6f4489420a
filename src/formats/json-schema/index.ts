import type { Format, FormatContext, FormatPorts } from '../../plugin/format.ts';
import { debeziumErrors } from '../debezium/errors.ts';
import { debeziumFindings } from '../debezium/findings.ts';
import { keyFindings } from '../debezium/message-key.ts';
import { registryErrors } from '../registry/errors.ts';
import { envelopeOptions, type RegisteredConfig, registeredFields, validateRegistered } from '../registry/format-options.ts';
import { JsonSchemaFormat } from './format.ts';

/** Debezium's envelope in JSON, its schemas in a registry. */
export const jsonSchema = {
  role: 'format' as const,
  type: 'json-schema',
  fields: registeredFields,
  errors: [...registryErrors, ...debeziumErrors],
  findings: debeziumFindings,
  isBinary: true,
  validate: validateRegistered,
  preflight: keyFindings,
  describes: (): boolean => true,
  create(config: RegisteredConfig, context: FormatContext, ports: FormatPorts): Format {
    return new JsonSchemaFormat(context, envelopeOptions(config), config.registry, ports);
  },
};
