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

/** For the documentation. */
export const snapshotErrors = [SNAPSHOT_INCOMPLETE, SNAPSHOT_NOT_RUNNING, SNAPSHOT_UNKNOWN_TABLE, SNAPSHOT_UNDER_WAY];
