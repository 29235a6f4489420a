import { defineError } from '../plugin/error.ts';

export const DOCTOR_TIMEOUT = defineError({
  code: 'SLUICE_DOCTOR_TIMEOUT',
  retry: 'auto',
  exit: 3,
  cause: 'The {part} of this connector did not answer everything that it was asked within {seconds} s.',
  remedy: 'Check the network between this machine and the server, and whether the server is overloaded; then run the command again.',
});

export const DOCTOR_STOPPED = defineError({
  code: 'SLUICE_DOCTOR_STOPPED',
  retry: 'manual',
  exit: 3,
  cause: 'The daemon has stopped this connector, with {code}: {message}.',
  remedy: '{remedy} Then: sluice restart --connector {connector}. Until then it stays stopped, whatever was mended.',
});

export const DOCTOR_WAITS = defineError({
  code: 'SLUICE_DOCTOR_WAITS',
  retry: 'auto',
  exit: 3,
  cause: 'The daemon tries this connector again and again, because of {code}: {message}.',
  remedy: '{remedy} It goes on by itself.',
});

export const doctorErrors = [DOCTOR_TIMEOUT, DOCTOR_STOPPED, DOCTOR_WAITS];
