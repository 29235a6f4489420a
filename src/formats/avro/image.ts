import { SluiceError } from '../../plugin/error.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { CELL } from '../debezium/cells.ts';
import type { CellPlan } from '../debezium/mapping.ts';
import type { ImageWriter } from '../debezium/parts.ts';
import type { ConnectSchema } from '../debezium/schema.ts';
import { smallBytes, valueBytes, writeValue } from '../debezium/values.ts';
import { writePiece } from '../json-text.ts';
import { LONG_BYTES, NONE, writeFloatText, writeLongText, writeSized } from './binary.ts';
import { AVRO_UNAVAILABLE, AVRO_VALUE } from './errors.ts';
import { jsonPiece, writeJson } from './transcode.ts';
import { type AvroType, avroTypeOf, KIND, NO_UNION, placeholderJson, zeroJson } from './types.ts';

/** How a cell becomes Avro: by its JSON, or straight where its bytes are the value's. */
const WAY = { json: 0, sized: 1, integer: 2, boolean: 3, double: 4, float: 5 } as const;
type Way = (typeof WAY)[keyof typeof WAY];

/** A column of an image. */
export interface AvroColumn {
  /** Index in the table. */
  readonly column: number;
  readonly name: string;
  readonly plan: CellPlan;
  readonly schema: ConnectSchema;
  /** JSON of what stands for it where an old image does not carry it; null: null does. */
  readonly absent: string | null;
}

interface Prepared {
  readonly column: number;
  readonly name: string;
  readonly plan: CellPlan;
  readonly type: AvroType;
  readonly way: Way;
  /** Null: nothing could stand for it. */
  readonly unavailable: Uint8Array | null;
  readonly absent: Uint8Array;
  /** Room for any small value. */
  readonly bytes: number;
}

/** JSON of the cell at hand. */
let text = Buffer.allocUnsafeSlow(4096);

/** As the fields of a record. */
export class AvroImage implements ImageWriter {
  readonly #table: string;
  readonly #columns: readonly Prepared[];
  readonly #fixedBytes: number;

  /** `table`: whose rows they are, for errors. `placeholder`: Debezium's for what was not sent. */
  constructor(table: string, columns: readonly AvroColumn[], placeholder: string) {
    this.#table = table;
    this.#columns = columns.map((each) => prepare(each, placeholder));
    this.#fixedBytes = this.#columns.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  bytes(record: RecordCursor, image: number, fallback: number): number {
    let length = this.#fixedBytes;
    for (let index = 0; index < this.#columns.length; index++) {
      const { column, way, plan } = this.#columns[index] as Prepared;
      const from = record.start(image, column) === UNAVAILABLE && fallback >= 0 ? fallback : image;
      const start = record.start(from, column);
      if (start < 0) continue;
      const end = record.end(from, column);
      length += way === WAY.json ? valueBytes(plan, record.arena, start, end) : end - start;
    }
    return length;
  }

  write(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    const { arena, cells } = record;
    const columns = this.#columns;
    for (let index = 0; index < columns.length; index++) {
      const each = columns[index] as Prepared;
      let place = (image + each.column) * 2;
      if (cells[place] === UNAVAILABLE && fallback >= 0) {
        const other = (fallback + each.column) * 2;
        if ((cells[other] as number) >= NULL) place = other;
      }
      const start = cells[place] as number;
      if (start >= 0) {
        at = writeCell(each, to, at, arena, start, cells[place + 1] as number);
        if (at === NONE) throw this.#refused(each);
      } else if (start === NULL) {
        if (each.type.nullByte === NO_UNION) throw this.#refused(each);
        to[at++] = each.type.nullByte;
      } else if (start === ABSENT) at = writePiece(to, at, each.absent);
      else at = writePiece(to, at, each.unavailable ?? this.#unsent(each));
    }
    return at;
  }

  #refused({ name, type }: Prepared): SluiceError {
    const reason = type.nullByte === NO_UNION ? 'it is null, no number, or beyond its type, and the column is never null' : 'it is beyond its type';
    return new SluiceError(AVRO_VALUE, { table: this.#table, column: name, reason }, { table: this.#table });
  }

  #unsent({ name }: Prepared): never {
    throw new SluiceError(AVRO_UNAVAILABLE, { table: this.#table, column: name }, { table: this.#table });
  }
}

function prepare({ column, name, plan, schema, absent }: AvroColumn, placeholder: string): Prepared {
  const type = avroTypeOf(schema);
  const json = placeholderJson(schema, placeholder);
  const unavailable = json === null ? null : jsonPiece(type, json);
  const missing = jsonPiece(type, absent ?? 'null') ?? (jsonPiece(type, zeroJson(schema)) as Uint8Array);
  const bytes = LONG_BYTES + Math.max(smallBytes(plan) + Math.abs(plan.scale), unavailable?.length ?? 0, missing.length);
  return { column, name, plan, type, way: wayOf(plan, type), unavailable, absent: missing, bytes };
}

function wayOf({ cell, element, zero }: CellPlan, { kind }: AvroType): Way {
  if (element !== null || zero !== null) return WAY.json;
  switch (cell) {
    case CELL.string:
    case CELL.quoted:
      return kind === KIND.string ? WAY.sized : WAY.json;
    case CELL.bytes:
      return kind === KIND.bytes ? WAY.sized : WAY.json;
    case CELL.verbatim:
      return WAY.integer;
    case CELL.boolean:
      return WAY.boolean;
    case CELL.float64:
      return WAY.double;
    case CELL.float32:
      return WAY.float;
    default:
      return WAY.json;
  }
}

function writeCell({ plan, type, way }: Prepared, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (way === WAY.json) {
    const needed = valueBytes(plan, from, start, end) + smallBytes(plan) + Math.abs(plan.scale);
    if (text.length < needed) text = Buffer.allocUnsafeSlow(needed);
    return writeJson(type, to, at, text, 0, writeValue(plan, text, 0, from, start, end));
  }
  if (type.valueByte !== NO_UNION) to[at++] = type.valueByte;
  switch (way) {
    case WAY.sized:
      return writeSized(to, at, from, start, end);
    case WAY.integer:
      return writeLongText(to, at, from, start, end);
    case WAY.boolean:
      to[at] = from[start] === 0x74 ? 1 : 0;
      return at + 1;
    case WAY.double:
      return writeFloatText(to, at, from, start, end, true);
    case WAY.float:
      return writeFloatText(to, at, from, start, end, false);
  }
}
