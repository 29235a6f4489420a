import { base64Bytes, writeBase64 } from '../base64.ts';
import { piece, writeInteger, writePiece, writeQuoted } from '../json-text.ts';
import { writeFloat } from './float.ts';

/**
 * Decimals as Kafka Connect has them: the unscaled integer as big-endian two's complement in as few bytes as hold it (Java's
 * `BigInteger.toByteArray`), in base64.
 */

const QUOTE = 0x22;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
/** Every integer of so many digits is a safe JavaScript number. */
const FAST_DIGITS = 15;
const POWERS = Array.from({ length: FAST_DIGITS + 1 }, (_, exponent) => 10 ** exponent);
const NULL_TEXT = piece('null');
const SCALE = piece('{"scale":');
const VALUE = piece(',"value":');

/** Big enough for the two's complement of a safe integer. */
const scratch = Buffer.alloc(8);

/** Room for a decimal of `length` digits at a declared scale. */
export function decimalBytes(length: number, scale: number): number {
  return base64Bytes(((length + Math.abs(scale)) >> 1) + 2) + 64;
}

/**
 * At a declared scale. `NaN` and the infinities, which the integer cannot say, become null as in Debezium. A value with more digits than declared,
 * which no server stores, is written with its own scale rather than rounded.
 */
export function writeDecimal(to: Buffer, at: number, from: Buffer, start: number, end: number, scale: number): number {
  let index = start;
  const negative = from[index] === MINUS;
  if (negative) index++;
  let value = 0;
  let fraction = -1;
  const first = index;
  if (end - first > FAST_DIGITS + 1) return writeSlow(to, at, from, start, end, scale);
  for (; index < end; index++) {
    const byte = from[index] as number;
    if (byte === POINT) fraction = 0;
    else if (byte >= ZERO && byte <= NINE) {
      value = value * 10 + (byte - ZERO);
      if (fraction >= 0) fraction++;
    } else return writePiece(to, at, NULL_TEXT);
  }
  const digits = fraction < 0 ? end - first : end - first - 1;
  const pad = scale - Math.max(fraction, 0);
  if (pad < 0 || digits + pad > FAST_DIGITS) return writeSlow(to, at, from, start, end, scale);
  value *= POWERS[pad] as number;
  return writeUnscaled(to, at, negative ? -value : value);
}

/** A safe integer as quoted base64. */
function writeUnscaled(to: Buffer, at: number, value: number): number {
  // Split so that both halves are 32-bit integers: 24 low bits, and the rest with its sign.
  const high = Math.floor(value / 0x1000000);
  const low = value - high * 0x1000000;
  scratch[1] = high >> 24;
  scratch[2] = high >> 16;
  scratch[3] = high >> 8;
  scratch[4] = high;
  scratch[5] = low >> 16;
  scratch[6] = low >> 8;
  scratch[7] = low;
  let first = 1;
  // A leading byte that only repeats the sign of the next one is not written.
  const sign = value < 0 ? 255 : 0;
  while (first < 7 && scratch[first] === sign && ((scratch[first + 1] as number) & 0x80) === (sign & 0x80)) first++;
  to[at++] = QUOTE;
  at = writeBase64(to, at, scratch, first, 8);
  to[at] = QUOTE;
  return at + 1;
}

function writeSlow(to: Buffer, at: number, from: Buffer, start: number, end: number, scale: number): number {
  const text = from.toString('latin1', start, end);
  if (!isPlain(text)) return writePiece(to, at, NULL_TEXT);
  const point = text.indexOf('.');
  const pad = scale - (point < 0 ? 0 : text.length - point - 1);
  const digits = point < 0 ? text : text.slice(0, point) + text.slice(point + 1);
  if (pad >= 0) return writeBigInt(to, at, BigInt(digits + '0'.repeat(pad)));
  // A negative declared scale, numeric(5,-2), leaves zeros to take away.
  if (/^0*$/.test(digits.slice(pad))) return writeBigInt(to, at, BigInt(digits.slice(0, pad).replace(/^-?$/, '0')));
  return writeVariable(to, at, from, start, end);
}

/** Without a declared scale: `{"scale":…,"value":…}` with trailing zeros of the fraction taken away, as Debezium does. */
export function writeVariable(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let last = end;
  let point = -1;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    if (byte === POINT) point = index;
    else if ((byte < ZERO || byte > NINE) && byte !== MINUS) return writePiece(to, at, NULL_TEXT);
  }
  if (point >= 0) {
    while (from[last - 1] === ZERO) last--;
    if (last - 1 === point) last--;
  }
  const scale = point < 0 || last <= point ? 0 : last - point - 1;
  at = writePiece(to, at, SCALE);
  at = writeInteger(to, at, scale);
  at = writePiece(to, at, VALUE);
  at = writeDecimal(to, at, from, start, last, scale);
  to[at] = 0x7d;
  return at + 1;
}

/** Debezium's words for what is no number, in `decimal.handling.mode=string`. */
const NO_NUMBERS: Readonly<Record<string, Uint8Array>> = {
  NaN: piece('"NAN"'),
  Infinity: piece('"POSITIVE_INFINITY"'),
  '-Infinity': piece('"NEGATIVE_INFINITY"'),
};

/** The digits as they are. */
export function writeDecimalText(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const last = from[end - 1] as number;
  if (last >= ZERO && last <= NINE) return writeQuoted(to, at, from, start, end);
  return writePiece(to, at, NO_NUMBERS[from.toString('latin1', start, end)] ?? NULL_TEXT);
}

const shortest = Buffer.alloc(32);

/** The nearest double. */
export function writeDecimalDouble(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const text = from.toString('latin1', start, end);
  const value = Number(text);
  // What is too small for a double is a zero that keeps its sign.
  const length = shortest.write(Object.is(value, -0) ? '-0' : String(value), 'latin1');
  return writeFloat(to, at, shortest, 0, length, true);
}

/** Money with so many digits after the point, rounded half up if that is fewer than it has. */
export function writeMoney(to: Buffer, at: number, from: Buffer, start: number, end: number, digits: number): number {
  const point = from.indexOf(POINT, start);
  const dropped = point < 0 || point >= end ? 0 : end - point - 1 - digits;
  if (dropped <= 0) return writeDecimal(to, at, from, start, end, digits);
  const unscaled = BigInt(from.toString('latin1', start, end).replace('.', ''));
  const divisor = 10n ** BigInt(dropped);
  const half = unscaled < 0n ? -divisor / 2n : divisor / 2n;
  return writeBigInt(to, at, (unscaled + half) / divisor);
}

function isPlain(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= ZERO && last <= NINE;
}

function writeBigInt(to: Buffer, at: number, value: bigint): number {
  // The bytes of −v are those of v − 1 inverted.
  const negative = value < 0n;
  let hex = (negative ? -value - 1n : value).toString(16);
  if (hex.length % 2 === 1) hex = `0${hex}`;
  if (Number.parseInt(hex.slice(0, 1), 16) >= 8) hex = `00${hex}`;
  const bytes = Buffer.from(hex, 'hex');
  if (negative) for (let index = 0; index < bytes.length; index++) bytes[index] = ~(bytes[index] as number);
  to[at++] = QUOTE;
  at = writeBase64(to, at, bytes, 0, bytes.length);
  to[at] = QUOTE;
  return at + 1;
}
