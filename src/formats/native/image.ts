import { NULL, UNAVAILABLE } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { ColumnShape } from '../../record/table.ts';
import type { LogicalType } from '../../record/types.ts';
import { elementsAtMost, writeArray } from '../array-text.ts';
import { base64Bytes, writeBase64 } from '../base64.ts';
import { jsonString, MINIMAL_ESCAPES, piece, stringBytes, writeBytes, writePiece, writeQuoted, writeString } from '../json-text.ts';
import { writeJson } from './json-splice.ts';

const CELL = { quoted: 0, string: 1, number: 2, boolean: 3, float: 4, bytes: 5, json: 6 } as const;
type Cell = (typeof CELL)[keyof typeof CELL];

/** Strings wherever JavaScript's numbers would lose digits. Temporal cells are ISO 8601 already. */
const BY_TYPE: { readonly [T in LogicalType]: Cell } = {
  boolean: CELL.boolean,
  int16: CELL.number,
  int32: CELL.number,
  int64: CELL.quoted,
  uint64: CELL.quoted,
  float32: CELL.float,
  float64: CELL.float,
  decimal: CELL.quoted,
  text: CELL.string,
  bytes: CELL.bytes,
  date: CELL.quoted,
  time: CELL.quoted,
  timetz: CELL.quoted,
  timestamp: CELL.quoted,
  timestamptz: CELL.quoted,
  uuid: CELL.quoted,
  json: CELL.json,
  xml: CELL.string,
  interval: CELL.string,
  bits: CELL.quoted,
  point: CELL.string,
  map: CELL.string,
  /** Of what is not known. */
  array: CELL.string,
  year: CELL.number,
  duration: CELL.quoted,
  bitfield: CELL.quoted,
  set: CELL.string,
  /** SRID and well-known binary. */
  geometry: CELL.bytes,
  other: CELL.string,
};

/** Longer strings are counted. */
const COUNTED_BYTES = 1024;

const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const QUOTE = 0x22;
const TRUE = piece('true');
const FALSE = piece('false');
const NULL_TEXT = piece('null');

/** Some columns of an image as one JSON object. Columns that the image does not hold are left out. */
export class NativeImage {
  readonly #columns: readonly number[];
  readonly #names: readonly Uint8Array[];
  readonly #quotedNames: readonly Uint8Array[];
  readonly #cells: readonly Cell[];
  /** Of arrays, what their elements are. */
  readonly #elements: readonly (Cell | null)[];
  readonly #fixedBytes: number;

  constructor(shape: readonly ColumnShape[], columns: readonly number[]) {
    const chosen = columns.map((column) => shape[column] as ColumnShape);
    this.#columns = columns;
    this.#names = chosen.map(({ name }) => piece(`${jsonString(name, MINIMAL_ESCAPES)}:`));
    this.#quotedNames = chosen.map(({ name }) => piece(jsonString(name, MINIMAL_ESCAPES)));
    this.#cells = chosen.map(({ type }) => BY_TYPE[type]);
    this.#elements = chosen.map(({ type, element }) => (type === 'array' && element !== undefined ? BY_TYPE[element.type] : null));
    this.#fixedBytes = 2 + this.#names.reduce((sum, name) => sum + name.length + NULL_TEXT.length + 4, 0);
  }

  /** Upper bound of what `write` and `writeUnavailable` write together, but for the prefix: each name stands in one of them. Exact for large strings and bytes (I9). */
  bytes(record: RecordCursor, image: number, fallback: number): number {
    let length = this.#fixedBytes;
    for (let index = 0; index < this.#columns.length; index++) {
      const place = this.#place(record, image, fallback, this.#columns[index] as number);
      const start = record.cells[place] as number;
      if (start < 0) continue;
      const end = record.cells[place + 1] as number;
      const element = this.#elements[index] as Cell | null;
      length += element === null ? cellBytes(this.#cells[index] as Cell, record.arena, start, end) : arrayBytes(element, record.arena, start, end);
    }
    return length;
  }

  /** Writes the object at `at`. What the log did not send because it is unchanged is taken from the image `fallback` (−1: none) if that has it. */
  write(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    const { arena, cells } = record;
    to[at++] = OPEN;
    const empty = at;
    for (let index = 0; index < this.#columns.length; index++) {
      const place = this.#place(record, image, fallback, this.#columns[index] as number);
      const start = cells[place] as number;
      if (start < NULL) continue;
      if (at !== empty) to[at++] = COMMA;
      at = writePiece(to, at, this.#names[index] as Uint8Array);
      const end = cells[place + 1] as number;
      const element = this.#elements[index] as Cell | null;
      if (start < 0) at = writePiece(to, at, NULL_TEXT);
      else if (element === null) at = writeCell(this.#cells[index] as Cell, to, at, arena, start, end);
      else at = writeArray(element, writeCell, to, at, arena, start, end);
    }
    to[at] = CLOSE;
    return at + 1;
  }

  /** Writes `prefix` and the names of the columns that have a value which the log did not send, comma between; nothing at all if there are none. */
  writeUnavailable(record: RecordCursor, image: number, fallback: number, prefix: Uint8Array, to: Buffer, at: number): number {
    let any = false;
    for (let index = 0; index < this.#columns.length; index++) {
      if (record.cells[this.#place(record, image, fallback, this.#columns[index] as number)] !== UNAVAILABLE) continue;
      if (any) to[at++] = COMMA;
      else at = writePiece(to, at, prefix);
      any = true;
      at = writePiece(to, at, this.#quotedNames[index] as Uint8Array);
    }
    if (any) to[at++] = 0x5d;
    return at;
  }

  /** Index into `cells` of the cell that stands for a column. */
  #place(record: RecordCursor, image: number, fallback: number, column: number): number {
    const place = (image + column) * 2;
    if (record.cells[place] !== UNAVAILABLE || fallback < 0) return place;
    const other = (fallback + column) * 2;
    return (record.cells[other] as number) >= NULL ? other : place;
  }
}

function writeCell(cell: Cell, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  switch (cell) {
    case CELL.quoted:
      return writeQuoted(to, at, from, start, end);
    case CELL.string:
      return writeString(to, at, from, start, end, MINIMAL_ESCAPES);
    case CELL.number:
      return writeBytes(to, at, from, start, end);
    case CELL.boolean:
      return writePiece(to, at, from[start] === 0x74 ? TRUE : FALSE);
    case CELL.float:
      return isNumber(from, start) ? writeBytes(to, at, from, start, end) : writeQuoted(to, at, from, start, end);
    case CELL.bytes:
      to[at] = QUOTE;
      at = writeBase64(to, at + 1, from, start, end);
      to[at] = QUOTE;
      return at + 1;
    case CELL.json:
      return writeJson(to, at, from, start, end);
  }
}

/** Room for an array: what an element becomes is longer than its text by its quotes, by `true` for `t`, or by its escapes. */
function arrayBytes(element: Cell, from: Buffer, start: number, end: number): number {
  const elements = 6 * elementsAtMost(from, start, end);
  return elements + (element === CELL.string ? stringBytes(from, start, end, MINIMAL_ESCAPES) : base64Bytes(end - start));
}

function isNumber(from: Uint8Array, start: number): boolean {
  const first = from[from[start] === 0x2d ? start + 1 : start] as number;
  return first >= 0x30 && first <= 0x39;
}

function cellBytes(cell: Cell, from: Uint8Array, start: number, end: number): number {
  switch (cell) {
    case CELL.string:
      // Counting is a second pass over the cell: worth it only where six bytes for one would be much.
      if (end - start <= COUNTED_BYTES) return 6 * (end - start) + 2;
      return stringBytes(from, start, end, MINIMAL_ESCAPES);
    case CELL.bytes:
      return base64Bytes(end - start) + 2;
    default:
      return end - start + 2;
  }
}
