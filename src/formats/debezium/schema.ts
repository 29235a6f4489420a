import { JACKSON_ESCAPES, jsonString } from '../json-text.ts';

/** A Connect schema but for what depends on where it stands. */
export interface SchemaType {
  readonly type: string;
  /** What only arrays, maps and structs have, `,"items":…`. */
  readonly body?: string;
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

/** The schema as Connect's JSON converter writes it, member by member. */
export function schemaText({ type, body, name, version, doc, parameters }: SchemaType, place: SchemaPlace): string {
  let text = `{"type":"${type}"${body ?? ''},"optional":${place.optional}`;
  if (name !== undefined) text += `,"name":${jsonText(name)}`;
  if (version !== undefined) text += `,"version":${version}`;
  if (doc !== undefined) text += `,"doc":${jsonText(doc)}`;
  if (parameters !== undefined) {
    text += `,"parameters":{${Object.entries(parameters)
      .map(([parameter, value]) => `${jsonText(parameter)}:${jsonText(value)}`)
      .join(',')}}`;
  }
  if (place.default !== undefined && place.default !== null) text += `,"default":${place.default}`;
  if (place.field !== undefined) text += `,"field":${jsonText(place.field)}`;
  return `${text}}`;
}

/** A struct of fields that are written already. */
export function struct(fields: readonly string[], about: Omit<SchemaType, 'type' | 'body'>): SchemaType {
  return { type: 'struct', body: `,"fields":[${fields.join(',')}]`, ...about };
}

export function field(name: string, type: string, optional = true): string {
  return schemaText({ type }, { optional, field: name });
}

export function jsonText(text: string): string {
  return jsonString(text, JACKSON_ESCAPES);
}
