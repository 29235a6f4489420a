import type { BatchWriter, RecordBatch, SnapshotMark, Transaction } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import type { TableVersion } from '../record/table.ts';

/** A key as the server takes it in a query: the texts of its columns, in key order. */
export type KeyText = readonly string[];

/** Keys from behind `after` up to and including `upTo`; null: from the first, to the last. */
export interface KeyRange {
  readonly after: KeyText | null;
  readonly upTo: KeyText | null;
}

/** A table as a view of the database shows it. */
export interface CopyTable {
  /** `schema.name`, as in `SnapshotSource.tables`. */
  readonly label: string;
  /** The version that its rows have, as the log would show them (I11). */
  readonly version: TableVersion;
  /** What the server believes; −1: it does not know. */
  readonly estimatedRows: number;
}

export interface RowRequest {
  /** Null: the whole table, in the order in which the server reads it. A table without a key knows nothing else. */
  readonly range: KeyRange | null;
  /** Left out: all of the range. Only these, whatever the range. */
  readonly keys?: readonly KeyText[];
  /** At most so many rows; left out: all. */
  readonly limit?: number;
  /** A condition of the user's, in the server's SQL; null: none. */
  readonly where: string | null;
  readonly mark: SnapshotMark;
}

/** Rows of one table, in key order where the request has a range. */
export interface CopiedRows {
  readonly batch: BatchWriter;
  /** Of the last row, in front of it the value of the surrogate key that the table was opened with; null: the table has no key. */
  readonly lastKey: KeyText | null;
}

/** The database as it stood at one moment. One call at a time. */
export interface SnapshotView {
  /** Whether what a transaction of the log has changed is part of it; null: this cannot be told. */
  shows(transaction: Transaction): boolean | null;
  /** Whether the log, read up to here, has shown every transaction that is part of it. */
  passedBy(position: Position): boolean;
  /** As of its source. */
  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText;
  /**
   * `surrogateKey`: a column by whose values its rows are ordered before their keys. Ranges, bounds and last keys then have its value in front. Null or left out: by their
   * keys alone. Throws a SluiceError of this table: it cannot be read, or not so.
   */
  open(label: string, surrogateKey?: string | null): Promise<CopyTable>;
  /** Keys that part the table into about so many parts of equal size, in order; fewer if it has few rows, none for a table without a key. */
  bounds(table: CopyTable, parts: number): Promise<readonly KeyText[]>;
  /** The caller releases the batches. Throws SluiceErrors, those of the table with its name. */
  rows(table: CopyTable, request: RowRequest): AsyncGenerator<CopiedRows, void, undefined>;
  /** Ends what it holds on the server. Throws nothing. */
  close(): Promise<void>;
}

/** A captured table, and what of its rows is copied without being asked for. */
export interface WantedTable {
  /** `schema.name`. */
  readonly label: string;
  /** Another one once another table stands there under this name, or changes of the table were missed: what was copied before says nothing of it. */
  readonly identity: string;
  /** It is captured by no change of the configuration: it has come. Its rows are copied whatever the mode. */
  readonly isNew: boolean;
  /** The configuration leaves its rows out where it is false. */
  readonly isCopied: boolean;
  /** A condition of the user's, in the server's SQL; null: all rows. */
  readonly where: string | null;
}

/** What the log shows of a table that comes, or of one whose rows it may not have told. */
export interface ComingTable {
  /** Null: any table. */
  readonly label: string | null;
  /** As `WantedTable` has it. */
  readonly identity: string;
  /** It was empty: the log tells all of it. False: whatever the log told of it may not be all. */
  readonly isWhole: boolean;
}

/** What a source offers for copies of tables. */
export interface SnapshotSource {
  /** The captured tables, in the order in which they are to be copied. */
  tables(): readonly WantedTable[];
  /** What the log has shown of tables since it was asked last, in its order. Left out: every table that comes is found, and copied, at a start. */
  come?(): readonly ComingTable[];
  /** The key of a row, in the log or in a copy, by the first cell of its image. */
  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText;
  /**
   * Views of the very moment where the log begins, for the first start: nothing of the log is read while they are open. Asked for when the first batch was given. Null:
   * there was none to hold (the log was begun by somebody else, or earlier).
   */
  held(count: number): Promise<readonly SnapshotView[] | null>;
  /**
   * Resolves when every transaction that was under way at the call has ended: what it does the log may have shown already, before it was to be seen, or not at all, if it
   * began before its table was captured (algorithms §6).
   */
  settle(signal: AbortSignal): Promise<void>;
  /** A view of now. */
  view(signal: AbortSignal): Promise<SnapshotView>;
  /** Asks the server how far its log is read: the checkpoint of the next batch then says it without waiting for changes. */
  ask(): void;
  /** No copy is under way: connections are given back. */
  rest(): Promise<void>;
}
