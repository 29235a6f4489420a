import type { Encoder, FormatContext } from '../../plugin/format.ts';
import { OP, type Op, SNAPSHOT_MARK, type SnapshotMark } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { encodeHeaders, type MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { Envelope, PART } from '../envelope.ts';
import { writePiece } from '../json-text.ts';
import { keyCellsDiffer, sameBytes } from '../keys.ts';
import type { Frame } from './frame.ts';
import { demandOldKey, type MessageKey } from './message-key.ts';
import { type DebeziumConfig, skippedOperations } from './options.ts';
import type { Clock, EnvelopePieces, ImageWriter, TableParts } from './parts.ts';
import type { SourceBlock } from './source-block.ts';

type TableConfig = Pick<DebeziumConfig, 'tombstones' | 'skippedOperations'>;

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
  readonly #tombstones: boolean;
  readonly #key: readonly number[];
  /** Old rows must carry it: the log sends it by itself only if it is the table's own. */
  readonly #isForeignKey: boolean;
  readonly isKeyed: boolean;
  readonly #skipped: Uint8Array;
  readonly #clock: Clock;
  readonly #pieces: EnvelopePieces;
  readonly #row: ImageWriter;
  readonly #keyImage: ImageWriter;
  readonly #keyFrame: Frame;
  readonly #valueFrame: Frame;
  /** Null: headers name keys as messages do. */
  readonly #namedKey: ImageWriter | null;
  readonly #envelope: Envelope;
  readonly #streamed: SourceBlock;
  readonly #block: TableParts['block'];
  readonly #sourceOf: (mark: SnapshotMark) => SourceBlock;
  /** By mark; what is copied has few that are used. */
  readonly #copied: (SourceBlock | undefined)[] = [];

  constructor(context: FormatContext, config: TableConfig, table: TableVersion, { columns: key, isForeign }: MessageKey, parts: TableParts) {
    this.#tombstones = config.tombstones;
    this.#key = key;
    this.#isForeignKey = isForeign;
    this.isKeyed = key.length > 0;
    this.#skipped = skippedOperations(config);
    this.#clock = parts.clock;
    this.#pieces = parts.pieces;
    this.#row = parts.row;
    this.#keyImage = parts.key;
    this.#keyFrame = parts.keyFrame;
    this.#valueFrame = parts.valueFrame;
    this.#namedKey = parts.namedKey;
    this.#block = parts.block;
    this.#sourceOf = parts.sourceOf;
    this.#envelope = new Envelope(context, table);
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
    return image < 0 ? 0 : this.#keyImage.bytes(record, image, record.before) + this.#keyFrame.head.length + this.#keyFrame.tail.length;
  }

  #writeKey(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    const { head, tail } = this.#keyFrame;
    return writePiece(to, this.#keyImage.write(record, image, fallback, to, writePiece(to, at, head)), tail);
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
    const { head, tail } = this.#valueFrame;
    const pieces = this.#pieces;
    at = writePiece(to, at, head);
    if (before < 0) at = writePiece(to, at, after < 0 ? pieces.neither : pieces.onlyAfter);
    else {
      at = writePiece(to, at, pieces.before);
      at = this.#row.write(record, before, -1, to, at);
      at = writePiece(to, at, after < 0 ? pieces.noAfter : pieces.andAfter);
    }
    if (after >= 0) at = this.#row.write(record, after, record.before, to, at);
    at = source.write(record, to, at);
    at = this.#block === null ? writePiece(to, at, this.#clock.tail(op)) : this.#block.writeTail(record, op, to, at);
    return writePiece(to, at, tail);
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
    const named = this.#namedKey === null ? 0 : 2 * (this.#namedKey.bytes(record, before, -1) + this.#namedKey.bytes(record, after, before));
    const rows = 2 * this.#row.bytes(record, before, -1) + this.#row.bytes(record, after, before);
    const frames =
      2 * (this.#streamed.bytes(record) + this.#clock.tail(OP.delete).length + FRAME_BYTES + this.#valueFrame.head.length) + 6 * this.#envelope.bytes;
    const blocks = this.#block === null ? 0 : 2 * this.#block.bytes(record);
    out.reserve(keys + named + rows + frames + blocks);
    const to = out.bytes;
    const oldStart = out.bytesLength;
    const oldEnd = this.#writeNamed(record, before, -1, to, oldStart);
    const newEnd = this.#writeNamed(record, after, before, to, oldEnd);
    // Cells may differ where keys do not: 1.0 and 1.00.
    if (sameBytes(to, oldStart, oldEnd, oldEnd, newEnd)) {
      this.#change(record, out, this.#streamed, OP.update, before, after, -1, -1);
      return;
    }
    const deleteHeadersEnd = this.#writeHeaders(to, newEnd, NEW_KEY, oldEnd, newEnd);
    const createHeadersEnd = this.#writeHeaders(to, deleteHeadersEnd, OLD_KEY, oldStart, oldEnd);
    out.bytesLength = createHeadersEnd;
    const isKey = this.#namedKey === null;
    this.#delete(record, out, isKey ? oldStart : -1, isKey ? oldEnd : -1, newEnd, deleteHeadersEnd);
    this.#change(record, out, this.#streamed, OP.create, -1, after, deleteHeadersEnd, createHeadersEnd);
  }

  /** A key as headers name it. */
  #writeNamed(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    return this.#namedKey === null ? this.#writeKey(record, image, fallback, to, at) : this.#namedKey.write(record, image, fallback, to, at);
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
