import type { DefinitionMessages, FormatContext } from '../../plugin/format.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { type ColumnDefinition, DEFINITION, type TableChange, type TableDefinition } from '../../record/definition.ts';
import { SHAPE } from '../../record/message-id.ts';
import { encodeHeaders, type MessageWriter } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { writeWhole } from '../envelope.ts';
import { type EventSchemas, eventSchemaTexts } from './event-schema.ts';
import { framed } from './frame.ts';
import { inJavaOrder } from './java-order.ts';
import type { DebeziumOptions } from './options.ts';
import { type ConnectSchema, field, jsonText, struct } from './schema.ts';
import { clockTexts, JsonSource, SourceBlock } from './source-block.ts';
import { sourceSchema } from './table-schema.ts';

/** Part of the id of what a row shows; another than that of a shape's announcement before the same row. */
const SHOWN_PART = 1;

/** `include.schema.changes`: each statement that changes definitions, with what the tables are by it. */
export class Definitions implements DefinitionMessages {
  readonly destination: string;
  readonly #context: FormatContext;
  readonly #version: string;
  readonly #headers: Uint8Array;
  readonly #schemas: EventSchemas | null;

  constructor(context: FormatContext, { schemasEnable, version }: DebeziumOptions) {
    this.destination = definitionTopic(context.connector);
    this.#context = context;
    this.#version = version;
    this.#headers = encodeHeaders([['sluice.capture', context.capture]]);
    this.#schemas = schemasEnable ? definitionSchemas(context) : null;
  }

  write(record: RecordCursor, nowMicros: number, out: MessageWriter): void {
    const { table, transaction, ordinal } = record;
    const database = table.catalog;
    const version = cellOf(record, DEFINITION.version);
    const tables = JSON.parse(cellOf(record, DEFINITION.tables)) as readonly string[];
    const changes = JSON.parse(cellOf(record, DEFINITION.changes)) as readonly TableChange[];
    const names = inJavaOrder(tables, (name) => `${database}.${name}`).join(',');
    const value = [
      this.#source(record, { ...table, name: names }),
      `"ts_ms":${clockTexts(nowMicros).millis}`,
      `"databaseName":${jsonText(database)}`,
      '"schemaName":null',
      `"ddl":${version === '' ? jsonText(cellOf(record, DEFINITION.text)) : 'null'}`,
      `"tableChanges":[${changes.map(changeText).join(',')}]`,
    ].join(',');
    writeWhole(out, {
      key: framed(this.#schemas?.key, `{"databaseName":${jsonText(database)}}`),
      value: framed(this.#schemas?.value, `{${value}}`),
      headers: this.#headers,
      id: `${this.#context.connector}/${version === '' ? '' : `${SHAPE}${version}/`}${transaction.id}/${ordinal}/${version === '' ? 0 : SHOWN_PART}`,
    });
  }

  #source(record: RecordCursor, table: TableVersion): string {
    const block = new SourceBlock(this.#context, new JsonSource(this.#context, this.#version, table, record.snapshot), record.snapshot);
    block.prepare(record, 1);
    const to = Buffer.allocUnsafe(block.bytes(record));
    // Without the comma in front.
    return `${to.toString('utf8', 1, block.write(record, to, 0))}}`;
  }
}

/** Debezium's topic of schema changes: the prefix alone. */
export function definitionTopic(connector: string): string {
  return connector;
}

function cellOf(record: RecordCursor, column: number): string {
  return record.arena.toString('utf8', record.start(record.after, column), record.end(record.after, column));
}

function changeText({ kind, database, name, table }: TableChange): string {
  const id = jsonText([database, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.'));
  return `{"type":"${kind}","id":${id},"table":${table === null ? 'null' : tableText(table)}}`;
}

function tableText({ charset, key, columns }: TableDefinition): string {
  const names = key.map(jsonText).join(',');
  return `{"defaultCharsetName":${textOrNull(charset)},"primaryKeyColumnNames":[${names}],"columns":[${columns.map(columnText).join(',')}],"comment":null}`;
}

/** Comments are Debezium's `include.schema.comments`, which is off. What it calls generated is a number that the server counts up. */
function columnText(column: ColumnDefinition, index: number): string {
  const { name, jdbcType, charset, length, scale, optional, autoIncremented, labels } = column;
  const type = jsonText(column.type);
  return [
    `{"name":${jsonText(name)},"jdbcType":${jdbcType},"nativeType":null,"typeName":${type},"typeExpression":${type}`,
    `"charsetName":${textOrNull(charset)},"length":${length},"scale":${scale},"position":${index + 1},"optional":${optional}`,
    `"autoIncremented":${autoIncremented},"generated":${autoIncremented},"comment":null`,
    `"defaultValueExpression":${textOrNull(column.default)},"enumValues":${labels === null ? 'null' : `[${labels.map(jsonText).join(',')}]`}}`,
  ].join(',');
}

function textOrNull(text: string | null): string {
  return text === null ? 'null' : jsonText(text);
}

function definitionSchemas(context: FormatContext): EventSchemas {
  const { system } = context.origin;
  const texts = (name: string, optional: boolean): ConnectSchema => ({
    type: 'array',
    items: { type: 'string', optional: false },
    optional,
    field: name,
  });
  const column = struct(
    [
      field('name', 'string', false),
      field('jdbcType', 'int32', false),
      field('nativeType', 'int32'),
      field('typeName', 'string', false),
      field('typeExpression', 'string'),
      field('charsetName', 'string'),
      field('length', 'int32'),
      field('scale', 'int32'),
      field('position', 'int32', false),
      field('optional', 'boolean'),
      field('autoIncremented', 'boolean'),
      field('generated', 'boolean'),
      field('comment', 'string'),
      field('defaultValueExpression', 'string'),
      texts('enumValues', true),
    ],
    { name: 'io.debezium.connector.schema.Column', version: 1 },
  );
  const table = struct(
    [
      field('defaultCharsetName', 'string'),
      texts('primaryKeyColumnNames', true),
      { type: 'array', items: { ...column, optional: false }, optional: false, field: 'columns' },
      field('comment', 'string'),
    ],
    { name: 'io.debezium.connector.schema.Table', version: 1 },
  );
  const change = struct([field('type', 'string', false), field('id', 'string', false), { ...table, optional: true, field: 'table' }], {
    name: 'io.debezium.connector.schema.Change',
    version: 1,
  });
  return eventSchemaTexts(
    `io.debezium.connector.${system}`,
    [field('databaseName', 'string', false)],
    'SchemaChangeKey',
    [
      { ...sourceSchema(context, { schema: '', kind: 'definition' }), optional: false, field: 'source' },
      field('ts_ms', 'int64', false),
      field('databaseName', 'string'),
      field('schemaName', 'string'),
      field('ddl', 'string'),
      { type: 'array', items: { ...change, optional: false }, optional: false, field: 'tableChanges' },
    ],
    'SchemaChangeValue',
  );
}
