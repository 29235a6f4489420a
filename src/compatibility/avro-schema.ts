/** An Avro schema read into a graph: names resolved to what they name, so that a recursive schema is a cycle. */
import { SluiceError } from '../plugin/error.ts';
import { isDefaultOf } from './avro-defaults.ts';
import {
  AVRO_PRIMITIVES,
  type AvroEnum,
  type AvroField,
  type AvroFixed,
  type AvroNamed,
  type AvroPrimitive,
  type AvroRecord,
  type AvroType,
  type AvroUnion,
  isPrimitive,
  type LogicalType,
} from './avro-types.ts';
import { SCHEMA_INVALID } from './errors.ts';
import { step } from './incompatibility.ts';
import { isTooDeep, MAX_JSON_DEPTH } from './json-depth.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What a known logical type annotates. */
const LOGICAL_TYPES: Readonly<Record<string, readonly string[]>> = {
  decimal: ['bytes', 'fixed'],
  'big-decimal': ['bytes'],
  uuid: ['string', 'fixed'],
  date: ['int'],
  'time-millis': ['int'],
  'time-micros': ['long'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  'timestamp-nanos': ['long'],
  'local-timestamp-millis': ['long'],
  'local-timestamp-micros': ['long'],
  'local-timestamp-nanos': ['long'],
  duration: ['fixed'],
};
/** Bytes of the fixed that the specification asks for. */
const LOGICAL_SIZES: Readonly<Record<string, number>> = { uuid: 16, duration: 12 };

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads an Avro schema from parsed JSON.
 * @throws SluiceError SLUICE_SCHEMA_INVALID with the place and what is wrong there
 */
export function readAvroSchema(schema: unknown): AvroType {
  if (isTooDeep(schema)) throw invalid('', `it is nested more than ${MAX_JSON_DEPTH} levels deep`);
  return new Reader().read(schema, '', '');
}

function invalid(path: string, problem: string): SluiceError {
  return new SluiceError(SCHEMA_INVALID, {
    kind: 'Avro',
    path: path === '' ? 'the top' : path,
    problem,
    specification: 'the Avro specification (https://avro.apache.org/docs/)',
  });
}

class Reader {
  readonly #named = new Map<string, AvroNamed>();

  read(schema: unknown, namespace: string, path: string): AvroType {
    if (typeof schema === 'string') return this.#byName(schema, namespace, path);
    if (Array.isArray(schema)) return this.#union(schema, namespace, path);
    if (typeof schema !== 'object' || schema === null) throw invalid(path, 'a schema is a string, an object or an array');
    const json = schema as Json;
    switch (json['type']) {
      case 'record':
      case 'error':
        return this.#record(json, namespace, path);
      case 'enum':
        return this.#enum(json, namespace, path);
      case 'fixed':
        return this.#fixed(json, namespace, path);
      case 'array':
        return { type: 'array', path, items: this.read(json['items'], namespace, step(path, 'items')) };
      case 'map':
        return { type: 'map', path, values: this.read(json['values'], namespace, step(path, 'values')) };
      default:
        return this.#wrapped(json, namespace, path);
    }
  }

  /** `{"type": "long", "logicalType": …}`, or a type in one more object. */
  #wrapped(json: Json, namespace: string, path: string): AvroType {
    if (!Object.hasOwn(json, 'type')) throw invalid(path, 'the attribute "type" is missing');
    const type = this.read(json['type'], namespace, step(path, 'type'));
    return isPrimitive(type) ? { ...type, path, logical: logicalType(json, type.type, null) ?? type.logical } : type;
  }

  #byName(name: string, namespace: string, path: string): AvroType {
    if ((AVRO_PRIMITIVES as readonly string[]).includes(name)) return { type: name as AvroPrimitive, path, logical: null };
    const known = this.#named.get(fullName(name, namespace)) ?? this.#named.get(name);
    if (known === undefined) throw invalid(path, `the type ${JSON.stringify(name.slice(0, 200))} is not known here`);
    return known;
  }

  #union(schema: readonly unknown[], namespace: string, path: string): AvroUnion {
    const branches = schema.map((branch, index) => this.read(branch, namespace, step(path, index)));
    const seen = new Set<string>();
    for (const branch of branches) {
      if (branch.type === 'union') throw invalid(branch.path, 'a union stands directly in a union');
      const name = 'name' in branch ? branch.name : branch.type;
      if (seen.has(name)) throw invalid(path, `the union holds ${name} twice`);
      seen.add(name);
    }
    return { type: 'union', path, branches };
  }

  #record(json: Json, outer: string, path: string): AvroRecord {
    const { namespace, ...named } = this.#name(json, outer, path);
    const record: AvroRecord = { type: 'record', path, ...named, fields: [] };
    this.#named.set(record.name, record);
    if (!Array.isArray(json['fields'])) throw invalid(path, 'a record has an array "fields"');
    const seen = new Set<string>();
    for (const [index, field] of json['fields'].entries()) {
      const read = this.#field(field, namespace, step(path, 'fields', index));
      if (seen.has(read.name)) throw invalid(read.path, `the record has the field ${read.name} twice`);
      seen.add(read.name);
      record.fields.push(read);
    }
    // Only now: a default may be of a type whose fields come later.
    for (const [index, field] of record.fields.entries()) {
      const value = (json['fields'][index] as Json)['default'];
      if (field.hasDefault && !isDefaultOf(field.type, value)) throw invalid(step(field.path, 'default'), 'the default is no value of the type');
    }
    return record;
  }

  #field(field: unknown, namespace: string, path: string): AvroField {
    if (typeof field !== 'object' || field === null || Array.isArray(field)) throw invalid(path, 'a field is an object');
    const json = field as Json;
    return {
      name: simpleName(json['name'], path),
      aliases: strings(json, 'aliases', path),
      type: this.read(json['type'], namespace, step(path, 'type')),
      hasDefault: Object.hasOwn(json, 'default'),
      path,
    };
  }

  #enum(json: Json, outer: string, path: string): AvroEnum {
    const { namespace: _, ...named } = this.#name(json, outer, path);
    if (!Array.isArray(json['symbols'])) throw invalid(path, 'an enum has an array "symbols"');
    const symbols = json['symbols'].map((symbol, index) => simpleName(symbol, step(path, 'symbols', index)));
    if (new Set(symbols).size !== symbols.length) throw invalid(step(path, 'symbols'), 'a symbol stands there twice');
    const fallback = json['default'] ?? null;
    if (fallback !== null && !symbols.includes(fallback as string)) throw invalid(step(path, 'default'), 'the default is no symbol of the enum');
    const read: AvroEnum = { type: 'enum', path, ...named, symbols, default: fallback as string | null };
    this.#named.set(read.name, read);
    return read;
  }

  #fixed(json: Json, outer: string, path: string): AvroFixed {
    const { namespace: _, ...named } = this.#name(json, outer, path);
    const size = json['size'];
    if (!Number.isSafeInteger(size) || (size as number) < 0) throw invalid(path, 'a fixed has a "size" in bytes');
    const read: AvroFixed = { type: 'fixed', path, ...named, size: size as number, logical: logicalType(json, 'fixed', size as number) };
    this.#named.set(read.name, read);
    return read;
  }

  #name(json: Json, outer: string, path: string): { name: string; aliases: readonly string[]; namespace: string } {
    const given = json['name'];
    if (typeof given !== 'string') throw invalid(path, 'the attribute "name" is missing');
    const own = json['namespace'] ?? outer;
    if (typeof own !== 'string') throw invalid(step(path, 'namespace'), 'a namespace is a string');
    const name = fullName(given, own);
    if (!name.split('.').every((part) => NAME.test(part))) throw invalid(step(path, 'name'), 'it is no Avro name');
    if ((AVRO_PRIMITIVES as readonly string[]).includes(name)) throw invalid(step(path, 'name'), `${name} is the name of a primitive type`);
    if (this.#named.has(name)) throw invalid(step(path, 'name'), `the name ${name} is taken`);
    const namespace = name.slice(0, Math.max(0, name.lastIndexOf('.')));
    return { name, aliases: strings(json, 'aliases', path).map((alias) => fullName(alias, namespace)), namespace };
  }
}

function fullName(name: string, namespace: string): string {
  // A dot in front stands for the null namespace.
  if (name.startsWith('.')) return name.slice(1);
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

function simpleName(value: unknown, path: string): string {
  if (typeof value !== 'string' || !NAME.test(value)) throw invalid(path, 'a name is of letters, digits and _, and begins with no digit');
  return value;
}

function strings(json: Json, key: string, path: string): readonly string[] {
  const value = json[key] ?? [];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw invalid(step(path, key), 'it is an array of strings');
  return value;
}

/** Null also if it is not known, or stands where it may not: the specification has it ignored. */
function logicalType(json: Json, base: string, size: number | null): LogicalType | null {
  const name = json['logicalType'];
  if (typeof name !== 'string' || !Object.hasOwn(LOGICAL_TYPES, name) || LOGICAL_TYPES[name]?.includes(base) !== true) return null;
  if (size !== null && Object.hasOwn(LOGICAL_SIZES, name) && LOGICAL_SIZES[name] !== size) return null;
  if (name !== 'decimal') return { name, precision: 0, scale: 0 };
  const [precision, scale] = [json['precision'], json['scale'] ?? 0] as [number, number];
  const isValid = Number.isSafeInteger(precision) && precision > 0 && Number.isSafeInteger(scale) && scale >= 0 && scale <= precision;
  return isValid ? { name, precision, scale } : null;
}
