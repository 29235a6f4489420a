import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPoor } from './campaign.ts';
import { LOG_SLIPS } from './log-slips.ts';
import { MutatedTree } from './mutate.ts';
import { MUTATIONS, PLUGIN_SLIPS } from './mutations.ts';
import { type Outcome, simulate } from './simulation.ts';
import { runRange } from './worker.ts';

/** Those that the first seeds find; the whole list runs in `npm run test:simulation -- --mutations`. */
const QUICKEST = [
  'acknowledge before save',
  'save before durable',
  'gap in the prefix',
  'a place within a transaction is gone on with',
  'rows of tables that are not captured are not counted',
  'a stream that was broken off ends in order',
];

describe('the simulator', () => {
  it('finds nothing in 300 seeds, each with records, crashes and partitions enough (I1–I6, I8–I10)', async () => {
    const outcomes: Outcome[] = [];
    await runRange({ from: 1, step: 1, end: 301 }, (outcome) => outcomes.push(outcome));
    const failed = outcomes.find(({ violation }) => violation !== null);
    expect(failed?.violation ?? null, `npm run test:simulation -- --seed ${failed?.seed}`).toBeNull();
    expect(outcomes).toHaveLength(300);
    expect(outcomes.filter(({ tally }) => isPoor(tally)).map(({ seed }) => seed)).toEqual([]);
    for (const kind of ['slot', 'gtid', 'file', 'mixed', 'mariadb'] as const)
      expect(outcomes.filter(({ tally }) => tally[kind] === 1).length, kind).toBeGreaterThan(15);
  }, 600_000);

  it('replays a seed exactly, and no two seeds alike', async () => {
    const [first, again, other] = [await simulate(7, true), await simulate(7, true), await simulate(8)];
    expect(again).toEqual(first);
    expect((await simulate(7)).hash).toBe(first.hash);
    expect(other.hash).not.toBe(first.hash);
  });
});

describe('a slip in the engine', () => {
  let tree: MutatedTree;
  beforeAll(() => {
    tree = new MutatedTree();
  });
  afterAll(() => tree.remove());

  it.each(QUICKEST)(
    'is found: %s',
    async (name) => {
      const mutation = [...MUTATIONS, ...LOG_SLIPS].find((each) => each.name === name);
      if (mutation === undefined) throw new Error(`there is no mutation "${name}"`);
      expect((await tree.try(mutation, 1, 20)).invariant).toMatch(/^I\d+$/);
    },
    120_000,
  );

  it('can still be made, each of the list: its text stands in the engine exactly once', () => {
    for (const mutation of [...MUTATIONS, ...LOG_SLIPS, ...PLUGIN_SLIPS]) expect(() => tree.check(mutation), mutation.name).not.toThrow();
  });
});
