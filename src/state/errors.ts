import { defineError, rootMessage, SluiceError } from '../plugin/error.ts';

const RECOVER =
  'If a backup of the whole data directory from this very moment does not exist, run `sluice offsets recover --connector <name> --from slot` (or `--from sink`): ' +
  'the damaged state is moved aside, never deleted, and reading resumes at a place that loses nothing.';

export const STATE_LOCKED = defineError({
  code: 'SLUICE_STATE_LOCKED',
  retry: 'never',
  exit: 3,
  cause: 'The data directory {directory} is in use by another sluice process.',
  remedy: 'Stop the other process (`fuser {directory}/state/level/LOCK` names it), or give this one a data directory of its own (`dataDir`).',
});

export const STATE_CORRUPT = defineError({
  code: 'SLUICE_STATE_CORRUPT',
  retry: 'manual',
  exit: 3,
  cause: 'The state in {directory} is damaged: {reason}; {offsets}.',
  remedy: RECOVER,
});

export const STATE_BEHIND = defineError({
  code: 'SLUICE_STATE_BEHIND',
  retry: 'manual',
  exit: 3,
  cause: 'The state in {directory} has lost what was saved: LevelDB is at generation {generation}, the side file at {sideGeneration}; {offsets}.',
  remedy: RECOVER,
});

export const STATE_MISSING = defineError({
  code: 'SLUICE_STATE_MISSING',
  retry: 'manual',
  exit: 3,
  cause: 'A part of the state in {directory} is missing: {reason}; {offsets}.',
  remedy: RECOVER,
});

export const STATE_VERSION = defineError({
  code: 'SLUICE_STATE_VERSION',
  retry: 'never',
  exit: 3,
  cause: 'The state in {directory} has format {found}; this version of sluice reads format {supported}.',
  remedy: 'Run the version of sluice that wrote it, or a newer one (`sluice version` shows the version).',
});

export const STATE_ACCESS = defineError({
  code: 'SLUICE_STATE_ACCESS',
  retry: 'manual',
  exit: 3,
  cause: 'The data directory {directory} cannot be used: {reason}.',
  remedy: 'Make it a directory that the user of the process may read and write (`ls -ld {directory}`), on a volume that outlives the process.',
});

export const STATE_WRITE = defineError({
  code: 'SLUICE_STATE_WRITE',
  retry: 'manual',
  exit: 1,
  cause: 'The state in {directory} could not be written: {reason}.',
  remedy: 'Check the disk (`dmesg`, `df {directory}`), then start sluice again: nothing was acknowledged that was not saved.',
});

/** A full disk clears by itself as soon as there is space: the state is opened anew, unlike after a failed fsync of a broken disk. */
export const STATE_FULL = defineError({
  code: 'SLUICE_STATE_FULL',
  retry: 'auto',
  exit: 1,
  cause: 'There is no space for the state in {directory}: {reason}.',
  remedy:
    'Free space on that volume (`df {directory}`): the daemon goes on by itself (another command is to be given again), and nothing was acknowledged that was not saved.',
});

export const STATE_CLOSED = defineError({
  code: 'SLUICE_STATE_CLOSED',
  retry: 'never',
  exit: 1,
  cause: 'The state in {directory} was closed before this could be saved.',
  remedy: 'Start sluice again: it resumes at the last saved offset.',
});

export const STATE_RECOVERING = defineError({
  code: 'SLUICE_STATE_RECOVERING',
  retry: 'manual',
  exit: 3,
  cause: 'The state of connector {connector} was lost when the damaged data directory was replaced.',
  remedy:
    'Run `sluice offsets recover --connector {connector} --from slot` (or `--from sink`), or `sluice offsets reset --connector {connector}` to begin anew.',
});

export const STATE_SOUND = defineError({
  code: 'SLUICE_STATE_SOUND',
  retry: 'never',
  exit: 1,
  cause: 'The state in {directory} is sound: there is nothing to recreate.',
  remedy: 'Use `sluice offsets show`, `set` or `reset`.',
});

/** Descriptors come back; nothing that could not be opened was half written: the state is opened anew, with every check. */
export const STATE_FILES = defineError({
  code: 'SLUICE_STATE_FILES',
  retry: 'auto',
  exit: 3,
  cause: 'There are no file descriptors left for the files in {directory}: {reason}.',
  remedy:
    'Raise the limit (`ulimit -n`, LimitNOFILE= of systemd, `prlimit --pid … --nofile=…` while it runs): the daemon goes on by itself (another command is to be given again), and nothing was acknowledged that was not saved.',
});

/** Every kind that the state raises, for the documentation. */
export const stateErrors = [
  STATE_LOCKED,
  STATE_CORRUPT,
  STATE_BEHIND,
  STATE_MISSING,
  STATE_VERSION,
  STATE_ACCESS,
  STATE_WRITE,
  STATE_FULL,
  STATE_FILES,
  STATE_CLOSED,
  STATE_RECOVERING,
  STATE_SOUND,
];

/** True for what `recreateStore` may answer: the state is there but cannot be trusted. */
export function isDamage(error: unknown): error is SluiceError {
  return error instanceof SluiceError && (error.kind === STATE_CORRUPT || error.kind === STATE_BEHIND || error.kind === STATE_MISSING);
}

/** LevelDB's own error is text only (`IO error: …: No space left on device`); files carry a code. */
export function writeError(directory: string, error: unknown): SluiceError {
  if (error instanceof SluiceError) return error;
  const reason = rootMessage(error);
  if (isOutOfFiles(error)) return new SluiceError(STATE_FILES, { directory, reason }, { cause: error });
  const full = /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/.test(reason);
  return new SluiceError(full ? STATE_FULL : STATE_WRITE, { directory, reason }, { cause: error });
}

/** LevelDB says it in words. */
export function isOutOfFiles(error: unknown): boolean {
  return /EMFILE|ENFILE|Too many open files/i.test(rootMessage(error));
}
