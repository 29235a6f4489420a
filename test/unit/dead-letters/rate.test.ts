import { describe, expect, it } from 'vitest';
import { DeadLetterRate } from '../../../src/dead-letters/rate.ts';

const WINDOW = 60_000;
const shareOf = (rate: DeadLetterRate): [number, number] => [rate.letters, rate.messages];

describe('share of dead letters', () => {
  it('trap: letters of a batch that was given to the sink long ago are no share of nothing', () => {
    const rate = new DeadLetterRate(WINDOW);
    // One transaction: its batches settle one after the other, far longer than the window after they were given.
    for (let batch = 0; batch < 50; batch++) {
      const nowMs = batch * 10_000;
      for (let letter = 0; letter < 80; letter++) {
        rate.dead(letter === 0 ? 2_000 : 0, nowMs);
        expect(rate.letters * 100).toBeLessThanOrEqual(rate.messages * 4);
      }
      rate.settled(2_000, 80, 2_000, nowMs + 9_999);
      expect(rate.letters * 100).toBe(rate.messages * 4);
    }
  });

  it('what is older than the window does not count', () => {
    const rate = new DeadLetterRate(WINDOW);
    rate.dead(10, 0);
    rate.settled(10, 1, 10, 0);
    rate.settled(5, 0, 0, 59_000);
    expect(shareOf(rate)).toEqual([1, 15]);
    rate.settled(0, 0, 0, 61_000);
    expect(shareOf(rate)).toEqual([0, 5]);
  });

  it('trap: a restart begins the window anew', () => {
    const first = new DeadLetterRate(WINDOW);
    first.dead(10, 1_000_000);
    first.settled(10, 1, 10, 1_000_000);
    first.settled(100, 0, 0, 1_020_000);
    // Of a batch on its way only the letters: it is read again.
    first.dead(500, 1_025_000);
    const counts = first.counts(1_025_000, 7_000_000_000);
    // Another process, another monotonic clock, ten seconds later; one letter came behind what was saved.
    const second = new DeadLetterRate(WINDOW);
    second.restore(JSON.parse(JSON.stringify(counts)), [7_004_000_000], 3_000, 7_010_000_000);
    expect(shareOf(second)).toEqual([3, 112]);
    // 60 s after the first letter it is gone, and the others are not.
    second.settled(0, 0, 0, 3_000 + 29_999);
    expect(shareOf(second)).toEqual([2, 102]);
    const late = new DeadLetterRate(WINDOW);
    late.restore(counts, [7_004_000_000], 0, 7_100_000_000);
    expect(shareOf(late)).toEqual([0, 0]);
  });
});
