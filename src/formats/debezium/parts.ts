/** What messages of Debezium's envelope are put together from, in whatever encoding. */
import type { Op, SnapshotMark } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { Frame } from './frame.ts';
import type { SourceBlock } from './source-block.ts';

/** Writes some columns of an image: all of a table's, or its key's. Prepared once per table version. */
export interface ImageWriter {
  /** Upper bound of what `write` writes, close for large cells (I9). `fallback` as there. */
  bytes(record: RecordCursor, image: number, fallback: number): number;
  /**
   * Writes the image at `at` and returns its end. A column that the log did not send because it is unchanged is taken from the image `fallback`, the old one
   * (−1: there is none), and else is Debezium's placeholder, never null (I11).
   */
  write(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number;
}

/** What stands around the rows of an envelope. */
export interface EnvelopePieces {
  /** In front of the new row where there is no old one. */
  readonly onlyAfter: Uint8Array;
  readonly neither: Uint8Array;
  readonly before: Uint8Array;
  /** Between the two. */
  readonly andAfter: Uint8Array;
  /** Behind an old row that has no new one. */
  readonly noAfter: Uint8Array;
}

/** What all tables of a connector share within one batch. */
export interface Clock {
  /** Counts batches: what was prepared for an earlier one is stale. */
  readonly batch: number;
  /** Everything behind the source block, without a transaction. */
  tail(op: number): Uint8Array;
}

/** The transaction in a change. Each that is written is one event of its transaction. */
export interface TransactionWriter {
  /** Upper bound of what one `write` writes. */
  bytes(record: RecordCursor): number;
  /** The block, or null for what belongs to no transaction of the log: rows of copies, messages outside any. */
  write(record: RecordCursor, to: Buffer, at: number): number;
  /** Everything behind the source block. */
  writeTail(record: RecordCursor, op: Op, to: Buffer, at: number): number;
}

export interface TableParts {
  readonly pieces: EnvelopePieces;
  readonly row: ImageWriter;
  readonly key: ImageWriter;
  readonly keyFrame: Frame;
  readonly valueFrame: Frame;
  /** Writes keys as text, for headers that name them, where they are none themselves; null: they are. */
  readonly namedKey: ImageWriter | null;
  readonly sourceOf: (mark: SnapshotMark) => SourceBlock;
  readonly clock: Clock;
  /** Null: messages do not tell their transaction. */
  readonly block: TransactionWriter | null;
}

/** What stands around the parts of a logical decoding message. */
export interface MessagePieces {
  /** Behind the source block: in front of the transaction, and where there is none. */
  readonly transaction: Uint8Array;
  readonly noTransaction: Uint8Array;
  /** In front of the message itself. */
  readonly message: Uint8Array;
  readonly end: Uint8Array;
}

export interface MessageParts extends Pick<TableParts, 'key' | 'keyFrame' | 'valueFrame'> {
  readonly pieces: MessagePieces;
  readonly source: SourceBlock;
  /** Prefix and content. */
  readonly message: ImageWriter;
  readonly clock: Clock & {
    /** What a message begins with. */
    messageHead(): Uint8Array;
  };
  readonly block: Pick<TransactionWriter, 'bytes' | 'write'> | null;
}
