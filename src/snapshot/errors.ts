import { defineError } from '../plugin/error.ts';

export const SNAPSHOT_NOT_RUNNING = defineError({
  code: 'SLUICE_SNAPSHOT_NOT_RUNNING',
  retry: 'manual',
  exit: 1,
  cause: 'Connector {connector} is not reading its log now, and copies nothing.',
  remedy: 'Start it (`sluice run`), or wait until it runs: the log says what keeps it. Its first copy comes before the log and cannot be changed.',
});

export const SNAPSHOT_UNKNOWN_TABLE = defineError({
  code: 'SLUICE_SNAPSHOT_UNKNOWN_TABLE',
  retry: 'never',
  exit: 2,
  cause: 'Connector {connector} does not capture {table}.',
  remedy: '`sluice snapshot status` lists what it captures; a table is named as there, public.orders.',
});

export const SNAPSHOT_UNDER_WAY = defineError({
  code: 'SLUICE_SNAPSHOT_UNDER_WAY',
  retry: 'manual',
  exit: 1,
  cause: 'Table {table} is being copied already.',
  remedy: 'Wait for it (`sluice snapshot status`), or end it: sluice snapshot stop --table {table}',
});

export const SNAPSHOT_INCOMPLETE = defineError({
  code: 'SLUICE_SNAPSHOT_INCOMPLETE',
  retry: 'manual',
  exit: 1,
  cause: 'Connector {connector} copies its tables once and ends, and could not copy {tables}.',
  remedy: '`sluice snapshot status` says why. Mend it and start again: only what is left is copied.',
});

// Signals: each of these is said, and the connector goes on.

export const SIGNAL_TYPE = defineError({
  code: 'SLUICE_SIGNAL_TYPE',
  retry: 'never',
  exit: 1,
  cause: 'A signal in {table} was passed over: its type is none that is known.',
  remedy: 'Insert it with one of these types: {types}.',
});

export const SIGNAL_DATA = defineError({
  code: 'SLUICE_SIGNAL_DATA',
  retry: 'never',
  exit: 1,
  cause: 'A signal in {table} (type {type}) was passed over: {detail}.',
  remedy: 'Insert it again with data such as {"data-collections": ["public.orders"]}; connectors/postgres/README.md has every field.',
});

export const SIGNAL_BLOCKING = defineError({
  code: 'SLUICE_SIGNAL_BLOCKING',
  retry: 'never',
  exit: 1,
  cause: 'A signal in {table} was passed over: it asks for a blocking snapshot, and there are none.',
  remedy:
    'Leave "type" out of its data, and give conditions in place of whole SELECT statements: tables are copied beside their changes, which do not wait.',
});

export const SIGNAL_NO_TABLE = defineError({
  code: 'SLUICE_SIGNAL_NO_TABLE',
  retry: 'never',
  exit: 1,
  cause: 'A signal in {table} (type {type}): number {number} of its "data-collections" matches no captured table.',
  remedy: '`sluice snapshot status` lists what is captured; a regular expression must match the whole of such a name, in its case.',
});

export const SIGNAL_TOO_MANY = defineError({
  code: 'SLUICE_SIGNAL_TOO_MANY',
  retry: 'never',
  exit: 1,
  cause: '{count} signals in {table} were passed over: with those before them they have more than {bound} in one transaction, or at once.',
  remedy: 'Insert them again, a few at a time: one signal may name any number of tables.',
});

export const SIGNAL_UNDER_WAY = defineError({
  code: 'SLUICE_SIGNAL_UNDER_WAY',
  retry: 'never',
  exit: 1,
  cause: 'A signal asks for a copy of {table}, which is being copied already: it was passed over for this table.',
  remedy: 'Wait for that copy (`sluice snapshot status`) or end it (type stop-snapshot), and insert the signal again.',
});

/** For the documentation. */
export const snapshotErrors = [
  SNAPSHOT_INCOMPLETE,
  SNAPSHOT_NOT_RUNNING,
  SNAPSHOT_UNKNOWN_TABLE,
  SNAPSHOT_UNDER_WAY,
  SIGNAL_TYPE,
  SIGNAL_DATA,
  SIGNAL_BLOCKING,
  SIGNAL_NO_TABLE,
  SIGNAL_TOO_MANY,
  SIGNAL_UNDER_WAY,
];
