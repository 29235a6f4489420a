import type { ColumnShape } from '../../record/table.ts';
import type { LogicalType } from '../../record/types.ts';
import { JACKSON_ESCAPES, jsonString, piece } from '../json-text.ts';
import { CELL, type Cell, SMALL_CELL_BYTES, writeCell } from './cells.ts';
import type { DebeziumConfig } from './options.ts';
import { field, type SchemaType, struct } from './schema.ts';

/** How the cells of a column, or of an array's elements, are written, and what Connect says of them. Prepared once per table version. */
export interface CellPlan {
  readonly cell: Cell;
  /** What `writeCell` is given as `scale`. */
  readonly scale: number;
  readonly schema: SchemaType;
  /** Of an array; its own `cell` is then not used. */
  readonly element: CellPlan | null;
  /** Stands for a value that the log did not send. */
  readonly unavailable: Uint8Array;
  /** Stands for a date that has a year, month or day of 0; null: no such dates are expected. */
  readonly zero: Uint8Array | null;
}

type Shape = Omit<ColumnShape, 'name'>;
type Mapped = readonly [cell: Cell, schema: SchemaType, scale?: number];

const MICROS_DIGITS = 6;
/** `adaptive`: columns that declare up to so many digits of the second are in milliseconds. */
const MILLIS_DIGITS = 3;
/** Of bits without a declared length. */
const MAX_LENGTH = 2 ** 31 - 1;

const STRING: SchemaType = { type: 'string' };
const DOUBLE: SchemaType = { type: 'double' };
const JSON_TEXT = semantic('string', 'io.debezium.data.Json');
const POINT = struct([field('x', 'double', false), field('y', 'double', false), field('wkb', 'bytes'), field('srid', 'int32')], {
  name: 'io.debezium.data.geometry.Point',
  version: 1,
  doc: 'Geometry (POINT)',
});
const GEOMETRY = struct([field('wkb', 'bytes', false), field('srid', 'int32')], {
  name: 'io.debezium.data.geometry.Geometry',
  version: 1,
  doc: 'Geometry',
});
const VARIABLE = struct([field('scale', 'int32', false), field('value', 'bytes', false)], {
  name: 'io.debezium.data.VariableScaleDecimal',
  version: 1,
  doc: 'Variable scaled decimal',
});

/** Debezium's names for types that are text to us. */
const OTHER: Readonly<Record<string, SchemaType>> = {
  ltree: semantic('string', 'io.debezium.data.Ltree'),
  tsvector: semantic('string', 'io.debezium.data.TsVector'),
};

/** Types that Debezium passes on as the server's text, and, in the last line, those that it has forms for which are not here: their text is left nowhere. */
const PLAIN: ReadonlySet<string> = new Set([
  'cidr',
  'inet',
  'macaddr',
  'macaddr8',
  'int4range',
  'int8range',
  'numrange',
  'tsrange',
  'tstzrange',
  'daterange',
  'isbn',
  ...['geometry', 'geography', 'vector', 'halfvec', 'sparsevec'],
]);

/** Debezium's type mapping, by logical type: the one place to add to. */
const BY_TYPE: { readonly [T in LogicalType]: (column: Shape, config: DebeziumConfig) => Mapped } = {
  boolean: () => [CELL.boolean, { type: 'boolean' }],
  int16: () => [CELL.verbatim, { type: 'int16' }],
  int32: () => [CELL.verbatim, { type: 'int32' }],
  int64: () => [CELL.verbatim, { type: 'int64' }],
  uint64: (_, { bigintUnsignedHandlingMode: mode }) =>
    mode === 'long'
      ? [CELL.wrapped, { type: 'int64' }]
      : [
          CELL.decimal,
          { ...semantic('bytes', 'org.apache.kafka.connect.data.Decimal'), parameters: { scale: '0', 'connect.decimal.precision': '20' } },
          0,
        ],
  float32: () => [CELL.float32, { type: 'float' }],
  float64: () => [CELL.float64, DOUBLE],
  decimal: decimal,
  text: ({ facts }) => [CELL.string, facts?.labels ? enumOf(facts.labels) : STRING],
  bytes: (_, { binaryHandlingMode: mode }) => BINARY[mode],
  date: (_, { timePrecisionMode: mode }) => {
    if (mode === 'isostring') return [CELL.isoDate, semantic('string', 'io.debezium.time.IsoDate')];
    return [CELL.date, semantic('int32', mode === 'connect' ? 'org.apache.kafka.connect.data.Date' : 'io.debezium.time.Date')];
  },
  time: (column, { timePrecisionMode: mode }) => time(mode, inMillis(column)),
  timetz: () => [CELL.zonedTime, semantic('string', 'io.debezium.time.ZonedTime')],
  timestamp: (column, { timePrecisionMode: mode }) => timestamp(mode, inMillis(column)),
  timestamptz: ({ scale }) => [CELL.zonedTimestamp, semantic('string', 'io.debezium.time.ZonedTimestamp'), scale ?? MICROS_DIGITS],
  uuid: () => [CELL.quoted, semantic('string', 'io.debezium.data.Uuid')],
  json: () => [CELL.string, JSON_TEXT],
  xml: () => [CELL.string, semantic('string', 'io.debezium.data.Xml')],
  interval: (_, { intervalHandlingMode: mode }) =>
    mode === 'numeric'
      ? [CELL.intervalMicros, semantic('int64', 'io.debezium.time.MicroDuration')]
      : [CELL.intervalText, semantic('string', 'io.debezium.time.Interval')],
  bits: ({ precision }) =>
    precision === 1
      ? [CELL.bit, { type: 'boolean' }]
      : [CELL.bits, { ...semantic('bytes', 'io.debezium.data.Bits'), parameters: { length: String(precision ?? MAX_LENGTH) } }],
  point: () => [CELL.point, POINT],
  map: (_, { hstoreHandlingMode: mode }) =>
    mode === 'json'
      ? [CELL.mapText, JSON_TEXT]
      : [CELL.map, { type: 'map', keys: { type: 'string', optional: false }, values: { type: 'string', optional: true } }],
  year: () => [CELL.verbatim, semantic('int32', 'io.debezium.time.Year')],
  duration: (_, { timePrecisionMode: mode }) => duration(mode),
  bitfield: ({ precision }) =>
    precision === 1
      ? [CELL.bit, { type: 'boolean' }]
      : [CELL.wholeBits, { ...semantic('bytes', 'io.debezium.data.Bits'), parameters: { length: String(precision ?? MAX_LENGTH) } }],
  set: ({ facts }) => [
    CELL.string,
    facts?.labels ? { ...semantic('string', 'io.debezium.data.EnumSet'), parameters: { allowed: facts.labels.join(',') } } : STRING,
  ],
  geometry: ({ typeName }) => (typeName === 'point' ? [CELL.geometryPoint, POINT] : [CELL.geometry, GEOMETRY]),
  // Elements are looked at by `planOf`; an array of what is not known is its text.
  array: (column, config) => BY_TYPE.other(column, config),
  other: (column, { includeUnknownDatatypes, binaryHandlingMode }) =>
    isUnknown(column) && includeUnknownDatatypes === 'bytes' ? BINARY[binaryHandlingMode] : [CELL.string, OTHER[systemName(column)] ?? STRING],
};

const BINARY: { readonly [M in DebeziumConfig['binaryHandlingMode']]: Mapped } = {
  bytes: [CELL.bytes, { type: 'bytes' }],
  base64: [CELL.bytes, STRING],
  'base64-url-safe': [CELL.bytesUrlSafe, STRING],
  hex: [CELL.hex, STRING],
};

/** Whether Debezium does not know the type. Arrays of what it knows are arrays here, also where it has none. */
function isUnknown(column: Shape): boolean {
  if (column.type === 'array') return column.element === undefined || isUnknown(column.element);
  return column.type === 'other' && OTHER[systemName(column)] === undefined && !PLAIN.has(systemName(column));
}

function systemName({ typeName, baseName }: Shape): string {
  return (baseName ?? typeName).replace(/^.*\./, '');
}

/** The columns that stand in rows. Those of the key always do: without them rows could not be told apart. */
export function rowColumns(columns: readonly ColumnShape[], key: readonly number[], config: DebeziumConfig): readonly number[] {
  const isWritten = (column: ColumnShape, index: number): boolean =>
    config.includeUnknownDatatypes !== 'none' || key.includes(index) || !isUnknown(column);
  return columns.flatMap((column, index) => (isWritten(column, index) ? [index] : []));
}

export function planOf(column: Shape, config: DebeziumConfig): CellPlan {
  const { unavailableValuePlaceholder: placeholder } = config;
  if (column.type === 'array' && column.element !== undefined && !(isUnknown(column) && config.includeUnknownDatatypes === 'bytes')) {
    const element = planOf({ ...column.element, ...(column.facts === undefined ? {} : { facts: column.facts }) }, config);
    const schema: SchemaType = { type: 'array', items: { ...element.schema, optional: true } };
    return { cell: CELL.string, scale: 0, schema, element, unavailable: piece(`[${arrayPlaceholder(element, placeholder)}]`), zero: null };
  }
  const [cell, schema, scale] = BY_TYPE[column.type](column, config);
  const unavailable = piece(unavailableText(cell, schema, placeholder));
  return { cell, scale: scale ?? column.scale ?? 0, schema, element: null, unavailable, zero: zeroDate(column, cell) };
}

const EPOCHS: { readonly [T in LogicalType]?: string } = {
  date: '1970-01-01',
  timestamp: '1970-01-01T00:00:00',
  timestamptz: '1970-01-01T00:00:00Z',
};

/** As Debezium: null, and the epoch in columns that are never null. Only systems that have such dates say of each column which it is. */
function zeroDate({ type, required }: Shape, cell: Cell): Uint8Array | null {
  const epoch = EPOCHS[type];
  if (epoch === undefined || required === undefined) return null;
  if (!required) return piece('null');
  const to = Buffer.alloc(SMALL_CELL_BYTES);
  const from = Buffer.from(epoch, 'latin1');
  return piece(to.toString('latin1', 0, writeCell(cell, 0, to, 0, from, 0, from.length)));
}

/** As Debezium: bytes in base64 where the schema says bytes, else the text, whatever the schema says. */
function unavailableText(cell: Cell, schema: SchemaType, placeholder: string): string {
  const text = jsonString(placeholder, JACKSON_ESCAPES);
  if (cell === CELL.bytes && schema.type === 'bytes') return `"${Buffer.from(placeholder, 'utf8').toString('base64')}"`;
  return cell === CELL.map ? `{${text}:${text}}` : text;
}

/** Of arrays of int32, int64 and dates Debezium makes the bytes of the placeholder. */
function arrayPlaceholder({ schema, unavailable }: CellPlan, placeholder: string): string {
  const isInteger = schema.type === 'int32' ? /^$|Date$/.test(schema.name ?? '') : schema.type === 'int64' && schema.name === undefined;
  return isInteger ? Buffer.from(placeholder, 'utf8').join(',') : Buffer.from(unavailable).toString('utf8');
}

function semantic(type: string, name: string): SchemaType {
  return { type, name, version: 1 };
}

function enumOf(labels: readonly string[]): SchemaType {
  return { ...semantic('string', 'io.debezium.data.Enum'), parameters: { allowed: labels.join(',') } };
}

function decimal(column: Shape, { decimalHandlingMode: mode, moneyFractionDigits }: DebeziumConfig): Mapped {
  if (mode === 'string') return [CELL.decimalText, STRING];
  if (mode === 'double') return [CELL.decimalDouble, DOUBLE];
  if (column.scale === null) return [CELL.variableDecimal, VARIABLE];
  const name = semantic('bytes', 'org.apache.kafka.connect.data.Decimal');
  if (column.typeName === 'money') return [CELL.money, { ...name, parameters: { scale: String(moneyFractionDigits) } }, moneyFractionDigits];
  const precision = column.precision === null ? {} : { 'connect.decimal.precision': String(column.precision) };
  const parameters = { scale: String(column.scale), ...precision };
  return [CELL.decimal, { ...name, parameters }, column.scale];
}

function inMillis({ scale }: Shape): boolean {
  return scale !== null && scale <= MILLIS_DIGITS;
}

function time(mode: DebeziumConfig['timePrecisionMode'], millis: boolean): Mapped {
  switch (mode) {
    case 'connect':
      return [CELL.timeMillis, semantic('int32', 'org.apache.kafka.connect.data.Time')];
    case 'isostring':
      return [CELL.isoTime, semantic('string', 'io.debezium.time.IsoTime')];
    case 'nanoseconds':
      return [CELL.timeNanos, semantic('int64', 'io.debezium.time.NanoTime')];
    case 'adaptive':
      if (millis) return [CELL.timeMillis, semantic('int32', 'io.debezium.time.Time')];
      break;
    default:
  }
  return [CELL.timeMicros, semantic('int64', 'io.debezium.time.MicroTime')];
}

/** Of any length, so never in milliseconds by itself; modes whose types are times of the day have null for what is none, as Debezium does. */
function duration(mode: DebeziumConfig['timePrecisionMode']): Mapped {
  switch (mode) {
    case 'connect':
      return [CELL.durationMillis, semantic('int32', 'org.apache.kafka.connect.data.Time')];
    case 'isostring':
      return [CELL.isoDuration, semantic('string', 'io.debezium.time.IsoTime')];
    case 'nanoseconds':
      return [CELL.durationNanos, semantic('int64', 'io.debezium.time.NanoTime')];
    default:
      return [CELL.durationMicros, semantic('int64', 'io.debezium.time.MicroTime')];
  }
}

function timestamp(mode: DebeziumConfig['timePrecisionMode'], millis: boolean): Mapped {
  switch (mode) {
    case 'connect':
      return [CELL.timestampMillis, semantic('int64', 'org.apache.kafka.connect.data.Timestamp')];
    case 'isostring':
      return [CELL.isoTimestamp, semantic('string', 'io.debezium.time.IsoTimestamp')];
    case 'nanoseconds':
      return [CELL.timestampNanos, semantic('int64', 'io.debezium.time.NanoTimestamp')];
    case 'microseconds':
      break;
    default:
      if (millis) return [CELL.timestampMillis, semantic('int64', 'io.debezium.time.Timestamp')];
  }
  return [CELL.timestampMicros, semantic('int64', 'io.debezium.time.MicroTimestamp')];
}
