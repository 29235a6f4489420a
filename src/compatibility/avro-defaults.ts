/** Whether a default in JSON is a value of its Avro type ("Complex types, Records" in the specification). */
import type { AvroType } from './avro-types.ts';

const INT_MAX = 2_147_483_647;

/** A default of a union may be of any branch, as the specification has it since 1.12. */
export function isDefaultOf(type: AvroType, value: unknown): boolean {
  switch (type.type) {
    case 'null':
      return value === null;
    case 'boolean':
      return typeof value === 'boolean';
    case 'int':
      return Number.isInteger(value) && (value as number) <= INT_MAX && (value as number) >= -INT_MAX - 1;
    case 'long':
      return Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63;
    case 'float':
    case 'double':
      return typeof value === 'number';
    case 'string':
      return typeof value === 'string';
    case 'bytes':
      return isBytes(value);
    case 'fixed':
      return isBytes(value) && value.length === type.size;
    case 'enum':
      return typeof value === 'string' && type.symbols.includes(value);
    case 'array':
      return Array.isArray(value) && value.every((item) => isDefaultOf(type.items, item));
    case 'map':
      return isObject(value) && Object.values(value).every((item) => isDefaultOf(type.values, item));
    case 'union':
      return type.branches.some((branch) => isDefaultOf(branch, value));
    case 'record':
      return (
        isObject(value) &&
        type.fields.every((field) => (Object.hasOwn(value, field.name) ? isDefaultOf(field.type, value[field.name]) : field.hasDefault))
      );
  }
}

/** Each code point is one byte. */
function isBytes(value: unknown): value is string {
  return typeof value === 'string' && [...value].every((letter) => (letter.codePointAt(0) ?? 256) < 256);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
