import type { StreamInfo } from '@nats-io/jetstream';
import { isOfLog, Noted, parseMessageId } from '#plugin';
import type { StreamAccess } from './stream.ts';

/**
 * How far back is read where no place was saved. What can stand in the stream without a saved offset is what was in flight (`maxInFlightBytes`, 64 MiB
 * by default: some 100,000 messages) and what came in the time between two checkpoints (0.2 s by default, some 20,000), plus the transaction that
 * was being written, which `lastWritten` looks for beyond this.
 */
export const UNSAVED_MESSAGES = 1_000_000;

/** What a run before this one left in the stream. */
export interface Suffix {
  readonly noted: Noted;
  /** Messages that were there once and are not any more. */
  readonly gone: number;
}

/** Notes this connector's messages beyond sequence `place` (algorithms §2). `lane` as of the order: what keeps an order of its own. */
export async function readSuffix(
  access: StreamAccess,
  info: StreamInfo,
  place: number,
  connector: string,
  lane: (subject: string) => string,
  signal: AbortSignal,
): Promise<Suffix> {
  const noted = new Noted(connector);
  const end = info.state.last_seq;
  if (end <= place) return { noted, gone: 0 };
  const read = await access.readBack(info, place + 1, end, (_, subject, id) => void noted.note(lane(subject), id), signal);
  return { noted, gone: Math.max(0, end - place - read) };
}

/** True if a message of this connector stands in the stream, under a subject that it writes to or as the last of all. */
export async function holdsOutput(access: StreamAccess, info: StreamInfo, connector: string, filter: string, signal: AbortSignal): Promise<boolean> {
  const ours = `${connector}/`;
  if (info.state.messages === 0) return false;
  for (const subject of [filter, '>']) if ((await access.last(subject))?.id.startsWith(ours) === true) return true;
  let found = false;
  const visit = (_: number, __: string, id: string): void => {
    found ||= id.startsWith(ours);
  };
  await access.readBack(info, 1, info.state.last_seq, visit, signal, { filter, until: () => found });
  return found;
}

/** The sequence to read back from when the state was lost, and the transaction of this connector's last message. */
export async function lastWritten(
  access: StreamAccess,
  info: StreamInfo,
  connector: string,
  signal: AbortSignal,
): Promise<{ readonly sequence: number; readonly transaction: string | null }> {
  const end = info.state.last_seq;
  const prefix = `${connector}/`;
  // Twice as far each time, until a message of another transaction stands in front: then the last one is covered whole.
  for (let back = UNSAVED_MESSAGES; ; back *= 2) {
    const from = Math.max(info.state.first_seq, end - back + 1, 1);
    let first: string | null = null;
    let last: string | null = null;
    const visit = (_: number, __: string, id: string): void => {
      const parsed = parseMessageId(id, prefix);
      if (parsed === null || !isOfLog(parsed.transaction)) return;
      first ??= parsed.transaction;
      last = parsed.transaction;
    };
    await access.readBack(info, from, end, visit, signal);
    if (first !== last || from <= info.state.first_seq || from === 1) return { sequence: from - 1, transaction: last };
    if (last === null) return { sequence: from - 1, transaction: null };
  }
}
