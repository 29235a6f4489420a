import { defineError } from '../plugin/error.ts';

export const INTERNAL = defineError({
  code: 'SLUICE_INTERNAL',
  retry: 'manual',
  exit: 1,
  cause: 'Something happened that should be impossible: {reason}.',
  remedy: 'Nothing was acknowledged past the last checkpoint, so nothing is lost: start again. Please report it with the log at level debug.',
});

export const NAME_COLLISION = defineError({
  code: 'SLUICE_NAME_COLLISION',
  retry: 'never',
  exit: 2,
  cause: 'The tables {first} and {second} would both be published as "{destination}".',
  remedy: "Change the sink's template, or capture the two tables with two connectors that use different templates.",
});

export const DRAIN_TIMEOUT = defineError({
  code: 'SLUICE_DRAIN_TIMEOUT',
  retry: 'manual',
  exit: 1,
  cause: 'The sink did not confirm everything within the shutdown time-out of {seconds} s.',
  remedy: 'Nothing is lost: what is not confirmed is sent again at the next start. Raise shutdown.timeout in sluice.json if the sink is slow.',
});

export const pipelineErrors = [INTERNAL, NAME_COLLISION, DRAIN_TIMEOUT];
