import type { FormatContext } from '../../plugin/format.ts';
import { SNAPSHOT_MARKS } from '../../record/batch.ts';
import type { ColumnShape, TableShape } from '../../record/table.ts';
import type { LogicalType } from '../../record/types.ts';
import { TRANSACTION_BLOCK } from './event-schema.ts';
import { type CellPlan, planOf, rowColumns } from './mapping.ts';
import { messageKeyOf } from './message-key.ts';
import type { DebeziumConfig } from './options.ts';
import { namePattern, qualifiedName } from './patterns.ts';
import { type ConnectSchema, field, type MessageSchemas, type SchemaPlace, type SchemaType, struct } from './schema.ts';
import { SEQUENCE } from './source-block.ts';
import { valueBytes, writeValue } from './values.ts';

/** The schemas of a table's messages. */
export interface TableSchemas extends MessageSchemas {
  /** Per column: what stands for it where an old image does not carry it. A reader that goes by the schema takes no null of a required column. Null: nothing is ever left out. */
  readonly absent: readonly string[] | null;
}

/** Cells that stand for a default that the server computes, and for what a required column has not: Debezium's. */
const ZEROS: { readonly [T in LogicalType]?: string } = {
  boolean: 'f',
  int16: '0',
  int32: '0',
  int64: '0',
  uint64: '0',
  float32: '0',
  float64: '0',
  decimal: '0',
  text: '',
  bytes: '',
  date: '1970-01-01',
  time: '00:00:00',
  timetz: '00:00:00+00',
  timestamp: '1970-01-01T00:00:00',
  timestamptz: '1970-01-01T00:00:00Z',
  uuid: '00000000-0000-0000-0000-000000000000',
  json: '{}',
  xml: '',
  interval: '00:00:00',
  bits: '0',
  array: '{}',
  map: '',
  year: '0',
  duration: '00:00:00',
  bitfield: '0',
  set: '',
  other: '',
};
/** Types of which Debezium knows no default. */
const WITHOUT_DEFAULT: ReadonlySet<LogicalType> = new Set(['bytes', 'timetz', 'array', 'map', 'point', 'other']);

const TIMES = [field('ts_ms', 'int64'), field('ts_us', 'int64'), field('ts_ns', 'int64')];

/** Columns of the pseudo-table of logical decoding messages. */
export const PREFIX_COLUMN = 0;
export const CONTENT_COLUMN = 1;

/** What schemas tell of the connector. */
export type SchemaContext = Pick<FormatContext, 'connector' | 'origin'>;

/** Which columns stand in the messages' keys and in their rows. */
export interface MessageColumns {
  readonly key: readonly number[];
  readonly row: readonly number[];
}

function tableSchemas(table: TableShape, written: MessageColumns, context: SchemaContext, config: DebeziumConfig): TableSchemas {
  const plans = table.columns.map((column) => planOf(column, config));
  const propagated = propagatedColumns(table, config);
  const columns = table.columns.map((column, index) => new ColumnSchema(column, plans[index] as CellPlan, table.key.includes(index)));
  const name = `${context.connector}.${table.schema === '' ? table.catalog : table.schema}.${table.name}`;
  const key = struct(
    written.key.map((index) => (columns[index] as ColumnSchema).schema(false)),
    { name: `${name}.Key` },
  );
  const row = struct(
    written.row.map((index) => (columns[index] as ColumnSchema).schema(propagated[index] === true)),
    { name: `${name}.Value` },
  );
  const envelope = struct(
    [
      { ...row, optional: true, field: 'before' },
      { ...row, optional: true, field: 'after' },
      { ...sourceSchema(context, table), optional: false, field: 'source' },
      TRANSACTION_BLOCK,
      field('op', 'string', false),
      ...TIMES,
    ],
    { name: `${name}.Envelope`, version: 2 },
  );
  return {
    key: written.key.length === 0 ? null : { ...key, optional: false },
    value: { ...envelope, optional: false },
    absent: columns.map(({ absent }) => absent),
  };
}

/** Of any table's messages: rows, or logical decoding messages. Throws where `messageKeyColumns` asks for what the table does not have. */
export function connectSchemas(table: TableShape, context: SchemaContext, config: DebeziumConfig): TableSchemas {
  if (table.kind === 'message') return messageSchemas(table, context, planOf(table.columns[CONTENT_COLUMN] as ColumnShape, config));
  const { columns: key } = messageKeyOf(table, config);
  return tableSchemas(table, { key, row: rowColumns(table.columns, key, config) }, context, config);
}

/** Of logical decoding messages. */
function messageSchemas(table: TableShape, context: SchemaContext, content: CellPlan): TableSchemas {
  const name = (last: string): Omit<SchemaType, 'type' | 'fields'> => ({
    name: `io.debezium.connector.${context.origin.system}.${last}`,
    version: 1,
  });
  const prefix = field('prefix', 'string');
  const message = struct([prefix, { ...content.schema, optional: true, field: 'content' }], name('Message'));
  const value = struct(
    [
      field('op', 'string', false),
      field('ts_ms', 'int64'),
      { ...sourceSchema(context, table), optional: false, field: 'source' },
      TRANSACTION_BLOCK,
      { ...message, optional: false, field: 'message' },
    ],
    name('MessageValue'),
  );
  return { key: { ...struct([prefix], name('MessageKey')), optional: false }, value: { ...value, optional: false }, absent: null };
}

/** One column's schema. Without facts of the catalogue every column but the key's may be null. */
class ColumnSchema {
  readonly absent: string;
  readonly #column: ColumnShape;
  readonly #schema: SchemaType;
  readonly #place: SchemaPlace;

  constructor(column: ColumnShape, plan: CellPlan, isKey: boolean) {
    const required = isKey || column.facts?.required === true;
    const byDefault = this.#defaultOf(column, plan, required);
    this.#column = column;
    this.#schema = plan.schema;
    this.#place = { optional: !required, default: byDefault, field: column.name };
    this.absent = byDefault ?? (required ? cellText(plan, ZEROS[column.type]) : null) ?? 'null';
  }

  /** With the parameters that tell the column's type on the server, or without. */
  schema(isPropagated: boolean): ConnectSchema {
    const parameters = isPropagated ? { ...this.#schema.parameters, ...sourceParameters(this.#column) } : this.#schema.parameters;
    return { ...this.#schema, ...(parameters === undefined ? {} : { parameters }), ...this.#place };
  }

  #defaultOf({ type, facts }: ColumnShape, plan: CellPlan, required: boolean): string | null {
    if (facts === undefined || WITHOUT_DEFAULT.has(type) || plan.schema.type === 'struct') return null;
    if (facts.default !== null) return cellText(plan, facts.default);
    return facts.computed && required && facts.labels === null ? cellText(plan, ZEROS[type]) : null;
  }
}

/** By column: its type on the server is to be told. */
function propagatedColumns(table: TableShape, config: DebeziumConfig): boolean[] {
  const matcher = (patterns: readonly string[]): ((name: string) => boolean) => {
    const expressions = patterns.map(namePattern).filter((pattern) => pattern instanceof RegExp);
    return (name) => expressions.some((expression) => expression.test(name));
  };
  const isNamed = matcher(config.columnPropagateSourceType);
  const isOfType = matcher(config.datatypePropagateSourceType);
  const prefix = qualifiedName(table);
  return table.columns.map(
    ({ name, sourceType }) => sourceType !== undefined && (isNamed(`${prefix}.${name}`) || isOfType(`${prefix}.${sourceType.name}`)),
  );
}

/** Debezium's names and order. */
function sourceParameters({ name, sourceType }: ColumnShape): Readonly<Record<string, string>> {
  if (sourceType === undefined) return {};
  const { length, scale } = sourceType;
  return {
    '__debezium.source.column.type': sourceType.name.toUpperCase(),
    ...(length === null ? {} : { '__debezium.source.column.length': String(length) }),
    ...(scale === null ? {} : { '__debezium.source.column.scale': String(scale) }),
    '__debezium.source.column.name': name,
  };
}

function cellText(plan: CellPlan, cell: string | undefined): string | null {
  if (cell === undefined) return null;
  const from = Buffer.from(cell, 'utf8');
  const to = Buffer.alloc(valueBytes(plan, from, 0, from.length) + Math.abs(plan.scale) + 64);
  return to.toString('utf8', 0, writeValue(plan, to, 0, from, 0, from.length));
}

/** Of the `source` block. */
export function sourceSchema({ origin }: SchemaContext, table: Pick<TableShape, 'kind' | 'schema'>): SchemaType {
  const snapshot: SchemaType = {
    type: 'string',
    name: 'io.debezium.data.Enum',
    version: 1,
    parameters: { allowed: [...SNAPSHOT_MARKS.slice(1, -1), SNAPSHOT_MARKS[0], SNAPSHOT_MARKS.at(-1)].join(',') },
  };
  const hasSchemas = table.kind === 'message' || table.schema !== '';
  return struct(
    [
      field('version', 'string', false),
      field('connector', 'string', false),
      field('name', 'string', false),
      field('ts_ms', 'int64', false),
      { ...snapshot, optional: true, default: '"false"', field: 'snapshot' },
      field('db', 'string', false),
      field(SEQUENCE, 'string'),
      field('ts_us', 'int64'),
      field('ts_ns', 'int64'),
      ...(hasSchemas ? [field('schema', 'string', false)] : []),
      field('table', 'string', !hasSchemas),
      ...origin.columns
        .filter(({ name }) => name !== SEQUENCE)
        .map(({ name, type, required }) => field(name, type === 'text' ? 'string' : type, required !== true)),
    ],
    { name: `io.debezium.connector.${origin.system}.Source`, version: 1 },
  );
}
