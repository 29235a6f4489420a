import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { avroSchemas } from '../../../../src/formats/avro/schema.ts';
import type { DebeziumConfig } from '../../../../src/formats/debezium/options.ts';
import { schemaJson } from '../../../../src/formats/registry/schema-text.ts';
import type { ColumnFacts, ColumnShape, TableShape } from '../../../../src/record/table.ts';
import { avroType, losslessJson, NAMES } from '../../../support/avro.ts';
import { CONTEXT, column, DEBEZIUM_DEFAULTS, MESSAGES, tableShape } from '../../../support/encoded.ts';

const FACTS: ColumnFacts = { required: false, default: null, computed: false, labels: null, id: null };

interface Field {
  readonly name: string;
  readonly type: unknown;
  readonly default?: unknown;
}

function of(type: ColumnShape['type'], more: Partial<ColumnShape> = {}): ColumnShape {
  return { ...column('c', type), facts: FACTS, ...more };
}

function schemasOf(
  table: TableShape,
  modes: Partial<DebeziumConfig> = {},
  names: typeof NAMES | Record<string, 'none' | 'avro' | 'avro_unicode'> = NAMES,
) {
  return avroSchemas(table, CONTEXT, { ...DEBEZIUM_DEFAULTS, ...modes, ...(names as typeof NAMES) });
}

function fieldsOf(schema: unknown): Field[] {
  return (schema as { fields: Field[] }).fields;
}

/** The record of rows, where it stands first. */
function rowIn(value: unknown): { readonly namespace: string; readonly fields: Field[] } {
  const [before] = fieldsOf(value) as [Field & { readonly type: [string, ReturnType<typeof rowIn>] }];
  return before.type[1];
}

/** The field of the only column, as it stands in rows. */
function fieldOf(shape: ColumnShape, modes: Partial<DebeziumConfig> = {}): Field {
  return rowIn(schemasOf(tableShape([shape], []), modes).value).fields[0] as Field;
}

/** Of a column that may be null. */
function typeOf(shape: ColumnShape, modes: Partial<DebeziumConfig> = {}): unknown {
  const { type, default: byDefault } = fieldOf(shape, modes);
  expect(byDefault).toBe(null);
  const [first, second] = type as unknown[];
  expect(first).toBe('null');
  return second;
}

const semantic = (type: string, name: string): object => ({ type, 'connect.version': 1, 'connect.name': name });
const DECIMAL = 'org.apache.kafka.connect.data.Decimal';

describe('avro schemas', () => {
  it.each<[ColumnShape, Partial<DebeziumConfig>, unknown]>([
    [of('boolean'), {}, 'boolean'],
    [of('int16'), {}, { type: 'int', 'connect.type': 'int16' }],
    [of('int32'), {}, 'int'],
    [of('int64'), {}, 'long'],
    [of('float32'), {}, 'float'],
    [of('float64'), {}, 'double'],
    [of('text'), {}, 'string'],
    [of('bytes'), {}, 'bytes'],
    [of('bytes'), { binaryHandlingMode: 'hex' }, 'string'],
    [of('date'), {}, semantic('int', 'io.debezium.time.Date')],
    [of('date'), { timePrecisionMode: 'connect' }, { ...semantic('int', 'org.apache.kafka.connect.data.Date'), logicalType: 'date' }],
    [of('time'), { timePrecisionMode: 'connect' }, { ...semantic('int', 'org.apache.kafka.connect.data.Time'), logicalType: 'time-millis' }],
    [of('time'), {}, semantic('long', 'io.debezium.time.MicroTime')],
    [
      of('timestamp'),
      { timePrecisionMode: 'connect' },
      { ...semantic('long', 'org.apache.kafka.connect.data.Timestamp'), logicalType: 'timestamp-millis' },
    ],
    [of('timestamp'), {}, semantic('long', 'io.debezium.time.MicroTimestamp')],
    [of('timestamptz'), {}, semantic('string', 'io.debezium.time.ZonedTimestamp')],
    [of('json'), {}, semantic('string', 'io.debezium.data.Json')],
    [
      of('decimal', { scale: 2, precision: 12 }),
      {},
      {
        type: 'bytes',
        scale: 2,
        precision: 12,
        'connect.version': 1,
        'connect.parameters': { scale: '2', 'connect.decimal.precision': '12' },
        'connect.name': DECIMAL,
        logicalType: 'decimal',
      },
    ],
    [
      of('decimal', { scale: 3 }),
      {},
      {
        type: 'bytes',
        scale: 3,
        precision: 64,
        'connect.version': 1,
        'connect.parameters': { scale: '3' },
        'connect.name': DECIMAL,
        logicalType: 'decimal',
      },
    ],
    [of('decimal', { scale: 2 }), { decimalHandlingMode: 'double' }, 'double'],
    [of('decimal', { scale: 2 }), { decimalHandlingMode: 'string' }, 'string'],
    [
      of('decimal'),
      {},
      {
        type: 'record',
        name: 'VariableScaleDecimal',
        namespace: 'io.debezium.data',
        fields: [
          { name: 'scale', type: 'int' },
          { name: 'value', type: 'bytes' },
        ],
        'connect.doc': 'Variable scaled decimal',
        'connect.version': 1,
        'connect.name': 'io.debezium.data.VariableScaleDecimal',
      },
    ],
    [of('map'), { hstoreHandlingMode: 'map' }, { type: 'map', values: ['null', 'string'] }],
    [of('array', { element: { type: 'int32', typeName: 'int4', scale: null, precision: null } }), {}, { type: 'array', items: ['null', 'int'] }],
    [
      of('text', { facts: { ...FACTS, labels: ['a', 'b'] } }),
      {},
      { type: 'string', 'connect.version': 1, 'connect.parameters': { allowed: 'a,b' }, 'connect.name': 'io.debezium.data.Enum' },
    ],
  ])('are those of Connect’s converter: %j, %j', (shape, modes, expected) => {
    expect(typeOf(shape, modes)).toEqual(expected);
  });

  it('put a default first: its branch of the union, in the type and in the field', () => {
    const facts = { ...FACTS, default: '7' };
    expect(fieldOf(of('int32', { facts }))).toEqual({ name: 'c', type: [{ type: 'int', 'connect.default': 7 }, 'null'], default: 7 });
    expect(fieldOf(of('int32', { facts: { ...facts, required: true } }))).toEqual({
      name: 'c',
      type: { type: 'int', 'connect.default': 7 },
      default: 7,
    });
    // Bytes are characters of the same numbers; -1.5 at scale 1 is -15.
    expect(fieldOf(of('decimal', { scale: 1, facts: { ...FACTS, default: '-1.5' } }))).toMatchObject({ default: '\u00f1' });
  });

  it('keep a default of 64 bits whole (I11), and leave out one that Avro cannot say', () => {
    const whole = schemasOf(tableShape([of('int64', { facts: { ...FACTS, default: '9223372036854775807' } })], []));
    expect(schemaJson(whole.value)).toContain('"default":9223372036854775807}');
    expect(fieldOf(of('float64', { facts: { ...FACTS, default: 'NaN' } }))).toEqual({ name: 'c', type: ['null', 'double'], default: null });
  });

  it('name the records as Debezium does, and define each once', () => {
    const table = tableShape([
      { ...of('int64'), name: 'id' },
      { ...of('decimal'), name: 'one' },
      { ...of('decimal'), name: 'two' },
    ]);
    const { key, value } = schemasOf(table);
    expect(key).toMatchObject({
      type: 'record',
      name: 'Key',
      namespace: 'g.public.t',
      fields: [{ name: 'id', type: 'long' }],
      'connect.name': 'g.public.t.Key',
    });
    expect(value).toMatchObject({ name: 'Envelope', namespace: 'g.public.t', 'connect.version': 2, 'connect.name': 'g.public.t.Envelope' });
    expect(fieldsOf(value).map(({ name }) => name)).toEqual(['before', 'after', 'source', 'transaction', 'op', 'ts_ms', 'ts_us', 'ts_ns']);
    expect(fieldsOf(value)[1]).toEqual({ name: 'after', type: ['null', 'Value'], default: null });
    const text = schemaJson(value);
    expect(text.match(/"name":"VariableScaleDecimal"/g)).toHaveLength(1);
    expect(text).toContain('{"name":"two","type":["null","io.debezium.data.VariableScaleDecimal"],"default":null}');
    // Read by a parser that knows nothing of us.
    expect(avsc.Type.forSchema(losslessJson(text) as avsc.Schema).name).toBe('g.public.t.Envelope');
  });

  it('are there of logical messages too', () => {
    const { key, value } = schemasOf(MESSAGES);
    expect(key).toMatchObject({ name: 'MessageKey', namespace: 'io.debezium.connector.postgresql' });
    expect(fieldsOf(value).map(({ name }) => name)).toEqual(['op', 'ts_ms', 'source', 'transaction', 'message']);
  });

  it.each([
    ['avro', 'a-b.1', 'a_b_1'],
    ['avro', '1st', '_1st'],
    ['avro', 'größe', 'gr__e'],
    ['avro_unicode', 'a-b', 'a_u002db'],
    ['avro_unicode', 'a_b', 'a_u005fb'],
    ['avro_unicode', '1st', '_u0031st'],
  ] as const)('make names of others, %s: %s is %s', (mode, name, expected) => {
    const table = tableShape([{ ...of('int64'), name }], [], 'my-table');
    const { value } = schemasOf(table, {}, { schemaNameAdjustmentMode: mode, fieldNameAdjustmentMode: mode });
    const row = rowIn(value);
    expect(row.fields[0]?.name).toBe(expected);
    expect(row.namespace).toBe(mode === 'avro' ? 'g.public.my_table' : 'g.public.my_u002dtable');
    avroType(value);
  });

  it.each([
    ['two columns get one name', ['a-b', 'a+b'], 't', NAMES, /"a\+b" and "a-b" would both be "a_b"/],
    ['a name is left as it is', ['a-b'], 't', { ...NAMES, fieldNameAdjustmentMode: 'none' as const }, /"a-b" is no name/],
    ['a table begins with a digit', ['a'], '1t', NAMES, /"g\.public\.1t\.Envelope" is no name/],
  ])('are refused where %s (I8)', (_why, names, table, modes, message) => {
    const columns = names.map((name) => ({ ...of('int64'), name }));
    expect(() => schemasOf(tableShape(columns, [], table), {}, modes)).toThrowError(
      expect.objectContaining({ code: 'SLUICE_AVRO_NAME', table: `public.${table}`, message: expect.stringMatching(message) as string }),
    );
  });
});
