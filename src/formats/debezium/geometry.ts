import { base64Bytes, writeBase64 } from '../base64.ts';
import { piece, writeInteger, writePiece } from '../json-text.ts';
import { writeFloat } from './float.ts';

/** Geometries, four bytes of the SRID and well-known binary, as Debezium's structs. */

const X = piece('{"x":');
const Y = piece(',"y":');
const POINT_WKB = piece(',"wkb":"');
const WKB = piece('{"wkb":"');
const SRID = piece('","srid":');
const NULL_TEXT = piece('null');
const CLOSE = 0x7d;
/** Well-known binary of a point: byte order, type, x, y. */
const POINT_BYTES = 21;

const scratch = Buffer.alloc(32);

/** io.debezium.data.geometry.Geometry, or Point, which names its coordinates too. SRID 0 is none. */
export function writeGeometry(to: Buffer, at: number, from: Buffer, start: number, end: number, isPoint: boolean): number {
  const wkb = start + 4;
  if (isPoint && end - wkb === POINT_BYTES) {
    at = writeCoordinate(to, writePiece(to, at, X), from.readDoubleLE(wkb + 5));
    at = writeCoordinate(to, writePiece(to, at, Y), from.readDoubleLE(wkb + 13));
    at = writePiece(to, at, POINT_WKB);
  } else at = writePiece(to, at, WKB);
  at = writePiece(to, writeBase64(to, at, from, wkb, end), SRID);
  const srid = from.readUInt32LE(start);
  at = srid === 0 ? writePiece(to, at, NULL_TEXT) : writeInteger(to, at, srid);
  to[at] = CLOSE;
  return at + 1;
}

function writeCoordinate(to: Buffer, at: number, value: number): number {
  return writeFloat(to, at, scratch, 0, scratch.write(Object.is(value, -0) ? '-0' : String(value), 'latin1'), true);
}

/** Room for one whose cell has so many bytes. */
export function geometryBytes(length: number): number {
  return base64Bytes(length) + 128;
}
