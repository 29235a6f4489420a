import { writeBytes } from '../json-text.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/**
 * JSON text as JSON: numbers keep every digit because they are never read. White space between tokens is left out, so that a value stays on one line.
 * At most as many bytes as it has. The cell is JSON by its contract (`record/types.ts`); servers accept nothing else into such a column.
 */
export function writeJson(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let index = start;
  while (index < end) {
    const byte = from[index] as number;
    if (byte === QUOTE) {
      const stringEnd = endOfString(from, index + 1, end);
      at = writeBytes(to, at, from, index, stringEnd);
      index = stringEnd;
    } else {
      // Space, tab, line feed and carriage return are the only bytes up to 0x20 outside strings.
      if (byte > SPACE) to[at++] = byte;
      index++;
    }
  }
  return at;
}

/** First place after the closing quote. */
function endOfString(from: Uint8Array, start: number, end: number): number {
  let index = start;
  while (index < end && from[index] !== QUOTE) index += from[index] === BACKSLASH ? 2 : 1;
  return Math.min(index + 1, end);
}
