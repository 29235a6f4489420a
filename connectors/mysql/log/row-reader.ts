/** Row images of the log as cells, straight from the event's bytes. Prepared once per version of a table; nothing is allocated for a row but where a value needs it (JSON, floats). */
import { type BatchWriter, NULL } from '#plugin';
import { type Charset, copyBytes, textBytes, writeText } from './charsets.ts';
import { type ColumnPlan, READ } from './columns.ts';
import { writeDecimal, writeDouble, writeFloat, writeLong, writeNumber } from './digits.ts';
import { jsonText } from './json.ts';
import { writeDate, writeDatetime, writeTime, writeTimestamp } from './temporal.ts';

/** A value that has no exact form: the table cannot be read on (I11). */
export class ValueRefused extends Error {
  override readonly name = 'ValueRefused';
  readonly column: string;

  constructor(column: string, why: string) {
    super(why);
    this.column = column;
  }
}

/** Room for any cell whose length does not grow with its value. */
const SMALL = 128;

export class RowReader {
  readonly columnCount: number;
  readonly #plans: readonly ColumnPlan[];
  readonly #fixed: Int32Array;
  readonly #lengthBytes: Uint8Array;
  readonly #nullBytes: number;

  constructor(plans: readonly ColumnPlan[]) {
    this.columnCount = plans.length;
    this.#plans = plans;
    this.#fixed = Int32Array.from(plans, ({ fixed }) => fixed);
    this.#lengthBytes = Uint8Array.from(plans, ({ lengthBytes }) => lengthBytes);
    this.#nullBytes = (plans.length + 7) >> 3;
  }

  /** Writes one image's cells; returns where the next image begins. Throws ValueRefused, RangeError where the bytes end too early. */
  read(from: Buffer, at: number, writer: BatchWriter): number {
    const nulls = at;
    at += this.#nullBytes;
    const count = this.columnCount;
    for (let column = 0; column < count; column++) {
      if ((((from[nulls + (column >> 3)] as number) >> (column & 7)) & 1) === 1) {
        writer.mark(NULL);
        continue;
      }
      let length = this.#fixed[column] as number;
      if (length === 0) {
        const lengthBytes = this.#lengthBytes[column] as number;
        length = from.readUIntLE(at, lengthBytes);
        at += lengthBytes;
      }
      if (at + length > from.length) throw new RangeError('a row ends behind its event');
      const start = writer.arenaLength;
      const end = writeCell(this.#plans[column] as ColumnPlan, from, at, at + length, writer);
      writer.arenaLength = end;
      writer.cell(start, end);
      at += length;
    }
    return at;
  }

  /** Where the image behind the one at `at` begins. */
  skip(from: Buffer, at: number): number {
    const nulls = at;
    at += this.#nullBytes;
    for (let column = 0; column < this.columnCount; column++) {
      if ((((from[nulls + (column >> 3)] as number) >> (column & 7)) & 1) === 1) continue;
      const fixed = this.#fixed[column] as number;
      const lengthBytes = this.#lengthBytes[column] as number;
      at += fixed > 0 ? fixed : lengthBytes + from.readUIntLE(at, lengthBytes);
    }
    return at;
  }
}

/** Writes a value behind what the arena holds and returns its end. */
function writeCell(plan: ColumnPlan, from: Buffer, start: number, end: number, writer: BatchWriter): number {
  switch (plan.read) {
    case READ.text:
      return writeCharacters(plan, from, start, end, writer);
    case READ.bytes:
    case READ.geometry:
      writer.reserve(end - start);
      return copyBytes(writer.arena, writer.arenaLength, from, start, end);
    case READ.paddedBytes: {
      writer.reserve(plan.detail);
      const at = writer.arenaLength;
      from.copy(writer.arena, at, start, end);
      writer.arena.fill(0, at + end - start, at + plan.detail);
      return at + plan.detail;
    }
    case READ.json:
      return writeJson(plan, from.subarray(start, end), writer);
    case READ.set:
      return writeSet(plan, from, start, end, writer);
    case READ.enum:
      return writeEnum(plan, from, start, end, writer);
    default:
      writer.reserve(SMALL);
      return writeSmall(plan, from, start, writer.arena, writer.arenaLength);
  }
}

function writeSmall(plan: ColumnPlan, from: Buffer, start: number, to: Buffer, at: number): number {
  switch (plan.read) {
    case READ.int8:
      return writeNumber(to, at, from.readInt8(start));
    case READ.uint8:
      return writeNumber(to, at, from[start] as number);
    case READ.int16:
      return writeNumber(to, at, from.readInt16LE(start));
    case READ.uint16:
      return writeNumber(to, at, from.readUInt16LE(start));
    case READ.int24:
      return writeNumber(to, at, from.readIntLE(start, 3));
    case READ.uint24:
      return writeNumber(to, at, from.readUIntLE(start, 3));
    case READ.int32:
      return writeNumber(to, at, from.readInt32LE(start));
    case READ.uint32:
      return writeNumber(to, at, from.readUInt32LE(start));
    case READ.int64:
      return writeLong(to, at, from, start, false);
    case READ.uint64:
      return writeLong(to, at, from, start, true);
    case READ.float:
      return writeFloat(to, at, from.readFloatLE(start));
    case READ.double:
      return writeDouble(to, at, from.readDoubleLE(start));
    case READ.decimal:
      return writeDecimal(to, at, from, start, plan.detail, plan.scale);
    case READ.date:
      return writeDate(to, at, from, start);
    case READ.time:
      return writeTime(to, at, from, start, plan.detail);
    case READ.datetime:
      return writeDatetime(to, at, from, start, plan.detail);
    case READ.timestamp:
      return writeTimestamp(to, at, from, start, plan.detail);
    case READ.year: {
      const value = from[start] as number;
      return writeNumber(to, at, value === 0 ? 0 : value + 1900);
    }
    case READ.bits:
      for (let bit = plan.detail - 1; bit >= 0; bit--) {
        const byte = from[start + plan.fixed - 1 - (bit >> 3)] as number;
        to[at++] = 0x30 + ((byte >> (bit & 7)) & 1);
      }
      return at;
    default:
      throw new RangeError(`no value is read by ${plan.read}`);
  }
}

function writeCharacters(plan: ColumnPlan, from: Buffer, start: number, end: number, writer: BatchWriter): number {
  const charset = plan.charset as Charset;
  writer.reserve(textBytes(charset, end - start));
  const stop = writeText(writer.arena, writer.arenaLength, from, start, end, charset);
  if (stop < 0) throw new ValueRefused(plan.shape.name, `it holds a character that its character set ${charset.name} does not have in Unicode`);
  return stop;
}

function writeJson(plan: ColumnPlan, bytes: Buffer, writer: BatchWriter): number {
  let text: string;
  try {
    text = jsonText(bytes);
  } catch (error) {
    throw new ValueRefused(plan.shape.name, `its JSON cannot be read: ${(error as Error).message}`);
  }
  const length = Buffer.byteLength(text);
  writer.reserve(length);
  return writer.arenaLength + writer.arena.write(text, writer.arenaLength, 'utf8');
}

/** 0 is the value that stands for what was no label: the empty string. */
function writeEnum({ labels, shape, fixed }: ColumnPlan, from: Buffer, start: number, _end: number, writer: BatchWriter): number {
  const index = from.readUIntLE(start, fixed);
  if (index === 0) return writer.arenaLength;
  const label = labels?.[index - 1];
  if (label === undefined) throw new ValueRefused(shape.name, 'it holds a number that is none of its labels');
  writer.reserve(label.length);
  writer.arena.set(label, writer.arenaLength);
  return writer.arenaLength + label.length;
}

function writeSet({ labels, shape }: ColumnPlan, from: Buffer, start: number, end: number, writer: BatchWriter): number {
  let at = writer.arenaLength;
  for (let bit = 0; bit < 8 * (end - start); bit++) {
    if ((((from[start + (bit >> 3)] as number) >> (bit & 7)) & 1) === 0) continue;
    const label = labels?.[bit];
    if (label === undefined) throw new ValueRefused(shape.name, 'it holds a bit that is none of its labels');
    const room = at - writer.arenaLength + label.length + 1;
    writer.reserve(room);
    if (at > writer.arenaLength) writer.arena[at++] = 0x2c;
    writer.arena.set(label, at);
    at += label.length;
  }
  return at;
}
