import { describe, expect, it } from 'vitest';
import type { ColumnShape, TableShape } from '../../../src/record/table.ts';
import { schemaChanges } from '../../../src/schema-history/changes.ts';

const column = (name: string, more: Partial<ColumnShape> = {}): ColumnShape => ({
  name,
  type: 'int32',
  typeName: 'integer',
  precision: null,
  scale: null,
  ...more,
});
const facts = (id: string | null, more: object = {}) => ({ facts: { required: false, default: null, computed: false, labels: null, id, ...more } });
const table = (columns: readonly ColumnShape[], more: Partial<TableShape> = {}): TableShape => ({
  kind: 'table',
  catalog: 'db',
  schema: 'public',
  name: 't',
  columns,
  key: [0],
  ...more,
});
const told = (columns: readonly ColumnShape[], id = '10', replicaIdentity = 'default'): TableShape =>
  table(columns, { facts: { id, replicaIdentity } });

describe('changes between two versions of a table', () => {
  it('tell a rename from a column dropped and another added by what the system knows the columns by', () => {
    const before = told([column('id', facts('1')), column('a', facts('2'))]);
    expect(schemaChanges(before, told([column('id', facts('1')), column('b', facts('2'))]))).toEqual([
      { kind: 'columnRenamed', column: 'b', before: 'a', after: 'b' },
    ]);
    expect(schemaChanges(before, told([column('id', facts('1')), column('b', facts('3'))]))).toEqual([
      { kind: 'columnAdded', column: 'b', before: null, after: 'integer' },
      { kind: 'columnDropped', column: 'a', before: 'integer', after: null },
    ]);
  });

  it('say that a rename is possible where only names are known', () => {
    const changes = schemaChanges(table([column('id'), column('a')]), table([column('id'), column('b')]));
    expect(changes.map(({ kind, uncertain }) => [kind, uncertain])).toEqual([
      ['columnAdded', true],
      ['columnDropped', true],
    ]);
  });

  it('do not take the numbers of another table for those of this one: swapped by rename, or made anew', () => {
    const changes = schemaChanges(
      told([column('id', facts('1')), column('a', facts('2'))]),
      told([column('a', facts('1')), column('id', facts('2'))], '11'),
    );
    expect(changes.map(({ kind, column: name }) => [kind, name])).toEqual([
      ['tableReplaced', null],
      ['columnMoved', 'id'],
      ['keyChanged', null],
    ]);
  });

  it('are none between two versions that differ in nothing', () => {
    const one = told([column('id', facts('1')), column('a', facts('2', { default: '5' }))]);
    expect(schemaChanges(one, structuredClone(one))).toEqual([]);
  });

  it('follow a renamed column in the key, and tell one that changed', () => {
    const before = told([column('id', facts('1')), column('a', facts('2'))]);
    const renamed = told([column('nr', facts('1')), column('a', facts('2'))]);
    expect(schemaChanges(before, renamed).map(({ kind }) => kind)).toEqual(['columnRenamed']);
    expect(schemaChanges(before, { ...before, key: [1] })).toEqual([{ kind: 'keyChanged', column: null, before: 'id', after: 'a' }]);
    expect(schemaChanges(before, told(before.columns, '10', 'full'))).toEqual([
      { kind: 'replicaIdentityChanged', column: null, before: 'default', after: 'full' },
    ]);
  });

  it('tell null and default of a column', () => {
    const changes = schemaChanges(told([column('a', facts('1'))]), told([column('a', facts('1', { required: true, default: '7' }))]));
    expect(changes).toEqual([
      { kind: 'nullabilityChanged', column: 'a', before: 'null', after: 'not null' },
      { kind: 'defaultChanged', column: 'a', before: null, after: '7' },
    ]);
    expect(schemaChanges(table([column('a')]), told([column('a', facts('1', { required: true }))]))).toEqual([]);
  });

  const type = (name: string, logical: ColumnShape['type'], precision: number | null = null, scale: number | null = null): Partial<ColumnShape> => ({
    type: logical,
    typeName: precision === null ? name : `${name}(${precision}${scale === null ? '' : `,${scale}`})`,
    precision,
    scale,
  });
  const text = type('text', 'text');
  it.each([
    ['typeWidened', type('smallint', 'int16'), type('integer', 'int32')],
    ['typeNarrowed', type('bigint', 'int64'), type('integer', 'int32')],
    ['typeWidened', type('integer', 'int32'), type('numeric', 'decimal')],
    ['typeChanged', type('bigint', 'int64'), type('numeric', 'decimal', 10, 2)],
    ['typeWidened', type('bigint', 'int64'), type('numeric', 'decimal', 21, 2)],
    ['typeWidened', type('numeric', 'decimal', 10, 2), type('numeric', 'decimal', 12, 2)],
    ['typeChanged', type('numeric', 'decimal', 10, 2), type('numeric', 'decimal', 10, 4)],
    ['typeNarrowed', type('numeric', 'decimal'), type('numeric', 'decimal', 10, 4)],
    ['typeWidened', type('real', 'float32'), type('double precision', 'float64')],
    ['typeWidened', type('character varying', 'text', 10), type('character varying', 'text', 20)],
    ['typeWidened', type('character varying', 'text', 10), text],
    ['typeNarrowed', text, type('character varying', 'text', 10)],
    ['typeChanged', text, type('integer', 'int32')],
    ['typeWidened', type('mood', 'other'), type('mood', 'other'), ['a'], ['a', 'b']],
    ['typeChanged', type('mood', 'other'), type('mood', 'other'), ['a'], ['b']],
  ] as const)('%s: %o to %o', (kind, before, after, from: readonly string[] | null = null, to: readonly string[] | null = null) => {
    const changes = schemaChanges(
      told([column('a', { ...before, ...facts('1', { labels: from }) })]),
      told([column('a', { ...after, ...facts('1', { labels: to }) })]),
    );
    expect(changes.map((change) => change.kind)).toEqual([kind]);
  });
});
