/** Connect's schemas as JSON Schemas, the way Confluent's JSON Schema converter makes them, so that it reads them back as they were. */
import type { TableShape } from '../../record/table.ts';
import type { DebeziumConfig } from '../debezium/options.ts';
import type { ConnectSchema } from '../debezium/schema.ts';
import { connectSchemas, type SchemaContext } from '../debezium/table-schema.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface JsonSchemas {
  /** Null: messages have no key. */
  readonly key: JsonSchema | null;
  readonly value: JsonSchema;
}

/** Of a table's messages. Throws what the format says of keys that the table does not have. */
export function jsonSchemas(table: TableShape, context: SchemaContext, config: DebeziumConfig): JsonSchemas {
  const { key, value } = connectSchemas(table, context, config);
  return { key: key === null ? null : jsonSchemaOf(key), value: jsonSchemaOf(value) };
}

const TYPES: Readonly<Record<string, string>> = {
  boolean: 'boolean',
  int16: 'integer',
  int32: 'integer',
  int64: 'integer',
  float: 'number',
  double: 'number',
  string: 'string',
  bytes: 'string',
  array: 'array',
  map: 'object',
  struct: 'object',
};
/** Connect's types that JSON's do not tell apart. */
const CONNECT_TYPES: Readonly<Record<string, string>> = {
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  float: 'float32',
  double: 'float64',
  bytes: 'bytes',
  map: 'map',
};

export function jsonSchemaOf(schema: ConnectSchema): JsonSchema {
  return placed(schema, undefined);
}

/** `index`: of a field among those of its struct. */
function placed(schema: ConnectSchema, index: number | undefined): JsonSchema {
  const position = index === undefined ? {} : { 'connect.index': index };
  const type = typeOf(schema);
  return schema.optional ? { oneOf: [{ type: 'null' }, type], ...position } : { ...type, ...position };
}

function typeOf(schema: ConnectSchema): JsonSchema {
  const { type, name, version, doc, parameters, fields, items, values } = schema;
  const connectType = CONNECT_TYPES[type];
  const byDefault = defaultOf(schema);
  return {
    type: TYPES[type],
    ...(name === undefined ? {} : { title: name }),
    ...(doc === undefined ? {} : { description: doc }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    ...(fields === undefined ? {} : { properties: Object.fromEntries(fields.map((each, index) => [each.field as string, placed(each, index)])) }),
    ...(items === undefined ? {} : { items: placed(items, undefined) }),
    ...(values === undefined ? {} : { additionalProperties: placed(values, undefined) }),
    ...(connectType === undefined ? {} : { 'connect.type': connectType }),
    ...(version === undefined ? {} : { 'connect.version': version }),
    ...(parameters === undefined || Object.keys(parameters).length === 0 ? {} : { 'connect.parameters': parameters }),
  };
}

/** Integers beyond 2⁵³ are `bigint`. */
function defaultOf({ type, default: json }: ConnectSchema): unknown {
  if (json === undefined || json === null) return undefined;
  return type === 'int64' && /^-?\d{16,}$/.test(json) ? BigInt(json) : (JSON.parse(json) as unknown);
}
