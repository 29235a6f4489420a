/** The short form of the seam's simulation (`npm run test:seam` for more seeds). */
import { expect, it } from 'vitest';
import { simulateSeam } from './simulation.ts';

const SEEDS = 200;

it('copies are exact at the seam to the log, whatever crashes, for each seed (I5, I6, I7)', async () => {
  let crashes = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violation, crashes: each } = await simulateSeam(seed);
    expect({ seed, violation }).toEqual({ seed, violation: null });
    crashes += each;
  }
  expect(crashes).toBeGreaterThan(SEEDS);
});

// A view that was asked for before another one, and came after it, does not show what that one shows.
it('trap: two views at a time, of which the older comes later (seed 361)', async () => {
  expect((await simulateSeam(361)).violation).toBeNull();
});
