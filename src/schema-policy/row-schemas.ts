/** A table version as the schemas that its compatibility is judged by: what a row and a key may be, in the words of Avro or of JSON Schema. */
import type { ColumnShape, TableShape } from '../record/table.ts';
import type { LogicalType } from '../record/types.ts';

/** Plain JSON. */
export type Schema = string | readonly Schema[] | { readonly [name: string]: unknown };

/** What is compared of two versions, by name: `row`, and `key` where the table has one. */
export type RowSchemas = ReadonlyMap<string, Schema>;

const UINT64_DIGITS = 20;
/** Room for the digits of any numeric. */
const DECIMAL_BYTES = 420;

const SIMPLE: Readonly<Partial<Record<LogicalType, Schema>>> = {
  boolean: 'boolean',
  int16: 'int',
  int32: 'int',
  int64: 'long',
  float32: 'float',
  float64: 'double',
  bytes: 'bytes',
  date: { type: 'int', logicalType: 'date' },
  time: { type: 'long', logicalType: 'time-micros' },
  timestamp: { type: 'long', logicalType: 'local-timestamp-micros' },
  timestamptz: { type: 'long', logicalType: 'timestamp-micros' },
  duration: 'long',
  year: 'int',
  map: { type: 'map', values: ['null', 'string'] },
};

/** Columns that `isLeftOut` names are in neither. */
export function avroSchemas(table: TableShape, isLeftOut: (column: string) => boolean): RowSchemas {
  const names = new Map<string, Schema>();
  const record = (name: string, columns: readonly ColumnShape[]): Schema => ({
    type: 'record',
    name,
    fields: columns.filter((column) => !isLeftOut(column.name)).map((column) => avroField(column, names)),
  });
  return both(table, (name, columns) => {
    names.clear();
    return record(name, columns);
  });
}

/** A column that may be null is null where it is left out; one with a constant default has that. */
function avroField(column: ColumnShape, names: Map<string, Schema>): Schema {
  const name = avroName(column.name);
  const type = avroType(column, name, names);
  const { required = false, default: given = null } = column.facts ?? {};
  const value = given === null ? undefined : constant(column, given);
  if (required) return { name, type, ...(value === undefined ? {} : { default: value }) };
  if (value === undefined) return { name, type: ['null', type], default: null };
  return { name, type: [type, 'null'], default: value };
}

function avroType(
  column: Pick<ColumnShape, 'type' | 'typeName' | 'precision' | 'scale' | 'element' | 'facts'>,
  of: string,
  names: Map<string, Schema>,
): Schema {
  const { type, typeName, precision, scale, element, facts } = column;
  if (type === 'array' && element !== undefined) return { type: 'array', items: ['null', avroType({ ...element, ...labelsOf(facts) }, of, names)] };
  // In a namespace of its column: MySQL calls each one enum, and PostgreSQL has one of the same name in another schema.
  if (facts?.labels != null) return { type: 'enum', name: avroName(typeName), namespace: `enum_${of}`, symbols: facts.labels.map(avroName) };
  if (type === 'decimal') {
    // Without a declared scale each value has its own.
    if (precision === null) return named(names, variableDecimal());
    return decimal(of, precision, scale ?? 0, names);
  }
  if (type === 'uint64') return decimal(of, UINT64_DIGITS, 0, names);
  return SIMPLE[type] ?? 'string';
}

/** As bytes it would be read as any text (Avro promotes bytes to string). */
function decimal(of: string, precision: number, scale: number, names: Map<string, Schema>): Schema {
  return named(names, { type: 'fixed', name: `decimal_${of}`, size: DECIMAL_BYTES, logicalType: 'decimal', precision, scale });
}

function variableDecimal(): { readonly [name: string]: unknown } {
  const fields = [
    { name: 'scale', type: 'int' },
    { name: 'value', type: 'bytes' },
  ];
  return { type: 'record', name: 'decimal', fields };
}

/** Names have letters, digits and underscores in Avro; no two texts give the same. */
function avroName(text: string): string {
  const escaped = text.replace(/[^A-Za-z0-9_]|_(?=u[0-9a-f]{4})|^[0-9]/g, (each) => `_u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return escaped === '' ? '_u' : escaped;
}

/** A name is defined once in a schema, and referred to from then on. */
function named(names: Map<string, Schema>, schema: { readonly [name: string]: unknown }): Schema {
  const name = schema['name'] as string;
  if (names.has(name)) return name;
  names.set(name, schema);
  return schema;
}

/** As `avroSchemas`; each is an object without further properties, as the native format's own are. */
export function jsonSchemas(table: TableShape, isLeftOut: (column: string) => boolean): RowSchemas {
  return both(table, (_, all) => {
    const columns = all.filter(({ name }) => !isLeftOut(name));
    return {
      type: 'object',
      properties: Object.fromEntries(columns.map((column) => [column.name, jsonColumn(column)])),
      required: columns.filter(isNeeded).map(({ name }) => name),
      additionalProperties: false,
    };
  });
}

function isNeeded({ facts }: ColumnShape): boolean {
  return facts?.required === true && facts.default === null;
}

function jsonColumn(column: ColumnShape): Schema {
  const type = jsonType(column);
  return column.facts?.required === true ? type : { oneOf: [{ type: 'null' }, type] };
}

function jsonType({ type, precision, element, facts }: Pick<ColumnShape, 'type' | 'typeName' | 'precision' | 'scale' | 'element' | 'facts'>): {
  readonly [name: string]: unknown;
} {
  if (type === 'array' && element !== undefined)
    return { type: 'array', items: { oneOf: [{ type: 'null' }, jsonType({ ...element, ...labelsOf(facts) })] } };
  if (facts?.labels != null) return { type: 'string', enum: facts.labels };
  if (type === 'boolean') return { type: 'boolean' };
  if (type === 'int16') return { type: 'integer', minimum: -(2 ** 15), maximum: 2 ** 15 - 1 };
  if (type === 'int32') return { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
  if (type === 'int64' || type === 'uint64' || type === 'year') return { type: 'integer' };
  if (type === 'float32' || type === 'float64' || type === 'decimal') return { type: 'number' };
  if (type === 'map') return { type: 'object', additionalProperties: { type: ['string', 'null'] } };
  if (type === 'text' && precision !== null) return { type: 'string', maxLength: precision };
  return { type: 'string' };
}

function labelsOf(facts: ColumnShape['facts']): Pick<ColumnShape, 'facts'> {
  return facts === undefined ? {} : { facts };
}

function both(table: TableShape, schemaOf: (name: string, columns: readonly ColumnShape[]) => Schema): RowSchemas {
  const schemas = new Map([['row', schemaOf('row', table.columns)]]);
  if (table.key.length > 0)
    schemas.set(
      'key',
      schemaOf(
        'key',
        // A key is never null, whatever the catalogue says of it by now.
        table.key.map((index) => asKey(table.columns[index] as ColumnShape)),
      ),
    );
  return schemas;
}

function asKey(column: ColumnShape): ColumnShape {
  const { facts } = column;
  return { ...column, facts: { default: null, computed: false, labels: facts?.labels ?? null, id: facts?.id ?? null, required: true } };
}

/** What stands for a constant: some value of the column's Avro type, because only that there is one counts. Undefined: it has no simple form, and counts as none. */
function constant({ type, precision, facts }: ColumnShape, text: string): unknown {
  if (type === 'array') return [];
  if (facts?.labels != null) return facts.labels[0] === undefined ? undefined : avroName(facts.labels[0]);
  if (type === 'decimal' && precision === null) return { scale: 0, value: '' };
  if (type === 'decimal' || type === 'uint64') return '\0'.repeat(DECIMAL_BYTES);
  const simple = SIMPLE[type] ?? 'string';
  if (typeof simple === 'object') return 'values' in simple ? {} : 0;
  if (simple === 'boolean') return text === 't';
  if (simple === 'bytes') return '';
  if (simple === 'string') return text;
  if (simple === 'int' || simple === 'long') return 0;
  // NaN and the infinities are no JSON.
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
