import type { ColumnShape } from '../../record/table.ts';
import type { LogicalType } from '../../record/types.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A definition of the same schema. */
export const REF = (name: string): JsonSchema => ({ $ref: `#/$defs/${name}` });

const DATE = '-?\\d{4,}-\\d{2}-\\d{2}';
const TIME = '\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,6})?';
const NOT_A_NUMBER = { enum: ['NaN', 'Infinity', '-Infinity'] };
const FLOAT: JsonSchema = { anyOf: [{ type: 'number' }, NOT_A_NUMBER] };
const STRING: JsonSchema = { type: 'string' };

function text(pattern: string): JsonSchema {
  return { type: 'string', pattern: `^(${pattern})$` };
}

/** What a value that is not null is, by its logical type (docs/native.md). */
const BY_TYPE: { readonly [T in LogicalType]: JsonSchema } = {
  boolean: { type: 'boolean' },
  int16: { type: 'integer', minimum: -(2 ** 15), maximum: 2 ** 15 - 1 },
  int32: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  int64: text('-?\\d{1,19}'),
  uint64: text('\\d{1,20}'),
  float32: FLOAT,
  float64: FLOAT,
  decimal: text('-?\\d+(\\.\\d+)?|NaN|-?Infinity'),
  text: STRING,
  bytes: { type: 'string', contentEncoding: 'base64' },
  date: text(`${DATE}|-?infinity`),
  time: text(TIME),
  timetz: text(`${TIME}[+-]\\d{2}(:\\d{2}(:\\d{2})?)?`),
  timestamp: text(`${DATE}T${TIME}|-?infinity`),
  timestamptz: text(`${DATE}T${TIME}Z|-?infinity`),
  uuid: text('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'),
  json: {},
  xml: STRING,
  interval: STRING,
  bits: text('[01]*'),
  point: STRING,
  map: STRING,
  array: STRING,
  year: { type: 'integer', minimum: 0, maximum: 9999 },
  duration: text('-?\\d{2,}:\\d{2}:\\d{2}(\\.\\d{1,6})?'),
  bitfield: text('[01]+'),
  set: STRING,
  geometry: { type: 'string', contentEncoding: 'base64' },
  other: STRING,
};

/** A column's values, described by the type's name on the server. Arrays refer to `arrayDefinitions`. What the catalogue says (NOT NULL) may be ahead of the rows, and counts for nothing. */
export function columnSchema({ type, typeName, element }: ColumnShape, mayBeNull: boolean): JsonSchema {
  const value = type === 'array' && element !== undefined ? REF(arrayName(element.type)) : BY_TYPE[type];
  return { description: typeName, ...(mayBeNull ? orNull(value) : value) };
}

/** What the columns' schemas refer to: arrays of any number of dimensions, so that each element may be an array again. */
export function arrayDefinitions(columns: readonly ColumnShape[]): Readonly<Record<string, JsonSchema>> {
  const elements = columns.flatMap(({ type, element }) => (type === 'array' && element !== undefined ? [element.type] : []));
  return Object.fromEntries(
    elements.map((type) => [arrayName(type), { type: 'array', items: { anyOf: [BY_TYPE[type], { type: 'null' }, REF(arrayName(type))] } }]),
  );
}

function arrayName(element: LogicalType): string {
  return `${element}Array`;
}

function orNull(value: JsonSchema): JsonSchema {
  // Anything at all: JSON has nulls of its own.
  if (Object.keys(value).length === 0) return value;
  return typeof value['type'] === 'string' && value['enum'] === undefined
    ? { ...value, type: [value['type'], 'null'] }
    : { anyOf: [value, { type: 'null' }] };
}
