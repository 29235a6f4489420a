import type { Encoder, FormatContext } from '../../plugin/format.ts';
import { OP, type Op, SNAPSHOT_MARK, type SnapshotMark } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { encodeHeaders, type MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { Envelope, PART } from '../envelope.ts';
import { piece, writePiece } from '../json-text.ts';
import { keyCellsDiffer, sameBytes } from '../keys.ts';
import type { BatchClock } from './batch-clock.ts';
import { type Frame, frameOf } from './frame.ts';
import { ImageEncoder } from './image.ts';
import { planOf, rowColumns } from './mapping.ts';
import { demandOldKey, messageKeyOf } from './message-key.ts';
import { type DebeziumConfig, skippedOperations } from './options.ts';
import { qualifiedName } from './patterns.ts';
import { SourceBlock } from './source-block.ts';
import { tableSchemas } from './table-schema.ts';
import { TransactionBlock } from './transaction-block.ts';
import type { Transactions } from './transactions.ts';

export interface DebeziumOptions extends DebeziumConfig {
  /** `source.version`. */
  readonly version: string;
}

const BEFORE = piece('{"before":');
const NO_BEFORE = piece('{"before":null,"after":');
const AFTER = piece(',"after":');
const NULL_TEXT = piece('null');
const CLOSE = 0x7d;
const NEW_KEY = headerName('__debezium.newkey');
const OLD_KEY = headerName('__debezium.oldkey');
/** Fixed texts of one message, besides the pieces that are counted. */
const FRAME_BYTES = 64;

/** A header up to its value's length. */
function headerName(name: string): Uint8Array {
  return encodeHeaders([[name, '']])
    .subarray(0, -4)
    .slice();
}

/** Rows of one table version. The hot path: nothing is allocated for a row. */
export class TableEncoder implements Encoder {
  readonly #clock: BatchClock;
  readonly #tombstones: boolean;
  readonly #key: readonly number[];
  /** Old rows must carry it: the log sends it by itself only if it is the table's own. */
  readonly #isForeignKey: boolean;
  readonly isKeyed: boolean;
  readonly #row: ImageEncoder;
  readonly #keyImage: ImageEncoder;
  readonly #envelope: Envelope;
  readonly #streamed: SourceBlock;
  readonly #keyFrame: Frame;
  readonly #valueFrame: Frame;
  readonly #skipped: Uint8Array;
  /** Null: messages do not tell their transaction. */
  readonly #block: TransactionBlock | null;
  readonly #sourceOf: (mark: SnapshotMark) => SourceBlock;
  /** By mark; what is copied has few that are used. */
  readonly #copied: (SourceBlock | undefined)[] = [];

  constructor(context: FormatContext, options: DebeziumOptions, clock: BatchClock, table: TableVersion, transactions: Transactions | null = null) {
    this.#clock = clock;
    this.#block = transactions === null ? null : new TransactionBlock(context, clock, transactions, qualifiedName(table));
    this.#tombstones = options.tombstones;
    const { columns: key, isForeign } = messageKeyOf(table, options);
    this.#key = key;
    this.#isForeignKey = isForeign;
    this.isKeyed = key.length > 0;
    this.#skipped = skippedOperations(options);
    const plans = table.columns.map((column) => planOf(column, options));
    const row = rowColumns(table.columns, key, options);
    const schemas = options.schemasEnable ? tableSchemas(table, { key, row }, context, options) : null;
    this.#keyFrame = frameOf(schemas?.key ?? null);
    this.#valueFrame = frameOf(schemas?.value ?? null);
    this.#row = new ImageEncoder(table.columns, row, plans, schemas?.absent ?? null);
    this.#keyImage = new ImageEncoder(table.columns, key, plans);
    this.#envelope = new Envelope(context, table);
    this.#sourceOf = (mark) => new SourceBlock(context, options.version, table, mark);
    this.#streamed = this.#sourceOf(SNAPSHOT_MARK.none);
  }

  encode(record: RecordCursor, out: MessageWriter): void {
    if (this.#skipped[record.op] === 1) return;
    const mark = record.snapshot;
    const source = mark === SNAPSHOT_MARK.none ? this.#streamed : this.#copiedAs(mark);
    source.prepare(record, this.#clock.batch);
    this.#envelope.prepare(out, record.transaction, this.#clock.batch);
    switch (record.op) {
      case OP.delete:
        if (this.#isForeignKey) demandOldKey(record, this.#key);
        this.#reserve(record, out, source, record.before, -1);
        this.#delete(record, out, -1, -1, -1, -1);
        return;
      case OP.update:
        if (this.#isForeignKey) demandOldKey(record, this.#key);
        if (keyCellsDiffer(record, this.#key)) {
          this.#keyChange(record, out);
          return;
        }
        break;
      default:
    }
    this.#reserve(record, out, source, record.before, record.after);
    this.#change(record, out, source, record.op, record.before, record.after, -1, -1);
  }

  #copiedAs(mark: SnapshotMark): SourceBlock {
    const known = this.#copied[mark];
    if (known !== undefined) return known;
    const made = this.#sourceOf(mark);
    this.#copied[mark] = made;
    return made;
  }

  /** Room for one message, or for a delete with its tombstone. */
  #reserve(record: RecordCursor, out: MessageWriter, source: SourceBlock, before: number, after: number): void {
    let bytes = source.bytes(record) + this.#clock.tail(record.op).length + 2 * this.#envelope.bytes + FRAME_BYTES + this.#valueFrame.head.length;
    if (before >= 0) bytes += this.#row.bytes(record, before, -1);
    if (after >= 0) bytes += this.#row.bytes(record, after, before);
    if (this.#key.length > 0) bytes += this.#keyBytes(record, after >= 0 ? after : before);
    if (this.#block !== null) bytes += this.#block.bytes(record);
    out.reserve(bytes);
  }

  #keyBytes(record: RecordCursor, image: number): number {
    return image < 0 ? 0 : this.#keyImage.bytes(record, image, record.before) + this.#keyFrame.head.length + 1;
  }

  #writeKey(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    const { head, closes } = this.#keyFrame;
    if (!closes) return this.#keyImage.write(record, image, fallback, to, at);
    at = this.#keyImage.write(record, image, fallback, to, writePiece(to, at, head));
    to[at] = CLOSE;
    return at + 1;
  }

  /** One message: create, update, read, truncate. Headers from `headersStart` on, or the shared ones if that is −1. */
  #change(
    record: RecordCursor,
    out: MessageWriter,
    source: SourceBlock,
    op: Op,
    before: number,
    after: number,
    headersStart: number,
    headersEnd: number,
  ): void {
    const to = out.bytes;
    const keyStart = this.#key.length > 0 && after >= 0 ? out.bytesLength : -1;
    const keyEnd = keyStart < 0 ? -1 : this.#writeKey(record, after, record.before, to, keyStart);
    const valueStart = keyStart < 0 ? out.bytesLength : keyEnd;
    const valueEnd = this.#value(record, source, op, before, after, to, valueStart);
    const idEnd = this.#envelope.writeId(to, valueEnd, record.ordinal, headersStart < 0 ? PART.first : PART.newKey);
    out.bytesLength = idEnd;
    const shared = headersStart < 0;
    out.message(
      keyStart,
      keyEnd,
      valueStart,
      valueEnd,
      shared ? this.#envelope.headersStart : headersStart,
      shared ? this.#envelope.headersEnd : headersEnd,
      valueEnd,
      idEnd,
    );
  }

  #value(record: RecordCursor, source: SourceBlock, op: Op, before: number, after: number, to: Buffer, at: number): number {
    const { head, closes } = this.#valueFrame;
    if (closes) at = writePiece(to, at, head);
    if (before < 0) at = writePiece(to, at, NO_BEFORE);
    else {
      at = writePiece(to, at, BEFORE);
      at = this.#row.write(record, before, -1, to, at);
      at = writePiece(to, at, AFTER);
    }
    at = after < 0 ? writePiece(to, at, NULL_TEXT) : this.#row.write(record, after, record.before, to, at);
    at = source.write(record, to, at);
    at = this.#block === null ? writePiece(to, at, this.#clock.tail(op)) : this.#block.writeTail(record, op, to, at);
    if (!closes) return at;
    to[at] = CLOSE;
    return at + 1;
  }

  /** A delete and its tombstone. The key, if it was written before, is reused; so are the headers. */
  #delete(record: RecordCursor, out: MessageWriter, oldKeyStart: number, oldKeyEnd: number, ownHeadersStart: number, ownHeadersEnd: number): void {
    const to = out.bytes;
    const headersStart = ownHeadersStart < 0 ? this.#envelope.headersStart : ownHeadersStart;
    const headersEnd = ownHeadersStart < 0 ? this.#envelope.headersEnd : ownHeadersEnd;
    let at = out.bytesLength;
    let keyStart = oldKeyStart;
    let keyEnd = oldKeyEnd;
    if (keyStart < 0 && this.#key.length > 0 && record.before >= 0) {
      keyStart = at;
      keyEnd = this.#writeKey(record, record.before, -1, to, at);
      at = keyEnd;
    }
    const valueEnd = this.#value(record, this.#streamed, OP.delete, record.before, -1, to, at);
    const idEnd = this.#envelope.writeId(to, valueEnd, record.ordinal, PART.first);
    out.bytesLength = idEnd;
    out.message(keyStart, keyEnd, at, valueEnd, headersStart, headersEnd, valueEnd, idEnd);
    if (!this.#tombstones) return;
    const tombstoneIdEnd = this.#envelope.writeId(to, idEnd, record.ordinal, PART.tombstone);
    out.bytesLength = tombstoneIdEnd;
    out.message(keyStart, keyEnd, -1, -1, headersStart, headersEnd, idEnd, tombstoneIdEnd);
  }

  /** A key change as Debezium says it: delete and tombstone of the old key, create of the new one, each naming the other in a header. */
  #keyChange(record: RecordCursor, out: MessageWriter): void {
    const { before, after } = record;
    // Each key once by itself and once in a header; the new one again in its own message.
    const keys = 2 * this.#keyBytes(record, before) + 3 * this.#keyBytes(record, after);
    const rows = 2 * this.#row.bytes(record, before, -1) + this.#row.bytes(record, after, before);
    const frames =
      2 * (this.#streamed.bytes(record) + this.#clock.tail(OP.delete).length + FRAME_BYTES + this.#valueFrame.head.length) + 6 * this.#envelope.bytes;
    const blocks = this.#block === null ? 0 : 2 * this.#block.bytes(record);
    out.reserve(keys + rows + frames + blocks);
    const to = out.bytes;
    const oldStart = out.bytesLength;
    const oldEnd = this.#writeKey(record, before, -1, to, oldStart);
    const newEnd = this.#writeKey(record, after, before, to, oldEnd);
    // Cells may differ where keys do not: 1.0 and 1.00.
    if (sameBytes(to, oldStart, oldEnd, oldEnd, newEnd)) {
      this.#change(record, out, this.#streamed, OP.update, before, after, -1, -1);
      return;
    }
    const deleteHeadersEnd = this.#writeHeaders(to, newEnd, NEW_KEY, oldEnd, newEnd);
    const createHeadersEnd = this.#writeHeaders(to, deleteHeadersEnd, OLD_KEY, oldStart, oldEnd);
    out.bytesLength = createHeadersEnd;
    this.#delete(record, out, oldStart, oldEnd, newEnd, deleteHeadersEnd);
    this.#change(record, out, this.#streamed, OP.create, -1, after, deleteHeadersEnd, createHeadersEnd);
  }

  /** The shared headers and one whose value stands at `start` … `end` in the same bytes. */
  #writeHeaders(to: Buffer, at: number, name: Uint8Array, start: number, end: number): number {
    at = this.#envelope.writeHeaders(to, at);
    at = writePiece(to, at, name);
    at = to.writeUInt32BE(end - start, at);
    to.copyWithin(at, start, end);
    return at + end - start;
  }
}
