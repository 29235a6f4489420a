/**
 * Message ids are `<connector>/<transaction>/<ordinal>/<part>`; the transaction may hold slashes itself (algorithms §1). What is said of the transaction as a whole has
 * a word for its ordinal, `begin` or `end`: it stands before all its changes, or behind them, however many there are.
 */
export interface MessageId {
  readonly transaction: string;
  readonly ordinal: number;
  readonly part: number;
}

/** In front of a transaction: a dead letter of it in the dead-letter topic, which is another message than the one that it holds. */
export const DEAD_LETTER = 'dead-letter/';

/** In front of a table's name and a transaction: a message of a table that was stopped, sent when it was resumed. */
export const RESUMED = 'resumed/';

/** In front of what stands for the transaction of a row that was copied. Each copy has its own: a row that is read again is another message. */
export const SNAPSHOT = 'snapshot/';

/** In front of a time, microseconds since the epoch, that stands for the transaction of a heartbeat. */
export const HEARTBEAT = 'heartbeat/';

/**
 * In front of a version's number and the transaction of the first record in it: a message that announces the shape. It stands before that record and yet beside the order of
 * the log: the catalogue, ahead of the log, may tell another version when the record is read again, whose announcement is another message then.
 */
export const SHAPE = 'shape/';

/** What is sent beside the order of the log. */
const BESIDE = [DEAD_LETTER, RESUMED, SNAPSHOT, HEARTBEAT, SHAPE] as const;

/** True if it is a transaction of the log, and no message that was sent beside it. `at`: where it begins in `text`. */
export function isOfLog(text: string, at = 0): boolean {
  return !BESIDE.some((beside) => text.startsWith(beside, at));
}

/** Ordinals of what is said of a transaction as a whole; their ranks are exact too. */
const BEGIN = -1;
const END = 2 ** 43 - 1;

/** The parts of an id of this connector, null if it is none. `prefix` is the connector's name and a slash. */
export function parseMessageId(id: string, prefix: string): MessageId | null {
  if (!id.startsWith(prefix)) return null;
  const partAt = id.lastIndexOf('/');
  const ordinalAt = id.lastIndexOf('/', partAt - 1);
  if (ordinalAt < prefix.length + 1) return null;
  const ordinal = ordinalOf(id, ordinalAt + 1, partAt);
  const part = wholeNumber(id, partAt + 1, id.length);
  if (ordinal === null || part < 0) return null;
  return { transaction: id.slice(prefix.length, ordinalAt), ordinal, part };
}

function ordinalOf(id: string, start: number, end: number): number | null {
  const ordinal = wholeNumber(id, start, end);
  if (ordinal >= 0) return ordinal;
  if (id.startsWith('begin/', start)) return BEGIN;
  return id.startsWith('end/', start) ? END : null;
}

function wholeNumber(text: string, start: number, end: number): number {
  if (start >= end || end - start > 15) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** A record makes few messages. */
const PARTS = 1024;

/** (ordinal, part) as one number that orders as they do within a transaction; exact below 2^53. */
export function rankOf({ ordinal, part }: MessageId): number {
  return ordinal * PARTS + Math.min(part, PARTS - 1);
}
