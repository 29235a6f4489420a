import { defineError } from '../plugin/error.ts';

export const MAPPING_NAME = defineError({
  code: 'SLUICE_MAPPING_NAME',
  retry: 'manual',
  exit: 2,
  cause: 'By "mapping", table {table} of connector {connector} has two columns called "{column}" (version {version} of it).',
  remedy: 'Correct "mapping" in the file of the connector, and start it again: nothing of that version was sent.',
});

export const MAPPING_TYPE = defineError({
  code: 'SLUICE_MAPPING_TYPE',
  retry: 'manual',
  exit: 2,
  cause: 'By "mapping.cast", column {column} of table {table} of connector {connector} is to be {to}; no value of {from} can be made that exactly.',
  remedy: 'Correct "mapping.cast" in the file of the connector, and start it again: nothing of that version was sent.',
});

export const MAPPING_KEY = defineError({
  code: 'SLUICE_MAPPING_KEY',
  retry: 'manual',
  exit: 2,
  cause: 'By "mapping.fixed", column {column} of table {table} of connector {connector} has no place of its own, and it is part of the key.',
  remedy: 'Add it to "mapping.fixed" in the file of the connector, and start it again.',
});

export const MAPPING_VALUE = defineError({
  code: 'SLUICE_MAPPING_VALUE',
  retry: 'manual',
  exit: 1,
  cause:
    'Column {column} of table {table} of connector {connector} has a value that is no {to}, which "mapping.cast" asks for (transaction {transaction}).',
  remedy:
    'Leave the column out of "mapping.cast", or cast it to a type that takes the value, and start the connector again: it goes on with that row.',
});

export const mappingErrors = [MAPPING_NAME, MAPPING_TYPE, MAPPING_KEY, MAPPING_VALUE];
