import { describe, expect, it } from 'vitest';
import type { WantedTable } from '../../../src/plugin/snapshot.ts';
import type { Progress } from '../../../src/record/position.ts';
import { Copies } from '../../../src/snapshot/copies.ts';

function table(label: string, overrides: Partial<WantedTable> = {}): WantedTable {
  return { label, identity: '1', isNew: false, isCopied: true, where: null, ...overrides };
}

const states = (copies: Copies): Record<string, string> => Object.fromEntries([...copies].map(({ label, state }) => [label, state]));

/** As a process begins with what the one before it has saved. */
function begun(mode: 'initial' | 'no_data', stored: Progress, tables: readonly WantedTable[]): { readonly copies: Copies; readonly saved: Progress } {
  const copies = new Copies(mode, stored, Object.keys(stored).length > 0);
  copies.begin(tables);
  const changed = copies.takeChanged() ?? {};
  const saved = Object.fromEntries(Object.entries({ ...stored, ...changed }).filter(([, text]) => text !== null));
  return { copies, saved };
}

/** Everything was copied. */
function finished({ copies }: { copies: Copies }): Progress {
  for (const copy of copies) {
    if (copy.state === 'waiting') copy.state = 'done';
    copies.changed(copy);
  }
  return copies.takeChanged() ?? {};
}

describe('which tables are copied', () => {
  it('all at first, in the order given; later those that are named newly, and no other again', () => {
    const first = begun('initial', {}, [table('b'), table('a')]);
    expect([...first.copies].map(({ label }) => label)).toEqual(['b', 'a']);
    const next = begun('initial', finished(first), [table('a'), table('c'), table('b')]);
    expect(states(next.copies)).toEqual({ a: 'done', c: 'waiting', b: 'done' });
    expect([...next.copies].map(({ label }) => label)).toEqual(['a', 'c', 'b']);
  });

  it('nothing is to be saved when nothing has changed', () => {
    const saved = finished(begun('initial', {}, [table('a')]));
    const copies = new Copies('initial', saved, true);
    copies.begin([table('a')]);
    expect(copies.takeChanged()).toBeNull();
  });

  it('without a first copy only one that has come; not one that the configuration names newly', () => {
    const first = begun('no_data', {}, [table('a')]);
    expect(states(first.copies)).toEqual({ a: 'skipped' });
    const next = begun('no_data', first.saved, [table('a', { isNew: true }), table('named'), table('come', { isNew: true })]);
    expect(states(next.copies)).toEqual({ a: 'skipped', named: 'skipped', come: 'waiting' });
  });

  it('another table under the same name is copied anew; one whose identity was not known is not', () => {
    const saved = finished(begun('initial', {}, [table('a')]));
    expect(states(begun('initial', saved, [table('a', { identity: '2' })]).copies)).toEqual({ a: 'waiting' });
    const old = { 'first/a': JSON.stringify({ state: 'done' }) };
    const adopted = begun('initial', old, [table('a', { identity: '7' })]);
    expect(states(adopted.copies)).toEqual({ a: 'done' });
    expect(states(begun('initial', adopted.saved, [table('a', { identity: '8' })]).copies)).toEqual({ a: 'waiting' });
  });

  it('one that is no longer captured is forgotten, and copied when it is back', () => {
    const saved = finished(begun('initial', {}, [table('a'), table('b')]));
    const without = begun('initial', saved, [table('a')]);
    expect(without.saved).not.toHaveProperty('first/b');
    expect(states(begun('initial', without.saved, [table('a'), table('b')]).copies)).toEqual({ a: 'done', b: 'waiting' });
  });

  it('rows that the configuration leaves out are not copied, and a copy that is not finished ends', () => {
    const first = begun('initial', {}, [table('a', { isCopied: false }), table('b')]);
    expect(states(first.copies)).toEqual({ a: 'skipped', b: 'waiting' });
    expect(states(begun('initial', first.saved, [table('a'), table('b', { isCopied: false })]).copies)).toEqual({ a: 'skipped', b: 'skipped' });
  });

  it('by another condition an unfinished copy begins anew, a finished one stays', () => {
    const first = begun('initial', {}, [table('a', { where: 'x' }), table('b', { where: 'x' })]);
    const [a, b] = [...first.copies];
    a?.plan([['5']]);
    if (b !== undefined) b.state = 'done';
    for (const copy of first.copies) first.copies.changed(copy);
    const saved = first.copies.takeChanged() ?? {};
    const same = begun('initial', saved, [table('a', { where: 'x' }), table('b', { where: 'x' })]);
    expect(states(same.copies)).toEqual({ a: 'copying', b: 'done' });
    const other = begun('initial', saved, [table('a', { where: 'y' }), table('b', { where: 'y' })]);
    expect([...other.copies].map(({ state, where, parts }) => [state, where, parts?.length ?? 0])).toEqual([
      ['waiting', 'y', 0],
      ['done', 'x', 0],
    ]);
  });
});
