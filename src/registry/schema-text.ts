/** The text of a schema: read, checked, and written in one way, numbers digit by digit as they came. */
import { createHash } from 'node:crypto';
import { checkSchema, type SchemaKind } from '../compatibility/levels.ts';
import { type JsonNode, JsonSyntaxError, parseJson } from '../config/json.ts';
import { SluiceError } from '../plugin/error.ts';
import { invalidSchema } from './errors.ts';

export interface SchemaText {
  readonly kind: SchemaKind;
  /** Without white space; members in the order they came. */
  readonly text: string;
  /** SHA-256 of the normal form: members in order, of Avro also `{"type": "x"}` as `"x"`. The same for schemas that say the same in another order. */
  readonly normal: string;
}

/** By which a schema is the same as another: of Avro the order of attributes never counts. */
export function identityOf({ kind, text, normal }: SchemaText): string {
  return `${kind} ${kind === 'avro' ? normal : text}`;
}

/**
 * @param normalize take the normal form for the text
 * @throws RegistryError 42201
 */
export function readSchemaText(kind: SchemaKind, given: string, normalize: boolean): SchemaText {
  const tree = parsed(given);
  try {
    checkSchema(kind, plain(tree));
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    throw invalidSchema(error.message);
  }
  const normal = written(tree, true, kind === 'avro' ? 'schema' : 'value');
  const text = normalize ? normal : written(tree, false, 'value');
  return { kind, text, normal: createHash('sha256').update(normal).digest('base64') };
}

/** A text that was read before, as parsed JSON. */
export function schemaJson(text: string): unknown {
  return plain(parseJson(text));
}

function parsed(text: string): JsonNode {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw invalidSchema(`The schema is no JSON: ${error.message}.`);
  }
}

function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case 'object':
      // Defines each member as one of its own, whatever its name.
      return Object.fromEntries([...node.members].map(([key, { value }]) => [key, plain(value)]));
    case 'array':
      return node.items.map(plain);
    case 'null':
      return null;
    case 'string':
    case 'number':
    case 'boolean':
      return node.value;
  }
}

/** What a part of an Avro schema is; a default, or what someone else wrote beside a schema, is a value. */
type Place = 'schema' | 'fields' | 'field' | 'value';

const INSIDE: Readonly<Partial<Record<string, Place>>> = { type: 'schema', items: 'schema', values: 'schema', fields: 'fields' };

function written(node: JsonNode, isSorted: boolean, place: Place): string {
  switch (node.kind) {
    case 'object': {
      const [duplicate] = node.duplicates;
      if (duplicate !== undefined)
        throw invalidSchema(`The schema holds the key ${JSON.stringify(duplicate.key.slice(0, 200))} twice in one object.`);
      const type = node.members.get('type')?.value;
      if (place === 'schema' && type !== undefined && node.members.size === 1) return written(type, isSorted, place);
      const members = [...node.members];
      if (isSorted) members.sort(([one], [other]) => (one < other ? -1 : 1));
      const inside = (key: string): Place => (place === 'value' ? 'value' : ((Object.hasOwn(INSIDE, key) ? INSIDE[key] : undefined) ?? 'value'));
      return `{${members.map(([key, { value }]) => `${JSON.stringify(key)}:${written(value, isSorted, inside(key))}`).join(',')}}`;
    }
    case 'array':
      return `[${node.items.map((item) => written(item, isSorted, place === 'fields' ? 'field' : place)).join(',')}]`;
    case 'number':
      return node.text;
    case 'string':
      return JSON.stringify(node.value);
    case 'boolean':
      return String(node.value);
    case 'null':
      return 'null';
  }
}
