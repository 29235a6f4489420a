/**
 * JSON of Debezium's format as Avro of the same value. What a type's value is, is decided there and nowhere else: here it gets another form only. Strict: what the
 * schema has no place for is NONE.
 */
import { LONG_BYTES, NONE, writeFloatText, writeLong, writeLongText } from './binary.ts';
import { type AvroType, KIND, NO_UNION } from './types.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const NULL_LENGTH = 4;
const TRUE_LENGTH = 4;
const FALSE_LENGTH = 5;

/** Where reading stands, and where the text ends. */
let position = 0;
let limit = 0;

/** Writes the whole text from `start` to `end` as a value of the type. */
export function writeJson(type: AvroType, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  position = start;
  limit = end;
  const stop = writeNext(type, to, at, from);
  return position === end ? stop : NONE;
}

function writeNext(type: AvroType, to: Buffer, at: number, from: Buffer): number {
  if (from[position] === LETTER_N) {
    if (type.nullByte === NO_UNION) return NONE;
    position += NULL_LENGTH;
    to[at] = type.nullByte;
    return at + 1;
  }
  if (type.valueByte !== NO_UNION) to[at++] = type.valueByte;
  switch (type.kind) {
    case KIND.boolean:
      return writeBoolean(to, at, from);
    case KIND.integer:
      return writeNumber(to, at, from);
    case KIND.float:
    case KIND.double:
      return writeReal(to, at, from, type.kind === KIND.double);
    case KIND.string:
      return writeString(to, at, from);
    case KIND.bytes:
      return writeBase64(to, at, from);
    case KIND.array:
      return writeItems(type.items as AvroType, to, at, from, 0x5b, 0x5d, false);
    case KIND.map:
      return writeItems(type.items as AvroType, to, at, from, 0x7b, 0x7d, true);
    case KIND.record:
      return writeRecord(type, to, at, from);
  }
}

function writeBoolean(to: Buffer, at: number, from: Buffer): number {
  const byte = from[position];
  if (byte !== LETTER_T && byte !== 0x66) return NONE;
  position += byte === LETTER_T ? TRUE_LENGTH : FALSE_LENGTH;
  to[at] = byte === LETTER_T ? 1 : 0;
  return at + 1;
}

/** The end of a number: it has no character of JSON's structure. */
function endOfNumber(from: Buffer): number {
  let end = position;
  while (end < limit && !isStructure(from[end] as number)) end++;
  return end;
}

function isStructure(byte: number): boolean {
  return byte === COMMA || byte === 0x5d || byte === 0x7d || byte === QUOTE;
}

function writeNumber(to: Buffer, at: number, from: Buffer): number {
  const end = endOfNumber(from);
  const stop = writeLongText(to, at, from, position, end);
  position = end;
  return stop;
}

/** NaN and the infinities are strings in JSON. */
function writeReal(to: Buffer, at: number, from: Buffer, isDouble: boolean): number {
  const isQuoted = from[position] === QUOTE;
  if (isQuoted) position++;
  const [start, end] = [position, endOfNumber(from)];
  position = isQuoted ? end + 1 : end;
  const stop = writeFloatText(to, at, from, start, end, isDouble);
  const value = isDouble ? to.readDoubleLE(at) : to.readFloatLE(at);
  // What is no number reads as NaN.
  return end === start || (Number.isNaN(value) && from[start] !== 0x4e) ? NONE : stop;
}

/** The end of the string's text, whose quote is at `position`. */
function endOfString(from: Buffer): number {
  let end = position + 1;
  while (from[end] !== QUOTE) end += from[end] === BACKSLASH ? 2 : 1;
  return end;
}

function writeString(to: Buffer, at: number, from: Buffer): number {
  if (from[position] !== QUOTE) return NONE;
  const [start, end] = [position + 1, endOfString(from)];
  position = end + 1;
  at = writeLong(to, at, unescapedBytes(from, start, end));
  for (let index = start; index < end; ) {
    const byte = from[index] as number;
    if (byte !== BACKSLASH) {
      to[at++] = byte;
      index++;
    } else if (from[index + 1] === 0x75) {
      const unit = codePointAt(from, index);
      index += unit > 0xffff ? 12 : 6;
      at += to.write(String.fromCodePoint(unit), at, 'utf8');
    } else {
      to[at++] = unescaped(from[index + 1] as number);
      index += 2;
    }
  }
  return at;
}

function unescapedBytes(from: Buffer, start: number, end: number): number {
  let length = end - start;
  for (let index = start; index < end; index++) {
    if (from[index] !== BACKSLASH) continue;
    if (from[index + 1] === 0x75) {
      const unit = codePointAt(from, index);
      const escaped = unit > 0xffff ? 12 : 6;
      length -= escaped - (unit > 0xffff ? 4 : unit > 0x7ff ? 3 : unit > 0x7f ? 2 : 1);
      index += escaped - 1;
    } else {
      length--;
      index++;
    }
  }
  return length;
}

/** Of `\uXXXX`, with its second half if it is a surrogate's first. */
function codePointAt(from: Buffer, at: number): number {
  const unit = Number.parseInt(from.toString('latin1', at + 2, at + 6), 16);
  if (unit < 0xd800 || unit > 0xdbff || from[at + 6] !== BACKSLASH) return unit;
  const low = Number.parseInt(from.toString('latin1', at + 8, at + 12), 16);
  return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

function unescaped(letter: number): number {
  switch (letter) {
    case 0x62:
      return 8;
    case 0x66:
      return 12;
    case LETTER_N:
      return 10;
    case 0x72:
      return 13;
    case LETTER_T:
      return 9;
    default:
      return letter;
  }
}

/** By character; 64: it is none of base64. */
const SEXTETS = Uint8Array.from({ length: 256 }, (_, code) => {
  const at = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(String.fromCharCode(code));
  return at < 0 ? 64 : at;
});

function writeBase64(to: Buffer, at: number, from: Buffer): number {
  if (from[position] !== QUOTE) return NONE;
  const [start, end] = [position + 1, endOfString(from)];
  position = end + 1;
  let padding = 0;
  while (padding < 2 && from[end - 1 - padding] === 0x3d) padding++;
  if ((end - start) % 4 !== 0) return NONE;
  at = writeLong(to, at, ((end - start) / 4) * 3 - padding);
  let group = 0;
  let bits = 0;
  for (let index = start; index < end - padding; index++) {
    const sextet = SEXTETS[from[index] as number] as number;
    if (sextet > 63) return NONE;
    group = ((group << 6) | sextet) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    to[at++] = group >> bits;
  }
  return at;
}

/** One block of all elements, or of all entries: their number, they themselves, and a 0. */
function writeItems(item: AvroType, to: Buffer, at: number, from: Buffer, open: number, close: number, isMap: boolean): number {
  if (from[position] !== open) return NONE;
  position++;
  const start = at + 1;
  let stop = start;
  let count = 0;
  while (from[position] !== close) {
    if (from[position] === COMMA) position++;
    if (isMap) {
      stop = writeString(to, stop, from);
      if (stop === NONE || from[position] !== COLON) return NONE;
      position++;
    }
    stop = writeNext(item, to, stop, from);
    if (stop === NONE) return NONE;
    if (from[position] !== COMMA && from[position] !== close) return NONE;
    count++;
  }
  position++;
  return closeBlock(to, at, start, stop, count);
}

/** The number was left one byte. */
function closeBlock(to: Buffer, at: number, start: number, stop: number, count: number): number {
  if (count === 0) {
    to[at] = 0;
    return at + 1;
  }
  const itemsAt = writeLong(scratch, 0, count);
  if (itemsAt > 1) to.copyWithin(at + itemsAt, start, stop);
  for (let index = 0; index < itemsAt; index++) to[at + index] = scratch[index] as number;
  const end = at + itemsAt + stop - start;
  to[end] = 0;
  return end + 1;
}

const scratch = Buffer.alloc(LONG_BYTES);

/** The members in the order of the fields, none left out. */
function writeRecord({ fields }: AvroType, to: Buffer, at: number, from: Buffer): number {
  for (const { name, type } of fields) {
    for (let index = 0; index < name.length; index++) if (from[position + index] !== name[index]) return NONE;
    position += name.length;
    at = writeNext(type, to, at, from);
    if (at === NONE) return NONE;
  }
  if (from[position] !== 0x7d) return NONE;
  position++;
  return at;
}

/** A text's Avro, prepared; null: the type has no place for it. */
export function jsonPiece(type: AvroType, json: string): Uint8Array | null {
  const from = Buffer.from(json, 'utf8');
  const to = Buffer.alloc(8 * from.length + 64);
  const end = writeJson(type, to, 0, from, 0, from.length);
  if (end === NONE) return null;
  return new Uint8Array(to.subarray(0, end));
}
