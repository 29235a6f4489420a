import { expect, test } from 'vitest';
import type { WantedTable } from '../../../src/plugin/snapshot.ts';
import type { Progress } from '../../../src/record/position.ts';
import { Copies } from '../../../src/snapshot/copies.ts';

const wanted = (label: string): WantedTable => ({ label, identity: '1', isNew: false, isCopied: true, where: null });

const stored = (entries: Readonly<Record<string, object>>): Progress =>
  Object.fromEntries(Object.entries(entries).map(([entry, copy]) => [entry, JSON.stringify(copy)]));
const states = (copies: Copies): Record<string, string> => Object.fromEntries(copies.list().map(({ entry, state }) => [entry, state]));

test('always: everything once more, and what an operator put off stays so', () => {
  const copies = new Copies('always', stored({ 'first/a': { state: 'done', rows: 5 }, 'first/b': { state: 'waiting', paused: true } }), true);
  copies.restart();
  expect(states(copies)).toEqual({ 'first/a': 'waiting', 'first/b': 'waiting' });
  expect(copies.get('first/a')?.rows).toBe(0);
  expect(copies.get('first/b')?.paused).toBe(true);
});

test('always: a round that is not at its end goes on', () => {
  const parts = [[null, ['5'], 1]];
  const copies = new Copies('always', stored({ 'first/a': { state: 'done', rows: 5 }, 'first/b': { state: 'copying', rows: 3, parts } }), true);
  copies.restart();
  expect(states(copies)).toEqual({ 'first/a': 'done', 'first/b': 'copying' });
  expect(copies.takeChanged()).toBeNull();
});

test('always: where nothing was ever copied, this is the first round', () => {
  const copies = new Copies('always', {}, true);
  copies.restart();
  copies.begin(['a'].map(wanted));
  expect(states(copies)).toEqual({ 'first/a': 'waiting' });
});

test('the log begun anew: whatever was copied counts for nothing', () => {
  const parts = [[['5'], null, 0]];
  const copies = new Copies(
    'when_needed',
    stored({
      'first/a': { state: 'done', rows: 5 },
      'first/b': { state: 'copying', rows: 3, parts, moved: [['9']] },
      'first/c': { state: 'skipped' },
      'again/a': { state: 'copying', rows: 1, parts },
      'again/b': { state: 'done', rows: 1 },
    }),
    true,
  );
  copies.beginAnew();
  expect(states(copies)).toEqual({ 'first/a': 'waiting', 'first/b': 'waiting', 'first/c': 'waiting', 'again/b': 'done' });
  expect(copies.get('first/b')).toMatchObject({ rows: 0, parts: null, moved: new Map() });
  expect(Object.keys(copies.takeChanged() ?? {}).sort()).toEqual(['again/a', 'first/a', 'first/b', 'first/c']);
  copies.begin(['a', 'b', 'c', 'd'].map(wanted));
  expect(states(copies)).toMatchObject({ 'first/d': 'waiting' });
});
