import { defineError } from '../plugin/error.ts';

export const CONNECTOR_PAUSED = defineError({
  code: 'SLUICE_CONNECTOR_PAUSED',
  retry: 'never',
  exit: 2,
  cause: 'The connector "{connector}" is paused.',
  remedy: 'Let it go on: sluice resume --connector {connector}',
});

export const CONNECTOR_FAILED = defineError({
  code: 'SLUICE_CONNECTOR_FAILED',
  retry: 'never',
  exit: 2,
  cause: 'The connector "{connector}" has failed: {reason}.',
  remedy: 'Mend that, then start it again: sluice restart --connector {connector}',
});

export const CONNECTOR_ENDED = defineError({
  code: 'SLUICE_CONNECTOR_ENDED',
  retry: 'never',
  exit: 2,
  cause: 'The connector "{connector}" has ended, and this process with it before long.',
  remedy: 'Start the daemon again: sluice run',
});

export const lifecycleErrors = [CONNECTOR_PAUSED, CONNECTOR_FAILED, CONNECTOR_ENDED];
