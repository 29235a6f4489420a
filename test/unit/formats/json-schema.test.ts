import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { debezium } from '../../../src/formats/debezium/index.ts';
import { jsonSchema } from '../../../src/formats/json-schema/index.ts';
import { jsonSchemaOf, jsonSchemas } from '../../../src/formats/json-schema/schema.ts';
import { schemaJson } from '../../../src/formats/registry/schema-text.ts';
import { type ColumnFacts, type ColumnShape, TableRegistry } from '../../../src/record/table.ts';
import { bytesOf, formatPorts, REGISTRY, WIRE_PREFIX_BYTES } from '../../support/avro.ts';
import { batchOf, CONTEXT, column, DEBEZIUM_DEFAULTS, encodeBatch, MESSAGES, type RecordSpec, tableShape, textsOf } from '../../support/encoded.ts';

const FACTS: ColumnFacts = { required: false, default: null, computed: false, labels: null, id: null };

function of(name: string, type: ColumnShape['type'], more: Partial<ColumnShape> = {}): ColumnShape {
  return { ...column(name, type), facts: FACTS, ...more };
}

const COLUMNS = [
  of('id', 'int64'),
  of('n', 'decimal', { scale: 2, precision: 12 }),
  of('v', 'decimal'),
  of('m', 'map'),
  of('a', 'array', { element: { type: 'text', typeName: 'text', scale: null, precision: null } }),
  of('d', 'int32', { facts: { ...FACTS, required: true, default: '7' } }),
];
const ROW = ['1', '-1.50', '2.5', '"k"=>NULL', '{a,NULL}', '8'];
const MODES = { hstoreHandlingMode: 'map' } as const;

function wire(records: readonly RecordSpec[]) {
  const format = jsonSchema.create({ ...DEBEZIUM_DEFAULTS, ...MODES, registry: REGISTRY }, CONTEXT, formatPorts());
  return encodeBatch(format, batchOf(records, new TableRegistry({ described: true })));
}

describe('json-schema', () => {
  const table = tableShape(COLUMNS);
  const records: RecordSpec[] = [
    { op: 'create', table, after: ROW },
    { op: 'update', table, before: ROW, after: ['2', ...ROW.slice(1)] },
    { op: 'update', table, before: ROW, after: ['1', null, null, null, null, '9'] },
    { op: 'truncate', table },
  ];

  it('writes the JSON of the format debezium behind the magic byte and the id, in headers as text', () => {
    const plain = encodeBatch(debezium.create({ ...DEBEZIUM_DEFAULTS, ...MODES }, CONTEXT), batchOf(records));
    const framed = wire(records);
    const behind = (bytes: Buffer | null): string | null => bytes?.subarray(WIRE_PREFIX_BYTES).toString() ?? null;
    const texts = (messages: typeof plain) => bytesOf(messages).map(({ key, value }) => [key?.toString() ?? null, value?.toString() ?? null]);
    expect(bytesOf(framed).map(({ key, value }) => [behind(key), behind(value)])).toEqual(texts(plain));
    for (const { key, value } of bytesOf(framed))
      for (const bytes of [key, value]) expect(bytes?.subarray(0, WIRE_PREFIX_BYTES) ?? Buffer.alloc(5)).toEqual(Buffer.alloc(5));
    expect(textsOf(framed).map(({ headers }) => headers)).toEqual(textsOf(plain).map(({ headers }) => headers));
  });

  it.each([
    ['rows', records],
    ['logical messages', [{ op: 'message', table: MESSAGES, after: ['p', Buffer.from('x')] }] as RecordSpec[]],
  ])('writes %s that are valid by the schema that it registers', (_what, of) => {
    const { key, value } = jsonSchemas(of[0]?.table as typeof table, CONTEXT, { ...DEBEZIUM_DEFAULTS, ...MODES });
    const ajv = new Ajv({ strict: false });
    const [isKey, isValue] = [ajv.compile(JSON.parse(schemaJson(key))), ajv.compile(JSON.parse(schemaJson(value)))];
    for (const message of bytesOf(wire(of))) {
      if (message.key !== null)
        expect(isKey(JSON.parse(message.key.subarray(WIRE_PREFIX_BYTES).toString())), JSON.stringify(isKey.errors)).toBe(true);
      if (message.value !== null)
        expect(isValue(JSON.parse(message.value.subarray(WIRE_PREFIX_BYTES).toString())), JSON.stringify(isValue.errors)).toBe(true);
    }
    expect(isValue({ op: 7 })).toBe(false);
  });

  it('registers schemas as Confluent’s converter makes them', () => {
    const decimal = { title: 'org.apache.kafka.connect.data.Decimal', 'connect.version': 1, 'connect.type': 'bytes' };
    const row = jsonSchemas(table, CONTEXT, { ...DEBEZIUM_DEFAULTS, ...MODES });
    expect(row.key).toEqual({
      type: 'object',
      title: 'g.public.t.Key',
      properties: { id: { type: 'integer', 'connect.type': 'int64', 'connect.index': 0 } },
    });
    const { before } = row.value.properties as { before: { oneOf: [unknown, { title: string; properties: Record<string, unknown> }] } };
    expect(row.value).toMatchObject({ type: 'object', title: 'g.public.t.Envelope', 'connect.version': 2 });
    expect(before).toMatchObject({ oneOf: [{ type: 'null' }, { type: 'object', title: 'g.public.t.Value' }], 'connect.index': 0 });
    expect(before.oneOf[1].properties).toMatchObject({
      id: { type: 'integer', 'connect.type': 'int64', 'connect.index': 0 },
      n: {
        oneOf: [{ type: 'null' }, { type: 'string', ...decimal, 'connect.parameters': { scale: '2', 'connect.decimal.precision': '12' } }],
        'connect.index': 1,
      },
      m: {
        oneOf: [{ type: 'null' }, { type: 'object', additionalProperties: { oneOf: [{ type: 'null' }, { type: 'string' }] }, 'connect.type': 'map' }],
      },
      a: { oneOf: [{ type: 'null' }, { type: 'array', items: { oneOf: [{ type: 'null' }, { type: 'string' }] } }] },
      d: { type: 'integer', default: 7, 'connect.type': 'int32', 'connect.index': 5 },
    });
    expect(schemaJson(jsonSchemaOf({ type: 'int64', optional: false, default: '9223372036854775807' }))).toBe(
      '{"type":"integer","default":9223372036854775807,"connect.type":"int64"}',
    );
  });
});
