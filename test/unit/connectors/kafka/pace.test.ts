import { describe, expect, it } from 'vitest';
import { Pace } from '../../../../connectors/kafka/pace.ts';

const MOST = 16 * 1024 * 1024;
const TIMEOUT_MS = 5_000;

describe('pace', () => {
  it('gives a quick link all that is allowed, in a few answers', () => {
    const pace = new Pace(MOST, TIMEOUT_MS);
    for (let answer = 0; answer < 8; answer++) pace.answered(3, pace.windowBytes);
    expect(pace.windowBytes).toBe(MOST);
  });

  it('does not grow while little is on its way: how much the link carries is not known then', () => {
    const pace = new Pace(MOST, TIMEOUT_MS);
    const before = pace.windowBytes;
    for (let answer = 0; answer < 100; answer++) pace.answered(1, 200);
    expect(pace.windowBytes).toBe(before);
  });

  it.each([100, 400, 2_000])('gives a link of %i kB/s what gets through within the time-out, however long there is a backlog', (rate) => {
    const pace = new Pace(MOST, TIMEOUT_MS);
    pace.answered(1, 100);
    for (let answer = 0; answer < 200; answer++) {
      const bytes = pace.windowBytes;
      const ms = bytes / rate;
      expect(ms).toBeLessThan(TIMEOUT_MS);
      pace.answered(ms, bytes);
    }
  });

  it('does not take the delay of a far link for its width', () => {
    const pace = new Pace(MOST, TIMEOUT_MS);
    for (let answer = 0; answer < 10; answer++) pace.answered(2_000, pace.windowBytes);
    expect(pace.windowBytes).toBe(MOST);
  });

  it('lets what is sent again go in turns, in order, and everybody when it is over', async () => {
    const pace = new Pace(MOST, TIMEOUT_MS);
    const went: number[] = [];
    const go = async (which: number): Promise<void> => {
      await pace.again(200_000);
      went.push(which);
    };
    const all = [1, 2, 3].map(go);
    await new Promise((resolve) => setImmediate(resolve));
    expect(went).toEqual([1]);
    pace.end(200_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(went).toEqual([1, 2]);
    pace.close();
    await Promise.all(all);
    expect(went).toEqual([1, 2, 3]);
  });
});
