import { defineError } from '#plugin';

export const stdoutClosed = defineError({
  code: 'SLUICE_STDOUT_CLOSED',
  retry: 'manual',
  exit: 1,
  cause: 'Standard output cannot be written to any more: {reason}.',
  remedy: 'Start Sluice with a reader that stays, or a file with room. What was not confirmed is written again at the next start.',
});
