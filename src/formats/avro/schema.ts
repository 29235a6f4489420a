/** Connect's schemas as Avro's, the way Confluent's Avro converter makes them (`connect.meta.data`), so that it reads them back as they were. */
import type { TableShape } from '../../record/table.ts';
import { tableLabel } from '../../record/table.ts';
import type { DebeziumConfig } from '../debezium/options.ts';
import type { ConnectSchema } from '../debezium/schema.ts';
import { connectSchemas, type SchemaContext } from '../debezium/table-schema.ts';
import { type NameModes, withAvroNames } from './names.ts';

/** As JSON would parse it, but for integers beyond 2⁵³, which are `bigint`: written by `schemaJson`. */
export type AvroSchema = string | readonly AvroSchema[] | { readonly [property: string]: unknown };

export interface AvroSchemas {
  /** Null: messages have no key. */
  readonly key: AvroSchema | null;
  readonly value: AvroSchema;
}

/** Of a table's messages. Throws SLUICE_AVRO_NAME, and what the format says of keys that the table does not have. */
export function avroSchemas(table: TableShape, context: SchemaContext, config: DebeziumConfig & NameModes): AvroSchemas {
  const { key, value } = connectSchemas(table, context, config);
  const avro = (schema: ConnectSchema): AvroSchema => avroSchemaOf(withAvroNames(schema, config, tableLabel(table)));
  return { key: key === null ? null : avro(key), value: avro(value) };
}

/** Names must be Avro's already. */
export function avroSchemaOf(schema: ConnectSchema): AvroSchema {
  return placed(schema, new Set(), '');
}

const PRIMITIVES: Readonly<Record<string, string>> = {
  boolean: 'boolean',
  int16: 'int',
  int32: 'int',
  int64: 'long',
  float: 'float',
  double: 'double',
  string: 'string',
  bytes: 'bytes',
};
/** Of Connect's own types that Avro has too. */
const LOGICAL: Readonly<Record<string, string>> = {
  'org.apache.kafka.connect.data.Time': 'time-millis',
  'org.apache.kafka.connect.data.Timestamp': 'timestamp-millis',
  'org.apache.kafka.connect.data.Date': 'date',
};
const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
/** What Confluent says of a decimal whose precision is not known. */
const ANY_PRECISION = 64;

/** With the union that optional ones are; a default decides which of its branches is the first. */
function placed(schema: ConnectSchema, defined: Set<string>, namespace: string): AvroSchema {
  const type = typeOf(schema, defined, namespace);
  if (!schema.optional) return type;
  return avroDefault(schema) === undefined ? ['null', type] : [type, 'null'];
}

function typeOf(schema: ConnectSchema, defined: Set<string>, namespace: string): AvroSchema {
  if (schema.fields !== undefined) return record(schema, schema.fields, defined, namespace);
  const about = attributes(schema);
  if (schema.items !== undefined) return { type: 'array', items: placed(schema.items, defined, namespace), ...about };
  if (schema.values !== undefined) return { type: 'map', values: placed(schema.values, defined, namespace), ...about };
  const type = PRIMITIVES[schema.type] as string;
  return Object.keys(about).length === 0 ? type : { type, ...about };
}

/** Defined where it stands first, named from then on. */
function record(schema: ConnectSchema, fields: readonly ConnectSchema[], defined: Set<string>, outer: string): AvroSchema {
  const fullName = schema.name as string;
  const dot = fullName.lastIndexOf('.');
  const [namespace, name] = [fullName.slice(0, Math.max(dot, 0)), fullName.slice(dot + 1)];
  if (defined.has(fullName)) return namespace === outer ? name : fullName;
  defined.add(fullName);
  return { type: 'record', name, namespace, fields: fields.map((each) => recordField(each, defined, namespace)), ...attributes(schema) };
}

function recordField(schema: ConnectSchema, defined: Set<string>, namespace: string): AvroSchema {
  const byDefault = avroDefault(schema);
  const about = byDefault !== undefined ? { default: byDefault } : schema.optional ? { default: null } : {};
  return { name: schema.field, type: placed(schema, defined, namespace), ...about };
}

/** What Connect's schema says beyond Avro's, and the logical type. */
function attributes(schema: ConnectSchema): Record<string, unknown> {
  const { type, name, version, doc, parameters } = schema;
  const byDefault = avroDefault(schema);
  const isDecimal = name === DECIMAL;
  const logical = isDecimal ? 'decimal' : name === undefined ? undefined : LOGICAL[name];
  return {
    ...(isDecimal ? { scale: Number(parameters?.scale), precision: Number(parameters?.['connect.decimal.precision'] ?? ANY_PRECISION) } : {}),
    ...(doc === undefined ? {} : { 'connect.doc': doc }),
    ...(version === undefined ? {} : { 'connect.version': version }),
    ...(parameters === undefined || Object.keys(parameters).length === 0 ? {} : { 'connect.parameters': parameters }),
    ...(byDefault === undefined ? {} : { 'connect.default': byDefault }),
    ...(name === undefined ? {} : { 'connect.name': name }),
    ...(type === 'int16' ? { 'connect.type': 'int16' } : {}),
    ...(logical === undefined ? {} : { logicalType: logical }),
  };
}

/** The default in Avro's JSON: bytes as the characters of the same numbers. Undefined: there is none, or none that Avro could say (NaN). */
export function avroDefault({ type, default: json }: ConnectSchema): unknown {
  if (json === undefined || json === null) return undefined;
  if (type === 'int64') return /^-?\d+$/.test(json) ? safe(BigInt(json)) : undefined;
  const value = JSON.parse(json) as unknown;
  if (type === 'bytes') return typeof value === 'string' ? Buffer.from(value, 'base64').toString('latin1') : undefined;
  const expected = type === 'string' ? 'string' : type === 'boolean' ? 'boolean' : 'number';
  return typeof value === expected ? value : undefined;
}

function safe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
