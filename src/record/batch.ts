import type { Position, Progress } from './position.ts';
import type { Since, TableIdentity, TableRegistry, TableShape, TableVersion } from './table.ts';

/** What stands in a cell's start when the cell has no bytes. */
export const NULL = -1;
/** The column has a value that the log did not send (TOAST, minimal image). Never null (I11). */
export const UNAVAILABLE = -2;
/** This image does not carry the column (a key-only old image). */
export const ABSENT = -3;
export type Mark = typeof NULL | typeof UNAVAILABLE | typeof ABSENT;

export const OP = { create: 0, update: 1, delete: 2, read: 3, truncate: 4, message: 5 } as const;
export type Op = (typeof OP)[keyof typeof OP];
export const OP_NAMES = ['create', 'update', 'delete', 'read', 'truncate', 'message'] as const;

/** Integers of a record in `heads`, at record × HEAD_SIZE. Image fields hold the index of the image's first cell, or −1: no such image. */
export const HEAD = { op: 0, table: 1, transaction: 2, ordinal: 3, before: 4, after: 5, origin: 6, snapshot: 7 } as const;
export const HEAD_SIZE = 8;
export type Image = 'before' | 'after' | 'origin';

/** Where a row that was copied stands in its copy (`HEAD.snapshot`), in Debezium's words; 0: it is no row of a copy. */
export const SNAPSHOT_MARKS = ['false', 'true', 'first', 'first_in_data_collection', 'last_in_data_collection', 'last', 'incremental'] as const;
export const SNAPSHOT_MARK = { none: 0, row: 1, first: 2, firstOfTable: 3, lastOfTable: 4, last: 5, incremental: 6 } as const;
export type SnapshotMark = (typeof SNAPSHOT_MARK)[keyof typeof SNAPSHOT_MARK];

/** What a source writes behind a very large row, its origin, must not move that row to other memory once more (I9). */
const ROOM_BEHIND = 4096;

/** A committed transaction of the source. One object per transaction, shared by its batches. */
export interface Transaction {
  /** Stands in message ids: source identity and commit position, no slash at either end; unique for ever within a source. */
  readonly id: string;
  /** Commit time by the source's clock, microseconds since the epoch. */
  readonly commitMicros: number;
  /**
   * Debezium's names for where it begins and where it ends (`transaction.id` of its BEGIN and END). Left out: it is no transaction of the log (a copy, a message
   * outside any). The end is known once something has come behind it, a later record or a checkpoint.
   */
  readonly beginId?: string | undefined;
  readonly endId?: string | undefined;
}

/**
 * Records as integers over one arena of bytes. Cell i is arena[cells[2i] .. cells[2i+1]), or a mark if cells[2i] < 0. An image is one cell per
 * column of the table (of the origin's columns, for `origin`), in column order.
 */
export interface RecordBatch {
  readonly count: number;
  readonly arena: Buffer;
  readonly arenaLength: number;
  readonly cells: Int32Array;
  readonly cellCount: number;
  readonly heads: Int32Array;
  readonly tables: readonly TableVersion[];
  readonly transactions: readonly Transaction[];
  /** The last place at or before the end of this batch that is safe to resume from; never inside a transaction (I6). Null: none yet. */
  readonly checkpoint: Position | null;
  /** How many records of this batch stand before the checkpoint: fewer than `count` if the batch ends inside a transaction. */
  readonly checkpointRecords: number;
  /** What is known of copies once this batch and all before it are durable; null: nothing new. */
  readonly progress: Progress | null;
  /** Gives the memory back. After it nothing of the batch may be read. */
  release(): void;
}

/**
 * Fills one batch, synchronously, in a source's receive callback. Bytes are copied once, by `append`; cells are ranges of what was appended, so
 * that a source may normalise them in place (which may only make them shorter).
 */
export class BatchWriter implements RecordBatch {
  count = 0;
  arena: Buffer;
  arenaLength = 0;
  cells: Int32Array;
  cellCount = 0;
  heads: Int32Array;
  tables: TableVersion[] = [];
  transactions: Transaction[] = [];
  checkpoint: Position | null = null;
  checkpointRecords = 0;
  progress: Progress | null = null;
  readonly #registry: TableRegistry;
  readonly #recycle: (batch: BatchWriter) => void;

  constructor(registry: TableRegistry, recycle: (batch: BatchWriter) => void, arenaBytes: number) {
    this.#registry = registry;
    this.#recycle = recycle;
    this.arena = Buffer.allocUnsafeSlow(arenaBytes);
    this.cells = new Int32Array(4096);
    this.heads = new Int32Array(HEAD_SIZE * 256);
  }

  /** The version object of a shape. Call it when the shape changes, not for each record. */
  table(shape: TableShape, since: Since | null = null): TableVersion {
    return this.#registry.version(shape, since);
  }

  /** The version that the table had until now; null: it was never seen. `micros`: as `TableRegistry.current` has it. */
  current(table: TableIdentity, micros?: number): TableVersion | null {
    return this.#registry.current(table, micros);
  }

  /** Starts a record. `ordinal` counts every row change of the transaction as the log has it, before any filter. */
  record(op: Op, table: TableVersion, transaction: Transaction, ordinal: number): void {
    let at = this.count * HEAD_SIZE;
    if (at + HEAD_SIZE > this.heads.length) this.heads = grown(this.heads);
    const heads = this.heads;
    const lastTable = this.tables.length - 1;
    let tableIndex = lastTable >= 0 && this.tables[lastTable] === table ? lastTable : this.tables.indexOf(table);
    if (tableIndex < 0) tableIndex = this.tables.push(table) - 1;
    const lastTransaction = this.transactions.length - 1;
    heads[at++] = op;
    heads[at++] = tableIndex;
    heads[at++] =
      lastTransaction >= 0 && this.transactions[lastTransaction] === transaction ? lastTransaction : this.transactions.push(transaction) - 1;
    heads[at++] = ordinal;
    heads[at++] = -1;
    heads[at++] = -1;
    heads[at++] = -1;
    heads[at] = SNAPSHOT_MARK.none;
    this.count++;
  }

  /** The last record is a row of a copy. */
  snapshot(mark: SnapshotMark): void {
    this.heads[(this.count - 1) * HEAD_SIZE + HEAD.snapshot] = mark;
  }

  /** The next cells are this image's, one for each column. */
  image(which: Image): void {
    this.heads[(this.count - 1) * HEAD_SIZE + HEAD[which]] = this.cellCount;
  }

  /** Leaves out the records that are not kept; what they point at stays where it is. */
  keep(isKept: (record: number) => boolean): void {
    const { heads, count } = this;
    let kept = 0;
    for (let record = 0; record < count; record++) {
      if (!isKept(record)) continue;
      if (kept < record) heads.copyWithin(kept * HEAD_SIZE, record * HEAD_SIZE, (record + 1) * HEAD_SIZE);
      kept++;
    }
    this.count = kept;
  }

  /** Copies bytes into the arena (the one copy) and returns where they start. */
  append(bytes: Uint8Array): number {
    const start = this.arenaLength;
    this.reserve(bytes.length);
    this.arena.set(bytes, start);
    this.arenaLength = start + bytes.length;
    return start;
  }

  /** Makes room for `length` more bytes at `arenaLength`; the caller writes them and moves `arenaLength` itself. */
  reserve(length: number): void {
    const needed = this.arenaLength + length;
    if (needed <= this.arena.length) return;
    // Doubling a very large arena would break the memory bound (I9): beyond 16 MiB it grows by what is needed.
    const size = Math.max(needed + ROOM_BEHIND, Math.min(this.arena.length * 2, this.arena.length + 16 * 1024 * 1024));
    const arena = Buffer.allocUnsafeSlow(size);
    this.arena.copy(arena, 0, 0, this.arenaLength);
    this.arena = arena;
  }

  /** One cell: a range of the arena. */
  cell(start: number, end: number): void {
    const at = this.cellCount * 2;
    if (at + 2 > this.cells.length) this.cells = grown(this.cells);
    this.cells[at] = start;
    this.cells[at + 1] = end;
    this.cellCount++;
  }

  /** One cell without bytes. */
  mark(state: Mark): void {
    this.cell(state, state);
  }

  /** Everything written so far is complete up to `at`: a transaction's end, or a place with none open. */
  setCheckpoint(at: Position): void {
    this.checkpoint = at;
    this.checkpointRecords = this.count;
  }

  /** Bytes that are filled: what a batch is closed by (I9). */
  get byteLength(): number {
    return this.arenaLength + this.cellCount * 8 + this.count * HEAD_SIZE * 4;
  }

  /** Memory that it has, filled or not (I9). */
  get reservedBytes(): number {
    return this.arena.length + this.cells.byteLength + this.heads.byteLength;
  }

  release(): void {
    this.#recycle(this);
  }

  /** Makes the batch empty, keeping its memory. Tables and transactions are new arrays: readers may still hold the old ones. */
  reset(): void {
    this.count = 0;
    this.arenaLength = 0;
    this.cellCount = 0;
    this.tables = [];
    this.transactions = [];
    this.checkpoint = null;
    this.checkpointRecords = 0;
    this.progress = null;
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
