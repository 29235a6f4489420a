import { describe, expect, it } from 'vitest';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { type DebeziumConfig, validateDebezium } from '../../../../src/formats/debezium/options.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import type { ColumnFacts, ColumnShape } from '../../../../src/record/table.ts';
import type { LogicalType } from '../../../../src/record/types.ts';
import { type CellValue, column, DEBEZIUM_DEFAULTS, encoded, MESSAGES, type RecordSpec, tableShape } from '../../../support/encoded.ts';

/**
 * What no golden record exists for, by Debezium's documented mapping and the classes of 3.6.1 (`TemporalPrecisionMode`, `SchemaFactory`). Golden cases:
 * test/integration/golden.test.ts.
 */

function after(shape: ColumnShape, cell: CellValue, options: Partial<DebeziumConfig> = {}): unknown {
  const [message] = encoded(debezium, [{ op: 'create', table: tableShape([shape], []), after: [cell] }], options);
  const text = message?.value ?? '';
  const start = text.lastIndexOf(`"after":{"${shape.name}":`);
  return text.slice(start + `"after":{"${shape.name}":`.length, text.lastIndexOf('},"source":'));
}

const cell = (type: LogicalType, text: string, options: Partial<DebeziumConfig>, scale: number | null = null) =>
  after(column('c', type, scale), text, options);

describe('handling modes', () => {
  it('times in microseconds and nanoseconds, whatever the column declares', () => {
    const micros = { timePrecisionMode: 'microseconds' } as const;
    expect(cell('time', '00:00:01.5', micros, 1)).toBe('1500000');
    expect(cell('timestamp', '1970-01-01T00:00:01.5', micros, 1)).toBe('1500000');
    expect(cell('date', '1970-01-02', micros)).toBe('1');
    const nanos = { timePrecisionMode: 'nanoseconds' } as const;
    expect(cell('time', '00:00:01.5', nanos, 1)).toBe('1500000000');
    expect(cell('timestamp', '1969-12-31T23:59:59.999999', nanos)).toBe('-1000');
    expect(cell('timestamp', '1970-01-01T00:00:00', nanos)).toBe('0');
    expect(cell('timestamp', 'infinity', nanos)).toBe('9223372036825200000');
    expect(cell('timestamp', '294276-12-31T23:59:59.999999', nanos)).toBe('9224318015999999999000');
  });

  it('infinite and far dates as ISO 8601', () => {
    const iso = { timePrecisionMode: 'isostring' } as const;
    expect(['infinity', '-infinity', '20000-06-15', '-0043-03-15'].map((text) => cell('date', text, iso))).toEqual([
      '"infinity"',
      '"-infinity"',
      '"+20000-06-15Z"',
      '"-0043-03-15Z"',
    ]);
    expect(cell('timestamp', '20000-06-15T12:00:00.5', iso)).toBe('"+20000-06-15T12:00:00.5Z"');
  });

  it('bytes as base64 text', () => {
    expect(after(column('c', 'bytes'), Buffer.from([251, 255]), { binaryHandlingMode: 'base64' })).toBe('"+/8="');
  });

  it('decimals that are no number, as doubles', () => {
    const double = { decimalHandlingMode: 'double' } as const;
    expect(['NaN', '-Infinity', '-0.00'].map((text) => cell('decimal', text, double))).toEqual(['"NaN"', '"-Infinity"', '-0.0']);
  });

  it('money with other digits, rounded half up', () => {
    const money: ColumnShape = { ...column('c', 'decimal', 2), typeName: 'money' };
    const unscaled = (text: string, digits: number) =>
      BigInt(`0x${Buffer.from(JSON.parse(String(after(money, text, { moneyFractionDigits: digits }))) as string, 'base64').toString('hex')}`);
    expect([unscaled('12.34', 4), unscaled('12.34', 2), unscaled('12.35', 1), unscaled('12.34', 1), unscaled('12.50', 0)]).toEqual([
      123400n,
      1234n,
      124n,
      123n,
      13n,
    ]);
    // −12.5 is −13 and −12.4 is −12: away from zero.
    expect([after(money, '-12.50', { moneyFractionDigits: 0 }), after(money, '-12.40', { moneyFractionDigits: 0 })]).toEqual(['"8w=="', '"9A=="']);
    expect(after(money, '-12.50', { moneyFractionDigits: 0, decimalHandlingMode: 'string' })).toBe('"-12.50"');
  });

  it('intervals below a second and with mixed signs', () => {
    const text = { intervalHandlingMode: 'string' } as const;
    expect([cell('interval', '-00:00:00.5', text), cell('interval', '-00:00:00.5', {})]).toEqual(['"P0Y0M0DT0H0M-0.5S"', '-500000']);
    expect([cell('interval', '1 mon -00:00:00.000001', {}), cell('interval', '-1 days +00:00:00.25', {})]).toEqual(['2629799999999', '-86399750000']);
  });

  it('the placeholder of one’s own, in every form', () => {
    const options = { unavailableValuePlaceholder: '"?' };
    const array = (type: LogicalType): ColumnShape => ({ ...column('c', 'array'), element: { type, typeName: type, scale: null, precision: null } });
    expect(after(column('c', 'text'), UNAVAILABLE, options)).toBe('"\\"?"');
    expect(after(column('c', 'bytes'), UNAVAILABLE, options)).toBe('"Ij8="');
    expect(after(column('c', 'bytes'), UNAVAILABLE, { ...options, binaryHandlingMode: 'hex' })).toBe('"\\"?"');
    expect(after(column('c', 'map'), UNAVAILABLE, { ...options, hstoreHandlingMode: 'map' })).toBe('{"\\"?":"\\"?"}');
    expect(['text', 'int32', 'int64', 'date', 'bytes'].map((type) => after(array(type as LogicalType), UNAVAILABLE, options))).toEqual([
      '["\\"?"]',
      '[34,63]',
      '[34,63]',
      '[34,63]',
      '["Ij8="]',
    ]);
  });

  it('types that Debezium does not know, as text, as bytes, or not at all; never out of a key', () => {
    const other = (name: string, typeName: string, more: Partial<ColumnShape> = {}): ColumnShape => ({ ...column(name, 'other'), typeName, ...more });
    const element = (typeName: string): Partial<ColumnShape> => ({
      type: 'array',
      element: { type: 'other', typeName, scale: null, precision: null },
    });
    const table = tableShape([
      other('k', 'pg_lsn'),
      other('line', 'line'),
      other('lines', 'line[]', element('line')),
      other('domain', 'way', { baseName: 'path' }),
      other('address', 'inet'),
      other('addresses', 'inet[]', element('inet')),
      other('host', 'host', { baseName: 'inet' }),
      other('words', 'tsvector'),
      other('place', 'geometry'),
    ]);
    const cells = ['0/1', '{1,2,3}', '{"{1,2,3}"}', '[(1,2)]', '::1', '{::1}', '::2', "'a'", '0101'];
    const row = (options: Partial<DebeziumConfig>) => {
      const [message] = encoded(debezium, [{ op: 'create', table, after: cells }], options);
      const { payload, ...bare } = JSON.parse(message?.value ?? '') as { payload?: { after: object }; after: object };
      return (payload ?? bare).after;
    };
    const known = { address: '::1', addresses: ['::1'], host: '::2', words: "'a'", place: '0101' };
    expect(row({})).toEqual({ k: '0/1', line: '{1,2,3}', lines: ['{1,2,3}'], domain: '[(1,2)]', ...known });
    expect(row({ includeUnknownDatatypes: 'bytes' })).toEqual({
      k: 'MC8x',
      line: 'ezEsMiwzfQ==',
      lines: 'eyJ7MSwyLDN9In0=',
      domain: 'WygxLDIpXQ==',
      ...known,
    });
    expect(row({ includeUnknownDatatypes: 'bytes', binaryHandlingMode: 'hex' })).toMatchObject({ k: '302f31', domain: '5b28312c32295d' });
    expect(row({ includeUnknownDatatypes: 'none' })).toEqual({ k: '0/1', ...known });
    const fields = (includeUnknownDatatypes: DebeziumConfig['includeUnknownDatatypes']) => {
      const [message] = encoded(debezium, [{ op: 'create', table, after: cells }], { includeUnknownDatatypes, schemasEnable: true });
      const { schema } = JSON.parse(message?.value ?? '') as { schema: { fields: { fields: { field: string; type: string; name?: string }[] }[] } };
      return Object.fromEntries((schema.fields[0]?.fields ?? []).map(({ field, type, name }) => [field, name ?? type]));
    };
    const texts = { address: 'string', addresses: 'array', host: 'string', words: 'io.debezium.data.TsVector', place: 'string' };
    expect(fields('none')).toEqual({ k: 'string', ...texts });
    expect(fields('bytes')).toEqual({ k: 'bytes', line: 'bytes', lines: 'bytes', domain: 'bytes', ...texts });
  });

  it('operations that are left out make no message', () => {
    const table = tableShape([column('id', 'int32')]);
    const records: RecordSpec[] = [
      { op: 'create', table, after: ['1'] },
      { op: 'read', table, after: ['1'] },
      { op: 'update', table, before: ['1'], after: ['2'] },
      { op: 'delete', table, before: ['2'] },
      { op: 'truncate', table },
    ];
    const ops = (skippedOperations: string[]) =>
      encoded(debezium, records, { skippedOperations }).map(({ value }) => (value === null ? null : (JSON.parse(value) as { op: string }).op));
    expect(ops([])).toEqual(['c', 'r', 'd', null, 'c', 'd', null, 't']);
    expect(ops(['u', 't'])).toEqual(['c', 'r', 'd', null]);
    expect(ops(['c', 'd', 'r'])).toEqual(['d', null, 'c', 't']);
    expect(validateDebezium({ ...DEBEZIUM_DEFAULTS, skippedOperations: ['c', 'none'] }).map(({ path }) => path)).toEqual(['skippedOperations[1]']);
  });
});

describe('inline schemas', () => {
  const facts = (more: Partial<ColumnFacts>): ColumnFacts => ({ required: false, default: null, computed: false, labels: null, id: null, ...more });
  const described = { schemasEnable: true } as const;

  interface Schema {
    readonly name?: string;
    readonly fields?: (Schema & { readonly field: string })[];
    readonly [member: string]: unknown;
  }

  const rowOf = (value: string | null | undefined) =>
    ((JSON.parse(value ?? '') as { schema: Schema }).schema.fields?.find(({ field }) => field === 'after')?.fields ?? []) as Schema[];

  it('stand in the key of a tombstone and in the headers of a key change', () => {
    const table = tableShape([column('id', 'int32'), column('v', 'text')]);
    const messages = encoded(debezium, [{ op: 'update', table, before: ['1', ABSENT], after: ['2', 'a'] }], described);
    const key = (id: number) =>
      `{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}],"optional":false,"name":"g.public.t.Key"},"payload":{"id":${id}}}`;
    expect(messages.map((message) => message.key)).toEqual([key(1), key(1), key(2)]);
    expect(messages[1]?.value).toBeNull();
    expect([messages[0]?.headers.at(-1), messages[2]?.headers.at(-1)]).toEqual([
      ['__debezium.newkey', key(2)],
      ['__debezium.oldkey', key(1)],
    ]);
  });

  it('tell a column’s type on the server where they are asked to, but in keys', () => {
    const sourceType = (name: string, length: number | null, scale: number) => ({ name, length, scale });
    const columns: ColumnShape[] = [
      { ...column('id', 'int32'), sourceType: sourceType('int4', 10, 0), facts: facts({ default: '3', required: true }) },
      { ...column('n', 'decimal', 2), precision: 5, sourceType: sourceType('numeric', 5, 2) },
      { ...column('b', 'bits'), sourceType: sourceType('bit', null, 0) },
      column('dropped', 'text'),
    ];
    const of = (options: Partial<DebeziumConfig>) => {
      const [message] = encoded(debezium, [{ op: 'create', table: tableShape(columns), after: ['1', '1.5', '101', 'x'] }], {
        ...described,
        ...options,
      });
      const text = message?.value ?? '';
      const before = text.slice(text.indexOf('"fields":[') + 10);
      return { key: message?.key ?? '', row: before.slice(before.indexOf('[') + 1, before.indexOf('],"optional"')) };
    };
    const told = (type: string, length: string | null, scale: string, name: string) =>
      `"__debezium.source.column.type":"${type}",${length === null ? '' : `"__debezium.source.column.length":"${length}",`}"__debezium.source.column.scale":"${scale}","__debezium.source.column.name":"${name}"`;
    const plain = of({});
    expect(plain.row).not.toContain('__debezium');
    const all = of({ columnPropagateSourceType: ['.*'] });
    // Type, length, scale and name, behind the type's own parameters and before the default.
    expect(all.row).toBe(
      `{"type":"int32","optional":false,"parameters":{${told('INT4', '10', '0', 'id')}},"default":3,"field":"id"},` +
        `{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"5",${told('NUMERIC', '5', '2', 'n')}},"field":"n"},` +
        `{"type":"bytes","optional":true,"name":"io.debezium.data.Bits","version":1,"parameters":{"length":"2147483647",${told('BIT', null, '0', 'b')}},"field":"b"},` +
        '{"type":"string","optional":true,"field":"dropped"}',
    );
    expect(all.key).toBe(plain.key);
    const names = (options: Partial<DebeziumConfig>) => [...of(options).row.matchAll(/source\.column\.name":"(\w+)"/g)].map(([, name]) => name);
    expect(names({ columnPropagateSourceType: ['PUBLIC.t.n', 'public.t.dropped', 'ublic.t.b'] })).toEqual(['n']);
    expect(names({ datatypePropagateSourceType: ['.+\\.NUMERIC', 'public.t.bit'] })).toEqual(['n', 'b']);
  });

  it('are not asked for more than is written', () => {
    const problems = (options: Partial<DebeziumConfig>) => validateDebezium({ ...DEBEZIUM_DEFAULTS, ...options }).map(({ path }) => path);
    expect(problems({ columnPropagateSourceType: ['.*'] })).toEqual(['columnPropagateSourceType']);
    expect(problems({ datatypePropagateSourceType: ['.*'] })).toEqual(['datatypePropagateSourceType']);
    expect(problems({ ...described, columnPropagateSourceType: ['.*', '('], datatypePropagateSourceType: ['['] })).toEqual([
      'columnPropagateSourceType[1]',
      'datatypePropagateSourceType[0]',
    ]);
  });

  it('of each mode', () => {
    const names = (shape: ColumnShape, options: Partial<DebeziumConfig>) => {
      const [message] = encoded(debezium, [{ op: 'create', table: tableShape([shape], []), after: [NULL] }], { ...described, ...options });
      const { type, name, parameters } = rowOf(message?.value)[0] ?? {};
      return [type, name, ...(parameters === undefined ? [] : [parameters])];
    };
    const connect = 'org.apache.kafka.connect.data';
    expect(names(column('c', 'timestamp', 3), { timePrecisionMode: 'connect' })).toEqual(['int64', `${connect}.Timestamp`]);
    expect(names(column('c', 'time'), { timePrecisionMode: 'connect' })).toEqual(['int32', `${connect}.Time`]);
    expect(names(column('c', 'date'), { timePrecisionMode: 'connect' })).toEqual(['int32', `${connect}.Date`]);
    expect(names(column('c', 'timestamp', 3), { timePrecisionMode: 'nanoseconds' })).toEqual(['int64', 'io.debezium.time.NanoTimestamp']);
    expect(names(column('c', 'timestamp', 3), { timePrecisionMode: 'microseconds' })).toEqual(['int64', 'io.debezium.time.MicroTimestamp']);
    expect(names(column('c', 'date'), { timePrecisionMode: 'isostring' })).toEqual(['string', 'io.debezium.time.IsoDate']);
    expect(names(column('c', 'decimal', 2), { decimalHandlingMode: 'double' })).toEqual(['double', undefined]);
    expect(names(column('c', 'interval'), { intervalHandlingMode: 'string' })).toEqual(['string', 'io.debezium.time.Interval']);
    expect(names(column('c', 'bytes'), { binaryHandlingMode: 'base64' })).toEqual(['string', undefined]);
    expect(names(column('c', 'map'), { hstoreHandlingMode: 'map' })).toEqual(['map', undefined]);
    expect(names(column('c', 'bits'), {})).toEqual(['bytes', 'io.debezium.data.Bits', { length: '2147483647' }]);
    expect(names({ ...column('c', 'bits'), precision: 1 }, {})).toEqual(['boolean', undefined]);
    expect(names({ ...column('c', 'other'), typeName: 'ltree' }, {})).toEqual(['string', 'io.debezium.data.Ltree']);
  });

  it('have zeros for defaults that the server computes, where the column is required; nulls of a row stay null', () => {
    const table = tableShape([
      { ...column('id', 'int32'), facts: facts({ required: true, computed: true }) },
      { ...column('at', 'timestamptz'), facts: facts({ required: true, computed: true }) },
      { ...column('maybe', 'text'), facts: facts({ computed: true }) },
      { ...column('v', 'text'), facts: facts({ default: 'dv' }) },
      { ...column('needed', 'text'), facts: facts({ required: true }) },
    ]);
    const [created, deleted] = encoded(
      debezium,
      [
        { op: 'create', table, after: ['1', '2024-01-01T00:00:00Z', NULL, NULL, 'n'] },
        { op: 'delete', table, before: ['1', ABSENT, ABSENT, ABSENT, ABSENT] },
      ],
      described,
    );
    expect(rowOf(created?.value).map(({ optional, default: value }) => [optional, value])).toEqual([
      [false, 0],
      [false, '1970-01-01T00:00:00.000000Z'],
      [true, undefined],
      [true, 'dv'],
      [false, undefined],
    ]);
    const payload = (value: string | null | undefined) => (JSON.parse(value ?? '') as { payload: { before: unknown; after: unknown } }).payload;
    expect(payload(created?.value).after).toEqual({ id: 1, at: '2024-01-01T00:00:00.000000Z', maybe: null, v: null, needed: 'n' });
    expect(payload(deleted?.value).before).toEqual({ id: 1, at: '1970-01-01T00:00:00.000000Z', maybe: null, v: 'dv', needed: '' });
  });

  it('of arrays and enums', () => {
    const element = { type: 'text', typeName: 'mood', scale: null, precision: null } as const;
    const table = tableShape(
      [
        { ...column('m', 'text'), facts: facts({ labels: ['sad', 'o"k'] }) },
        { ...column('ms', 'array'), element, facts: facts({ labels: ['sad', 'ok'] }) },
      ],
      [],
    );
    const [message] = encoded(debezium, [{ op: 'create', table, after: ['sad', '{sad,NULL}'] }], described);
    expect(rowOf(message?.value)).toEqual([
      { type: 'string', optional: true, name: 'io.debezium.data.Enum', version: 1, parameters: { allowed: 'sad,o"k' }, field: 'm' },
      {
        type: 'array',
        items: { type: 'string', optional: true, name: 'io.debezium.data.Enum', version: 1, parameters: { allowed: 'sad,ok' } },
        optional: true,
        field: 'ms',
      },
    ]);
  });

  it('of logical decoding messages', () => {
    const [message] = encoded(debezium, [{ op: 'message', table: MESSAGES, after: ['p', 'c'] }], described);
    const key = JSON.parse(message?.key ?? '') as { schema: Schema; payload: unknown };
    const value = JSON.parse(message?.value ?? '') as { schema: Schema; payload: { message: unknown } };
    expect([key.schema.name, key.payload]).toEqual(['io.debezium.connector.postgresql.MessageKey', { prefix: 'p' }]);
    expect([value.schema.name, value.schema.fields?.map(({ field }) => field)]).toEqual([
      'io.debezium.connector.postgresql.MessageValue',
      ['op', 'ts_ms', 'source', 'transaction', 'message'],
    ]);
    expect(value.payload.message).toEqual({ prefix: 'p', content: 'Yw==' });
  });
});
