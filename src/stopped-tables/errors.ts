import { defineError } from '../plugin/error.ts';

export const TABLE_STOPPED = defineError({
  code: 'SLUICE_TABLE_STOPPED',
  retry: 'auto',
  exit: 1,
  cause: 'Table {table} of connector {connector} is stopped: {reason}. Its changes are kept in {directory}, in order; the other tables go on.',
  remedy:
    'Mend the cause, then `sluice tables resume --connector {connector} --table {table}`. A change of its shape can be let through with `sluice schema accept --connector {connector} --table {table}`, which resumes it too.',
});

export const TABLE_NOT_STOPPED = defineError({
  code: 'SLUICE_TABLE_NOT_STOPPED',
  retry: 'never',
  exit: 2,
  cause: 'Table {table} of connector {connector} is not stopped.',
  remedy: '`sluice tables list` shows those that are.',
});

export const TABLES_NOT_RUNNING = defineError({
  code: 'SLUICE_TABLES_NOT_RUNNING',
  retry: 'manual',
  exit: 1,
  cause: 'Connector {connector} is not running: the changes of a stopped table are sent by the running connector, in order with what comes.',
  remedy: 'Start it with `sluice run`, then run the command again.',
});

export const TABLE_RESUMING = defineError({
  code: 'SLUICE_TABLE_RESUMING',
  retry: 'never',
  exit: 1,
  cause: 'Table {table} of connector {connector} is being resumed: what waits is on its way to the sink.',
  remedy: 'Wait until it is live (`sluice tables list`), or stop the daemon first.',
});

export const stoppedTableErrors = [TABLE_STOPPED, TABLE_NOT_STOPPED, TABLES_NOT_RUNNING, TABLE_RESUMING];
