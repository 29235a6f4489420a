import type { FormatContext } from '../../plugin/format.ts';
import type { Op, Transaction } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { JACKSON_ESCAPES, piece, writeBytes, writeInteger, writePiece, writeString } from '../json-text.ts';
import type { BatchClock } from './batch-clock.ts';
import type { TransactionWriter } from './parts.ts';
import type { TableCount, Transactions } from './transactions.ts';

const ID = piece('{"id":"');
const TOTAL_ORDER = piece('","total_order":');
const TABLE_ORDER = piece(',"data_collection_order":');
const NULL_TEXT = piece('null');
const BEFORE = piece('},"transaction":');
/** The pieces above and two numbers. */
const FIXED_BYTES = 128;
const COLON = 0x3a;

/** As JSON. */
export class TransactionBlock implements TransactionWriter {
  readonly #clock: BatchClock;
  readonly #transactions: Transactions;
  readonly #count: TableCount;
  /** Of the origin image, what the id is made of. */
  readonly #columns: readonly number[];
  readonly #isText: readonly boolean[];
  #transaction: Transaction | null = null;
  #isCounted = false;

  /** `name`: Debezium's for the table. */
  constructor({ origin }: FormatContext, clock: BatchClock, transactions: Transactions, name: string) {
    this.#clock = clock;
    this.#transactions = transactions;
    this.#count = transactions.countOf(name);
    this.#columns = origin.transaction.map((wanted) => origin.columns.findIndex((column) => column.name === wanted));
    this.#isText = this.#columns.map((column) => origin.columns[column]?.type === 'text');
  }

  bytes(record: RecordCursor): number {
    let length = FIXED_BYTES;
    for (const column of this.#columns) {
      if (record.origin >= 0 && record.start(record.origin, column) >= 0)
        length += 6 * (record.end(record.origin, column) - record.start(record.origin, column)) + 3;
    }
    return length + 6 * (record.transaction.beginId?.length ?? 0);
  }

  writeTail(record: RecordCursor, op: Op, to: Buffer, at: number): number {
    return writePiece(to, this.write(record, to, writePiece(to, at, BEFORE)), this.#clock.rest(op));
  }

  write(record: RecordCursor, to: Buffer, at: number): number {
    if (record.transaction !== this.#transaction) {
      this.#transaction = record.transaction;
      this.#isCounted = record.transaction.beginId !== undefined;
    }
    if (!this.#isCounted || record.origin < 0) return writePiece(to, at, NULL_TEXT);
    this.#transactions.count(this.#count);
    at = this.#writeId(record, to, writePiece(to, at, ID), record.transaction.beginId as string);
    at = writeInteger(to, writePiece(to, at, TOTAL_ORDER), this.#transactions.events);
    at = writeInteger(to, writePiece(to, at, TABLE_ORDER), this.#count.events);
    to[at] = 0x7d;
    return at + 1;
  }

  /** `name`: the transaction's own, where the log has no id for it (MySQL without GTIDs). */
  #writeId({ arena, cells, origin }: RecordCursor, to: Buffer, at: number, name: string): number {
    if (this.#columns.every((column) => (cells[(origin + column) * 2] as number) < 0)) return at + to.write(name, at, 'utf8');
    for (let index = 0; index < this.#columns.length; index++) {
      if (index > 0) to[at++] = COLON;
      const place = (origin + (this.#columns[index] as number)) * 2;
      const start = cells[place] as number;
      if (start < 0) continue;
      const end = cells[place + 1] as number;
      if (this.#isText[index] === true) {
        // Without its quotes.
        const quoted = writeString(to, at, arena, start, end, JACKSON_ESCAPES);
        to.copyWithin(at, at + 1, quoted - 1);
        at = quoted - 2;
      } else at = writeBytes(to, at, arena, start, end);
    }
    return at;
  }
}
