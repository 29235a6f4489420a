import { type ConfigOf, fields } from '../../plugin/field.ts';
import { VERSION } from '../../version.ts';
import { type DebeziumOptions, debeziumFields, validateDebezium } from '../debezium/options.ts';
import { registryFields, validateRegistry } from './options.ts';

const { schemasEnable: _, provideTransactionMetadata: __, heartbeatInterval: ___, includeSchemaChanges: ____, ...envelopeFields } = debeziumFields;

/** What formats with schemas in a registry have in common: Debezium's options but for those of inline schemas, and of messages that are no table's. */
export const registeredFields = fields({
  registry: { kind: 'object', fields: registryFields, about: 'The schema registry, with the API of Confluent, which others have too.' },
  ...envelopeFields,
  provideTransactionMetadata: { kind: 'notYet', about: '`provide.transaction.metadata`.' },
  includeSchemaChanges: { kind: 'notYet', about: '`include.schema.changes`.' },
  heartbeatInterval: { kind: 'notYet', about: '`heartbeat.interval.ms`. What keeps the log of an idle database moving is `source.heartbeat`.' },
});

export type RegisteredConfig = ConfigOf<typeof registeredFields>;

/** As the envelope takes them: schemas are written, though not inline. */
export function envelopeOptions(config: RegisteredConfig): DebeziumOptions {
  return { ...config, schemasEnable: true, provideTransactionMetadata: false, includeSchemaChanges: false, version: VERSION };
}

export function validateRegistered(config: RegisteredConfig): { readonly path: string; readonly message: string; readonly remedy: string }[] {
  return [...validateRegistry(config.registry), ...validateDebezium(envelopeOptions(config))];
}
