import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { native } from '../../../../src/formats/native/index.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import { LOGICAL_TYPES, type LogicalType } from '../../../../src/record/types.ts';
import { cellText, column, type EncodedMessage, encoded, MESSAGES, type RecordSpec, tableShape } from '../../../support/encoded.ts';

const ORDERS = tableShape(
  [column('id', 'int64'), column('amount', 'decimal', 2), column('note', 'text'), column('tags', 'json'), column('created_at', 'timestamptz')],
  [0],
  'orders',
);
const ROW = ['42', '12.30', 'first', '{"vip": true}', '2024-02-29T12:34:56.789012Z'];

/** One record of each operation, in the order of docs/native.md. */
const EXAMPLES: readonly RecordSpec[] = [
  { op: 'create', table: ORDERS, after: ROW, ordinal: 0 },
  { op: 'update', table: ORDERS, after: ['42', '13.00', UNAVAILABLE, '{"vip": true}', '2024-02-29T12:34:56.789012Z'], ordinal: 1 },
  {
    op: 'update',
    table: ORDERS,
    before: ['42', ABSENT, ABSENT, ABSENT, ABSENT],
    after: ['43', '13.00', 'second', '{}', '2024-02-29T12:34:56.789012Z'],
    ordinal: 2,
  },
  { op: 'delete', table: ORDERS, before: ['43', ABSENT, ABSENT, ABSENT, ABSENT], ordinal: 3 },
  { op: 'read', table: ORDERS, after: ROW, ordinal: 4 },
  { op: 'truncate', table: ORDERS, ordinal: 5 },
  { op: 'message', table: MESSAGES, after: ['outbox', 'hello'], ordinal: 6 },
];

const line = ({ key, value }: EncodedMessage) => `${key ?? '(none)'} → ${value ?? '(no value)'}`;

describe('native values', () => {
  it('are those of docs/native.md, each operation', () => {
    const text = readFileSync(new URL('../../../../docs/native.md', import.meta.url), 'utf8');
    const documented = [...text.matchAll(/^key +(.*)\nvalue +(.*)$/gm)].map(([, key, value]) => `${key} → ${value}`);
    expect(encoded(native, EXAMPLES).map(line)).toEqual(documented);
  });

  it('follow a reader by key, and a compacted topic, to the same rows through a change of key (I7)', () => {
    const rows = new Map<string, unknown>();
    const compacted = new Map<string, string>();
    for (const { key, value } of encoded(native, EXAMPLES.slice(0, 3))) {
      if (value === null) compacted.delete(key as string);
      else {
        compacted.set(key as string, value);
        const record = JSON.parse(value) as { op: string; after?: { id: string } };
        if (record.op === 'delete') rows.delete(key as string);
        else rows.set(key as string, record.after);
      }
    }
    expect([...rows.keys()]).toEqual(['{"id":"43"}']);
    expect([...compacted.keys()]).toEqual(['{"id":"43"}']);
  });

  it('name both keys in a change of key, with parts of their own', () => {
    const messages = encoded(native, EXAMPLES.slice(2, 3));
    expect(messages.map(({ id }) => id.slice(-3))).toEqual(['2/0', '2/1', '2/2']);
    expect(JSON.parse(messages[0]?.value ?? '')).toMatchObject({ op: 'delete', key: { id: '42' }, newKey: { id: '43' } });
    expect(JSON.parse(messages[2]?.value ?? '')).toMatchObject({ op: 'update', key: { id: '43' }, oldKey: { id: '42' } });
    expect(encoded(native, EXAMPLES.slice(2, 3), { tombstones: false }).map(({ value }) => value === null)).toEqual([false, false]);
  });

  it('have no tombstone and no key for a table without one', () => {
    const table = tableShape([column('v', 'text')], []);
    const [message, ...rest] = encoded(native, [{ op: 'delete', table, before: ['a'] }]);
    expect(rest).toEqual([]);
    expect([message?.key, JSON.parse(message?.value ?? '')]).toEqual([null, expect.not.objectContaining({ key: expect.anything() })]);
  });

  it('take an unsent value from the old image if that has it, and list it if not (I11)', () => {
    const [message] = encoded(native, [
      { op: 'update', table: ORDERS, before: ['42', '1.00', 'kept', ABSENT, NULL], after: ['42', '2.00', UNAVAILABLE, UNAVAILABLE, UNAVAILABLE] },
    ]);
    expect(JSON.parse(message?.value ?? '')).toMatchObject({
      after: { id: '42', amount: '2.00', note: 'kept', created_at: null },
      unavailable: ['tags'],
    });
  });
});

describe('native cells', () => {
  const text = (type: LogicalType, cell: string | Buffer) => cellText(native, type, null, cell);

  it('are exact in JavaScript', () => {
    const cells: Partial<Record<LogicalType, readonly [cell: string, json: string]>> = {
      boolean: ['t', 'true'],
      int16: ['-32768', '-32768'],
      int32: ['2147483647', '2147483647'],
      int64: ['9007199254740993', '"9007199254740993"'],
      uint64: ['18446744073709551615', '"18446744073709551615"'],
      float32: ['1e-45', '1e-45'],
      float64: ['NaN', '"NaN"'],
      decimal: ['1.10', '"1.10"'],
      text: ['a"😀', '"a\\"😀"'],
      bytes: ['\u0000a', '"AGE="'],
      date: ['infinity', '"infinity"'],
      time: ['24:00:00', '"24:00:00"'],
      timetz: ['12:34:56.789+02', '"12:34:56.789+02"'],
      timestamp: ['-0043-03-15T10:00:00', '"-0043-03-15T10:00:00"'],
      timestamptz: ['2024-02-29T12:34:56.789012Z', '"2024-02-29T12:34:56.789012Z"'],
      uuid: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
      xml: ['<a b="c"/>', '"<a b=\\"c\\"/>"'],
      interval: ['1 day -00:00:01', '"1 day -00:00:01"'],
      bits: ['101', '"101"'],
      point: ['(1,2)', '"(1,2)"'],
      map: ['"a"=>NULL', '"\\"a\\"=>NULL"'],
      array: ['{1,NULL}', '"{1,NULL}"'],
      year: ['0', '0'],
      duration: ['-838:59:59.5', '"-838:59:59.5"'],
      bitfield: ['0101', '"0101"'],
      set: ['a,"b"', '"a,\\"b\\""'],
      geometry: ['\u0000\u0000\u0000\u0000\u0001', '"AAAAAAE="'],
      other: ['[1,2)', '"[1,2)"'],
    };
    for (const [type, [cell, json]] of Object.entries(cells)) expect(text(type as LogicalType, cell), type).toBe(json);
    expect([...Object.keys(cells), 'json'].sort()).toEqual([...LOGICAL_TYPES].sort());
    expect([text('float64', '-Infinity'), text('float64', '-0'), text('boolean', 'f')]).toEqual(['"-Infinity"', '-0', 'false']);
  });

  it('arrays are arrays of them, bytes too, which are no text (I11)', () => {
    const array = (type: LogicalType, cell: string | Buffer): unknown => {
      const columns = [{ ...column('c', 'array'), element: { type, typeName: type, scale: null, precision: null } }];
      const [message] = encoded(native, [{ op: 'create', table: tableShape(columns, []), after: [cell] }]);
      return (JSON.parse(message?.value ?? '') as { after: { c: unknown } }).after.c;
    };
    expect(array('int64', '{9007199254740993,NULL}')).toEqual(['9007199254740993', null]);
    expect(array('text', '[0:1]={"NULL",a b,"q\\"\\\\"}')).toEqual(['NULL', 'a b', 'q"\\']);
    expect(array('bytes', Buffer.from([0x7b, 0xff, 0x2c, 0x22, 0x5c, 0x22, 0xfe, 0x22, 0x7d]))).toEqual(['/w==', 'Iv4=']);
    expect(array('boolean', '{{t,f},{f,NULL}}')).toEqual([
      [true, false],
      [false, null],
    ]);
    expect(array('json', '{"{\\"a\\": 1}"}')).toEqual([{ a: 1 }]);
    expect(array('float64', '{NaN,1.5}')).toEqual(['NaN', 1.5]);
    expect(array('text', '{}')).toEqual([]);
  });

  it('JSON keeps its numbers’ digits and every string, and stays on one line', () => {
    expect(text('json', '{ "n" :\t12345678901234567890.10,\n"s": " a\\" , b " , "e":[ ] }')).toBe(
      '{"n":12345678901234567890.10,"s":" a\\" , b ","e":[]}',
    );
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(undefined, 1, '\t'), (json, indent) => {
        const value: unknown = JSON.parse(json);
        const spliced = text('json', JSON.stringify(value, null, indent));
        expect(spliced).toBe(JSON.stringify(value));
      }),
    );
    const long = JSON.stringify({ long: '"\\ '.repeat(5000) });
    expect(text('json', long)).toBe(long);
  });
});
