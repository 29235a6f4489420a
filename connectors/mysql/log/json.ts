/**
 * MySQL's binary JSON (`JSON` columns in the log) as text. Numbers keep every digit: integers and decimals are written as they are, floats as the
 * shortest text that reads back. Members stand in the order in which the server holds them. What JSON has no form for is a string: dates and times in SQL's
 * form, other bytes in base64.
 */
import { writeDecimal } from './digits.ts';
import { writeFraction } from './temporal.ts';

const TYPE = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;
/** Column types inside opaque values. */
const OPAQUE = { timestamp: 7, date: 10, time: 11, datetime: 12, decimal: 246 } as const;

/** The server allows a hundred levels. */
const MAX_DEPTH = 128;
/** Below 10 to the power of minus this numbers have an exponent: well beyond where the server begins with it. */
const SMALLEST_EXPONENT = 21;
const LITERALS = ['null', 'true', 'false'] as const;

/** Text of the document in `bytes`. Throws a RangeError for what is no document. */
export function jsonText(bytes: Buffer): string {
  // An empty value is what an INSERT … IGNORE leaves for a missing NOT NULL one.
  if (bytes.length === 0) return 'null';
  return valueText(bytes, bytes[0] as number, 1, 0);
}

function valueText(bytes: Buffer, type: number, at: number, depth: number): string {
  if (depth > MAX_DEPTH) throw new RangeError('JSON nested too deep');
  switch (type) {
    case TYPE.smallObject:
      return containerText(bytes, at, depth, 2, true);
    case TYPE.largeObject:
      return containerText(bytes, at, depth, 4, true);
    case TYPE.smallArray:
      return containerText(bytes, at, depth, 2, false);
    case TYPE.largeArray:
      return containerText(bytes, at, depth, 4, false);
    case TYPE.literal:
      return literal(bytes[at]);
    case TYPE.int16:
      return String(bytes.readInt16LE(at));
    case TYPE.uint16:
      return String(bytes.readUInt16LE(at));
    case TYPE.int32:
      return String(bytes.readInt32LE(at));
    case TYPE.uint32:
      return String(bytes.readUInt32LE(at));
    case TYPE.int64:
      return String(bytes.readBigInt64LE(at));
    case TYPE.uint64:
      return String(bytes.readBigUInt64LE(at));
    case TYPE.double:
      return doubleText(bytes.readDoubleLE(at));
    case TYPE.string: {
      const { length, start } = readLength(bytes, at);
      return JSON.stringify(bytes.toString('utf8', start, within(bytes, start + length)));
    }
    case TYPE.opaque:
      return opaqueText(bytes, at);
    default:
      throw new RangeError(`unknown JSON type ${type}`);
  }
}

function within(bytes: Buffer, end: number): number {
  if (end > bytes.length) throw new RangeError('a JSON value ends behind its document');
  return end;
}

function literal(value: number | undefined): string {
  const text = LITERALS[value ?? -1];
  if (text === undefined) throw new RangeError(`unknown JSON literal ${value}`);
  return text;
}

/** Small numbers have no exponent: in the server's own text they have none either, and could not be told from decimals there (I11). */
export function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const text = String(value);
  if (/^-?\d+$/.test(text)) return `${text}.0`;
  const [, sign = '', whole = '', fraction = '', exponent] = /^(-?)(\d)(?:\.(\d+))?e-(\d+)$/.exec(text) ?? [];
  if (exponent === undefined || Number(exponent) > SMALLEST_EXPONENT) return text;
  return `${sign}0.${'0'.repeat(Number(exponent) - 1)}${whole}${fraction}`;
}

/** Length in groups of seven bits, the least significant first. */
function readLength(bytes: Buffer, at: number): { length: number; start: number } {
  let length = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes.readUInt8(at + index);
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { length, start: at + index + 1 };
  }
  throw new RangeError('a JSON length has no end');
}

/** Count, size, then the entries of keys and values; offsets count from here on. Small values stand in their entry. */
function containerText(bytes: Buffer, base: number, depth: number, width: 2 | 4, isObject: boolean): string {
  const read = (at: number): number => (width === 2 ? bytes.readUInt16LE(at) : bytes.readUInt32LE(at));
  const count = read(base);
  const keys = base + 2 * width;
  const values = isObject ? keys + count * (width + 2) : keys;
  if (values + count * (1 + width) > bytes.length) throw new RangeError('a JSON container ends behind its document');
  const parts: string[] = [];
  for (let index = 0; index < count; index++) {
    const entry = values + index * (1 + width);
    const type = bytes[entry] as number;
    const inline =
      type === TYPE.literal || type === TYPE.int16 || type === TYPE.uint16 || (width === 4 && (type === TYPE.int32 || type === TYPE.uint32));
    const value = valueText(bytes, type, inline ? entry + 1 : base + read(entry + 1), depth + 1);
    if (!isObject) {
      parts.push(value);
      continue;
    }
    const key = keys + index * (width + 2);
    const start = base + read(key);
    const name = bytes.toString('utf8', start, within(bytes, start + bytes.readUInt16LE(key + width)));
    parts.push(`${JSON.stringify(name)}:${value}`);
  }
  return isObject ? `{${parts.join(',')}}` : `[${parts.join(',')}]`;
}

const scratch = Buffer.alloc(128);

function opaqueText(bytes: Buffer, at: number): string {
  const type = bytes[at] as number;
  const { length, start } = readLength(bytes, at + 1);
  const end = within(bytes, start + length);
  switch (type) {
    case OPAQUE.decimal:
      return scratch.toString('latin1', 0, writeDecimal(scratch, 0, bytes, start + 2, bytes.readUInt8(start), bytes.readUInt8(start + 1)));
    case OPAQUE.date:
    case OPAQUE.datetime:
    case OPAQUE.timestamp:
      return `"${datetimeText(bytes.readBigInt64LE(start), type === OPAQUE.date)}"`;
    case OPAQUE.time:
      return `"${timeText(bytes.readBigInt64LE(start))}"`;
    default:
      return `"${bytes.toString('base64', start, end)}"`;
  }
}

const two = (value: number): string => String(value).padStart(2, '0');

function fractionText(micros: number): string {
  return scratch.toString('latin1', 0, writeFraction(scratch, 0, micros));
}

/** 24 bits of microseconds below year × 13 + month (17 bits), day 5, hour 5, minute 6, second 6. */
function datetimeText(packed: bigint, dateOnly: boolean): string {
  const value = packed < 0n ? -packed : packed;
  const micros = Number(value & 0xffffffn);
  const whole = Number(value >> 24n);
  const day = Math.floor(whole / 131_072);
  const time = whole - day * 131_072;
  const yearMonth = Math.floor(day / 32);
  const date = `${String(Math.floor(yearMonth / 13)).padStart(4, '0')}-${two(yearMonth % 13)}-${two(day % 32)}`;
  if (dateOnly) return date;
  return `${date} ${two(time >> 12)}:${two((time >> 6) & 63)}:${two(time & 63)}${fractionText(micros)}`;
}

function timeText(packed: bigint): string {
  const value = packed < 0n ? -packed : packed;
  const micros = Number(value & 0xffffffn);
  const whole = Number(value >> 24n);
  return `${packed < 0n ? '-' : ''}${two((whole >> 12) & 1023)}:${two((whole >> 6) & 63)}:${two(whole & 63)}${fractionText(micros)}`;
}
