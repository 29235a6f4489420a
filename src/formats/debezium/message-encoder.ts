import type { Encoder, FormatContext } from '../../plugin/format.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { Envelope, PART } from '../envelope.ts';
import { writePiece } from '../json-text.ts';
import type { MessageParts } from './parts.ts';

const FRAME_BYTES = 64;

/** Logical decoding messages: the prefix is the key, the content as bytes are written. Their pseudo-table has the columns `prefix` and `content`, in `after`. */
export class MessageEncoder implements Encoder {
  readonly #parts: MessageParts;
  readonly #envelope: Envelope;

  constructor(context: FormatContext, table: TableVersion, parts: MessageParts) {
    this.#parts = parts;
    this.#envelope = new Envelope(context, table);
  }

  encode(record: RecordCursor, out: MessageWriter): void {
    const { clock, source, key, message, keyFrame, valueFrame, pieces, block } = this.#parts;
    source.prepare(record, clock.batch);
    this.#envelope.prepare(out, record.transaction, clock.batch);
    const head = clock.messageHead();
    const image = record.after;
    const frame = head.length + source.bytes(record) + this.#envelope.bytes + FRAME_BYTES + keyFrame.head.length + valueFrame.head.length;
    out.reserve(frame + (block?.bytes(record) ?? 0) + key.bytes(record, image, -1) + message.bytes(record, image, -1));
    const to = out.bytes;
    const keyStart = out.bytesLength;
    const keyEnd = writePiece(to, key.write(record, image, -1, to, writePiece(to, keyStart, keyFrame.head)), keyFrame.tail);
    let at = writePiece(to, writePiece(to, keyEnd, valueFrame.head), head);
    at = source.write(record, to, at);
    at = block === null ? writePiece(to, at, pieces.noTransaction) : block.write(record, to, writePiece(to, at, pieces.transaction));
    at = writePiece(to, at, pieces.message);
    at = message.write(record, image, -1, to, at);
    at = writePiece(to, writePiece(to, at, pieces.end), valueFrame.tail);
    const idEnd = this.#envelope.writeId(to, at, record.ordinal, PART.first);
    out.bytesLength = idEnd;
    out.message(keyStart, keyEnd, keyEnd, at, this.#envelope.headersStart, this.#envelope.headersEnd, at, idEnd);
  }
}
