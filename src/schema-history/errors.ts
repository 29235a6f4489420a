import { defineError } from '../plugin/error.ts';

export const SCHEMA_TABLE_UNKNOWN = defineError({
  code: 'SLUICE_SCHEMA_TABLE_UNKNOWN',
  retry: 'never',
  exit: 2,
  cause: 'The schema history of connector {connector} has no table {table}.',
  remedy: '`sluice schema list` shows those that it has. A table comes into it when the log or a copy shows its first row, and that is saved.',
});

export const SCHEMA_VERSION_UNKNOWN = defineError({
  code: 'SLUICE_SCHEMA_VERSION_UNKNOWN',
  retry: 'never',
  exit: 2,
  cause: 'The schema history of connector {connector} has no version {version} of table {table}.',
  remedy: 'It has {known}.',
});

export const SCHEMA_NO_JSON_SCHEMA = defineError({
  code: 'SLUICE_SCHEMA_NO_JSON_SCHEMA',
  retry: 'never',
  exit: 2,
  cause: 'The format {format} of connector {connector} publishes no JSON Schema of its messages.',
  remedy:
    'Leave --json-schema out to see the columns; format native has JSON Schemas, and debezium writes schemas into its messages with "schemasEnable": true.',
});

export const schemaHistoryErrors = [SCHEMA_TABLE_UNKNOWN, SCHEMA_VERSION_UNKNOWN, SCHEMA_NO_JSON_SCHEMA];
