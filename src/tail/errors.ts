import { defineError } from '../plugin/error.ts';

export const TAIL_FILTER = defineError({
  code: 'SLUICE_TAIL_FILTER',
  retry: 'never',
  exit: 2,
  cause: 'What is asked to be shown is not understood: {reason}.',
  remedy: '{remedy}.',
});

export const tailErrors = [TAIL_FILTER];
