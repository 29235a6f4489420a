import type { Encoder, FormatContext } from '../../plugin/format.ts';
import { OP, type Op } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { Envelope, PART } from '../envelope.ts';
import { piece, writePiece } from '../json-text.ts';
import { keyCellsDiffer, sameBytes } from '../keys.ts';
import { NativeFrame } from './frame.ts';
import { NativeImage } from './image.ts';

const KEY = piece(',"key":');
const OLD_KEY = piece(',"oldKey":');
const NEW_KEY = piece(',"newKey":');
const BEFORE = piece(',"before":');
const AFTER = piece(',"after":');
const MESSAGE = piece(',"message":');
const UNAVAILABLE = piece(',"unavailable":[');
/** The pieces above, several times. */
const FRAME_BYTES = 128;

/** The batch that is being written; shared by all tables of a connector. */
export interface BatchCounter {
  batch: number;
}

export class NativeEncoder implements Encoder {
  readonly #counter: BatchCounter;
  readonly #tombstones: boolean;
  readonly #isMessage: boolean;
  readonly #key: readonly number[];
  readonly #row: NativeImage;
  readonly #keyImage: NativeImage;
  readonly #envelope: Envelope;
  readonly #frame: NativeFrame;

  constructor(context: FormatContext, tombstones: boolean, counter: BatchCounter, table: TableVersion) {
    this.#counter = counter;
    this.#tombstones = tombstones;
    this.#isMessage = table.kind === 'message';
    // A message's key is its prefix.
    this.#key = this.#isMessage ? [0] : table.key;
    this.#row = new NativeImage(
      table.columns,
      table.columns.map((_, column) => column),
    );
    this.#keyImage = new NativeImage(table.columns, this.#key);
    this.#envelope = new Envelope(context, table);
    this.#frame = new NativeFrame(context, table);
  }

  encode(record: RecordCursor, out: MessageWriter): void {
    const { before, after } = record;
    this.#frame.prepare(record.transaction);
    this.#envelope.prepare(out, record.transaction, this.#counter.batch);
    const keyed = record.op === OP.delete ? before : after;
    this.#reserve(record, out);
    const keyStart = this.#key.length > 0 && keyed >= 0 ? out.bytesLength : -1;
    if (keyStart >= 0) out.bytesLength = this.#keyImage.write(record, keyed, before, out.bytes, keyStart);
    const keyEnd = keyStart < 0 ? -1 : out.bytesLength;
    if (record.op === OP.delete) this.#delete(record, out, keyStart, keyEnd, -1, -1);
    else if (record.op === OP.update && keyCellsDiffer(record, this.#key)) this.#keyChange(record, out, keyStart, keyEnd);
    else this.#change(record, out, PART.first, keyStart, keyEnd, -1, -1);
  }

  /** Room for all messages of the record. Twice everything: a key change writes the old row in two of them. */
  #reserve(record: RecordCursor, out: MessageWriter): void {
    const { before, after } = record;
    const twice = record.op === OP.update && keyCellsDiffer(record, this.#key) ? 2 : 1;
    let bytes = this.#frame.bytes(record) + 2 * this.#envelope.bytes + FRAME_BYTES;
    if (before >= 0) bytes += this.#row.bytes(record, before, -1) + 2 * this.#keyImage.bytes(record, before, -1);
    if (after >= 0) bytes += this.#row.bytes(record, after, before) + 3 * this.#keyImage.bytes(record, after, before);
    out.reserve(twice * bytes);
  }

  /** Create, update, read, truncate, message. `oldStart` … `oldEnd`: the old key's text, if the key has changed. */
  #change(record: RecordCursor, out: MessageWriter, part: number, keyStart: number, keyEnd: number, oldStart: number, oldEnd: number): void {
    const { before, after } = record;
    const to = out.bytes;
    const valueStart = out.bytesLength;
    let at = this.#frame.writeHead(record.op as Op, to, valueStart);
    if (!this.#isMessage) at = writeCopy(to, at, KEY, keyStart, keyEnd);
    at = writeCopy(to, at, OLD_KEY, oldStart, oldEnd);
    if (before >= 0) at = this.#row.write(record, before, -1, to, writePiece(to, at, BEFORE));
    if (after >= 0) {
      at = this.#row.write(record, after, before, to, writePiece(to, at, this.#isMessage ? MESSAGE : AFTER));
      at = this.#row.writeUnavailable(record, after, before, UNAVAILABLE, to, at);
    }
    const valueEnd = this.#frame.writeTail(record, to, at);
    this.#finish(record, out, part, keyStart, keyEnd, valueStart, valueEnd);
  }

  /** A delete and its tombstone. `newStart` … `newEnd`: the new key's text, if the row lives on under another. */
  #delete(record: RecordCursor, out: MessageWriter, keyStart: number, keyEnd: number, newStart: number, newEnd: number): void {
    const to = out.bytes;
    const valueStart = out.bytesLength;
    let at = this.#frame.writeHead(OP.delete, to, valueStart);
    at = writeCopy(to, at, KEY, keyStart, keyEnd);
    at = writeCopy(to, at, NEW_KEY, newStart, newEnd);
    if (record.before >= 0) at = this.#row.write(record, record.before, -1, to, writePiece(to, at, BEFORE));
    const valueEnd = this.#frame.writeTail(record, to, at);
    this.#finish(record, out, PART.first, keyStart, keyEnd, valueStart, valueEnd);
    if (this.#tombstones && keyStart >= 0) this.#finish(record, out, PART.tombstone, keyStart, keyEnd, -1, -1);
  }

  /** The old key ends first, so that a reader by key, or a compacted topic, never holds the row twice; then the update, under the new key. */
  #keyChange(record: RecordCursor, out: MessageWriter, newStart: number, newEnd: number): void {
    const oldStart = out.bytesLength;
    const oldEnd = this.#keyImage.write(record, record.before, -1, out.bytes, oldStart);
    if (sameBytes(out.bytes, oldStart, oldEnd, newStart, newEnd)) {
      this.#change(record, out, PART.first, newStart, newEnd, -1, -1);
      return;
    }
    out.bytesLength = oldEnd;
    this.#delete(record, out, oldStart, oldEnd, newStart, newEnd);
    this.#change(record, out, PART.newKey, newStart, newEnd, oldStart, oldEnd);
  }

  /** Writes the id behind the value and adds the message. */
  #finish(record: RecordCursor, out: MessageWriter, part: number, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    const idStart = valueStart < 0 ? out.bytesLength : valueEnd;
    const idEnd = this.#envelope.writeId(out.bytes, idStart, record.ordinal, part);
    out.bytesLength = idEnd;
    out.message(keyStart, keyEnd, valueStart, valueEnd, this.#envelope.headersStart, this.#envelope.headersEnd, idStart, idEnd);
  }
}

/** A name and a text that stands at `start` … `end` in the same bytes; nothing if `start` is −1. */
function writeCopy(to: Buffer, at: number, name: Uint8Array, start: number, end: number): number {
  if (start < 0) return at;
  at = writePiece(to, at, name);
  for (let index = start; index < end; index++) to[at++] = to[index] as number;
  return at;
}
