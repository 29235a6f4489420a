/** Rows of the text protocol (MySQL internals, "Text Resultset Row") into cells, the same as those that the log's row images become (log/row-reader.ts, I11). */
import { type BatchWriter, NULL } from '#plugin';
import { type Charset, TEXT, textBytes, writeText } from '../log/charsets.ts';
import { type ColumnPlan, READ } from '../log/columns.ts';
import { writeDouble, writeFloat } from '../log/digits.ts';
import { ValueRefused } from '../log/row-reader.ts';
import { canonicalJson } from './json-text.ts';

/** How a column's text becomes its cell: `as`: it is. */
const FORM = { as: 0, zeros: 1, datetime: 2, timestamp: 3, time: 4, float: 5, double: 6, bits: 7, text: 8, json: 9 } as const;
type Form = (typeof FORM)[keyof typeof FORM];

const IS_NULL = 0xfb;
const [ZERO, POINT, LETTER_T, LETTER_Z] = [0x30, 0x2e, 0x54, 0x5a];
const DATE_BYTES = 10;
/** Room for any number. */
const NUMBER_BYTES = 64;

function formOf({ read, charset }: ColumnPlan): Form {
  switch (read) {
    case READ.datetime:
      return FORM.datetime;
    case READ.timestamp:
      return FORM.timestamp;
    case READ.time:
      return FORM.time;
    case READ.float:
      return FORM.float;
    case READ.double:
      return FORM.double;
    case READ.bits:
      return FORM.bits;
    case READ.json:
      return FORM.json;
    case READ.text:
    case READ.enum:
    case READ.set:
      return charset === null || charset.text === TEXT.utf8 ? FORM.as : FORM.text;
    case READ.date:
    case READ.bytes:
    case READ.paddedBytes:
    case READ.geometry:
    case READ.vector:
      return FORM.as;
    default:
      // Numbers of ZEROFILL columns, and years.
      return FORM.zeros;
  }
}

export class RowText {
  readonly #plans: readonly ColumnPlan[];
  readonly #forms: Uint8Array;
  /** Where the row is read, in the arena. */
  #at = 0;

  constructor(plans: readonly ColumnPlan[]) {
    this.#plans = plans;
    this.#forms = Uint8Array.from(plans, formOf);
  }

  /**
   * One image: a cell for each column of the row that stands in the writer's arena from `from` to `end`. Where it stands, as far as the text is the cell. Throws RangeError
   * where it is no such row, ValueRefused.
   */
  read(writer: BatchWriter, from: number, end: number): void {
    this.#at = from;
    const count = this.#forms.length;
    for (let column = 0; column < count; column++) {
      const length = this.#length(writer.arena);
      if (length < 0) writer.mark(NULL);
      else {
        const start = this.#at;
        if (start + length > end) throw new RangeError('a value ends behind its row');
        this.#at = start + length;
        this.#cell(column, writer, start, start + length);
      }
      // JSON has what more is to be known of it behind it.
      if (this.#forms[column] === FORM.json) this.#pass(writer.arena);
    }
    if (this.#at !== end) throw new RangeError('a row has more than its columns');
  }

  /** Length of the value that comes; −1: NULL. */
  #length(arena: Buffer): number {
    const first = arena[this.#at++] as number;
    if (first < IS_NULL) return first;
    const at = this.#at;
    switch (first) {
      case IS_NULL:
        return -1;
      case 0xfc:
        this.#at += 2;
        return arena.readUInt16LE(at);
      case 0xfd:
        this.#at += 3;
        return arena.readUIntLE(at, 3);
      case 0xfe:
        this.#at += 8;
        return Number(arena.readBigUInt64LE(at));
      default:
        throw new RangeError('a length that is none');
    }
  }

  #pass(arena: Buffer): void {
    const length = this.#length(arena);
    this.#at += Math.max(0, length);
  }

  #cell(column: number, writer: BatchWriter, start: number, end: number): void {
    const { arena } = writer;
    switch (this.#forms[column]) {
      case FORM.as:
        writer.cell(start, end);
        return;
      case FORM.zeros:
        writer.cell(withoutZeros(arena, start, end), end);
        return;
      case FORM.time:
        writer.cell(start, withoutFraction(arena, start, end));
        return;
      case FORM.datetime:
        arena[start + DATE_BYTES] = LETTER_T;
        writer.cell(start, withoutFraction(arena, start, end));
        return;
      default:
        this.#written(column, writer, start, end);
    }
  }

  /** What is longer than its text, or another: behind everything else in the arena. */
  #written(column: number, writer: BatchWriter, start: number, end: number): void {
    const plan = this.#plans[column] as ColumnPlan;
    const at = writer.arenaLength;
    const stop = this.#write(plan, writer, start, end);
    writer.arenaLength = stop;
    writer.cell(at, stop);
  }

  #write(plan: ColumnPlan, writer: BatchWriter, start: number, end: number): number {
    const at = writer.arenaLength;
    switch (plan.read) {
      case READ.json:
        return this.#writeJson(plan, writer, start, end);
      case READ.text:
      case READ.enum:
      case READ.set:
        return writeCharacters(plan, writer, start, end);
    }
    writer.reserve(NUMBER_BYTES);
    const { arena } = writer;
    switch (plan.read) {
      case READ.timestamp: {
        const stop = withoutFraction(arena, start, end);
        arena.copyWithin(at, start, stop);
        arena[at + DATE_BYTES] = LETTER_T;
        arena[at + stop - start] = LETTER_Z;
        return at + stop - start + 1;
      }
      case READ.float:
        return writeFloat(arena, at, Math.fround(Number(arena.toString('latin1', start, end))));
      case READ.double:
        return writeDouble(arena, at, Number(arena.toString('latin1', start, end)));
      default:
        return writeBits(arena, at, end, plan.detail);
    }
  }

  #writeJson(plan: ColumnPlan, writer: BatchWriter, start: number, end: number): number {
    const { arena } = writer;
    const from = this.#at;
    const length = this.#length(arena);
    const strings = length < 0 ? null : arena.toString('utf8', this.#at, this.#at + length);
    this.#at = from;
    let text: string;
    try {
      text = canonicalJson(arena.toString('utf8', start, end), strings);
    } catch (error) {
      throw new ValueRefused(plan.shape.name, `its JSON cannot be read: ${(error as Error).message}`);
    }
    const bytes = Buffer.byteLength(text);
    writer.reserve(bytes);
    return writer.arenaLength + writer.arena.write(text, writer.arenaLength, 'utf8');
  }
}

/** `00042` of a ZEROFILL column is 42, and the year `0000` is 0. */
function withoutZeros(arena: Buffer, start: number, end: number): number {
  let at = start;
  while (arena[at] === ZERO && at + 1 < end && arena[at + 1] !== POINT) at++;
  return at;
}

/** The server writes all digits that were declared. */
function withoutFraction(arena: Buffer, start: number, end: number): number {
  let point = end - 1;
  while (point > start && arena[point] !== POINT && end - point < 8) point--;
  if (arena[point] !== POINT) return end;
  let stop = end;
  while (arena[stop - 1] === ZERO) stop--;
  return stop - 1 === point ? point : stop;
}

function writeBits(arena: Buffer, at: number, end: number, count: number): number {
  let to = at;
  for (let bit = count - 1; bit >= 0; bit--) {
    const byte = arena[end - 1 - (bit >> 3)] as number;
    arena[to++] = ZERO + ((byte >> (bit & 7)) & 1);
  }
  return to;
}

function writeCharacters(plan: ColumnPlan, writer: BatchWriter, start: number, end: number): number {
  const charset = plan.charset as Charset;
  writer.reserve(textBytes(charset, end - start));
  const stop = writeText(writer.arena, writer.arenaLength, writer.arena, start, end, charset);
  if (stop < 0) throw new ValueRefused(plan.shape.name, `it holds a character that its character set ${charset.name} does not have in Unicode`);
  return stop;
}
