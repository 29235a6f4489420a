import type { Encoder, FormatContext } from '../../plugin/format.ts';
import type { CloudEventsHeaders } from '../../plugin/sink.ts';
import { OP, type Op } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { ImageEncoder } from '../debezium/image.ts';
import { planOf, rowColumns } from '../debezium/mapping.ts';
import { demandOldKey, messageKeyOf } from '../debezium/message-key.ts';
import type { DebeziumOptions } from '../debezium/options.ts';
import { skippedOperations } from '../debezium/options.ts';
import { Envelope, PART } from '../envelope.ts';
import { piece, writePiece } from '../json-text.ts';
import { keyCellsDiffer, sameBytes } from '../keys.ts';
import { Attributes, IN_VALUE } from './attributes.ts';

const DATA = piece(',"data":');
const BEFORE = piece('{"before":');
const AFTER = piece(',"after":');
const MESSAGE = piece('{"message":');
const NULL_TEXT = piece('null');
const CLOSE = 0x7d;
/** The pieces above. */
const FRAME_BYTES = 96;
const STRUCTURED = [['content-type', 'application/cloudevents+json; charset=UTF-8']] as const;
const PREFIX_COLUMN = 0;

/** The batch that is being written; shared by all tables of a connector. */
export interface BatchCounter {
  batch: number;
}

/** Rows of one table version, or logical messages, as CloudEvents. Their data are rows as Debezium writes them. */
export class CloudEventsEncoder implements Encoder {
  readonly isKeyed: boolean;
  readonly #counter: BatchCounter;
  readonly #tombstones: boolean;
  readonly #isMessage: boolean;
  readonly #key: readonly number[];
  readonly #isForeignKey: boolean;
  readonly #skipped: Uint8Array;
  readonly #row: ImageEncoder;
  readonly #keyImage: ImageEncoder;
  readonly #envelope: Envelope;
  /** Of tombstones, which are no events. */
  readonly #plain: Envelope;
  readonly #attributes: Attributes;
  readonly #isStructured: boolean;

  /** `form` null: structured mode. */
  constructor(
    context: FormatContext,
    options: DebeziumOptions,
    counter: BatchCounter,
    table: TableVersion,
    form: CloudEventsHeaders | typeof IN_VALUE,
  ) {
    this.#counter = counter;
    this.#tombstones = options.tombstones;
    this.#isMessage = table.kind === 'message';
    const { columns: key, isForeign } = this.#isMessage ? { columns: [PREFIX_COLUMN], isForeign: false } : messageKeyOf(table, options);
    this.#key = key;
    this.#isForeignKey = isForeign;
    this.isKeyed = key.length > 0;
    this.#skipped = skippedOperations(options);
    const plans = table.columns.map((column) => planOf(column, options));
    const row = this.#isMessage ? table.columns.map((_, column) => column) : rowColumns(table.columns, key, options);
    this.#row = new ImageEncoder(table.columns, row, plans);
    this.#keyImage = new ImageEncoder(table.columns, key, plans);
    this.#isStructured = form === IN_VALUE;
    this.#envelope = new Envelope(context, table, this.#isStructured ? STRUCTURED : []);
    this.#plain = new Envelope(context, table);
    this.#attributes = new Attributes(context, options.version, table, form);
  }

  encode(record: RecordCursor, out: MessageWriter): void {
    if (this.#skipped[record.op] === 1) return;
    const { op, before, after } = record;
    this.#attributes.prepare(record.transaction);
    this.#envelope.prepare(out, record.transaction, this.#counter.batch);
    if (this.#isForeignKey && (op === OP.update || op === OP.delete)) demandOldKey(record, this.#key);
    this.#reserve(record, out);
    if (op === OP.update && keyCellsDiffer(record, this.#key)) this.#keyChange(record, out);
    else if (op === OP.delete) this.#delete(record, out);
    else {
      const keyStart = this.#writeKey(record, after, before, out);
      this.#event(record, out, op, before, after, PART.first, keyStart, keyStart < 0 ? -1 : out.bytesLength);
    }
  }

  /** Room for all messages of the record. Twice everything: a key change writes the old row in one of them and the new one in the other. */
  #reserve(record: RecordCursor, out: MessageWriter): void {
    const { op, before, after } = record;
    let bytes = 2 * (this.#attributes.bytes(record, op) + FRAME_BYTES) + 12 * this.#envelope.bytes;
    if (before >= 0) bytes += this.#row.bytes(record, before, -1) + this.#keyBytes(record, before, -1);
    if (after >= 0) bytes += this.#row.bytes(record, after, before) + this.#keyBytes(record, after, before);
    out.reserve(bytes);
  }

  #keyBytes(record: RecordCursor, image: number, fallback: number): number {
    return this.#key.length === 0 ? 0 : this.#keyImage.bytes(record, image, fallback);
  }

  /** Where the key begins, −1: there is none. It ends at the end of what is written. */
  #writeKey(record: RecordCursor, image: number, fallback: number, out: MessageWriter): number {
    if (this.#key.length === 0 || image < 0) return -1;
    const start = out.bytesLength;
    out.bytesLength = this.#keyImage.write(record, image, fallback, out.bytes, start);
    return start;
  }

  #delete(record: RecordCursor, out: MessageWriter): void {
    const keyStart = this.#writeKey(record, record.before, -1, out);
    const keyEnd = keyStart < 0 ? -1 : out.bytesLength;
    this.#event(record, out, OP.delete, record.before, -1, PART.first, keyStart, keyEnd);
    this.#tombstone(record, out, keyStart, keyEnd);
  }

  /** As Debezium's format: delete and tombstone of the old key, create of the new one. */
  #keyChange(record: RecordCursor, out: MessageWriter): void {
    const { before, after } = record;
    const oldStart = this.#writeKey(record, before, -1, out);
    const oldEnd = out.bytesLength;
    const newStart = this.#writeKey(record, after, before, out);
    const newEnd = out.bytesLength;
    // Cells may differ where keys do not: 1.0 and 1.00.
    if (sameBytes(out.bytes, oldStart, oldEnd, newStart, newEnd)) {
      this.#event(record, out, OP.update, before, after, PART.first, newStart, newEnd);
      return;
    }
    this.#event(record, out, OP.delete, before, -1, PART.first, oldStart, oldEnd);
    this.#tombstone(record, out, oldStart, oldEnd);
    this.#event(record, out, OP.create, -1, after, PART.newKey, newStart, newEnd);
  }

  #event(record: RecordCursor, out: MessageWriter, op: Op, before: number, after: number, part: number, keyStart: number, keyEnd: number): void {
    const to = out.bytes;
    const idStart = out.bytesLength;
    const idEnd = this.#envelope.writeId(to, idStart, record.ordinal, part);
    let headersStart = this.#envelope.headersStart;
    let headersEnd = this.#envelope.headersEnd;
    let at = idEnd;
    if (!this.#isStructured) {
      headersStart = at;
      at = headersEnd = this.#attributes.write(record, op, to, this.#envelope.writeHeaders(to, at), idStart, idEnd);
    }
    const valueStart = at;
    if (this.#isStructured) at = writePiece(to, this.#attributes.write(record, op, to, at, idStart, idEnd), DATA);
    at = this.#writeData(record, before, after, to, at);
    if (this.#isStructured) to[at++] = CLOSE;
    out.bytesLength = at;
    out.message(keyStart, keyEnd, valueStart, at, headersStart, headersEnd, idStart, idEnd);
  }

  #writeData(record: RecordCursor, before: number, after: number, to: Buffer, at: number): number {
    if (this.#isMessage) at = this.#row.write(record, after, -1, to, writePiece(to, at, MESSAGE));
    else {
      at = writePiece(to, at, BEFORE);
      at = before < 0 ? writePiece(to, at, NULL_TEXT) : this.#row.write(record, before, -1, to, at);
      at = writePiece(to, at, AFTER);
      at = after < 0 ? writePiece(to, at, NULL_TEXT) : this.#row.write(record, after, before, to, at);
    }
    to[at] = CLOSE;
    return at + 1;
  }

  /** No event: it has no value. */
  #tombstone(record: RecordCursor, out: MessageWriter, keyStart: number, keyEnd: number): void {
    if (!this.#tombstones) return;
    const plain = this.#plain;
    plain.prepare(out, record.transaction, this.#counter.batch);
    const idStart = out.bytesLength;
    out.bytesLength = plain.writeId(out.bytes, idStart, record.ordinal, PART.tombstone);
    out.message(keyStart, keyEnd, -1, -1, plain.headersStart, plain.headersEnd, idStart, out.bytesLength);
  }
}
