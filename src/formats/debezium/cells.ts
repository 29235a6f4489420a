import { base64Bytes, writeBase64 } from '../base64.ts';
import { JACKSON_ESCAPES, piece, stringBytes, writeBytes, writePiece, writeQuoted, writeString } from '../json-text.ts';
import { mapBytes, writeBits, writeMap, writeMapText, writePoint } from './composite.ts';
import { decimalBytes, writeDecimal, writeDecimalDouble, writeDecimalText, writeMoney, writeVariable } from './decimal.ts';
import { writeDuration, writeIsoDuration } from './duration.ts';
import { writeFloat } from './float.ts';
import { geometryBytes, writeGeometry } from './geometry.ts';
import { writeIntervalMicros, writeIntervalText } from './interval.ts';
import {
  UNIT,
  writeDate,
  writeIsoDate,
  writeIsoTime,
  writeIsoTimestamp,
  writeTime,
  writeTimestamp,
  writeZonedTime,
  writeZonedTimestamp,
} from './temporal.ts';

/** How a cell is written: the case of `writeCell`'s switch. A switch over small integers: as fast as an array of functions (measured), and checked to be complete. */
export const CELL = {
  verbatim: 0,
  string: 1,
  decimal: 2,
  zonedTimestamp: 3,
  boolean: 4,
  date: 5,
  timestampMicros: 6,
  timestampMillis: 7,
  timeMicros: 8,
  timeMillis: 9,
  zonedTime: 10,
  variableDecimal: 11,
  float64: 12,
  float32: 13,
  bytes: 14,
  quoted: 15,
  decimalText: 16,
  decimalDouble: 17,
  money: 18,
  isoDate: 19,
  isoTime: 20,
  isoTimestamp: 21,
  timeNanos: 22,
  timestampNanos: 23,
  bytesUrlSafe: 24,
  hex: 25,
  intervalMicros: 26,
  intervalText: 27,
  bit: 28,
  bits: 29,
  point: 30,
  map: 31,
  mapText: 32,
  wrapped: 33,
  wholeBits: 34,
  durationMillis: 35,
  isoDuration: 36,
  durationMicros: 37,
  durationNanos: 38,
  geometry: 39,
  geometryPoint: 40,
} as const;
export type Cell = (typeof CELL)[keyof typeof CELL];
/** Those of the default modes, which most columns have. */
type UsualCell = (typeof CELL)[
  | 'verbatim'
  | 'string'
  | 'decimal'
  | 'zonedTimestamp'
  | 'boolean'
  | 'date'
  | 'timestampMicros'
  | 'timestampMillis'
  | 'timeMicros'
  | 'timeMillis'
  | 'zonedTime'
  | 'variableDecimal'
  | 'float64'
  | 'float32'
  | 'bytes'
  | 'quoted'];

const TRUE = piece('true');
const FALSE = piece('false');

/** Writes one cell's JSON text at `at` and returns its end. */
export function writeCell(cell: Cell, scale: number, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  switch (cell) {
    case CELL.verbatim:
      return writeBytes(to, at, from, start, end);
    case CELL.string:
      return writeString(to, at, from, start, end, JACKSON_ESCAPES);
    case CELL.decimal:
      return writeDecimal(to, at, from, start, end, scale);
    case CELL.zonedTimestamp:
      return writeZonedTimestamp(to, at, from, start, end, scale);
    case CELL.boolean:
      return writePiece(to, at, from[start] === 0x74 ? TRUE : FALSE);
    case CELL.date:
      return writeDate(to, at, from, start, end);
    case CELL.timestampMicros:
      return writeTimestamp(to, at, from, start, end, UNIT.micros);
    case CELL.timestampMillis:
      return writeTimestamp(to, at, from, start, end, UNIT.millis);
    case CELL.timeMicros:
      return writeTime(to, at, from, start, end, UNIT.micros);
    case CELL.timeMillis:
      return writeTime(to, at, from, start, end, UNIT.millis);
    case CELL.zonedTime:
      return writeZonedTime(to, at, from, start, end);
    case CELL.variableDecimal:
      return writeVariable(to, at, from, start, end);
    case CELL.float64:
      return writeFloat(to, at, from, start, end, true);
    case CELL.float32:
      return writeFloat(to, at, from, start, end, false);
    case CELL.bytes:
      return writeBinary(to, at, from, start, end);
    case CELL.quoted:
      return writeQuoted(to, at, from, start, end);
    default:
      return writeRarer(cell, scale, to, at, from, start, end);
  }
}

/** The rest of `writeCell`: what other modes and rarer types need. */
function writeRarer(cell: Exclude<Cell, UsualCell>, scale: number, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  switch (cell) {
    case CELL.decimalText:
      return writeDecimalText(to, at, from, start, end);
    case CELL.decimalDouble:
      return writeDecimalDouble(to, at, from, start, end);
    case CELL.money:
      return writeMoney(to, at, from, start, end, scale);
    case CELL.isoDate:
      return writeIsoDate(to, at, from, start, end);
    case CELL.isoTime:
      return writeIsoTime(to, at, from, start, end);
    case CELL.isoTimestamp:
      return writeIsoTimestamp(to, at, from, start, end);
    case CELL.timeNanos:
      return writeTime(to, at, from, start, end, UNIT.nanos);
    case CELL.timestampNanos:
      return writeTimestamp(to, at, from, start, end, UNIT.nanos);
    case CELL.bytesUrlSafe:
      return writeUrlSafe(to, at, from, start, end);
    case CELL.hex:
      return writeHex(to, at, from, start, end);
    case CELL.intervalMicros:
      return writeIntervalMicros(to, at, from, start, end);
    case CELL.intervalText:
      return writeIntervalText(to, at, from, start, end);
    case CELL.bit:
      return writePiece(to, at, from[start] === 0x31 ? TRUE : FALSE);
    case CELL.bits:
      return writeBits(to, at, from, start, end);
    case CELL.point:
      return writePoint(to, at, from, start, end);
    case CELL.map:
      return writeMap(to, at, from, start, end);
    case CELL.mapText:
      return writeMapText(to, at, from, start, end);
    case CELL.wrapped:
      return writeWrapped(to, at, from, start, end);
    case CELL.wholeBits:
      return writeBits(to, at, from, start, end, true);
    case CELL.durationMillis:
      return writeDuration(to, at, from, start, end, UNIT.millis);
    case CELL.durationMicros:
      return writeDuration(to, at, from, start, end, UNIT.micros);
    case CELL.durationNanos:
      return writeDuration(to, at, from, start, end, UNIT.nanos);
    case CELL.isoDuration:
      return writeIsoDuration(to, at, from, start, end);
    case CELL.geometry:
      return writeGeometry(to, at, from, start, end, false);
    case CELL.geometryPoint:
      return writeGeometry(to, at, from, start, end, true);
  }
}

/** A number of 64 bits without a sign as one with a sign, as Java has it. */
function writeWrapped(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (end - start < 19) return writeBytes(to, at, from, start, end);
  return at + to.write(BigInt.asIntN(64, BigInt(from.toString('latin1', start, end))).toString(), at, 'latin1');
}

/** Base64 with `-` and `_` (RFC 4648, section 5), padded. */
function writeUrlSafe(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const stop = writeBinary(to, at, from, start, end);
  for (let index = at; index < stop; index++) {
    if (to[index] === 0x2b) to[index] = 0x2d;
    else if (to[index] === 0x2f) to[index] = 0x5f;
  }
  return stop;
}

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');

function writeHex(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  to[at++] = 0x22;
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    to[at++] = DIGITS[byte >> 4] as number;
    to[at++] = DIGITS[byte & 15] as number;
  }
  to[at] = 0x22;
  return at + 1;
}

function writeBinary(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  to[at++] = 0x22;
  at = writeBase64(to, at, from, start, end);
  to[at] = 0x22;
  return at + 1;
}

/** Room for any cell but strings, whose escapes can take six bytes for one. */
export const SMALL_CELL_BYTES = 64;

/** Room that a large cell needs: exact for strings and bytes, so that 100 MB do not reserve 600. */
export function cellBytes(cell: Cell, scale: number, from: Buffer, start: number, end: number): number {
  switch (cell) {
    case CELL.string:
      return stringBytes(from, start, end, JACKSON_ESCAPES);
    case CELL.bytes:
    case CELL.bytesUrlSafe:
      return base64Bytes(end - start) + 2;
    case CELL.hex:
      return 2 * (end - start) + 2;
    case CELL.map:
    case CELL.mapText:
      return mapBytes(end - start);
    case CELL.point:
      return end - start + 4 * SMALL_CELL_BYTES;
    case CELL.geometry:
    case CELL.geometryPoint:
      return geometryBytes(end - start);
    case CELL.decimal:
    case CELL.money:
    case CELL.variableDecimal:
      return decimalBytes(end - start, scale);
    default:
      return end - start + SMALL_CELL_BYTES;
  }
}
