import type { FormatContext } from '../../plugin/format.ts';
import type { OriginColumn } from '../../plugin/source.ts';
import { SNAPSHOT_MARK, SNAPSHOT_MARKS, type SnapshotMark, type Transaction } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { TableVersion } from '../../record/table.ts';
import { JACKSON_ESCAPES, jsonString, piece, writeBytes, writePiece, writeString } from '../json-text.ts';

/** An origin column of this name stands where Debezium has `sequence`, before the times; systems without it have null there. */
export const SEQUENCE = 'sequence';
const NULL_TEXT = piece('null');

/** How the source block of a table's rows is written: as JSON, or in another encoding. */
export interface SourceNotation {
  /** What the same rows of one transaction have in front of `sequence`, and behind it. */
  head(transaction: Transaction): Uint8Array;
  times(transaction: Transaction): Uint8Array;
  /** In front of each column of the origin. */
  readonly names: readonly Uint8Array[];
  /** What stands for a column of the origin that has no value. */
  readonly nulls: readonly Uint8Array[];
  /** Stands for `sequence` where the system has none. */
  readonly noSequence: Uint8Array;
  /** Six bytes for each of the cell's, and two, at most. */
  writeColumn(column: number, to: Buffer, at: number, from: Buffer, start: number, end: number): number;
}

/**
 * Debezium's `source` block. Everything but the origin's own columns is the same for all rows of a table in one transaction and is prepared for these; of
 * copied rows, which came from no place in the log, these columns are mostly the same ranges for a whole batch, and so is the block.
 */
export class SourceBlock {
  readonly #notation: SourceNotation;
  readonly #sequence: number;
  readonly #columns: readonly number[];
  readonly #originColumns: number;
  readonly #fixedBytes: number;
  #transaction: Transaction | null = null;
  #head: Uint8Array = new Uint8Array(0);
  #times: Uint8Array = new Uint8Array(0);
  readonly #isCopied: boolean;
  #batch = 0;
  /** The block of the batch's first copied row, and the ranges of its origin. */
  #whole: Uint8Array | null = null;
  readonly #ranges: Int32Array;

  constructor({ origin: { columns } }: FormatContext, notation: SourceNotation, mark: SnapshotMark) {
    this.#notation = notation;
    this.#sequence = sequenceOf(columns);
    this.#columns = columns.map((_, index) => index).filter((index) => index !== this.#sequence);
    this.#originColumns = columns.length;
    const { names, nulls, noSequence } = notation;
    this.#fixedBytes = [...names, ...nulls, noSequence].reduce((sum, { length }) => sum + length, 0);
    this.#isCopied = mark !== SNAPSHOT_MARK.none;
    this.#ranges = new Int32Array(2 * columns.length);
  }

  /** Call first for each record. `batch`: another number for each, because ranges are of its arena. */
  prepare(record: RecordCursor, batch: number): void {
    if (record.transaction !== this.#transaction) this.#prepareTransaction(record.transaction);
    else if (batch === this.#batch) return;
    this.#batch = batch;
    if (this.#isCopied) this.#prepareWhole(record);
  }

  #prepareTransaction(transaction: Transaction): void {
    this.#transaction = transaction;
    this.#head = this.#notation.head(transaction);
    this.#times = this.#notation.times(transaction);
  }

  #prepareWhole(record: RecordCursor): void {
    this.#whole = null;
    if (record.origin < 0) return;
    const to = Buffer.allocUnsafe(this.bytes(record));
    const end = this.write(record, to, 0);
    const from = record.origin * 2;
    this.#ranges.set(record.cells.subarray(from, from + this.#ranges.length));
    this.#whole = new Uint8Array(to.subarray(0, end));
  }

  /** Whether the record's block is that of the batch's first one. */
  #isWhole({ cells, origin }: RecordCursor): boolean {
    const ranges = this.#ranges;
    if (this.#whole === null || origin < 0) return false;
    const from = origin * 2;
    for (let at = 0; at < ranges.length; at += 2) {
      const start = cells[from + at] as number;
      if (start !== ranges[at] || (start >= 0 && cells[from + at + 1] !== ranges[at + 1])) return false;
    }
    return true;
  }

  /** Upper bound of what `write` writes. */
  bytes(record: RecordCursor): number {
    if (this.#isWhole(record)) return (this.#whole as Uint8Array).length;
    let length = this.#head.length + this.#times.length + this.#fixedBytes;
    if (record.origin < 0) return length;
    for (let column = 0; column < this.#originColumns; column++) {
      const start = record.start(record.origin, column);
      if (start >= 0) length += 6 * (record.end(record.origin, column) - start) + 2;
    }
    return length;
  }

  write(record: RecordCursor, to: Buffer, at: number): number {
    if (this.#isWhole(record)) return writePiece(to, at, this.#whole as Uint8Array);
    at = writePiece(to, at, this.#head);
    at = this.#writeColumn(record, this.#sequence, to, at);
    at = writePiece(to, at, this.#times);
    const columns = this.#columns;
    const { names } = this.#notation;
    for (let index = 0; index < columns.length; index++) {
      const column = columns[index] as number;
      at = writePiece(to, at, names[column] as Uint8Array);
      at = this.#writeColumn(record, column, to, at);
    }
    return at;
  }

  #writeColumn(record: RecordCursor, column: number, to: Buffer, at: number): number {
    const notation = this.#notation;
    if (column < 0) return writePiece(to, at, notation.noSequence);
    const start = record.origin < 0 ? -1 : record.start(record.origin, column);
    if (start < 0) return writePiece(to, at, notation.nulls[column] as Uint8Array);
    return notation.writeColumn(column, to, at, record.arena, start, record.end(record.origin, column));
  }
}

/** Index among the origin's columns; −1: it has none. */
export function sequenceOf(columns: readonly OriginColumn[]): number {
  return columns.findIndex(({ name }) => name === SEQUENCE);
}

/** As JSON: `,"source":{…` without the closing brace, which begins what follows. */
export class JsonSource implements SourceNotation {
  readonly #beforeMillis: string;
  readonly #afterMillis: string;
  readonly #table: string;
  readonly #isText: readonly boolean[];
  readonly names: readonly Uint8Array[];
  readonly nulls: readonly Uint8Array[];
  readonly noSequence = NULL_TEXT;

  constructor(context: FormatContext, version: string, table: TableVersion, mark: SnapshotMark) {
    const { system, columns } = context.origin;
    this.#beforeMillis = `,"source":{"version":${jsonString(version, JACKSON_ESCAPES)},"connector":${jsonString(system, JACKSON_ESCAPES)},"name":${jsonString(context.connector, JACKSON_ESCAPES)},"ts_ms":`;
    this.#afterMillis = `,"snapshot":"${SNAPSHOT_MARKS[mark]}","db":${jsonString(table.catalog, JACKSON_ESCAPES)},"sequence":`;
    this.#table = tableText(table);
    this.#isText = columns.map(({ type }) => type === 'text');
    this.names = columns.map(({ name }) => piece(`,${jsonString(name, JACKSON_ESCAPES)}:`));
    this.nulls = columns.map(() => NULL_TEXT);
  }

  head({ commitMicros }: Transaction): Uint8Array {
    return piece(`${this.#beforeMillis}${clockTexts(commitMicros).millis}${this.#afterMillis}`);
  }

  times({ commitMicros }: Transaction): Uint8Array {
    const { micros, nanos } = clockTexts(commitMicros);
    return piece(`,"ts_us":${micros},"ts_ns":${nanos}${this.#table}`);
  }

  writeColumn(column: number, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
    return this.#isText[column] === true ? writeString(to, at, from, start, end, JACKSON_ESCAPES) : writeBytes(to, at, from, start, end);
  }
}

/** Messages belong to no table; only systems with schemas have them. */
function tableText(table: TableVersion): string {
  if (table.kind === 'message') return ',"schema":"","table":""';
  const schema = table.schema === '' ? '' : `,"schema":${jsonString(table.schema, JACKSON_ESCAPES)}`;
  return `${schema},"table":${jsonString(table.name, JACKSON_ESCAPES)}`;
}

/** The three precisions in which Debezium gives each time. */
export function clockTexts(micros: number): { readonly millis: string; readonly micros: string; readonly nanos: string } {
  // Nanoseconds since the epoch do not fit a JavaScript number; three zeros make them of microseconds.
  return { millis: String(Math.floor(micros / 1000)), micros: String(micros), nanos: micros === 0 ? '0' : `${micros}000` };
}
