import { defineError } from '#plugin';

export const outputClosed = defineError({
  code: 'SLUICE_STDOUT_CLOSED',
  retry: 'manual',
  exit: 1,
  cause: 'Whoever read the standard output has gone (EPIPE).',
  remedy: 'Nothing that was not written is acknowledged: start again with a reader that stays.',
});

export const outputFailed = defineError({
  code: 'SLUICE_STDOUT_FAILED',
  retry: 'manual',
  exit: 1,
  cause: 'The standard output cannot be written: {detail}.',
  remedy: 'Where it goes to a file, look at the disk and the rights of that file; then start again.',
});

export const stdoutErrors = [outputClosed, outputFailed];
