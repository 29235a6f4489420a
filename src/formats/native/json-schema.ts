/** JSON Schemas (draft 2020-12) of the native format: what every message of a table version is valid by. */
import type { Origin } from '../../plugin/source.ts';
import { OP_NAMES } from '../../record/batch.ts';
import { type ColumnShape, type TableShape, tableLabel } from '../../record/table.ts';
import { arrayDefinitions, columnSchema, type JsonSchema, REF } from './column-schema.ts';

/** Of one table version. */
export interface TableJsonSchemas {
  /** Null: its messages have no key. */
  readonly key: JsonSchema | null;
  readonly value: JsonSchema;
}

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
const STRING = { type: 'string' } as const;

/** Of the messages of a table version, as the log had its columns, or of logical messages. */
export function nativeJsonSchemas(table: TableShape, origin: Pick<Origin, 'columns'>): TableJsonSchemas {
  if (table.kind === 'message') return messageSchemas(table, origin);
  const columns = table.columns.map(({ name }) => name);
  const key = table.key.length === 0 ? null : keySchema(table);
  const row = rowSchema(table);
  const ofKey = key === null ? {} : { key: REF('key'), oldKey: REF('key'), newKey: REF('key') };
  const properties = {
    op: { enum: OP_NAMES.filter((name) => name !== 'message') },
    ...placeSchema(table),
    ...ofKey,
    before: REF('row'),
    after: REF('row'),
    unavailable: { type: 'array', items: { enum: columns }, minItems: 1, uniqueItems: true },
    ...tailSchema(origin),
  };
  const value = {
    $schema: DRAFT,
    title: tableLabel(table),
    ...closed(properties, ['op', ...Object.keys(placeSchema(table)), 'ts', 'transaction', 'ordinal']),
    allOf: [...byOperation(key !== null), wholeRows(columns)],
    $defs: { ...(key === null ? {} : { key }), row, ...arrayDefinitions(table.columns) },
  };
  return {
    key: key === null ? null : { $schema: DRAFT, title: `Key of ${tableLabel(table)}`, ...key, $defs: arrayDefinitions(keyColumns(table)) },
    value,
  };
}

/** Of any table: the envelope alone. */
export function nativeEnvelopeSchema(): JsonSchema {
  const text = { ...STRING, minLength: 1 };
  const row = { type: 'object' };
  const properties = {
    op: { enum: OP_NAMES },
    db: STRING,
    schema: text,
    table: text,
    key: row,
    oldKey: row,
    newKey: row,
    before: row,
    after: row,
    unavailable: { type: 'array', items: STRING, minItems: 1, uniqueItems: true },
    message: closed({ prefix: STRING, content: { ...STRING, contentEncoding: 'base64' } }, ['prefix', 'content']),
    ...tailSchema(null),
  };
  return {
    $schema: DRAFT,
    title: 'A value of the native format',
    ...closed(properties, ['op', 'db', 'ts', 'transaction', 'ordinal']),
    allOf: [...byOperation(false), where('message', { required: ['message'], not: anyOf('table', 'key', 'before', 'after') })],
  };
}

function messageSchemas(table: TableShape, origin: Pick<Origin, 'columns'>): TableJsonSchemas {
  const key = closed({ prefix: STRING }, ['prefix']);
  const message = closed({ prefix: STRING, content: { ...STRING, contentEncoding: 'base64' } }, ['prefix', 'content']);
  const properties = { op: { const: 'message' }, db: { const: table.catalog }, message, ...tailSchema(origin) };
  const value = { $schema: DRAFT, title: 'Logical messages', ...closed(properties, ['op', 'db', 'message', 'ts', 'transaction', 'ordinal']) };
  return { key: { $schema: DRAFT, title: 'Key of a logical message', ...key }, value };
}

function placeSchema({ catalog, schema, name }: TableShape): Readonly<Record<string, JsonSchema>> {
  return { db: { const: catalog }, ...(schema === '' ? {} : { schema: { const: schema } }), table: { const: name } };
}

/** `origin` null: any. */
function tailSchema(origin: Pick<Origin, 'columns'> | null): Readonly<Record<string, JsonSchema>> {
  const columns = origin?.columns.map(({ name, type }) => [name, type === 'text' ? STRING : { ...STRING, pattern: '^-?\\d{1,20}$' }]);
  return {
    ts: { ...STRING, pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{6}Z$' },
    transaction: { ...STRING, minLength: 1 },
    ordinal: { type: 'integer', minimum: 0 },
    origin: columns === undefined ? { type: 'object', additionalProperties: STRING } : closed(Object.fromEntries(columns), []),
  };
}

function keyColumns({ columns, key }: TableShape): ColumnShape[] {
  return key.map((column) => columns[column] as ColumnShape);
}

function keySchema(table: TableShape): JsonSchema {
  const chosen = keyColumns(table);
  return closed(
    Object.fromEntries(chosen.map((column) => [column.name, columnSchema(column, false)])),
    chosen.map(({ name }) => name),
  );
}

/** Which columns a row has depends on where it stands: an old one only what the log holds. */
function rowSchema({ columns, key }: TableShape): JsonSchema {
  return closed(Object.fromEntries(columns.map((column, index) => [column.name, columnSchema(column, !key.includes(index))])), []);
}

/** A new row is whole but for what is named as unavailable. */
function wholeRows(columns: readonly string[]): JsonSchema {
  return { anyOf: [{ required: ['unavailable'] }, { properties: { after: { required: columns } } }] };
}

function byOperation(isKeyed: boolean): JsonSchema[] {
  const key = isKeyed ? ['key'] : [];
  const fresh = { required: ['after', ...key], not: anyOf('before', 'unavailable', 'oldKey', 'newKey') };
  return [
    where('create', fresh),
    where('read', fresh),
    where('update', { required: ['after', ...key], not: anyOf('newKey') }),
    where('delete', { required: ['before', ...key], not: anyOf('after', 'unavailable', 'oldKey') }),
    where('truncate', { not: anyOf('key', 'oldKey', 'newKey', 'before', 'after', 'unavailable') }),
  ];
}

/** What holds of one operation. */
function where(op: (typeof OP_NAMES)[number], schema: JsonSchema): JsonSchema {
  return { anyOf: [{ not: { properties: { op: { const: op } } } }, schema] };
}

/** One of these members is there. */
function anyOf(...names: readonly string[]): JsonSchema {
  return { anyOf: names.map((name) => ({ required: [name] })) };
}

function closed(properties: Readonly<Record<string, JsonSchema>>, required: readonly string[]): JsonSchema {
  return { type: 'object', properties, required, additionalProperties: false };
}
