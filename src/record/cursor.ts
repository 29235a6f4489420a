import { HEAD, HEAD_SIZE, type Op, type RecordBatch, type SnapshotMark, type Transaction } from './batch.ts';
import type { TableVersion } from './table.ts';

/** A window on one record of a batch; it is moved along and never kept. One object per batch, none per row. */
export class RecordCursor {
  batch!: RecordBatch;
  arena!: Buffer;
  cells!: Int32Array;
  index = -1;
  op: Op = 0;
  table!: TableVersion;
  tableIndex = -1;
  transaction!: Transaction;
  transactionIndex = -1;
  ordinal = 0;
  /** Index of the image's first cell, −1 = none. */
  before = -1;
  after = -1;
  origin = -1;
  /** One of SNAPSHOT_MARK. */
  snapshot: SnapshotMark = 0;

  open(batch: RecordBatch): void {
    this.batch = batch;
    this.arena = batch.arena;
    this.cells = batch.cells;
    this.index = -1;
    this.tableIndex = -1;
    this.transactionIndex = -1;
  }

  move(index: number): void {
    const heads = this.batch.heads;
    const at = index * HEAD_SIZE;
    this.index = index;
    this.op = heads[at + HEAD.op] as Op;
    this.tableIndex = heads[at + HEAD.table] as number;
    this.table = this.batch.tables[this.tableIndex] as TableVersion;
    this.transactionIndex = heads[at + HEAD.transaction] as number;
    this.transaction = this.batch.transactions[this.transactionIndex] as Transaction;
    this.ordinal = heads[at + HEAD.ordinal] as number;
    this.before = heads[at + HEAD.before] as number;
    this.after = heads[at + HEAD.after] as number;
    this.origin = heads[at + HEAD.origin] as number;
    this.snapshot = heads[at + HEAD.snapshot] as SnapshotMark;
  }

  /** Start of cell `column` of the image that begins at cell `image`; < 0 is a mark. */
  start(image: number, column: number): number {
    return this.cells[(image + column) * 2] as number;
  }

  end(image: number, column: number): number {
    return this.cells[(image + column) * 2 + 1] as number;
  }
}
