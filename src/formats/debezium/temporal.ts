import { daysFromDate } from '../calendar.ts';
import { piece, writeBytes, writeInteger, writePadded, writePiece, writeQuoted } from '../json-text.ts';

/**
 * Temporal cells as Debezium's semantic types (`time.precision.mode=adaptive`). All in integers: seconds and microseconds are kept apart, because
 * PostgreSQL's range in microseconds does not fit a JavaScript number (nor, at its end, 64 bits; it is written in full all the same).
 */

const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const LETTER_I = 0x69;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

/** Debezium's (the PostgreSQL driver's) stand-ins for infinite timestamps. */
const INFINITY_MICROS = piece('9223372036825200000');
const MINUS_INFINITY_MICROS = piece('-9223372036832400000');
const INFINITY_MILLIS = piece('9223372036825200');
const MINUS_INFINITY_MILLIS = piece('-9223372036832400');
/** The ends of int32: what PostgreSQL itself stores for infinite dates, and no date's number of days. Debezium's own depends on the road. */
const INFINITY_DAYS = piece('2147483647');
const MINUS_INFINITY_DAYS = piece('-2147483648');

/** 1, −1, or 0 for a finite value. */
function infinity(from: Uint8Array, start: number): number {
  if (from[start] === LETTER_I) return 1;
  return from[start] === MINUS && from[start + 1] === LETTER_I ? -1 : 0;
}

function two(from: Uint8Array, at: number): number {
  return ((from[at] as number) - ZERO) * 10 + (from[at + 1] as number) - ZERO;
}

/** Days since 1970-01-01 of `[-]YYYY…-MM-DD`. */
function readDays(from: Uint8Array, start: number, end: number): number {
  const negative = from[start] === MINUS;
  let year = 0;
  for (let index = negative ? start + 1 : start; index < end - 6; index++) year = year * 10 + (from[index] as number) - ZERO;
  return daysFromDate(negative ? -year : year, two(from, end - 5), two(from, end - 2));
}

/** Seconds of `HH:MM:SS`. */
function readSeconds(from: Uint8Array, start: number): number {
  return two(from, start) * 3600 + two(from, start + 3) * 60 + two(from, start + 6);
}

/** The digits after `HH:MM:SS` as microseconds; 0 if there are none. */
export function readMicros(from: Uint8Array, point: number, end: number): number {
  if (point >= end || from[point] !== POINT) return 0;
  let value = 0;
  for (let index = point + 1; index < point + 7; index++) {
    const byte = index < end ? (from[index] as number) : ZERO;
    value = value * 10 + (byte >= ZERO && byte <= 0x39 ? byte - ZERO : 0);
  }
  return value;
}

/** Whether `YYYY-MM-DD` has a year, month or day of 0. */
export function isZeroDate(from: Uint8Array, start: number): boolean {
  if (from[start + 4] !== MINUS || from[start + 7] !== MINUS) return false;
  const isZero = (at: number): boolean => from[at] === ZERO && from[at + 1] === ZERO;
  return isZero(start + 5) || isZero(start + 8) || (isZero(start) && isZero(start + 2));
}

/** Units of numbers: what they have digits of. */
export const UNIT = { millis: 0, micros: 1, nanos: 2 } as const;
export type Unit = (typeof UNIT)[keyof typeof UNIT];

/** Seconds and microseconds in a unit; microseconds below a millisecond are cut off. */
export function writeInUnit(to: Uint8Array, at: number, seconds: number, micros: number, unit: Unit): number {
  if (unit === UNIT.millis) return writeScaled(to, at, seconds, (micros / 1000) | 0, 3);
  const end = writeScaled(to, at, seconds, micros, 6);
  if (unit === UNIT.micros || (seconds === 0 && micros === 0)) return end;
  to.fill(ZERO, end, end + 3);
  return end + 3;
}

/** seconds × 10^digits + fraction (0 ≤ fraction < 10^digits) in full, whatever its size. */
export function writeScaled(to: Uint8Array, at: number, seconds: number, fraction: number, digits: number): number {
  let whole = seconds;
  let rest = fraction;
  if (whole < 0) {
    to[at++] = MINUS;
    if (rest === 0) whole = -whole;
    else {
      whole = -whole - 1;
      rest = (digits === 3 ? 1000 : 1_000_000) - rest;
    }
  }
  if (whole === 0) return writeInteger(to, at, rest);
  return writePadded(to, writeInteger(to, at, whole), rest, digits);
}

/** io.debezium.time.Date */
export function writeDate(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  const infinite = infinity(from, start);
  if (infinite !== 0) return writePiece(to, at, infinite > 0 ? INFINITY_DAYS : MINUS_INFINITY_DAYS);
  return writeInteger(to, at, readDays(from, start, end));
}

/** io.debezium.time.Time, MicroTime or NanoTime */
export function writeTime(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number, unit: Unit): number {
  return writeInUnit(to, at, readSeconds(from, start), readMicros(from, start + 8, end), unit);
}

/** io.debezium.time.Timestamp, MicroTimestamp or NanoTimestamp */
export function writeTimestamp(to: Uint8Array, at: number, from: Uint8Array, start: number, end: number, unit: Unit): number {
  const infinite = infinity(from, start);
  const millis = unit === UNIT.millis;
  if (infinite > 0) return writePiece(to, at, millis ? INFINITY_MILLIS : INFINITY_MICROS);
  if (infinite < 0) return writePiece(to, at, millis ? MINUS_INFINITY_MILLIS : MINUS_INFINITY_MICROS);
  const dateEnd = endOfDate(from, start, end);
  const seconds = readDays(from, start, dateEnd) * 86_400 + readSeconds(from, dateEnd + 1);
  return writeInUnit(to, at, seconds, readMicros(from, dateEnd + 9, end), unit);
}

/** io.debezium.time.IsoDate: the date and `Z`, with a sign before years of more than four digits. */
export function writeIsoDate(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (infinity(from, start) !== 0) return writeQuoted(to, at, from, start, end);
  to[at++] = QUOTE;
  if (end - start > 10 && from[start] !== MINUS) to[at++] = PLUS;
  return closeIso(to, writeBytes(to, at, from, start, end));
}

/** io.debezium.time.IsoTime: `24:00:00` is `00:00:00`. */
export function writeIsoTime(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  to[at] = QUOTE;
  const stop = writeBytes(to, at + 1, from, start, end);
  if (to[at + 1] === 0x32 && to[at + 2] === 0x34) to[at + 1] = to[at + 2] = ZERO;
  return closeIso(to, stop);
}

/** io.debezium.time.IsoTimestamp: the digits of the second that are there, and `Z`. */
export function writeIsoTimestamp(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (infinity(from, start) !== 0) return writeQuoted(to, at, from, start, end);
  to[at++] = QUOTE;
  if (endOfDate(from, start, end) - start > 10 && from[start] !== MINUS) to[at++] = PLUS;
  return closeIso(to, writeBytes(to, at, from, start, end));
}

function closeIso(to: Uint8Array, at: number): number {
  to[at] = LETTER_Z;
  to[at + 1] = QUOTE;
  return at + 2;
}

function endOfDate(from: Uint8Array, start: number, end: number): number {
  let index = start + 10;
  while (index < end && from[index] !== LETTER_T) index++;
  return index;
}

/**
 * io.debezium.time.ZonedTimestamp: ISO 8601 in UTC with exactly as many digits of the second as the column declares (`scale`; 6 if it declares none),
 * and a sign before years of more than four digits.
 */
export function writeZonedTimestamp(to: Buffer, at: number, from: Buffer, start: number, end: number, scale: number): number {
  if (infinity(from, start) !== 0) return writeQuoted(to, at, from, start, end);
  const dateEnd = endOfDate(from, start, end);
  to[at++] = QUOTE;
  if (dateEnd - start > 10 && from[start] !== MINUS) to[at++] = PLUS;
  const point = dateEnd + 9;
  at = writeBytes(to, at, from, start, point);
  let written = 0;
  if (from[point] === POINT) {
    at = writeBytes(to, at, from, point, end - 1);
    written = end - point - 2;
  } else if (scale > 0) to[at++] = POINT;
  for (; written < scale; written++) to[at++] = ZERO;
  to[at] = LETTER_Z;
  to[at + 1] = QUOTE;
  return at + 2;
}

/** io.debezium.time.ZonedTime: in UTC, wrapped to one day, with the digits of the second that are there. */
export function writeZonedTime(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let zone = start + 8;
  while (zone < end && from[zone] !== PLUS && from[zone] !== MINUS) zone++;
  let offset = 0;
  for (let index = zone + 1, unit = 3600; index + 1 < end; index += 3, unit /= 60) offset += two(from, index) * unit;
  const local = readSeconds(from, start) - (from[zone] === MINUS ? -offset : offset);
  const seconds = ((local % 86_400) + 86_400) % 86_400;
  to[at++] = QUOTE;
  at = writePadded(to, at, (seconds / 3600) | 0, 2);
  to[at++] = COLON;
  at = writePadded(to, at, ((seconds / 60) | 0) % 60, 2);
  to[at++] = COLON;
  at = writePadded(to, at, seconds % 60, 2);
  at = writeBytes(to, at, from, start + 8, zone);
  to[at] = LETTER_Z;
  to[at + 1] = QUOTE;
  return at + 2;
}
