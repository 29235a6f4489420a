import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { avroSchemas } from '../../../../src/formats/avro/schema.ts';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { ABSENT, UNAVAILABLE } from '../../../../src/record/batch.ts';
import { type ColumnFacts, type ColumnShape, TableRegistry } from '../../../../src/record/table.ts';
import { type AvroModes, avroByDefault, avroJson, avroType, bytesOf, losslessJson, NAMES, WIRE_PREFIX_BYTES } from '../../../support/avro.ts';
import {
  batchOf,
  CONTEXT,
  column,
  DEBEZIUM_DEFAULTS,
  encodeBatch,
  MESSAGES,
  type RecordSpec,
  tableShape,
  textsOf,
} from '../../../support/encoded.ts';

const FACTS: ColumnFacts = { required: false, default: null, computed: false, labels: null, id: null };

function of(name: string, type: ColumnShape['type'], more: Partial<ColumnShape> = {}): ColumnShape {
  return { ...column(name, type), facts: FACTS, ...more };
}

const text = { type: 'text', typeName: 'text', scale: null, precision: null } as const;
const EVERY: readonly (readonly [ColumnShape, ...(string | Buffer)[]])[] = [
  [of('b', 'boolean'), 't', 'f'],
  [of('i2', 'int16'), '-32768', '32767'],
  [of('i4', 'int32'), '-2147483648', '2147483647', '0'],
  [of('i8', 'int64'), '-9223372036854775808', '9223372036854775807', '-1', '4503599627370496', '1234567890123456'],
  [of('u8', 'uint64'), '18446744073709551615', '5'],
  [of('f4', 'float32'), '0.5', 'NaN', '-Infinity', '16777216'],
  [of('f8', 'float64'), '0.1', 'NaN', 'Infinity', '5e-324', '-0'],
  [of('n', 'decimal', { scale: 2, precision: 40 }), '0.00', '-1.50', '12345678901234567890123456789012345678.99', '1.28', '-1.28'],
  [of('v', 'decimal'), '0', '1.500', '-99999999999999999999.000001'],
  [of('t', 'text'), '', 'plain', '"\\\u0001\n😀é', 'x'.repeat(300)],
  [of('y', 'bytes'), Buffer.alloc(0), Buffer.from([0, 10, 255]), Buffer.alloc(2000, 7)],
  [of('d', 'date'), '2024-02-29', 'infinity', '-4712-01-01'],
  [of('tm', 'time'), '23:59:59.999999', '00:00:00'],
  [of('tm3', 'time', { scale: 3 }), '12:34:56.789'],
  [of('tz', 'timetz'), '12:00:00+02'],
  [of('ts', 'timestamp'), '2024-02-29T12:34:56.7', '1969-12-31T23:59:59.999999', 'infinity', '-infinity'],
  [of('ts3', 'timestamp', { scale: 3 }), '2024-02-29T12:34:56.789'],
  [of('tstz', 'timestamptz'), '2024-02-29T12:34:56.7Z', 'infinity'],
  [of('u', 'uuid'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  [of('j', 'json'), '{"a": "\\u00e9\\n", "b": [1.0]}'],
  [of('x', 'xml'), '<a b="c"/>'],
  [of('iv', 'interval'), '1 year -11 mons +30 days -100:59:59.999999'],
  [of('bit', 'bits', { precision: 1 }), '1'],
  [of('bits', 'bits', { precision: 12 }), '101010101010', '0'],
  [of('p', 'point'), '(1.5,-2)', '(NaN,Infinity)'],
  [of('m', 'map'), '"k"=>"v\\"", "n"=>NULL', ''],
  [of('a', 'array', { element: text }), '{}', '{a,NULL,"b\\"c"}', '{"😀\\\\é\u0007"}', `{${'e,'.repeat(99)}e}`],
  [of('ai', 'array', { element: { ...text, type: 'int32', typeName: 'int4' } }), '{1,NULL,-3}'],
  [of('af', 'array', { element: { ...text, type: 'float64', typeName: 'float8' } }), '{0.1,NaN}'],
  [of('an', 'array', { element: { ...text, type: 'decimal', typeName: 'numeric' } }), '{1.5,NULL}'],
  [of('yr', 'year'), '2024'],
  [of('du', 'duration'), '-838:59:59', '12:00:00.5'],
  [of('bf', 'bitfield', { precision: 9 }), '000000001'],
  [of('s', 'set', { facts: { ...FACTS, labels: ['a', 'b'] } }), 'a,b'],
  [of('g', 'geometry'), Buffer.from('e6100000010100000000000000000008400000000000001040', 'hex')],
  [of('e', 'text', { facts: { ...FACTS, labels: ['a', 'b'] } }), 'b'],
  [of('o', 'other'), '127.0.0.1/8'],
  [of('dd', 'int32', { facts: { required: true, default: '7', computed: false, labels: null, id: null } }), '8'],
  [of('dn', 'text', { facts: { ...FACTS, default: 'a "default"' } }), 'x'],
];

/** All that the two formats make of the records, decoded: as Avro by a library that knows the schema only, and as JSON. */
function bothWays(records: readonly RecordSpec[], modes: AvroModes = {}, context = CONTEXT): { readonly avro: unknown[]; readonly json: unknown[] } {
  const batch = batchOf(records, new TableRegistry({ described: true }));
  const json = bytesOf(encodeBatch(debezium.create({ ...DEBEZIUM_DEFAULTS, ...modes, schemasEnable: true }, context), batch));
  const wire = bytesOf(encodeBatch(avroByDefault.create(modes, context), batch));
  const schemas = batch.tables.map((table) => avroSchemas(table, context, { ...DEBEZIUM_DEFAULTS, ...NAMES, ...modes }));
  const { key, value } = schemas[0] as (typeof schemas)[0];
  const types = { key: key === null ? null : avroType(key), value: avroType(value) };
  return {
    avro: wire.map((message) => ({
      key: message.key === null || types.key === null ? null : avroJson(types.key, message.key.subarray(WIRE_PREFIX_BYTES)),
      value: message.value === null ? null : avroJson(types.value, message.value.subarray(WIRE_PREFIX_BYTES)),
    })),
    json: json.map((message) => ({ key: payload(message.key), value: payload(message.value) })),
  };
}

function payload(bytes: Buffer | null): unknown {
  return bytes === null ? null : (losslessJson(bytes.toString()) as { payload: unknown }).payload;
}

describe('avro', () => {
  it.each(EVERY.flatMap(([shape, ...cells]) => cells.map((cell) => [shape.name, String(cell).slice(0, 20), shape, cell] as const)))(
    'says of a %s what JSON says: %s (I11)',
    (_name, _text, shape, cell) => {
      const table = tableShape([of('id', 'int64'), shape]);
      const both = bothWays([
        { op: 'create', table, after: ['1', cell] },
        { op: 'update', table, before: ['1', shape.facts?.required === true ? cell : null], after: ['1', cell] },
        { op: 'update', table, before: ['1', cell], after: ['1', UNAVAILABLE] },
        { op: 'delete', table, before: ['1', cell] },
      ]);
      // A default stands for null in JSON's reader only.
      expect(both.avro).toEqual(both.json);
      expect(both.avro).toHaveLength(5);
    },
  );

  it('says all columns of one row, copied or not', () => {
    const table = tableShape(EVERY.map(([shape]) => shape));
    const after = EVERY.map(([, cell]) => cell ?? null);
    const both = bothWays([
      { op: 'read', table, after },
      { op: 'truncate', table },
    ]);
    expect(both.avro).toEqual(both.json);
  });

  it('says a float of 32 bits by its bits', () => {
    const table = tableShape([of('f4', 'float32')], []);
    const { avro } = bothWays([{ op: 'create', table, after: ['0.1'] }]);
    expect(avro).toMatchObject([{ value: { after: { f4: Math.fround(0.1) } } }]);
  });

  it('says what an old row lacks as JSON does: what stands for it, never null where there is none', () => {
    const required = { ...FACTS, required: true };
    const table = tableShape([
      of('id', 'int64'),
      ...EVERY.map(([shape]) => ({ ...shape, facts: { ...required, labels: shape.facts?.labels ?? null } })),
    ]);
    const image = EVERY.map((): typeof ABSENT => ABSENT);
    const both = bothWays([{ op: 'delete', table, before: ['1', ...image] }]);
    const [avro, json] = [both.avro, both.json].map(([first]) => (first as { value: { before: Record<string, unknown> } }).value.before);
    // JSON has null for points and geometries, against its own schema.
    const point = { x: 0, y: 0, wkb: null, srid: null };
    expect(avro).toEqual({ ...json, p: point, g: { wkb: '', srid: null } });
  });

  it('says that a value was not sent with the bytes of the placeholder, where a type has room for them', () => {
    const shapes = [
      of('n', 'decimal', { scale: 2 }),
      of('v', 'decimal'),
      of('af', 'array', { element: { ...text, type: 'float64', typeName: 'float8' } }),
    ];
    const table = tableShape(shapes, []);
    const { avro } = bothWays([{ op: 'update', table, after: shapes.map(() => UNAVAILABLE) }], { unavailableValuePlaceholder: 'gone' });
    const base64 = Buffer.from('gone').toString('base64');
    expect(avro).toMatchObject([{ value: { after: { n: base64, v: { scale: 0, value: base64 }, af: [103, 111, 110, 101] } } }]);
  });

  it.each<[string, ColumnShape, string | typeof UNAVAILABLE | null, string]>([
    ['null where there is none', of('c', 'int32', { facts: { ...FACTS, required: true } }), null, 'SLUICE_AVRO_VALUE'],
    ['NaN in a decimal that is never null', of('c', 'decimal', { scale: 2, facts: { ...FACTS, required: true } }), 'NaN', 'SLUICE_AVRO_VALUE'],
    ['a time beyond 64 bits', of('c', 'timestamp'), '294276-12-31T23:59:59.999999', 'SLUICE_AVRO_VALUE'],
    ['arrays in an array', of('c', 'array', { element: { ...text, type: 'int32', typeName: 'int4' } }), '{{1,2},{3,4}}', 'SLUICE_AVRO_VALUE'],
    ['a number that was not sent', of('c', 'int32'), UNAVAILABLE, 'SLUICE_AVRO_UNAVAILABLE'],
  ])('refuses %s, and names table and column (I8, I12)', (_what, shape, cell, code) => {
    const table = tableShape([of('id', 'int64'), shape]);
    const named = { code, table: 'public.t', message: expect.stringContaining('"c"') as string };
    expect(() => bothWays([{ op: 'create', table, after: ['1', cell] }])).toThrowError(expect.objectContaining(named));
  });

  it('says a new key in the headers of the old one, as text', () => {
    const table = tableShape([of('id', 'int64'), of('t', 'text')]);
    const record = { op: 'update', table, before: ['1', 'a'], after: ['10', 'a'] } as const;
    const batch = batchOf([record], new TableRegistry({ described: true }));
    const out = encodeBatch(avroByDefault.create({}, CONTEXT), batch);
    const headers = textsOf(out).map((message) => message.headers.filter(([name]) => name.startsWith('__debezium')));
    expect(headers).toEqual([[['__debezium.newkey', '{"id":10}']], [['__debezium.newkey', '{"id":10}']], [['__debezium.oldkey', '{"id":1}']]]);
    const both = bothWays([record]);
    expect(both.avro).toEqual(both.json);
    expect(both.avro.map((message) => (message as { key: unknown }).key)).toEqual([{ id: 1 }, { id: 1 }, { id: 10 }]);
  });

  it('says where a row came from, in systems of other columns, without schemas or a sequence', () => {
    const columns = [
      { name: 'server_id', type: 'int64', required: true },
      { name: 'gtid', type: 'text' },
      { name: 'file', type: 'text', required: true },
    ] as const;
    const context = { ...CONTEXT, origin: { system: 'mysql', columns, transaction: ['gtid'] } };
    const table = tableShape([of('id', 'int64')], [0], 't', '');
    const both = bothWays(
      [
        { op: 'create', table, after: ['1'], origin: ['7', null, 'binlog.1'] },
        { op: 'read', table, after: ['2'], origin: ['7', 'a:1', 'binlog.1'] },
      ],
      {},
      context,
    );
    expect(both.avro).toEqual(both.json);
    expect(both.avro).toMatchObject([{ value: { source: { server_id: 7, gtid: null, file: 'binlog.1', sequence: null, table: 't' } } }, {}]);
  });

  it('has room for placeholders of any length (I9)', () => {
    const table = tableShape(
      Array.from({ length: 9 }, (_, index) => of(`c${index}`, 'text')),
      [],
    );
    const placeholder = 'x'.repeat(2000);
    const { avro } = bothWays([{ op: 'update', table, after: table.columns.map(() => UNAVAILABLE) }], { unavailableValuePlaceholder: placeholder });
    expect(avro).toMatchObject([{ value: { after: { c8: placeholder } } }]);
  });

  it('says logical messages as JSON does', () => {
    const both = bothWays([{ op: 'message', table: MESSAGES, after: ['pfx', Buffer.from([0, 255])] }]);
    expect(both.avro).toEqual(both.json);
  });

  it('never writes beyond what it has reserved, and what JSON says (I9, I11)', () => {
    // `encodeBatch` throws if more was written than was reserved.
    const cell = fc
      .constantFrom(...EVERY.map(([shape, ...cells]) => ({ shape, cells })))
      .chain(({ shape, cells }) =>
        fc.record({ shape: fc.constant(shape), cell: fc.constantFrom(...cells), large: fc.integer({ min: 0, max: 9000 }) }),
      );
    fc.assert(
      fc.property(fc.array(cell, { minLength: 1, maxLength: 8 }), (list) => {
        const table = tableShape(
          list.map(({ shape }, index) => ({ ...shape, name: `c${index}` })),
          [0],
        );
        const after = list.map(({ shape, cell: chosen, large }) => (shape.name === 't' ? '"é'.repeat(large) : chosen));
        const both = bothWays([
          { op: 'create', table, after },
          { op: 'delete', table, before: after },
        ]);
        expect(both.avro).toEqual(both.json);
      }),
      { numRuns: 150 },
    );
  });
});
