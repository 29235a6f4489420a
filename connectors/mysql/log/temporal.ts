/** Dates and times of the log as cells. Every function writes at `to[at]` and returns the end. */
import { writeNumber, writePadded } from './digits.ts';

const COLON = 0x3a;
const HYPHEN = 0x2d;

/** Bytes of the digits behind the second. */
export function fractionLength(digits: number): number {
  return (digits + 1) >> 1;
}

/** Microseconds of a fraction of `digits` digits, which is stored with an even number of them. */
function readFraction(from: Buffer, start: number, digits: number): number {
  const bytes = fractionLength(digits);
  return bytes === 0 ? 0 : from.readUIntBE(start, bytes) * 10 ** (6 - 2 * bytes);
}

/** `.ffffff` without trailing zeros; nothing for 0. */
export function writeFraction(to: Buffer, at: number, micros: number): number {
  if (micros === 0) return at;
  to[at] = 0x2e;
  let end = writePadded(to, at + 1, micros, 6);
  while (to[end - 1] === 0x30) end--;
  return end;
}

function writeYmd(to: Buffer, at: number, year: number, month: number, day: number): number {
  at = writePadded(to, at, year, 4);
  to[at++] = HYPHEN;
  at = writePadded(to, at, month, 2);
  to[at++] = HYPHEN;
  return writePadded(to, at, day, 2);
}

function writeHms(to: Buffer, at: number, hour: number, minute: number, second: number): number {
  at = hour < 100 ? writePadded(to, at, hour, 2) : writeNumber(to, at, hour);
  to[at++] = COLON;
  at = writePadded(to, at, minute, 2);
  to[at++] = COLON;
  return writePadded(to, at, second, 2);
}

/** DATE: three bytes, day in five bits, month in four, then the year. */
export function writeDate(to: Buffer, at: number, from: Buffer, start: number): number {
  const packed = from.readUIntLE(start, 3);
  return writeYmd(to, at, packed >> 9, (packed >> 5) & 15, packed & 31);
}

/** DATETIME: five bytes, the most significant first: a sign that is always 1, year × 13 + month in 17 bits, day 5, hour 5, minute 6, second 6. */
export function writeDatetime(to: Buffer, at: number, from: Buffer, start: number, digits: number): number {
  const high = from.readUInt16BE(start);
  const low = from.readUIntBE(start + 2, 3);
  const yearMonth = ((high & 0x7fff) << 2) | (low >> 22);
  at = writeYmd(to, at, (yearMonth / 13) | 0, yearMonth % 13, (low >> 17) & 31);
  to[at++] = 0x54;
  at = writeHms(to, at, (low >> 12) & 31, (low >> 6) & 63, low & 63);
  return writeFraction(to, at, readFraction(from, start + 5, digits));
}

/** TIMESTAMP: seconds since the epoch in four bytes, the most significant first, read as unsigned: the newest MariaDB goes to 2106, and nothing is before 1970. 0 is the zero date. */
export function writeTimestamp(to: Buffer, at: number, from: Buffer, start: number, digits: number): number {
  const seconds = from.readUInt32BE(start);
  const micros = readFraction(from, start + 4, digits);
  if (seconds === 0 && micros === 0) return at + to.write('0000-00-00T00:00:00Z', at, 'latin1');
  const days = (seconds / 86_400) | 0;
  const ofDay = seconds - days * 86_400;
  at = writeDay(to, at, days);
  to[at++] = 0x54;
  at = writeHms(to, at, (ofDay / 3600) | 0, ((ofDay / 60) | 0) % 60, ofDay % 60);
  at = writeFraction(to, at, micros);
  to[at] = 0x5a;
  return at + 1;
}

/** A number of days since the epoch, in the Gregorian calendar with years that begin in March. */
function writeDay(to: Buffer, at: number, days: number): number {
  const ofEra = days + 719_468 - 4 * 146_097;
  const era = Math.floor(ofEra / 146_097);
  const dayOfEra = ofEra - era * 146_097;
  const yearOfEra = ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + (yearOfEra >> 2) - ((yearOfEra / 100) | 0));
  const shifted = ((5 * dayOfYear + 2) / 153) | 0;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + (era + 4) * 400 + (month <= 2 ? 1 : 0);
  return writeYmd(to, at, year, month, dayOfYear - (((153 * shifted + 2) / 5) | 0) + 1);
}

/**
 * TIME: three bytes and the fraction, one number with the most significant byte first, offset by the middle of its range, so that a negative value
 * borrows from the fraction: hours in ten bits, minutes and seconds in six.
 */
export function writeTime(to: Buffer, at: number, from: Buffer, start: number, digits: number): number {
  const bytes = fractionLength(digits);
  const unit = 256 ** bytes;
  let packed = from.readUIntBE(start, 3 + bytes) - 0x80_0000 * unit;
  if (packed < 0) {
    to[at++] = HYPHEN;
    packed = -packed;
  }
  const whole = Math.floor(packed / unit);
  at = writeHms(to, at, (whole >> 12) & 1023, (whole >> 6) & 63, whole & 63);
  return writeFraction(to, at, (packed - whole * unit) * 10 ** (6 - 2 * bytes));
}
