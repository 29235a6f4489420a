import { defineError } from '../plugin/error.ts';

export const CONTROL_PATH = defineError({
  code: 'SLUICE_CONTROL_PATH',
  retry: 'never',
  exit: 2,
  cause: 'The path of the control socket, {path}, is longer than the {limitBytes} bytes that a Unix socket may have.',
  remedy: 'Choose a shorter `dataDir`, or start sluice in a directory from which the relative path to it is shorter.',
});

export const CONTROL_IN_USE = defineError({
  code: 'SLUICE_CONTROL_IN_USE',
  retry: 'never',
  exit: 3,
  cause: 'Another process answers on the control socket {path}.',
  remedy: 'Stop the other sluice process (`fuser {path}` names it), or give this one a data directory of its own (`dataDir`).',
});

export const CONTROL_LISTEN = defineError({
  code: 'SLUICE_CONTROL_LISTEN',
  retry: 'manual',
  exit: 3,
  cause: 'The control socket {path} could not be made: {reason}.',
  remedy: 'Make the data directory one that the user of the process may write to, on a file system that has Unix sockets (`ls -ld`, `df -T`).',
});

/** No process serves the data directory: the command may open the state itself. */
export const CONTROL_NO_DAEMON = defineError({
  code: 'SLUICE_CONTROL_NO_DAEMON',
  retry: 'never',
  exit: 3,
  cause: 'No sluice daemon is running on the data directory {directory}.',
  remedy: 'Start one with `sluice run`, or name the right configuration.',
});

export const CONTROL_DENIED = defineError({
  code: 'SLUICE_CONTROL_DENIED',
  retry: 'never',
  exit: 3,
  cause: 'This user may not use the control socket {path}.',
  remedy: 'Run the command as the user of the daemon (`ls -l {path}`).',
});

export const CONTROL_FAILED = defineError({
  code: 'SLUICE_CONTROL_FAILED',
  retry: 'manual',
  exit: 1,
  cause: 'The daemon did not answer {route}: {reason}.',
  remedy: 'Look at the log of the daemon, then run the command again: `sluice offsets show` says whether it took effect.',
});

export const CONTROL_ROUTE = defineError({
  code: 'SLUICE_CONTROL_ROUTE',
  retry: 'never',
  exit: 1,
  cause: 'The daemon does not know the request {route}.',
  remedy: 'Use the `sluice` command of the same version as the daemon (`sluice version`).',
});

export const CONTROL_REQUEST = defineError({
  code: 'SLUICE_CONTROL_REQUEST',
  retry: 'never',
  exit: 1,
  cause: 'The request {route} is not understood: {reason}.',
  remedy: 'Send JSON of at most {limitBytes} bytes, as the `sluice` command does.',
});

export const CONTROL_INTERNAL = defineError({
  code: 'SLUICE_CONTROL_INTERNAL',
  retry: 'manual',
  exit: 1,
  cause: 'The daemon failed at {route}: {reason}.',
  remedy: 'Report this as a bug, with the log of the daemon.',
});

/** Every kind of the control socket and its client, for the documentation. */
export const controlErrors = [
  CONTROL_PATH,
  CONTROL_IN_USE,
  CONTROL_LISTEN,
  CONTROL_NO_DAEMON,
  CONTROL_DENIED,
  CONTROL_FAILED,
  CONTROL_ROUTE,
  CONTROL_REQUEST,
  CONTROL_INTERNAL,
];
