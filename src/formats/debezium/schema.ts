import { JACKSON_ESCAPES, jsonString } from '../json-text.ts';

/** A Connect schema but for what depends on where it stands. */
export interface SchemaType {
  readonly type: string;
  /** Of a struct, each with its name. */
  readonly fields?: readonly ConnectSchema[];
  /** Of an array. */
  readonly items?: ConnectSchema;
  /** Of a map. */
  readonly keys?: ConnectSchema;
  /** Of a map. */
  readonly values?: ConnectSchema;
  readonly name?: string;
  readonly version?: number;
  readonly doc?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface SchemaPlace {
  readonly optional: boolean;
  /** JSON. */
  readonly default?: string | null;
  /** Name of the struct's field that it is the schema of. */
  readonly field?: string;
}

export interface ConnectSchema extends SchemaType, SchemaPlace {}

/** Of a message; `key` null: it has none. */
export interface MessageSchemas {
  readonly key: ConnectSchema | null;
  readonly value: ConnectSchema;
}

/** The schema as Connect's JSON converter writes it, member by member. */
export function schemaText(schema: ConnectSchema): string {
  const { type, optional, name, version, doc, parameters, default: byDefault, field: fieldName } = schema;
  let text = `{"type":"${type}"${bodyText(schema)},"optional":${optional}`;
  if (name !== undefined) text += `,"name":${jsonText(name)}`;
  if (version !== undefined) text += `,"version":${version}`;
  if (doc !== undefined) text += `,"doc":${jsonText(doc)}`;
  if (parameters !== undefined) {
    text += `,"parameters":{${Object.entries(parameters)
      .map(([parameter, value]) => `${jsonText(parameter)}:${jsonText(value)}`)
      .join(',')}}`;
  }
  if (byDefault !== undefined && byDefault !== null) text += `,"default":${byDefault}`;
  if (fieldName !== undefined) text += `,"field":${jsonText(fieldName)}`;
  return `${text}}`;
}

/** What only structs, arrays and maps have. */
function bodyText({ fields, items, keys, values }: SchemaType): string {
  if (fields !== undefined) return `,"fields":[${fields.map(schemaText).join(',')}]`;
  if (items !== undefined) return `,"items":${schemaText(items)}`;
  return keys === undefined || values === undefined ? '' : `,"keys":${schemaText(keys)},"values":${schemaText(values)}`;
}

export function struct(fields: readonly ConnectSchema[], about: Omit<SchemaType, 'type' | 'fields'>): SchemaType {
  return { type: 'struct', fields, ...about };
}

export function field(name: string, type: string, optional = true): ConnectSchema {
  return { type, optional, field: name };
}

export function jsonText(text: string): string {
  return jsonString(text, JACKSON_ESCAPES);
}
