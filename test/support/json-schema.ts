/** The part of JSON Schema (draft 2020-12) that the generated schemas use; a keyword that is not known throws, so that none goes unchecked. */
export type Schema = Readonly<Record<string, unknown>>;

const ANNOTATIONS = new Set(['$schema', 'title', 'description', 'default', 'examples', 'writeOnly']);

/** True if the value is valid by the schema. */
export function accepts(schema: Schema, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, argument]) => ANNOTATIONS.has(keyword) || keywordHolds(keyword, argument, schema, value));
}

function keywordHolds(keyword: string, argument: unknown, schema: Schema, value: unknown): boolean {
  const object = typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  const schemas = argument as readonly Schema[];
  switch (keyword) {
    case 'type':
      return typeHolds(argument as string, value);
    case 'const':
      return value === argument;
    case 'enum':
      return (argument as readonly unknown[]).includes(value);
    case 'pattern':
      return typeof value !== 'string' || new RegExp(argument as string, 'u').test(value);
    case 'minimum':
      return typeof value !== 'number' || value >= (argument as number);
    case 'maximum':
      return typeof value !== 'number' || value <= (argument as number);
    case 'minItems':
      return !Array.isArray(value) || value.length >= (argument as number);
    case 'maxItems':
      return !Array.isArray(value) || value.length <= (argument as number);
    case 'items':
      return !Array.isArray(value) || value.every((item) => accepts(argument as Schema, item));
    case 'required':
      return object === null || (argument as readonly string[]).every((key) => Object.hasOwn(object, key));
    case 'properties':
      return (
        object === null ||
        Object.entries(argument as Record<string, Schema>).every(([key, part]) => !Object.hasOwn(object, key) || accepts(part, object[key]))
      );
    case 'additionalProperties':
      if (argument !== false) throw new Error('only additionalProperties: false is known here');
      return object === null || Object.keys(object).every((key) => Object.hasOwn(schema.properties as object, key));
    case 'allOf':
      return schemas.every((part) => accepts(part, value));
    case 'anyOf':
      return schemas.some((part) => accepts(part, value));
    case 'if':
      return !accepts(argument as Schema, value) || accepts(schema.then as Schema, value);
    case 'then':
      return true;
    default:
      throw new Error(`the keyword ${keyword} is not known here`);
  }
}

function typeHolds(type: string, value: unknown): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
