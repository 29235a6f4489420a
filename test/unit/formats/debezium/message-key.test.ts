import { describe, expect, it } from 'vitest';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { keyFindings } from '../../../../src/formats/debezium/message-key.ts';
import { validateDebezium } from '../../../../src/formats/debezium/options.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';
import type { TableOutline } from '../../../../src/plugin/outline.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import type { ColumnFacts } from '../../../../src/record/table.ts';
import { CONTEXT, column, DEBEZIUM_DEFAULTS, encoded, type RecordSpec, tableShape } from '../../../support/encoded.ts';

const COLUMNS = [column('id', 'int32'), column('tenant', 'int32'), column('v', 'text')];
const KEYED = tableShape(COLUMNS, [0]);
const KEYLESS = tableShape(COLUMNS, [], 'k');
const BY_TENANT = { messageKeyColumns: ['public.t:tenant,id'] };

const keys = (records: readonly RecordSpec[], messageKeyColumns: readonly string[]) =>
  encoded(debezium, records, { messageKeyColumns }).map(({ key }) => key);

function thrown(run: () => unknown): SluiceError {
  try {
    run();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('it did not throw');
}

describe('keys of the user’s choice', () => {
  it('are the named columns, in the order in which they are named; other tables keep theirs', () => {
    const create = (table: typeof KEYED): RecordSpec => ({ op: 'create', table, after: ['1', '7', 'a'] });
    expect(keys([create(KEYED), create(KEYLESS)], BY_TENANT.messageKeyColumns)).toEqual(['{"tenant":7,"id":1}', null]);
    expect(keys([create(KEYLESS)], ['public.k:v'])).toEqual(['{"v":"a"}']);
  });

  it('tables are regular expressions for the whole name, whatever the case; entries that match add up', () => {
    const key = (...entries: string[]) => keys([{ op: 'create', table: KEYED, after: ['1', '7', 'a'] }], entries)[0];
    expect(key('(.*).T:v')).toBe('{"v":"a"}');
    expect(key('ublic.t:v')).toBe('{"id":1}');
    expect(key('(?:public|other).t : v , tenant')).toBe('{"v":"a","tenant":7}');
    expect(key('public.t:v', '.*:id,v')).toBe('{"v":"a","id":1}');
  });

  it('of a system without schemas are found by database and table', () => {
    const table = tableShape(COLUMNS, [0], 't', '');
    expect(keys([{ op: 'create', table, after: ['1', '7', 'a'] }], ['db.t:tenant'])).toEqual(['{"tenant":7}']);
  });

  it('that change are delete, tombstone and create, each naming the other key', () => {
    const update: RecordSpec = { op: 'update', table: KEYED, before: ['1', '7', 'a'], after: ['1', '8', 'a'] };
    const messages = encoded(debezium, [update], BY_TENANT);
    expect(messages.map(({ key, value }) => [key, value === null])).toEqual([
      ['{"tenant":7,"id":1}', false],
      ['{"tenant":7,"id":1}', true],
      ['{"tenant":8,"id":1}', false],
    ]);
    expect(messages[0]?.headers).toContainEqual(['__debezium.newkey', '{"tenant":8,"id":1}']);
    expect(messages[2]?.headers).toContainEqual(['__debezium.oldkey', '{"tenant":7,"id":1}']);
    // A change of the primary key alone is none where it is no part of the key.
    const moved: RecordSpec = { op: 'update', table: KEYED, before: ['1', '7', 'a'], after: ['2', '7', 'a'] };
    expect(keys([moved], ['public.t:tenant'])).toEqual(['{"tenant":7}']);
  });

  it('may hold null, and stand on deletes with their tombstones', () => {
    const records: RecordSpec[] = [{ op: 'delete', table: KEYLESS, before: ['1', NULL, 'a'] }];
    expect(keys(records, ['public.k:tenant,v'])).toEqual(['{"tenant":null,"v":"a"}', '{"tenant":null,"v":"a"}']);
  });

  it('a part of the primary key needs no whole old row', () => {
    const table = tableShape(COLUMNS, [0, 1]);
    const records: RecordSpec[] = [
      { op: 'update', table, after: ['1', '7', 'b'] },
      { op: 'update', table, before: ['1', '7', ABSENT], after: ['2', '7', 'b'] },
      { op: 'delete', table, before: ['2', '7', ABSENT] },
    ];
    expect(keys(records, ['public.t:tenant'])).toEqual(Array(4).fill('{"tenant":7}'));
  });

  it.each<[string, RecordSpec]>([
    ['an update without an old row', { op: 'update', table: KEYED, after: ['1', '8', 'a'] }],
    ['an update with the old key alone', { op: 'update', table: KEYED, before: ['1', ABSENT, ABSENT], after: ['2', '8', 'a'] }],
    ['a delete with the old key alone', { op: 'delete', table: KEYED, before: ['1', ABSENT, ABSENT] }],
    ['a delete with a value that was not sent', { op: 'delete', table: KEYED, before: ['1', UNAVAILABLE, 'a'] }],
  ])('%s stops: its old key would be lost (I8)', (_, record) => {
    const error = thrown(() => encoded(debezium, [record], BY_TENANT));
    expect(error).toMatchObject({ code: 'SLUICE_DEBEZIUM_KEY_NOT_IN_LOG', table: 'public.t' });
    expect(error.message).toContain('the old value of "tenant" of public.t');
    expect(error.remedy).toContain('ALTER TABLE public.t REPLICA IDENTITY FULL');
    expect(encoded(debezium, [record], { ...BY_TENANT, skippedOperations: ['u', 'd'] })).toEqual([]);
  });

  it('a column that the table does not have stops', () => {
    const error = thrown(() => encoded(debezium, [{ op: 'create', table: KEYED, after: ['1', '7', 'a'] }], { messageKeyColumns: ['.*:Tenant'] }));
    expect(error).toMatchObject({ code: 'SLUICE_DEBEZIUM_KEY_COLUMN', table: 'public.t' });
    expect(error.message).toContain('no column "Tenant" in public.t, which the entry ".*:Tenant"');
  });

  it('have a schema of their columns, which may be null where the column may', () => {
    const facts = (required: boolean): ColumnFacts => ({ required, default: null, computed: false, labels: null, id: null });
    const table = tableShape(
      [
        { ...column('id', 'int32'), facts: facts(true) },
        { ...column('tenant', 'int32'), facts: facts(true) },
        { ...column('v', 'text'), facts: facts(false) },
      ],
      [0],
    );
    const options = { messageKeyColumns: ['public.t:v,tenant'], schemasEnable: true };
    const [message] = encoded(debezium, [{ op: 'create', table, after: ['1', '7', 'a'] }], options);
    expect(message?.key).toBe(
      '{"schema":{"type":"struct","fields":[{"type":"string","optional":true,"field":"v"},{"type":"int32","optional":false,"field":"tenant"}],' +
        '"optional":false,"name":"g.public.t.Key"},"payload":{"v":"a","tenant":7}}',
    );
  });

  it('tell whether messages have a key at all', () => {
    const isKeyed = (key: readonly number[], messageKeyColumns: readonly string[]) =>
      debezium.create({ ...DEBEZIUM_DEFAULTS, messageKeyColumns }, CONTEXT).prepare({ ...tableShape(COLUMNS, key), version: 1, label: 'public.t' })
        .isKeyed;
    expect([isKeyed([0], []), isKeyed([], []), isKeyed([], ['public.t:v'])]).toEqual([true, false, true]);
  });
});

describe('what is said of keys before anything is read', () => {
  const outline = (name: string, columnNames?: readonly string[], oldColumnNames?: readonly string[] | null): TableOutline => ({
    kind: 'table',
    catalog: 'db',
    schema: 'public',
    name,
    ...(columnNames === undefined ? {} : { columnNames }),
    ...(oldColumnNames === undefined ? {} : { oldColumnNames }),
  });
  const found = (tables: readonly TableOutline[], messageKeyColumns: readonly string[], skippedOperations: readonly string[] = []) =>
    keyFindings({ messageKeyColumns, skippedOperations }, tables).map(({ severity, code, table }) => `${severity} ${code} ${table ?? ''}`.trim());

  it('a column that is missing, an old value that the log does not carry, an entry for no table', () => {
    const all = ['id', 'tenant'];
    const tables = [outline('whole', all, all), outline('keyed', all, ['id']), outline('inserts', all, null), outline('unknown')];
    expect(found(tables, ['public.whole:tenant,id', 'public.inserts:tenant', 'public.unknown:x', 'public.keyed:id'])).toEqual([]);
    expect(found(tables, ['public.keyed:tenant', 'public.whole:x', 'public.other:x'])).toEqual([
      'error SLUICE_DEBEZIUM_KEY_COLUMN public.whole',
      'error SLUICE_DEBEZIUM_KEY_NOT_IN_LOG public.keyed',
      'warning SLUICE_DEBEZIUM_KEY_UNUSED',
    ]);
    expect(found(tables, ['public.keyed:tenant'], ['u', 'd'])).toEqual([]);
    expect(found(tables, ['public.keyed:tenant'], ['u'])).toEqual(['error SLUICE_DEBEZIUM_KEY_NOT_IN_LOG public.keyed']);
  });
});

describe('entries of messageKeyColumns', () => {
  const problems = (...messageKeyColumns: string[]) =>
    validateDebezium({ ...DEBEZIUM_DEFAULTS, messageKeyColumns }).map(({ path, message }) => `${path} ${message}`);

  it('are checked', () => {
    expect(problems('public.t:a', '(?:a|b).t: c , d')).toEqual([]);
    expect(problems('public.t', ':a', ' :a', 'public.t:', 'public.t:a,,b', 'public.t:a,a', 'public.t:a;public.u:b', '(:a')).toEqual([
      'messageKeyColumns[0] names no table',
      'messageKeyColumns[1] names no table',
      'messageKeyColumns[2] names no table',
      'messageKeyColumns[3] has a column without a name',
      'messageKeyColumns[4] has a column without a name',
      'messageKeyColumns[5] names a column twice',
      'messageKeyColumns[6] has a semicolon',
      expect.stringMatching(/^messageKeyColumns\[7\] is no regular expression: /),
    ]);
  });
});
