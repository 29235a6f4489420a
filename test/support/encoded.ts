import type { DebeziumConfig } from '../../src/formats/debezium/options.ts';
import type { Format, FormatContext } from '../../src/plugin/format.ts';
import {
  BatchWriter,
  type Mark,
  NULL,
  OP,
  type Op,
  type RecordBatch,
  SNAPSHOT_MARK,
  type SnapshotMark,
  type Transaction,
} from '../../src/record/batch.ts';
import { RecordCursor } from '../../src/record/cursor.ts';
import { eachHeader, MessageWriter, SPAN, SPAN_SIZE } from '../../src/record/messages.ts';
import { type ColumnShape, TableRegistry, type TableShape, type TableVersion } from '../../src/record/table.ts';
import type { LogicalType } from '../../src/record/types.ts';

/** A cell: its text in the cell form, its bytes, null, or a mark. */
export type CellValue = string | Buffer | null | Mark;

export interface RecordSpec {
  readonly op: keyof typeof OP;
  readonly table: TableShape;
  readonly before?: readonly CellValue[];
  readonly after?: readonly CellValue[];
  readonly origin?: readonly CellValue[];
  readonly transaction?: Transaction;
  readonly ordinal?: number;
  /** Of a `read`; left out: `row`. */
  readonly mark?: SnapshotMark;
}

export interface EncodedMessage {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly id: string;
}

export const POSTGRES_ORIGIN = {
  system: 'postgresql',
  columns: [
    { name: 'sequence', type: 'text' },
    { name: 'txId', type: 'int64' },
    { name: 'lsn', type: 'int64' },
    { name: 'xmin', type: 'int64' },
    { name: 'origin', type: 'text' },
    { name: 'origin_lsn', type: 'int64' },
  ],
  transaction: ['txId', 'lsn'],
} as const;

export const CONTEXT: FormatContext = { connector: 'g', capture: 'log', catalog: 'db', origin: POSTGRES_ORIGIN };
export const TRANSACTION: Transaction = { id: '7298/00000000016B3748.555', commitMicros: 1_795_467_559_506_224, beginId: '555:24023128' };
export const NOW_MICROS = 1_795_467_559_702_894;
const ORIGIN: readonly CellValue[] = ['[null,"24023128"]', '555', '24023128', null, null, null];

export function column(name: string, type: LogicalType, scale: number | null = null): ColumnShape {
  return { name, type, typeName: type, scale, precision: null };
}

export function tableShape(columns: readonly ColumnShape[], key: readonly number[] = [0], name = 't', schema = 'public'): TableShape {
  return { kind: 'table', catalog: 'db', schema, name, columns, key };
}

export const MESSAGES: TableShape = { ...tableShape([column('prefix', 'text'), column('content', 'bytes')], [], '', ''), kind: 'message' };

/** A batch of the records, in order. */
export function batchOf(records: readonly RecordSpec[], registry = new TableRegistry()): BatchWriter {
  const batch = new BatchWriter(registry, () => undefined, 64);
  for (const [index, record] of records.entries()) {
    batch.record(OP[record.op] as Op, batch.table(record.table), record.transaction ?? TRANSACTION, record.ordinal ?? index);
    if (record.op === 'read') batch.snapshot(record.mark ?? SNAPSHOT_MARK.row);
    for (const image of ['before', 'after', 'origin'] as const) {
      const cells = image === 'origin' ? (record.origin ?? ORIGIN) : record[image];
      if (cells === undefined) continue;
      batch.image(image);
      for (const cell of cells) writeCell(batch, cell);
    }
  }
  return batch;
}

function writeCell(batch: BatchWriter, cell: CellValue): void {
  if (cell === null || typeof cell === 'number') {
    batch.mark(cell ?? NULL);
    return;
  }
  const bytes = typeof cell === 'string' ? Buffer.from(cell, 'utf8') : cell;
  const start = batch.append(bytes);
  batch.cell(start, start + bytes.length);
}

type AnyFormatPlugin = { create(config: DebeziumConfig, context: FormatContext): Format };

/** As validation fills it in. */
export const DEBEZIUM_DEFAULTS: DebeziumConfig = {
  tombstones: true,
  messageKeyColumns: [],
  schemasEnable: false,
  columnPropagateSourceType: [],
  datatypePropagateSourceType: [],
  decimalHandlingMode: 'precise',
  timePrecisionMode: 'adaptive',
  binaryHandlingMode: 'bytes',
  intervalHandlingMode: 'numeric',
  hstoreHandlingMode: 'json',
  includeUnknownDatatypes: 'text',
  bigintUnsignedHandlingMode: 'long',
  moneyFractionDigits: 2,
  unavailableValuePlaceholder: '__debezium_unavailable_value',
  skippedOperations: [],
  provideTransactionMetadata: false,
  includeSchemaChanges: true,
};

/** What a format makes of the records, all in one batch, as text. */
export function encoded(
  plugin: AnyFormatPlugin,
  records: readonly RecordSpec[],
  { context, ...options }: Partial<DebeziumConfig> & { context?: FormatContext } = {},
): EncodedMessage[] {
  const format = plugin.create({ ...DEBEZIUM_DEFAULTS, ...options }, context ?? CONTEXT);
  const registry = new TableRegistry({ described: options.schemasEnable === true });
  return textsOf(encodeBatch(format, batchOf(records, registry)));
}

export function encodeBatch(format: Format, batch: RecordBatch, out = new MessageWriter(16)): MessageWriter {
  const encoders = new Map<TableVersion, ReturnType<Format['prepare']>>();
  for (const table of batch.tables) if (table.kind !== 'definition') encoders.set(table, format.prepare(table));
  format.begin(NOW_MICROS);
  const cursor = new RecordCursor();
  cursor.open(batch);
  for (let index = 0; index < batch.count; index++) {
    cursor.move(index);
    if (cursor.table.kind === 'definition') format.definitions?.write(cursor, NOW_MICROS, out);
    else encoders.get(cursor.table)?.encode(cursor, out);
    // Writing beyond the buffer is silent in JavaScript: what was reserved must have been enough.
    if (out.bytesLength > out.bytes.length) throw new Error(`wrote ${out.bytesLength} bytes into ${out.bytes.length}`);
  }
  return out;
}

export function textsOf(out: MessageWriter): EncodedMessage[] {
  const messages: EncodedMessage[] = [];
  for (let message = 0; message < out.count; message++) {
    const text = (startAt: number): string | null => {
      const start = out.spans[message * SPAN_SIZE + startAt] as number;
      return start < 0 ? null : out.bytes.toString('utf8', start, out.spans[message * SPAN_SIZE + startAt + 1]);
    };
    const headers: [string, string][] = [];
    eachHeader(out, message, (name, value) => headers.push([name, value]));
    messages.push({
      key: text(SPAN.keyStart),
      value: text(SPAN.valueStart),
      headers,
      id: text(SPAN.idStart) ?? '',
    });
  }
  return messages;
}

/** The JSON text that a format writes for one cell, in `after` of a create. */
export function cellText(plugin: AnyFormatPlugin, type: LogicalType, scale: number | null, cell: CellValue): string {
  const value = encoded(plugin, [{ op: 'create', table: tableShape([column('c', type, scale)], []), after: [cell] }])[0]?.value ?? '';
  const start = value.indexOf('"after":{"c":') + '"after":{"c":'.length;
  const end = Math.max(value.indexOf('},"source":{', start), value.indexOf('},"ts":"', start));
  return value.slice(start, end);
}
