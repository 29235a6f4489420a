/** Numbers of the log as decimal digits, without a string for each. Every function writes at `to[at]` and returns the end. */

/** A whole number within ±2⁵³. */
export function writeNumber(to: Buffer, at: number, value: number): number {
  let rest = value;
  if (rest < 0) {
    to[at++] = 0x2d;
    rest = -rest;
  }
  if (rest >= 1e9) {
    const upper = Math.floor(rest / 1e9);
    return writePadded(to, writeNumber(to, at, upper), rest - upper * 1e9, 9);
  }
  let count = 1;
  for (let limit = 10; rest >= limit; limit *= 10) count++;
  return writePadded(to, at, rest, count);
}

/** `value`, below 2³¹, in exactly `count` digits. */
export function writePadded(to: Buffer, at: number, value: number, count: number): number {
  let rest = value | 0;
  for (let index = at + count - 1; index >= at; index--) {
    const quotient = (rest / 10) | 0;
    to[index] = 0x30 + rest - quotient * 10;
    rest = quotient;
  }
  return at + count;
}

/** Eight bytes, the least significant first. Beyond 2⁵³ by way of a BigInt: rare, and exact. */
export function writeLong(to: Buffer, at: number, from: Buffer, start: number, unsigned: boolean): number {
  const low = from.readUInt32LE(start);
  const high = unsigned ? from.readUInt32LE(start + 4) : from.readInt32LE(start + 4);
  if (high >= -0x200000 && high < 0x200000) return writeNumber(to, at, high * 0x1_0000_0000 + low);
  const value = unsigned ? from.readBigUInt64LE(start) : from.readBigInt64LE(start);
  return at + to.write(value.toString(), at, 'latin1');
}

/** Shortest text that reads back to the same 64-bit float. */
export function writeDouble(to: Buffer, at: number, value: number): number {
  return at + to.write(Object.is(value, -0) ? '-0' : String(value), at, 'latin1');
}

/** Shortest text that reads back to the same 32-bit float. */
export function writeFloat(to: Buffer, at: number, value: number): number {
  if (Number.isInteger(value) && Math.abs(value) <= 16_777_216) return writeDouble(to, at, value);
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return writeDouble(to, at, Number(text));
  }
  return writeDouble(to, at, Number(value.toPrecision(9)));
}

/** Bytes that hold 0 to 9 digits of a decimal. */
const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

export function decimalLength(precision: number, scale: number): number {
  const whole = precision - scale;
  return ((whole / 9) | 0) * 4 + (DIGIT_BYTES[whole % 9] as number) + ((scale / 9) | 0) * 4 + (DIGIT_BYTES[scale % 9] as number);
}

/**
 * The server's packed decimal: groups of nine digits in four bytes, the most significant first, shorter groups at the outer ends; the first bit is
 * inverted, and all bits are of a negative number.
 */
export function writeDecimal(to: Buffer, at: number, from: Buffer, start: number, precision: number, scale: number): number {
  const negative = ((from[start] as number) & 0x80) === 0;
  const invert = negative ? 0xff : 0;
  let index = start;
  const group = (bytes: number): number => {
    let value = 0;
    for (let n = 0; n < bytes; n++, index++) {
      const byte = (from[index] as number) ^ invert;
      value = value * 256 + (index === start ? byte ^ 0x80 : byte);
    }
    return value;
  };
  const whole = precision - scale;
  const first = at;
  if (negative) to[at++] = 0x2d;
  const digits = at;
  let isZero = true;
  const leading = group(DIGIT_BYTES[whole % 9] as number);
  if (leading !== 0) {
    at = writeNumber(to, at, leading);
    isZero = false;
  }
  for (let n = (whole / 9) | 0; n > 0; n--) {
    const value = group(4);
    if (at === digits && value === 0) continue;
    at = at === digits ? writeNumber(to, at, value) : writePadded(to, at, value, 9);
    isZero = false;
  }
  if (at === digits) to[at++] = 0x30;
  if (scale > 0) {
    to[at++] = 0x2e;
    for (let n = (scale / 9) | 0; n > 0; n--) {
      const value = group(4);
      if (value !== 0) isZero = false;
      at = writePadded(to, at, value, 9);
    }
    const last = group(DIGIT_BYTES[scale % 9] as number);
    if (last !== 0) isZero = false;
    at = writePadded(to, at, last, scale % 9);
  }
  if (!negative || !isZero) return at;
  // No negative zero.
  to.copyWithin(first, digits, at);
  return at - 1;
}
