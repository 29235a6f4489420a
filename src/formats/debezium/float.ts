import { piece, writeInteger, writePiece, writeQuoted } from '../json-text.ts';

/**
 * Floats in the text of Java's `Double.toString` and `Float.toString` (JDK 19 and later): plain between 10⁻³ and 10⁷, else `d.dddE±n`, always with a
 * digit after the point. From the shortest decimal text that reads back, which both have in common; digits are moved, not computed.
 */

const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const ZERO_TEXT = piece('0.0');

/** Significant digits; the shortest text of a double has at most 17. */
const digits = new Uint8Array(64);
let count = 0;
/** Exponent of ten of the first digit. */
let exponent = 0;

/** At most length + 32 bytes. `double` is false for 32-bit floats. */
export function writeFloat(to: Buffer, at: number, from: Buffer, start: number, end: number, double: boolean): number {
  const negative = from[start] === MINUS;
  const first = from[negative ? start + 1 : start] as number;
  // NaN and Infinity are no JSON numbers.
  if (first < ZERO || first > NINE) return writeQuoted(to, at, from, start, end);
  readDigits(from, negative ? start + 1 : start, end);
  if (negative) to[at++] = MINUS;
  if (count === 0) return writePiece(to, at, ZERO_TEXT);
  if (count === 1 && exponent < (double ? -300 : -37)) takeSecondDigit(from.toString('latin1', start, end), double);
  return exponent >= -3 && exponent < 7 ? writePlain(to, at) : writeScientific(to, at);
}

/** Reads `ddd[.ddd][e±dd]` without leading and trailing zeros. */
function readDigits(from: Uint8Array, start: number, end: number): void {
  count = 0;
  exponent = -1;
  let zeros = 0;
  let pointSeen = false;
  let index = start;
  for (; index < end; index++) {
    const byte = from[index] as number;
    if (byte === POINT) {
      pointSeen = true;
      continue;
    }
    if (byte < ZERO || byte > NINE) break;
    if (byte === ZERO) {
      if (count === 0) {
        if (pointSeen) exponent--;
        continue;
      }
      zeros++;
    } else {
      for (; zeros > 0; zeros--) if (count < digits.length) digits[count++] = ZERO;
      if (count < digits.length) digits[count++] = byte;
    }
    if (!pointSeen) exponent++;
  }
  if (index < end) exponent += readExponent(from, index + 1, end);
}

function readExponent(from: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    if (byte >= ZERO && byte <= NINE) value = value * 10 + byte - ZERO;
  }
  return from[start] === MINUS ? -value : value;
}

/**
 * Java writes two digits even where one reads back, and then those nearest to the value: 4.9E-324, where the shortest text is 5e-324. That makes a
 * difference only among the smallest subnormals.
 */
function takeSecondDigit(text: string, double: boolean): void {
  const value = Math.abs(double ? Number(text) : Math.fround(Number(text)));
  const [mantissa = '', power = ''] = value.toExponential(1).split('e');
  digits[0] = mantissa.charCodeAt(0);
  digits[1] = mantissa.charCodeAt(2);
  count = digits[1] === ZERO ? 1 : 2;
  exponent = Number(power);
}

function writePlain(to: Uint8Array, at: number): number {
  let index = 0;
  if (exponent < 0) {
    to[at++] = ZERO;
    to[at++] = POINT;
    for (let zeros = exponent + 1; zeros < 0; zeros++) to[at++] = ZERO;
    for (; index < count; index++) to[at++] = digits[index] as number;
    return at;
  }
  for (; index <= exponent; index++) to[at++] = index < count ? (digits[index] as number) : ZERO;
  return writeFraction(to, at, index);
}

function writeScientific(to: Uint8Array, at: number): number {
  to[at++] = digits[0] as number;
  at = writeFraction(to, at, 1);
  to[at] = 0x45;
  return writeInteger(to, at + 1, exponent);
}

function writeFraction(to: Uint8Array, at: number, first: number): number {
  to[at++] = POINT;
  if (first >= count) to[at++] = ZERO;
  for (let index = first; index < count; index++) to[at++] = digits[index] as number;
  return at;
}
