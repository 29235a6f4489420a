import { defineError } from '../plugin/error.ts';

export const SCHEMA_INVALID = defineError({
  code: 'SLUICE_SCHEMA_INVALID',
  retry: 'never',
  exit: 2,
  cause: 'This is no {kind} schema, at {path}: {problem}.',
  remedy: 'Mend the schema: {specification} says how it is written.',
});

export const compatibilityErrors = [SCHEMA_INVALID];
