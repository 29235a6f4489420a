import { describe, expect, it } from 'vitest';
import { TableRegistry, type TableShape } from '../../../src/record/table.ts';

const column = (name: string): TableShape['columns'][number] => ({ name, type: 'text', typeName: 'text', scale: null, precision: null });
const shape = (...columns: string[]): TableShape => ({ kind: 'table', catalog: 'db', schema: 's', name: 't', columns: columns.map(column), key: [] });

describe('TableRegistry', () => {
  it('gives the same object for the same structure, and numbers others in the order of the log', () => {
    const registry = new TableRegistry();
    const first = registry.version(shape('a'));
    const second = registry.version(shape('a', 'b'));
    expect(registry.version(shape('a'))).toBe(first);
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(registry.takeChanges().put).toEqual([first, second]);
    expect(registry.takeChanges().put).toEqual([]);
  });

  it('goes on numbering after what was restored, so that a replay gives the same bytes (I4)', () => {
    const before = new TableRegistry();
    const stored = [before.version(shape('a')), before.version(shape('a', 'b'))];
    const after = new TableRegistry();
    for (const table of stored) after.restore(table);
    expect(after.version(shape('a', 'b')).version).toBe(2);
    expect(after.version(shape('c')).version).toBe(3);
    expect(after.takeChanges().put.map(({ version }) => version)).toEqual([3]);
  });

  it('knows what a table was when the log is read again from before a stored version (I4)', () => {
    const before = new TableRegistry();
    const stored = [100, 200].map((micros, index) => before.version(shape(...['a', 'b'].slice(0, index + 1)), { position: 'x', micros }));
    const after = new TableRegistry();
    for (const table of stored) after.restore(table);
    const versionAt = (micros?: number) => after.current(shape(), micros)?.version;
    expect([versionAt(50), versionAt(100), versionAt(199), versionAt(200), versionAt()]).toEqual([1, 1, 1, 2, 2]);
    // From here on the log says it, whatever the clock of another server.
    after.version(shape('a', 'b'));
    expect(versionAt(50)).toBe(2);
    expect(new TableRegistry().current(shape(), 50)).toBeNull();
  });

  it('forgets the oldest of very many versions, which the store then forgets too; numbers go on', () => {
    const registry = new TableRegistry();
    const first = registry.version(shape('a'));
    for (let n = 2; n <= 200; n++) registry.version(shape(`a${n}`));
    expect(registry.takeChanges().drop).toEqual([]);
    expect(registry.version(shape('a'))).toBe(first);
    registry.version(shape('b'));
    expect(registry.takeChanges().drop).toEqual([first]);
    expect(registry.version(shape('a')).version).toBe(202);
  });

  it('keeps where the log showed a version first, as no part of what it is', () => {
    const registry = new TableRegistry();
    const since = { position: '0/10', micros: 5 };
    const first = registry.version(shape('a'), since);
    expect(first.since).toEqual(since);
    expect(registry.version(shape('a'), { position: '0/20', micros: 6 })).toBe(first);
    expect(Object.keys(registry.version(shape('b')))).not.toContain('since');
  });

  it('numbers each table by itself', () => {
    const registry = new TableRegistry();
    registry.version(shape('a'));
    expect(registry.version({ ...shape('a'), name: 'other' }).version).toBe(1);
    expect(registry.version({ ...shape('a'), key: [0] }).version).toBe(2);
  });
});

describe('facts about columns', () => {
  const facts = { required: true, default: '5', computed: false, labels: null };
  const shape = (more: object): TableShape => ({
    kind: 'table',
    catalog: 'db',
    schema: 'public',
    name: 't',
    columns: [{ name: 'id', type: 'int32', typeName: 'integer', scale: null, precision: null, ...more }],
    key: [0],
  });

  it('are part of a version where tables are described', () => {
    const registry = new TableRegistry({ described: true });
    const first = registry.version(shape({ facts }));
    expect(first.columns[0]?.facts).toEqual(facts);
    expect(registry.version(shape({ facts: { ...facts } }))).toBe(first);
    expect(registry.version(shape({ facts: { ...facts, default: '6' } })).version).toBe(2);
  });

  it('are left out elsewhere: no version depends on what the catalogue says today (I4)', () => {
    const registry = new TableRegistry();
    const first = registry.version(shape({}));
    expect(registry.version(shape({ facts }))).toBe(first);
    expect(Object.keys(first.columns[0] ?? {})).not.toContain('facts');
  });

  it('tell domains apart by what they are over', () => {
    const registry = new TableRegistry();
    const domain = (baseName: string) => ({ type: 'other', typeName: 'd', baseName });
    expect([registry.version(shape(domain('inet'))).version, registry.version(shape(domain('path'))).version]).toEqual([1, 2]);
  });

  it('go with what the system calls the types', () => {
    const sourceType = { name: 'int4', length: 10, scale: 0 };
    const described = new TableRegistry({ described: true });
    const first = described.version(shape({ sourceType }));
    expect(first.columns[0]?.sourceType).toEqual(sourceType);
    expect(described.version(shape({ sourceType: { ...sourceType, name: 'price' } })).version).toBe(2);
    const plain = new TableRegistry();
    expect(plain.version(shape({ sourceType }))).toBe(plain.version(shape({})));
    expect(Object.keys(plain.version(shape({ sourceType })).columns[0] ?? {})).not.toContain('sourceType');
  });

  it('tell two arrays apart by their elements', () => {
    const element = (type: string) => ({ type: 'array', typeName: 'x[]', element: { type, typeName: 'x', scale: null, precision: null } });
    const registry = new TableRegistry();
    expect(registry.version(shape(element('int32'))).version).toBe(1);
    expect(registry.version(shape(element('text'))).version).toBe(2);
  });
});
