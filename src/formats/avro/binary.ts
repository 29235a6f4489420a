/**
 * Avro's binary encoding. Every writer puts its bytes at `at` in `to` and returns where they end; the caller has reserved the room. Integers are zigzag varints of
 * up to ten bytes.
 */
import { writeBytes } from '../json-text.ts';

/** What a number of any size takes at most, with the byte of a union in front. */
export const LONG_BYTES = 11;

/** A value that the schema has no place for: what writers return instead of an end. */
export const NONE = -1;

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
/** Every integer of so many digits fits 31 bits, and every one of so many 52. */
const SMALL_DIGITS = 9;
const SAFE_DIGITS = 15;
const MOST_DIGITS = 19;
const TWO_32 = 0x1_0000_0000;

/** |value| < 2⁵² */
export function writeLong(to: Uint8Array, at: number, value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  while (rest >= 0x8000_0000) {
    to[at++] = (rest % 128) + 128;
    rest = Math.floor(rest / 128);
  }
  while (rest > 127) {
    to[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  to[at] = rest;
  return at + 1;
}

/** Digits, `-` in front if negative; NONE if they are none, or of a number beyond 64 bits. */
export function writeLongText(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  const isNegative = from[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  const length = end - first;
  if (length < 1 || length > MOST_DIGITS) return NONE;
  if (length > SAFE_DIGITS) return writeWide(to, at, from, first, end, isNegative);
  let value = 0;
  for (let index = first; index < end; index++) {
    const byte = from[index] as number;
    if (byte < ZERO || byte > NINE) return NONE;
    value = value * 10 + byte - ZERO;
  }
  return writeLong(to, at, isNegative ? -value : value);
}

/** Of 16 to 19 digits: in two halves of 32 bits, because a JavaScript number holds 53. */
function writeWide(to: Uint8Array, at: number, from: Uint8Array, first: number, end: number, isNegative: boolean): number {
  const high = digits(from, first, end - SMALL_DIGITS);
  const low = digits(from, end - SMALL_DIGITS, end);
  if (high < 0 || low < 0) return NONE;
  // high × 10⁹ + low, the high part in 16 bits and the rest, so that no product is beyond 2⁵³.
  const rest = Math.floor(high / 0x1_0000) * 1e9;
  const below = (rest % 0x1_0000) * 0x1_0000 + (high % 0x1_0000) * 1e9 + low;
  let lower = below % TWO_32;
  let upper = Math.floor(rest / 0x1_0000) + Math.floor(below / TWO_32);
  if (upper > 0x8000_0000 || (upper === 0x8000_0000 && !(isNegative && lower === 0))) return NONE;
  upper = (upper * 2 + (lower >= 0x8000_0000 ? 1 : 0)) % (2 * TWO_32);
  lower = (lower * 2) % TWO_32;
  if (isNegative) {
    // 2m − 1
    if (lower === 0) {
      lower = TWO_32 - 1;
      upper -= 1;
    } else lower -= 1;
  }
  while (upper > 0 || lower > 127) {
    to[at++] = (lower % 128) + 128;
    lower = Math.floor(lower / 128) + (upper % 128) * 0x200_0000;
    upper = Math.floor(upper / 128);
  }
  to[at] = lower;
  return at + 1;
}

/** −1: they are none. */
function digits(from: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    if (byte < ZERO || byte > NINE) return -1;
    value = value * 10 + byte - ZERO;
  }
  return value;
}

/** A string of UTF-8, or bytes. */
export function writeSized(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  return writeBytes(to, writeLong(to, at, end - start), from, start, end);
}

/** A number's text as eight bytes or four; `NaN` and the infinities too. */
export function writeFloatText(to: Buffer, at: number, from: Buffer, start: number, end: number, isDouble: boolean): number {
  const value = Number(from.toString('latin1', start, end));
  return isDouble ? to.writeDoubleLE(value, at) : to.writeFloatLE(value, at);
}

/** A piece that is prepared: what `write` puts there. */
export function prepared(bytes: number, write: (to: Buffer) => number): Uint8Array {
  const to = Buffer.alloc(bytes);
  return new Uint8Array(to.subarray(0, write(to)));
}

export function stringPiece(text: string): Uint8Array {
  const from = Buffer.from(text, 'utf8');
  return prepared(from.length + LONG_BYTES, (to) => writeSized(to, 0, from, 0, from.length));
}

export function longPiece(text: string): Uint8Array {
  const from = Buffer.from(text, 'latin1');
  return prepared(LONG_BYTES, (to) => writeLongText(to, 0, from, 0, from.length));
}

export function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}
