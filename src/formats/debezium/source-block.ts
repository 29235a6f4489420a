import type { FormatContext } from '../../plugin/format.ts';
import type { OriginColumn } from '../../plugin/source.ts';
import { SNAPSHOT_MARK, SNAPSHOT_MARKS, type SnapshotMark, type Transaction } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { TableVersion } from '../../record/table.ts';
import { JACKSON_ESCAPES, jsonString, piece, writeBytes, writePiece, writeString } from '../json-text.ts';

/** An origin column of this name stands where Debezium has `sequence`, before the times; systems without it have null there. */
export const SEQUENCE = 'sequence';
const NULL_TEXT = piece('null');

/**
 * Debezium's `source` block, written as `,"source":{…}` without the closing brace, which begins what follows. Everything but the origin's own
 * columns is the same for all rows of a table in one transaction and is prepared for these; of copied rows, which came from no place in the log, these columns are
 * mostly the same ranges for a whole batch, and so is the block.
 */
export class SourceBlock {
  readonly #beforeMillis: string;
  readonly #afterMillis: string;
  readonly #table: string;
  readonly #sequence: number;
  readonly #columns: readonly number[];
  readonly #names: readonly Uint8Array[];
  readonly #isText: readonly boolean[];
  readonly #originColumns: number;
  #transaction: Transaction | null = null;
  #head: Uint8Array = new Uint8Array(0);
  #times: Uint8Array = new Uint8Array(0);
  readonly #isCopied: boolean;
  #batch = 0;
  /** The block of the batch's first copied row, and the ranges of its origin. */
  #whole: Uint8Array | null = null;
  readonly #ranges: Int32Array;

  constructor(context: FormatContext, version: string, table: TableVersion, mark: SnapshotMark) {
    const { system, columns } = context.origin;
    this.#beforeMillis = `,"source":{"version":${jsonString(version, JACKSON_ESCAPES)},"connector":${jsonString(system, JACKSON_ESCAPES)},"name":${jsonString(context.connector, JACKSON_ESCAPES)},"ts_ms":`;
    this.#afterMillis = `,"snapshot":"${SNAPSHOT_MARKS[mark]}","db":${jsonString(table.catalog, JACKSON_ESCAPES)},"sequence":`;
    this.#table = tableText(table);
    this.#sequence = columns.findIndex(({ name }) => name === SEQUENCE);
    this.#columns = columns.map((_, index) => index).filter((index) => index !== this.#sequence);
    this.#names = this.#columns.map((column) => piece(`,${jsonString((columns[column] as OriginColumn).name, JACKSON_ESCAPES)}:`));
    this.#isText = columns.map(({ type }) => type === 'text');
    this.#originColumns = columns.length;
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
    const { millis, micros, nanos } = clockTexts(transaction.commitMicros);
    this.#head = piece(`${this.#beforeMillis}${millis}${this.#afterMillis}`);
    this.#times = piece(`,"ts_us":${micros},"ts_ns":${nanos}${this.#table}`);
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
    let length = this.#head.length + this.#times.length + NULL_TEXT.length;
    for (let index = 0; index < this.#names.length; index++) length += (this.#names[index] as Uint8Array).length + NULL_TEXT.length;
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
    for (let index = 0; index < columns.length; index++) {
      at = writePiece(to, at, this.#names[index] as Uint8Array);
      at = this.#writeColumn(record, columns[index] as number, to, at);
    }
    return at;
  }

  #writeColumn(record: RecordCursor, column: number, to: Buffer, at: number): number {
    if (column < 0 || record.origin < 0) return writePiece(to, at, NULL_TEXT);
    const start = record.start(record.origin, column);
    if (start < 0) return writePiece(to, at, NULL_TEXT);
    const end = record.end(record.origin, column);
    return this.#isText[column] === true
      ? writeString(to, at, record.arena, start, end, JACKSON_ESCAPES)
      : writeBytes(to, at, record.arena, start, end);
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
