/** Debezium's envelope as an Avro record. */
import type { FormatContext } from '../../plugin/format.ts';
import { SNAPSHOT_MARK } from '../../record/batch.ts';
import type { ColumnShape, TableVersion } from '../../record/table.ts';
import { ImageEncoder } from '../debezium/image.ts';
import type { Frames } from '../debezium/json-parts.ts';
import { type CellPlan, planOf, rowColumns } from '../debezium/mapping.ts';
import type { MessageKey } from '../debezium/message-key.ts';
import type { DebeziumOptions } from '../debezium/options.ts';
import type { EnvelopePieces, MessageParts, MessagePieces, TableParts } from '../debezium/parts.ts';
import type { ConnectSchema } from '../debezium/schema.ts';
import { SourceBlock } from '../debezium/source-block.ts';
import { PREFIX_COLUMN, type TableSchemas } from '../debezium/table-schema.ts';
import { joined } from './binary.ts';
import { type AvroClock, NULL_PIECE, SOME } from './clock.ts';
import { type AvroColumn, AvroImage } from './image.ts';
import { AvroSource } from './source.ts';

const NOTHING = new Uint8Array(0);
/** The unions of old and new row. */
const ENVELOPE: EnvelopePieces = {
  onlyAfter: joined(NULL_PIECE, SOME),
  neither: joined(NULL_PIECE, NULL_PIECE),
  before: SOME,
  andAfter: SOME,
  noAfter: NULL_PIECE,
};
const MESSAGE: MessagePieces = { transaction: NOTHING, noTransaction: NULL_PIECE, message: NOTHING, end: NOTHING };

export interface AvroEnvelope {
  readonly context: FormatContext;
  readonly options: DebeziumOptions;
  readonly clock: AvroClock;
}

/** `schemas`: Connect's, by the names of the server. */
export function avroTable(
  { context, options, clock }: AvroEnvelope,
  table: TableVersion,
  { columns: key }: MessageKey,
  schemas: TableSchemas,
  frames: Frames,
): TableParts {
  const image = (columns: readonly number[], fields: readonly ConnectSchema[]): AvroImage => imageOf(table, columns, fields, schemas, options);
  return {
    pieces: ENVELOPE,
    row: image(rowColumns(table.columns, key, options), fieldsOf(fieldsOf(schemas.value)[0])),
    key: image(key, fieldsOf(schemas.key ?? undefined)),
    keyFrame: frames.key,
    valueFrame: frames.value,
    namedKey: new ImageEncoder(table.columns, key, plansOf(table, options)),
    sourceOf: (mark) => new SourceBlock(context, new AvroSource(context, options.version, table, mark), mark),
    clock,
    block: null,
  };
}

export function avroMessages({ context, options, clock }: AvroEnvelope, table: TableVersion, schemas: TableSchemas, frames: Frames): MessageParts {
  const columns = table.columns.map((_, column) => column);
  return {
    pieces: MESSAGE,
    source: new SourceBlock(context, new AvroSource(context, options.version, table, SNAPSHOT_MARK.none), SNAPSHOT_MARK.none),
    key: imageOf(table, [PREFIX_COLUMN], fieldsOf(schemas.key ?? undefined), schemas, options),
    message: imageOf(table, columns, fieldsOf(fieldsOf(schemas.value).at(-1)), schemas, options),
    keyFrame: frames.key,
    valueFrame: frames.value,
    clock,
    block: null,
  };
}

function plansOf(table: TableVersion, options: DebeziumOptions): CellPlan[] {
  return table.columns.map((column) => planOf(column, options));
}

function fieldsOf(schema: ConnectSchema | undefined): readonly ConnectSchema[] {
  return schema?.fields ?? [];
}

function imageOf(
  table: TableVersion,
  columns: readonly number[],
  fields: readonly ConnectSchema[],
  { absent }: TableSchemas,
  options: DebeziumOptions,
): AvroImage {
  const plans = plansOf(table, options);
  const prepared = columns.map((column, index): AvroColumn => {
    const { name } = table.columns[column] as ColumnShape;
    return { column, name, plan: plans[column] as CellPlan, schema: fields[index] as ConnectSchema, absent: absent?.[column] ?? null };
  });
  return new AvroImage(table.label, prepared, options.unavailableValuePlaceholder);
}
