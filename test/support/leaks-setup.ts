/** After every integration and e2e file: nothing of it is left open or running. */
import { afterAll, beforeAll, expect } from 'vitest';
import { findLeaks, type LeakBaseline, leakBaseline } from './leaks.ts';

let baseline: LeakBaseline;

beforeAll(() => {
  baseline = leakBaseline();
});

afterAll(async () => {
  expect(await findLeaks(baseline), 'left behind by this file').toEqual([]);
});
