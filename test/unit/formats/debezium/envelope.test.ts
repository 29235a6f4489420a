import { describe, expect, it } from 'vitest';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import { MessageWriter, SPAN, SPAN_SIZE } from '../../../../src/record/messages.ts';
import { TableRegistry } from '../../../../src/record/table.ts';
import { VERSION } from '../../../../src/version.ts';
import {
  batchOf,
  CONTEXT,
  column,
  DEBEZIUM_DEFAULTS,
  encodeBatch,
  encoded,
  MESSAGES,
  NOW_MICROS,
  type RecordSpec,
  tableShape,
  textsOf,
} from '../../../support/encoded.ts';

const PLAIN = tableShape([column('id', 'int64'), column('v', 'text')]);
const ID = 'g/7298/00000000016B3748.555';
const SHARED = [
  ['sluice.capture', 'log'],
  ['sluice.schema', '1'],
];

describe('a message', () => {
  it('is exactly this', () => {
    expect(encoded(debezium, [{ op: 'create', table: PLAIN, after: ['7', 'a'], ordinal: 3 }])).toEqual([
      {
        key: '{"id":7}',
        value:
          '{"before":null,"after":{"id":7,"v":"a"},' +
          `"source":{"version":"${VERSION}","connector":"postgresql","name":"g","ts_ms":1795467559506,"snapshot":"false","db":"db",` +
          '"sequence":"[null,\\"24023128\\"]","ts_us":1795467559506224,"ts_ns":1795467559506224000,"schema":"public","table":"t",' +
          '"txId":555,"lsn":24023128,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"c",' +
          '"ts_ms":1795467559702,"ts_us":1795467559702894,"ts_ns":1795467559702894000}',
        headers: SHARED,
        id: `${ID}/3/0`,
      },
    ]);
  });

  it('carries the ordinal and the part in its id, whatever options are set (algorithms §1)', () => {
    const records: RecordSpec[] = [
      { op: 'delete', table: PLAIN, before: ['7', ABSENT], ordinal: 12 },
      { op: 'update', table: PLAIN, before: ['7', ABSENT], after: ['8', 'a'], ordinal: 13 },
    ];
    const ids = (tombstones: boolean) =>
      encoded(debezium, records, { tombstones }).map(({ id, value }) => `${id.slice(ID.length)}${value === null ? ' tombstone' : ''}`);
    expect(ids(true)).toEqual(['/12/0', '/12/1 tombstone', '/13/0', '/13/1 tombstone', '/13/2']);
    expect(ids(false)).toEqual(['/12/0', '/13/0', '/13/2']);
  });

  it('of another transaction has that one’s id and commit time, also when it is seen again (I4)', () => {
    const other = { id: '7298/00000000016B9999.556', commitMicros: 1_000_001 };
    const create = (transaction?: typeof other): RecordSpec => ({
      op: 'create',
      table: PLAIN,
      after: ['1', 'a'],
      ordinal: 0,
      ...(transaction ? { transaction } : {}),
    });
    const [first, second, third] = encoded(debezium, [create(), create(other), create()]);
    expect(second?.id).toBe('g/7298/00000000016B9999.556/0/0');
    expect(second?.value).toContain('"ts_ms":1000,"snapshot":"false"');
    expect(second?.value).toContain('"ts_us":1000001,"ts_ns":1000001000');
    expect(third).toEqual(first);
  });

  it('of a system without schemas and sequence has neither', () => {
    const table = tableShape([column('id', 'int32')], [0], 't', '');
    const context = {
      ...CONTEXT,
      origin: {
        system: 'mysql',
        columns: [
          { name: 'file', type: 'text' },
          { name: 'pos', type: 'int64' },
        ] as const,
        transaction: [],
      },
    };
    const value = encoded(debezium, [{ op: 'create', table, after: ['1'], origin: ['binlog.000001', '4'] }], { context })[0]?.value ?? '';
    expect(value).toContain('"db":"db","sequence":null,"ts_us":');
    expect(value).toContain('000,"table":"t","file":"binlog.000001","pos":4},"transaction"');
  });

  it('that was read from a snapshot says so', () => {
    const { source, op } = JSON.parse(encoded(debezium, [{ op: 'read', table: PLAIN, after: ['1', 'a'] }])[0]?.value ?? '') as {
      source: { snapshot: string };
      op: string;
    };
    expect([source.snapshot, op]).toEqual(['true', 'r']);
  });
});

describe('keys', () => {
  it('a change of key is delete, tombstone and create, each naming the other key', () => {
    const [first, second, third] = encoded(debezium, [{ op: 'update', table: PLAIN, before: ['7', 'old'], after: ['8', UNAVAILABLE] }]);
    expect([first?.key, second?.key, third?.key]).toEqual(['{"id":7}', '{"id":7}', '{"id":8}']);
    expect(first?.headers).toEqual([...SHARED, ['__debezium.newkey', '{"id":8}']]);
    expect(second).toMatchObject({ value: null, headers: first?.headers });
    expect(third?.headers).toEqual([...SHARED, ['__debezium.oldkey', '{"id":7}']]);
    expect(JSON.parse(third?.value ?? '')).toMatchObject({ before: null, after: { id: 8, v: 'old' }, op: 'c' });
  });

  it('cells that differ but say the same key are no change of key', () => {
    const table = tableShape([column('n', 'decimal'), column('v', 'text')]);
    const messages = encoded(debezium, [{ op: 'update', table, before: ['1.0', ABSENT], after: ['1.00', 'a'] }]);
    expect(messages.map(({ value }) => (JSON.parse(value ?? '') as { op: string }).op)).toEqual(['u']);
  });

  it('an unsent key column is taken from the old image', () => {
    const table = tableShape([column('id', 'text'), column('v', 'text')]);
    const [message] = encoded(debezium, [{ op: 'update', table, before: ['large key', ABSENT], after: [UNAVAILABLE, 'a'] }]);
    expect(message?.key).toBe('{"id":"large key"}');
    expect(JSON.parse(message?.value ?? '')).toMatchObject({ after: { id: 'large key', v: 'a' }, op: 'u' });
  });

  it('null and a value are different keys; unsent is not different', () => {
    const table = tableShape([column('a', 'int32'), column('b', 'int32')], [0, 1]);
    const count = (before: RecordSpec['before'], after: RecordSpec['after']) =>
      encoded(debezium, [{ op: 'update', table, before: before ?? [], after: after ?? [] }]).length;
    expect(count(['1', NULL], ['1', '2'])).toBe(3);
    expect(count(['1', '2'], ['1', NULL])).toBe(3);
    expect(count(['1', NULL], ['1', NULL])).toBe(1);
    expect(count(['1', ABSENT], ['1', '2'])).toBe(1);
    expect(count(['1', '2'], [UNAVAILABLE, '2'])).toBe(1);
    expect(count(['1', '22'], ['12', '2'])).toBe(3);
  });

  it('a table without one has none, in its tombstones neither', () => {
    const table = tableShape([column('v', 'text')], []);
    const messages = encoded(debezium, [
      { op: 'create', table, after: ['a'] },
      { op: 'delete', table, before: ['a'] },
    ]);
    expect(messages.map(({ key, value }) => [key, value === null])).toEqual([
      [null, false],
      [null, false],
      [null, true],
    ]);
  });
});

describe('names', () => {
  it('keep every character, whatever they mean to JavaScript or JSON', () => {
    const names = ['__proto__', 'constructor', 'toString', '"', "'", '\\', 'new\nline', '\u0001', '日本', '😀', '', 'a.b', '}{'];
    const table = tableShape(
      names.map((name) => column(name, 'text')),
      names.map((_, index) => index),
      'ta"b\n😀',
      'sch\\ema',
    );
    const [message] = encoded(debezium, [{ op: 'create', table, after: names.map((name) => `value of ${name}`) }]);
    const value = JSON.parse(message?.value ?? '') as { after: object; source: { schema: string; table: string } };
    expect(Object.entries(value.after)).toEqual(names.map((name) => [name, `value of ${name}`]));
    expect(Object.entries(JSON.parse(message?.key ?? '') as object)).toEqual(Object.entries(value.after));
    expect([value.source.schema, value.source.table]).toEqual(['sch\\ema', 'ta"b\n😀']);
    expect(message?.value).toContain('"\\uD83D\\uDE00":');
  });

  it('a table may have no column at all', () => {
    const [message] = encoded(debezium, [{ op: 'create', table: tableShape([], []), after: [] }]);
    expect(JSON.parse(message?.value ?? '')).toMatchObject({ before: null, after: {} });
  });
});

describe('memory', () => {
  it('shares one header range among the messages of a batch, and writes a new one in the next', () => {
    const format = debezium.create(DEBEZIUM_DEFAULTS, CONTEXT);
    const batch = batchOf([
      { op: 'create', table: PLAIN, after: ['1', 'a'] },
      { op: 'delete', table: PLAIN, before: ['1', ABSENT] },
    ]);
    const encoder = format.prepare(batch.tables[0] as (typeof batch.tables)[number]);
    const prepared = { ...format, prepare: () => encoder, begin: (now: number) => format.begin(now) };
    const out = encodeBatch(prepared, batch);
    const starts = (writer: MessageWriter) =>
      Array.from({ length: writer.count }, (_, message) => writer.spans[message * SPAN_SIZE + SPAN.headersStart]);
    expect(new Set(starts(out)).size).toBe(1);
    const next = new MessageWriter(16);
    next.bytesLength = 5;
    expect(starts(encodeBatch(prepared, batch, next))).toEqual([5, 5, 5]);
    expect(textsOf(next)).toEqual(textsOf(out));
  });

  it('reserves about what a large cell needs, not six times it (I9)', () => {
    const large = 'x'.repeat(1_000_000);
    const out = encodeBatch(debezium.create(DEBEZIUM_DEFAULTS, CONTEXT), batchOf([{ op: 'create', table: PLAIN, after: ['1', large] }]));
    expect(out.bytes.length).toBeLessThan(1_010_000);
  });

  it('is the same bytes for the same records, processing time aside (I4)', () => {
    const records: RecordSpec[] = [
      { op: 'create', table: PLAIN, after: ['1', 'a'] },
      { op: 'message', table: MESSAGES, after: ['p', 'c'] },
    ];
    const once = encodeBatch(debezium.create(DEBEZIUM_DEFAULTS, CONTEXT), batchOf(records, new TableRegistry()));
    const again = encodeBatch(debezium.create(DEBEZIUM_DEFAULTS, CONTEXT), batchOf(records, new TableRegistry()));
    expect(again.bytes.subarray(0, again.bytesLength).equals(once.bytes.subarray(0, once.bytesLength))).toBe(true);
    expect(textsOf(once)[1]?.value).toContain(`{"op":"m","ts_ms":${Math.floor(NOW_MICROS / 1000)},"source":`);
  });
});
