import { ABSENT, NULL, UNAVAILABLE } from '../record/batch.ts';
import type { RecordCursor } from '../record/cursor.ts';

/**
 * True if the record's old image has a key whose cells differ from the new one's. Cells that one of the images does not carry are taken as equal:
 * the log sends an old key whenever the key has changed.
 */
export function keyCellsDiffer(record: RecordCursor, key: readonly number[]): boolean {
  if (record.before < 0 || record.after < 0) return false;
  for (let index = 0; index < key.length; index++) {
    const column = key[index] as number;
    const was = record.start(record.before, column);
    const is = record.start(record.after, column);
    if (was === ABSENT || was === UNAVAILABLE || is === ABSENT || is === UNAVAILABLE) continue;
    if (was === NULL || is === NULL) {
      if (was !== is) return true;
      continue;
    }
    if (!sameBytes(record.arena, was, record.end(record.before, column), is, record.end(record.after, column))) return true;
  }
  return false;
}

/** True if two ranges of one buffer hold the same bytes. */
export function sameBytes(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false;
  for (let index = start, other = otherStart; index < end; index++, other++) {
    if (bytes[index] !== bytes[other]) return false;
  }
  return true;
}
