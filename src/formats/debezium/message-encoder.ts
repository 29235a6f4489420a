import type { Encoder, FormatContext } from '../../plugin/format.ts';
import { SNAPSHOT_MARK } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { Envelope, PART } from '../envelope.ts';
import { piece, writePiece } from '../json-text.ts';
import type { BatchClock } from './batch-clock.ts';
import { type Frame, frameOf } from './frame.ts';
import { ImageEncoder } from './image.ts';
import { type CellPlan, planOf } from './mapping.ts';
import { SourceBlock } from './source-block.ts';
import type { DebeziumOptions } from './table-encoder.ts';
import { CONTENT_COLUMN, messageSchemas, PREFIX_COLUMN } from './table-schema.ts';
import { TransactionBlock } from './transaction-block.ts';
import type { Transactions } from './transactions.ts';

const TRANSACTION = piece('},"transaction":');
const MESSAGE = piece(',"message":');
const NULL_TEXT = piece('null');
/** What Debezium counts messages as among the tables of a transaction. */
const COLLECTION = 'LOGICAL_DECODING_MESSAGE';
const CLOSE = 0x7d;
const FRAME_BYTES = 64;

/** Logical decoding messages: the prefix is the key, the content as bytes are written. Their pseudo-table has the columns `prefix` and `content`, in `after`. */
export class MessageEncoder implements Encoder {
  readonly #clock: BatchClock;
  readonly #envelope: Envelope;
  readonly #source: SourceBlock;
  readonly #key: ImageEncoder;
  readonly #message: ImageEncoder;
  readonly #keyFrame: Frame;
  readonly #valueFrame: Frame;
  readonly #block: TransactionBlock | null;

  constructor(context: FormatContext, options: DebeziumOptions, clock: BatchClock, table: TableVersion, transactions: Transactions | null = null) {
    this.#clock = clock;
    this.#block = transactions === null ? null : new TransactionBlock(context, clock, transactions, COLLECTION);
    this.#envelope = new Envelope(context, table);
    this.#source = new SourceBlock(context, options.version, table, SNAPSHOT_MARK.none);
    const { columns } = table;
    const plans = columns.map((column) => planOf(column, options));
    this.#key = new ImageEncoder(columns, [PREFIX_COLUMN], plans);
    this.#message = new ImageEncoder(
      columns,
      columns.map((_, column) => column),
      plans,
    );
    const schemas = options.schemasEnable ? messageSchemas(table, context, plans[CONTENT_COLUMN] as CellPlan) : null;
    this.#keyFrame = frameOf(schemas?.key ?? null);
    this.#valueFrame = frameOf(schemas?.value ?? null);
  }

  encode(record: RecordCursor, out: MessageWriter): void {
    this.#source.prepare(record, this.#clock.batch);
    this.#envelope.prepare(out, record.transaction, this.#clock.batch);
    const head = this.#clock.messageHead();
    const image = record.after;
    const [keyFrame, valueFrame] = [this.#keyFrame, this.#valueFrame];
    const frame = head.length + this.#source.bytes(record) + this.#envelope.bytes + FRAME_BYTES + keyFrame.head.length + valueFrame.head.length;
    const block = this.#block === null ? NULL_TEXT.length : this.#block.bytes(record);
    out.reserve(frame + block + this.#key.bytes(record, image, -1) + this.#message.bytes(record, image, -1));
    const to = out.bytes;
    const keyStart = out.bytesLength;
    let keyEnd = this.#key.write(record, image, -1, to, writePiece(to, keyStart, keyFrame.head));
    if (keyFrame.closes) to[keyEnd++] = CLOSE;
    let at = writePiece(to, writePiece(to, keyEnd, valueFrame.head), head);
    at = this.#source.write(record, to, at);
    at = writePiece(to, at, TRANSACTION);
    at = this.#block === null ? writePiece(to, at, NULL_TEXT) : this.#block.write(record, to, at);
    at = writePiece(to, at, MESSAGE);
    at = this.#message.write(record, image, -1, to, at);
    to[at++] = CLOSE;
    if (valueFrame.closes) to[at++] = CLOSE;
    const idEnd = this.#envelope.writeId(to, at, record.ordinal, PART.first);
    out.bytesLength = idEnd;
    out.message(keyStart, keyEnd, keyEnd, at, this.#envelope.headersStart, this.#envelope.headersEnd, at, idEnd);
  }
}
