import { type ConnectSchema, jsonText } from '../debezium/schema.ts';
import { piece } from '../json-text.ts';
import { avroDefault } from './schema.ts';

export const KIND = { boolean: 0, integer: 1, float: 2, double: 3, string: 4, bytes: 5, array: 6, map: 7, record: 8 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** What stands in front of a value that is always there. */
export const NO_UNION = -1;

/** A Connect schema as its values are encoded. */
export interface AvroType {
  readonly kind: Kind;
  /** The byte of the union in front of a value, and that of null; NO_UNION: it is never null. */
  readonly valueByte: number;
  readonly nullByte: number;
  /** Of an array's elements, or a map's values. */
  readonly items: AvroType | null;
  /** Of a record. */
  readonly fields: readonly AvroField[];
}

interface AvroField {
  /** Its name as JSON has it, `{"x":` the first, `,"y":` the others. */
  readonly name: Uint8Array;
  readonly type: AvroType;
}

const KINDS: Readonly<Record<string, Kind>> = {
  boolean: KIND.boolean,
  int16: KIND.integer,
  int32: KIND.integer,
  int64: KIND.integer,
  float: KIND.float,
  double: KIND.double,
  string: KIND.string,
  bytes: KIND.bytes,
  array: KIND.array,
  map: KIND.map,
  struct: KIND.record,
};

export function avroTypeOf(schema: ConnectSchema): AvroType {
  const isFirst = avroDefault(schema) !== undefined;
  const items = schema.items ?? schema.values;
  return {
    kind: KINDS[schema.type] as Kind,
    valueByte: schema.optional ? (isFirst ? 0 : 2) : NO_UNION,
    nullByte: schema.optional ? (isFirst ? 2 : 0) : NO_UNION,
    items: items === undefined ? null : avroTypeOf(items),
    fields: (schema.fields ?? []).map((each, index) => ({
      name: piece(`${index === 0 ? '{' : ','}${jsonText(each.field as string)}:`),
      type: avroTypeOf(each),
    })),
  };
}

/** The JSON of what stands for a value that was not sent, by the type alone; null: nothing could. Bytes, and numbers in arrays, are those of the placeholder. */
export function placeholderJson(schema: ConnectSchema, placeholder: string, isElement = false): string | null {
  const bytes = Buffer.from(placeholder, 'utf8');
  switch (schema.type) {
    case 'string':
      return jsonText(placeholder);
    case 'bytes':
      return `"${bytes.toString('base64')}"`;
    case 'int16':
    case 'int32':
    case 'int64':
    case 'float':
    case 'double':
      return isElement ? bytes.join(',') : null;
    case 'array': {
      const element = placeholderJson(schema.items as ConnectSchema, placeholder, true);
      return element === null ? null : `[${element}]`;
    }
    case 'map':
      return `{${jsonText(placeholder)}:${jsonText(placeholder)}}`;
    case 'struct':
      return recordJson(schema, (each) => placeholderJson(each, placeholder) ?? zeroJson(each));
    default:
      return null;
  }
}

/** The JSON of the least value. */
export function zeroJson(schema: ConnectSchema): string {
  if (schema.optional) return 'null';
  switch (schema.type) {
    case 'string':
    case 'bytes':
      return '""';
    case 'boolean':
      return 'false';
    case 'array':
      return '[]';
    case 'map':
      return '{}';
    case 'struct':
      return recordJson(schema, zeroJson);
    default:
      return '0';
  }
}

function recordJson({ fields = [] }: ConnectSchema, json: (field: ConnectSchema) => string): string {
  return `{${fields.map((each) => `${jsonText(each.field as string)}:${json(each)}`).join(',')}}`;
}
