import { defineError } from '../plugin/error.ts';

export const SCHEMA_INCOMPATIBLE = defineError({
  code: 'SLUICE_SCHEMA_INCOMPATIBLE',
  retry: 'manual',
  exit: 1,
  cause:
    'Table {table} of connector {connector} has a shape (version {version}) that compatibility "{level}" does not allow behind version {against}: {reasons}.',
  remedy:
    '`sluice schema diff --table {table} --from {against} --to {version}` shows what changed. Undo the change in the database, or let it through with `sluice schema accept --connector {connector} --table {table}`.',
});

export const SCHEMA_ACCEPT_NOTHING = defineError({
  code: 'SLUICE_SCHEMA_ACCEPT_NOTHING',
  retry: 'never',
  exit: 2,
  cause: 'Table {table} of connector {connector} has no version that waits to be accepted.',
  remedy:
    '`sluice schema list` shows the tables and which of their versions wait; versions are judged where the connector\'s file has "compatibility".',
});

export const schemaPolicyErrors = [SCHEMA_INCOMPATIBLE, SCHEMA_ACCEPT_NOTHING];
