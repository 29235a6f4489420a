import { defineError, SluiceError } from '../plugin/error.ts';

export const SEGMENTS_DAMAGED = defineError({
  code: 'SLUICE_SEGMENTS_DAMAGED',
  retry: 'manual',
  exit: 3,
  cause:
    'The file {path} of connector {connector} is damaged at byte {offset}: {reason}. What was confirmed there ends at byte {expected} of segment {segment}.',
  remedy:
    'Restore the directory {directory} from a copy, and start again. Or let go what it held: `sluice dlq discard --connector {connector} --all`, or `sluice tables discard` for a stopped table; nothing else is lost, and where the daemon still runs the connector goes on.',
});

export const SEGMENTS_FULL = defineError({
  code: 'SLUICE_SEGMENTS_FULL',
  retry: 'manual',
  exit: 1,
  cause: 'The directory {directory} of connector {connector} holds {bytes} bytes, and the bound is {limit}.',
  remedy:
    'Look at what is there (`sluice dlq list`, `sluice tables list`), and let it go (`sluice schema accept`, `sluice tables discard`, `sluice dlq discard`): where the daemon still runs the connector goes on then. Or raise deadLetter.maxBytes or spool.maxBytes, start again, and replay or resume. Nothing is lost.',
});

/** That, or what it led to. */
export function isDamagedSegment(error: unknown): boolean {
  return error instanceof SluiceError && (error.kind === SEGMENTS_DAMAGED || isDamagedSegment(error.cause));
}

/** A command that lets go what stands there mends it. */
export function isAboutSegments(error: unknown): boolean {
  return isDamagedSegment(error) || (error instanceof SluiceError && error.kind === SEGMENTS_FULL);
}

export const segmentErrors = [SEGMENTS_DAMAGED, SEGMENTS_FULL];
