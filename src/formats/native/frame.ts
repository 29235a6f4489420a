import type { FormatContext } from '../../plugin/format.ts';
import type { OriginColumn } from '../../plugin/source.ts';
import { OP_NAMES, type Op, type Transaction } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { TableVersion } from '../../record/table.ts';
import { isoFromMicros } from '../calendar.ts';
import { jsonString, MINIMAL_ESCAPES, piece, writeInteger, writePiece, writeQuoted, writeString } from '../json-text.ts';

const ORIGIN = piece(',"origin":{');
const NUMBER_BYTES = 24;

/** What begins and ends every value of a table: operation and table, and where the record came from. */
export class NativeFrame {
  readonly #heads: readonly Uint8Array[];
  readonly #names: readonly Uint8Array[];
  readonly #isText: readonly boolean[];
  #transaction: Transaction | null = null;
  #times: Uint8Array = new Uint8Array(0);

  constructor(context: FormatContext, table: TableVersion) {
    const schema = table.schema === '' ? '' : `,"schema":${jsonString(table.schema, MINIMAL_ESCAPES)}`;
    const names = table.kind === 'message' ? '' : `${schema},"table":${jsonString(table.name, MINIMAL_ESCAPES)}`;
    this.#heads = OP_NAMES.map((name) => piece(`{"op":"${name}","db":${jsonString(table.catalog, MINIMAL_ESCAPES)}${names}`));
    const columns: readonly OriginColumn[] = context.origin.columns;
    this.#names = columns.map(({ name }) => piece(`${jsonString(name, MINIMAL_ESCAPES)}:`));
    this.#isText = columns.map(({ type }) => type === 'text');
  }

  /** Call first for each record. */
  prepare(transaction: Transaction): void {
    if (transaction === this.#transaction) return;
    this.#transaction = transaction;
    this.#times = piece(`,"ts":"${isoFromMicros(transaction.commitMicros)}","transaction":${jsonString(transaction.id, MINIMAL_ESCAPES)},"ordinal":`);
  }

  /** Upper bound of head and tail together. */
  bytes(record: RecordCursor): number {
    let length = (this.#heads[record.op] as Uint8Array).length + 8 + this.#times.length + NUMBER_BYTES + ORIGIN.length + 2;
    for (let column = 0; column < this.#names.length; column++) {
      length += (this.#names[column] as Uint8Array).length + 3;
      if (record.origin >= 0 && record.start(record.origin, column) >= 0) {
        length += 6 * (record.end(record.origin, column) - record.start(record.origin, column));
      }
    }
    return length;
  }

  writeHead(op: Op, to: Buffer, at: number): number {
    return writePiece(to, at, this.#heads[op] as Uint8Array);
  }

  /** Commit time, transaction, ordinal and the origin's columns that have a value; integers as strings, since they may have 64 bits. */
  writeTail(record: RecordCursor, to: Buffer, at: number): number {
    at = writePiece(to, at, this.#times);
    at = writeInteger(to, at, record.ordinal);
    if (record.origin >= 0) at = this.#writeOrigin(record, to, at);
    to[at] = 0x7d;
    return at + 1;
  }

  #writeOrigin(record: RecordCursor, to: Buffer, at: number): number {
    at = writePiece(to, at, ORIGIN);
    const empty = at;
    for (let column = 0; column < this.#names.length; column++) {
      const start = record.start(record.origin, column);
      if (start < 0) continue;
      if (at !== empty) to[at++] = 0x2c;
      at = writePiece(to, at, this.#names[column] as Uint8Array);
      const end = record.end(record.origin, column);
      at =
        this.#isText[column] === true
          ? writeString(to, at, record.arena, start, end, MINIMAL_ESCAPES)
          : writeQuoted(to, at, record.arena, start, end);
    }
    to[at] = 0x7d;
    return at + 1;
  }
}
