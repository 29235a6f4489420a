/**
 * JSON written as bytes. Every writer puts its text at `at` in `to` and returns where it ends; the caller has reserved the room, for which the
 * `…Bytes` functions and the bounds in the comments are there.
 *
 * Loops over single bytes are faster than any call for a few dozen of them; above `LONG`, runs are copied by the engine. `set` is used with whole
 * prepared arrays only: a view of a part costs more than the copy.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LONG = 128;

/** For each byte of UTF-8: 0 = stands for itself in a JSON string, 1 = `\u00XX`, 2 = begins a code point above U+FFFF, else the letter behind the backslash. */
export type Escapes = Uint8Array;
const CONTROL = 1;
const SUPPLEMENTARY = 2;
const SUPPLEMENTARY_BYTES = 12;
const HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/** What JSON asks for and no more (RFC 8259, section 7). */
export const MINIMAL_ESCAPES: Escapes = escapes(false);

/**
 * As Jackson writes bytes, and so Debezium: the same, and code points above U+FFFF as two escaped surrogates, all hex digits in upper case. `/`, DEL,
 * U+2028 and the rest of Unicode stand as they are.
 */
export const JACKSON_ESCAPES: Escapes = escapes(true);

function escapes(surrogates: boolean): Escapes {
  const table = new Uint8Array(256);
  table.fill(CONTROL, 0, 0x20);
  table[QUOTE] = QUOTE;
  table[BACKSLASH] = BACKSLASH;
  for (const [byte, letter] of ['8b', '9t', '10n', '12f', '13r'].map(
    (pair) => [Number.parseInt(pair, 10), pair.charCodeAt(pair.length - 1)] as const,
  )) {
    table[byte] = letter;
  }
  if (surrogates) table.fill(SUPPLEMENTARY, 0xf0, 0xf5);
  return table;
}

/** `letter` is the byte's entry, not 0. Returns the end in `to`; a code point above U+FFFF takes four bytes, which the caller skips. */
function writeEscape(to: Uint8Array, at: number, from: Uint8Array, index: number, letter: number): number {
  if (letter === SUPPLEMENTARY) return writeSurrogates(to, at, from, index);
  to[at] = BACKSLASH;
  if (letter !== CONTROL) {
    to[at + 1] = letter;
    return at + 2;
  }
  return writeUnit(to, at, from[index] as number);
}

function writeSurrogates(to: Uint8Array, at: number, from: Uint8Array, index: number): number {
  const low = (((from[index + 1] as number) & 63) << 12) | (((from[index + 2] as number) & 63) << 6) | ((from[index + 3] as number) & 63);
  const offset = ((((from[index] as number) & 7) << 18) | low) - 0x10000;
  return writeUnit(to, writeUnit(to, at, 0xd800 | (offset >> 10)), 0xdc00 | (offset & 0x3ff));
}

function writeUnit(to: Uint8Array, at: number, unit: number): number {
  to[at] = BACKSLASH;
  to[at + 1] = 0x75;
  to[at + 2] = HEX[(unit >> 12) & 15] as number;
  to[at + 3] = HEX[(unit >> 8) & 15] as number;
  to[at + 4] = HEX[(unit >> 4) & 15] as number;
  to[at + 5] = HEX[unit & 15] as number;
  return at + 6;
}

/** The byte's entry; 0 for one that begins a code point which the range does not hold to its end (no valid UTF-8: it stands as it is). */
function entry(escapes: Escapes, from: Uint8Array, index: number, end: number): number {
  const letter = escapes[from[index] as number] as number;
  return letter === SUPPLEMENTARY && index + 4 > end ? 0 : letter;
}

/** UTF-8 bytes as a JSON string with its quotes: at most 6 × length + 2 bytes, exactly `stringBytes`. */
export function writeString(to: Buffer, at: number, from: Buffer, start: number, end: number, escapes: Escapes): number {
  to[at++] = QUOTE;
  if (end - start > LONG) at = writeLongContent(to, at, from, start, end, escapes);
  else {
    for (let index = start; index < end; index++) {
      const byte = from[index] as number;
      if (escapes[byte] === 0) to[at++] = byte;
      else {
        const letter = entry(escapes, from, index, end);
        if (letter === 0) to[at++] = byte;
        else at = writeEscape(to, at, from, index, letter);
        if (letter === SUPPLEMENTARY) index += 3;
      }
    }
  }
  to[at] = QUOTE;
  return at + 1;
}

function writeLongContent(to: Buffer, at: number, from: Buffer, start: number, end: number, escapes: Escapes): number {
  let index = start;
  while (index < end) {
    const run = index;
    while (index < end && entry(escapes, from, index, end) === 0) index++;
    at = writeBytes(to, at, from, run, index);
    if (index === end) break;
    const letter = escapes[from[index] as number] as number;
    at = writeEscape(to, at, from, index, letter);
    index += letter === SUPPLEMENTARY ? 4 : 1;
  }
  return at;
}

/** Exact length of what `writeString` writes. */
export function stringBytes(from: Uint8Array, start: number, end: number, escapes: Escapes): number {
  let length = end - start + 2;
  for (let index = start; index < end; index++) {
    const letter = entry(escapes, from, index, end);
    if (letter === 0) continue;
    if (letter === SUPPLEMENTARY) {
      length += SUPPLEMENTARY_BYTES - 4;
      index += 3;
    } else length += letter === CONTROL ? 5 : 1;
  }
  return length;
}

/** Bytes as they are. */
export function writeBytes(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (end - start > LONG) {
    from.copy(to, at, start, end);
    return at + end - start;
  }
  for (let index = start; index < end; index++) to[at++] = from[index] as number;
  return at;
}

/** ASCII bytes that need no escape, in quotes. */
export function writeQuoted(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  to[at++] = QUOTE;
  at = writeBytes(to, at, from, start, end);
  to[at] = QUOTE;
  return at + 1;
}

/** A prepared piece, whole. */
export function writePiece(to: Uint8Array, at: number, piece: Uint8Array): number {
  const length = piece.length;
  // Measured: from 16 bytes on, `set` with a whole array (13 ns) is ahead of the loop.
  if (length > 16) to.set(piece, at);
  else for (let index = 0; index < length; index++) to[at + index] = piece[index] as number;
  return at + length;
}

/** A safe integer in decimal digits: at most 17 bytes. */
export function writeInteger(to: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    to[at++] = 0x2d;
    value = -value;
  }
  if (value < 1e9) return writeSmall(to, at, value);
  const high = Math.floor(value / 1e9);
  at = writeInteger(to, at, high);
  return writePadded(to, at, value - high * 1e9, 9);
}

function writeSmall(to: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let power = 10; value >= power; power *= 10) digits++;
  return writePadded(to, at, value, digits);
}

/** `value` (0 … 10⁹ − 1) in exactly `digits` digits. */
export function writePadded(to: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value | 0;
  for (let index = at + digits - 1; index >= at; index--) {
    const tenth = (rest / 10) | 0;
    to[index] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
  return at + digits;
}

/** A piece of text to be written as it is. */
export function piece(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length).slice();
}

/** A text as a JSON string, as `writeString` writes it. For what is prepared: names, not cells. */
export function jsonString(text: string, escapes: Escapes): string {
  const from = Buffer.from(text, 'utf8');
  const to = Buffer.allocUnsafe(stringBytes(from, 0, from.length, escapes));
  writeString(to, 0, from, 0, from.length, escapes);
  return to.toString('utf8');
}
