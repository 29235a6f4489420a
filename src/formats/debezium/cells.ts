import type { ColumnShape } from '../../record/table.ts';
import type { LogicalType } from '../../record/types.ts';
import { base64Bytes, writeBase64 } from '../base64.ts';
import { JACKSON_ESCAPES, piece, stringBytes, writeBytes, writePiece, writeQuoted, writeString } from '../json-text.ts';
import { decimalBytes, writeDecimal, writeVariable } from './decimal.ts';
import { writeFloat } from './float.ts';
import { writeDate, writeTime, writeTimestamp, writeZonedTime, writeZonedTimestamp } from './temporal.ts';

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
} as const;
export type Cell = (typeof CELL)[keyof typeof CELL];

const MICROS_DIGITS = 6;
/** `adaptive`: columns that declare up to so many digits of the second are in milliseconds. */
const MILLIS_DIGITS = 3;

const TRUE = piece('true');
const FALSE = piece('false');

/** Debezium's type mapping, by logical type: the one place to add to. */
const BY_TYPE: { readonly [T in LogicalType]: (column: ColumnShape) => Cell } = {
  boolean: () => CELL.boolean,
  int16: () => CELL.verbatim,
  int32: () => CELL.verbatim,
  int64: () => CELL.verbatim,
  uint64: () => CELL.verbatim,
  float32: () => CELL.float32,
  float64: () => CELL.float64,
  decimal: ({ scale }) => (scale === null ? CELL.variableDecimal : CELL.decimal),
  text: () => CELL.string,
  bytes: () => CELL.bytes,
  date: () => CELL.date,
  time: (column) => (inMillis(column) ? CELL.timeMillis : CELL.timeMicros),
  timetz: () => CELL.zonedTime,
  timestamp: (column) => (inMillis(column) ? CELL.timestampMillis : CELL.timestampMicros),
  timestamptz: () => CELL.zonedTimestamp,
  uuid: () => CELL.quoted,
  json: () => CELL.string,
  xml: () => CELL.string,
  other: () => CELL.string,
};

function inMillis({ scale }: ColumnShape): boolean {
  return scale !== null && scale <= MILLIS_DIGITS;
}

export function cellOf(column: ColumnShape): Cell {
  return BY_TYPE[column.type](column);
}

/** What `writeCell` is given as `scale`. */
export function scaleOf(column: ColumnShape): number {
  return column.scale ?? (column.type === 'timestamptz' ? MICROS_DIGITS : 0);
}

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
      return writeTimestamp(to, at, from, start, end, false);
    case CELL.timestampMillis:
      return writeTimestamp(to, at, from, start, end, true);
    case CELL.timeMicros:
      return writeTime(to, at, from, start, end, false);
    case CELL.timeMillis:
      return writeTime(to, at, from, start, end, true);
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
  }
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
      return base64Bytes(end - start) + 2;
    case CELL.decimal:
    case CELL.variableDecimal:
      return decimalBytes(end - start, scale);
    default:
      return end - start + SMALL_CELL_BYTES;
  }
}
