import { writeBase64 } from '../base64.ts';
import { type Escapes, JACKSON_ESCAPES, MINIMAL_ESCAPES, piece, writePiece, writeString } from '../json-text.ts';
import { writeFloat } from './float.ts';

/** Bits, points and maps. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ONE = 0x31;
const X = piece('{"x":');
const Y = piece(',"y":');
const WKB = piece(',"wkb":"');
const SRID = piece('","srid":null}');
const NULL_TEXT = piece('null');

/** Little-endian well-known binary of a point: byte order, type, x, y. */
const wkb = Buffer.from([1, 1, 0, 0, 0, ...Buffer.alloc(16)]);

let scratch = Buffer.allocUnsafeSlow(1024);
let inner = Buffer.allocUnsafeSlow(1024);

/** io.debezium.data.Bits: as many bytes as hold the ones, or all, the least significant first. */
export function writeBits(to: Buffer, at: number, from: Buffer, start: number, end: number, isWhole = false): number {
  if (scratch.length < (end - start) / 8 + 1) scratch = Buffer.allocUnsafeSlow(end - start);
  let bytes = 0;
  let byte = 0;
  let bit = 0;
  let used = 0;
  for (let index = end - 1; index >= start; index--) {
    if (from[index] === ONE) byte |= 1 << bit;
    if (++bit < 8 && index > start) continue;
    scratch[bytes++] = byte;
    if (byte !== 0 || isWhole) used = bytes;
    byte = bit = 0;
  }
  to[at++] = QUOTE;
  at = writeBase64(to, at, scratch, 0, used);
  to[at] = QUOTE;
  return at + 1;
}

/** io.debezium.data.geometry.Point of `(x,y)`. */
export function writePoint(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const comma = from.indexOf(0x2c, start);
  wkb.writeDoubleLE(Number(from.toString('latin1', start + 1, comma)), 5);
  wkb.writeDoubleLE(Number(from.toString('latin1', comma + 1, end - 1)), 13);
  at = writePiece(to, at, X);
  at = writeFloat(to, at, from, start + 1, comma, true);
  at = writePiece(to, at, Y);
  at = writeFloat(to, at, from, comma + 1, end - 1, true);
  at = writePiece(to, at, WKB);
  at = writeBase64(to, at, wkb, 0, wkb.length);
  return writePiece(to, at, SRID);
}

/** `"key"=>"value", "key"=>NULL` as a JSON object. */
export function writeMap(to: Buffer, at: number, from: Buffer, start: number, end: number, escapes: Escapes = JACKSON_ESCAPES): number {
  to[at++] = 0x7b;
  let isKey = true;
  for (let index = start; index < end; ) {
    const byte = from[index] as number;
    if (byte === QUOTE) {
      let length = 0;
      if (scratch.length < end - index) scratch = Buffer.allocUnsafeSlow(end - index);
      for (index++; from[index] !== QUOTE; index++) {
        if (from[index] === BACKSLASH) index++;
        scratch[length++] = from[index] as number;
      }
      index++;
      at = writeString(to, at, scratch, 0, length, escapes);
    } else if (byte === 0x4e) {
      at = writePiece(to, at, NULL_TEXT);
      index += 4;
    } else {
      // `=>` or `, `
      to[at++] = isKey ? 0x3a : 0x2c;
      isKey = !isKey;
      index += 2;
    }
  }
  to[at] = 0x7d;
  return at + 1;
}

/** The same as a string that holds the JSON. Surrogates are escaped once: Jackson escapes them where it writes bytes, not characters. */
export function writeMapText(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  const needed = mapBytes(end - start);
  if (inner.length < needed) inner = Buffer.allocUnsafeSlow(needed);
  const length = writeMap(inner, 0, from, start, end, MINIMAL_ESCAPES);
  return writeString(to, at, inner, 0, length, JACKSON_ESCAPES);
}

/** Room for a map of `length` bytes in either form: a control character is six characters in JSON, and seven in a string that holds it. */
export function mapBytes(length: number): number {
  return 7 * length + 8;
}
