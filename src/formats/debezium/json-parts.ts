/** Debezium's envelope as JSON. */
import type { FormatContext } from '../../plugin/format.ts';
import { SNAPSHOT_MARK } from '../../record/batch.ts';
import type { TableVersion } from '../../record/table.ts';
import { piece } from '../json-text.ts';
import type { BatchClock } from './batch-clock.ts';
import type { Frame } from './frame.ts';
import { ImageEncoder } from './image.ts';
import { planOf, rowColumns } from './mapping.ts';
import type { MessageKey } from './message-key.ts';
import type { DebeziumOptions } from './options.ts';
import type { EnvelopePieces, MessageParts, MessagePieces, TableParts } from './parts.ts';
import { qualifiedName } from './patterns.ts';
import { JsonSource, SourceBlock } from './source-block.ts';
import { PREFIX_COLUMN } from './table-schema.ts';
import { TransactionBlock } from './transaction-block.ts';
import type { Transactions } from './transactions.ts';

const ENVELOPE: EnvelopePieces = {
  onlyAfter: piece('{"before":null,"after":'),
  neither: piece('{"before":null,"after":null'),
  before: piece('{"before":'),
  andAfter: piece(',"after":'),
  noAfter: piece(',"after":null'),
};
const MESSAGE: MessagePieces = {
  transaction: piece('},"transaction":'),
  noTransaction: piece('},"transaction":null'),
  message: piece(',"message":'),
  end: piece('}'),
};
/** What Debezium counts messages as among the tables of a transaction. */
const MESSAGE_COLLECTION = 'LOGICAL_DECODING_MESSAGE';

/** What all tables of a connector share. */
export interface JsonEnvelope {
  readonly context: FormatContext;
  readonly options: DebeziumOptions;
  readonly clock: BatchClock;
  /** Null: messages do not tell their transaction. */
  readonly transactions: Transactions | null;
}

/** What stands around the keys and values of one table. */
export interface Frames {
  readonly key: Frame;
  readonly value: Frame;
}

/** `absent` by column: what stands for it where an old image does not carry it; null: null does. `isBinary`: the frames are no text. */
export function jsonTable(
  { context, options, clock, transactions }: JsonEnvelope,
  table: TableVersion,
  { columns: key }: MessageKey,
  frames: Frames,
  absent: readonly string[] | null,
  isBinary = false,
): TableParts {
  const plans = table.columns.map((column) => planOf(column, options));
  const keyImage = new ImageEncoder(table.columns, key, plans);
  return {
    pieces: ENVELOPE,
    row: new ImageEncoder(table.columns, rowColumns(table.columns, key, options), plans, absent),
    key: keyImage,
    keyFrame: frames.key,
    valueFrame: frames.value,
    namedKey: isBinary ? keyImage : null,
    sourceOf: (mark) => new SourceBlock(context, new JsonSource(context, options.version, table, mark), mark),
    clock,
    block: transactions === null ? null : new TransactionBlock(context, clock, transactions, qualifiedName(table)),
  };
}

export function jsonMessages({ context, options, clock, transactions }: JsonEnvelope, table: TableVersion, frames: Frames): MessageParts {
  const { columns } = table;
  const plans = columns.map((column) => planOf(column, options));
  const source = new JsonSource(context, options.version, table, SNAPSHOT_MARK.none);
  return {
    pieces: MESSAGE,
    source: new SourceBlock(context, source, SNAPSHOT_MARK.none),
    key: new ImageEncoder(columns, [PREFIX_COLUMN], plans),
    message: new ImageEncoder(
      columns,
      columns.map((_, column) => column),
      plans,
    ),
    keyFrame: frames.key,
    valueFrame: frames.value,
    clock,
    block: transactions === null ? null : new TransactionBlock(context, clock, transactions, MESSAGE_COLLECTION),
  };
}
