import { describe, expect, it } from 'vitest';
import { native } from '../../../../src/formats/native/index.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import type { ColumnShape, TableShape } from '../../../../src/record/table.ts';
import {
  type CellValue,
  column,
  type EncodedMessage,
  encoded,
  MESSAGES,
  POSTGRES_ORIGIN,
  type RecordSpec,
  tableShape,
} from '../../../support/encoded.ts';
import { NativeValidator } from '../../../support/valid-native.ts';

const MATRIX: ColumnShape = {
  ...column('matrix', 'array'),
  element: { type: 'int64', typeName: 'bigint', scale: null, precision: null },
};
const ORDERS = tableShape(
  [column('id', 'int32'), column('at', 'timestamptz'), MATRIX, column('tags', 'json'), column('rate', 'float64')],
  [0],
  'orders',
);
const ROW = ['42', '-0044-03-15T12:34:56.789012Z', '{{1,NULL},{3,4}}', 'null', '-Infinity'];
const KEY_ONLY: readonly CellValue[] = ['41', ABSENT, ABSENT, ABSENT, ABSENT];
const KEYLESS = tableShape([column('v', 'text')], [], 'keyless');
const RECORDS: readonly RecordSpec[] = [
  { op: 'create', table: ORDERS, after: ROW },
  { op: 'update', table: ORDERS, after: ['42', NULL, UNAVAILABLE, UNAVAILABLE, '1e-07'] },
  { op: 'update', table: ORDERS, before: KEY_ONLY, after: ROW },
  { op: 'update', table: ORDERS, before: ROW, after: ROW },
  { op: 'delete', table: ORDERS, before: KEY_ONLY },
  { op: 'read', table: ORDERS, after: ['42', 'infinity', '{}', '{"a": 1.50}', 'NaN'] },
  { op: 'truncate', table: ORDERS },
  { op: 'message', table: { ...MESSAGES, key: [0] }, after: ['outbox', 'hello'] },
  { op: 'create', table: KEYLESS, after: [NULL] },
  { op: 'truncate', table: KEYLESS },
];

const validator = new NativeValidator(POSTGRES_ORIGIN);
const messages = RECORDS.flatMap((record) => encoded(native, [record]).map((message) => [record.table, message] as const));
const [create] = encoded(native, RECORDS.slice(0, 1)) as [EncodedMessage & { readonly value: string }];
const changed = (from: string | RegExp, to: string): EncodedMessage => {
  const value = create.value.replace(from, to);
  expect(value).not.toBe(create.value);
  return { ...create, value };
};

describe('the JSON Schemas of the native format', () => {
  it.each(messages.map(([table, message], index) => [index, message.value?.slice(0, 40) ?? 'tombstone', table, message] as const))(
    'accept message %i, %s',
    (_index, _text, table: TableShape, message) => {
      expect(validator.problems(table, message)).toEqual([]);
    },
  );

  it.each([
    ['an operation that is none', '"op":"create"', '"op":"insert"'],
    ['another table', '"table":"orders"', '"table":"others"'],
    ['a field that nobody knows', '"ts":', '"more":1,"ts":'],
    ['a key without its column', '"key":{"id":42}', '"key":{}'],
    ['a column that is not there', '"matrix":', '"matrices":'],
    ['an integer that does not fit', '"after":{"id":42', '"after":{"id":2147483648'],
    ['a key that is null', '"after":{"id":42', '"after":{"id":null'],
    ['a row that is not whole', /,"rate":"-Infinity"/, ''],
    ['a time without its zone', '789012Z"', '789012"'],
    ['an unsafe integer as a number', '[["1",null]', '[[1,null]'],
    ['a word that is no float', '"-Infinity"', '"-infinity"'],
    ['a create that has an old row', '"after":', '"before":{"id":42},"after":'],
    ['a delete without its old row', '"op":"create"', '"op":"delete"'],
    ['a truncate with a row', '"op":"create"', '"op":"truncate"'],
  ])('refuse %s', (_what, from, to) => {
    expect(validator.problems(ORDERS, changed(from, to))).not.toEqual([]);
  });

  it('let any column but the key be null, whatever the catalogue says: it may be ahead of the rows', () => {
    const facts = { required: true, default: null, computed: false, labels: null, id: null };
    const required = { ...ORDERS, columns: ORDERS.columns.map((each) => ({ ...each, facts })) };
    const [message] = encoded(native, [{ op: 'create', table: ORDERS, after: ['42', NULL, NULL, NULL, NULL] }]) as [EncodedMessage];
    expect([ORDERS, required].flatMap((table) => validator.problems(table, message))).toEqual([]);
  });
});
