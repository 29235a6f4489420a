import { describe, expect, it } from 'vitest';
import { judgeTimeline, parseTimelineHistory } from '../../../../../connectors/postgres/log/timeline.ts';

const HISTORY = '1\t0/3000000\tno recovery target specified\n\n2\t1/A0\tbefore 2026-01-02 03:04:05+00\n# a comment\n';
const history = parseTimelineHistory(HISTORY);
const server = { timeline: '3', history };

describe('the timeline history', () => {
  it('is read as the server writes it', () => {
    expect(history).toEqual([
      { timeline: '1', end: 0x3000000n },
      { timeline: '2', end: 0x1000000a0n },
    ]);
  });

  it('is not read half: a line that is not understood is an error', () => {
    expect(() => parseTimelineHistory('1\tx\n')).toThrow();
    expect(() => parseTimelineHistory('garbage')).toThrow();
  });
});

describe('whether the log goes on where it was left (I8)', () => {
  it('on the same timeline', () => {
    expect(judgeTimeline({ timeline: '3', read: 5n, published: null }, server)).toBe('same');
  });

  it('after a switch that kept everything that was read and published', () => {
    expect(judgeTimeline({ timeline: '2', read: 0x1000000a0n, published: null }, server)).toBe('continued');
    expect(judgeTimeline({ timeline: '2', read: 0x100n, published: 0x10000009fn }, server)).toBe('continued');
    expect(judgeTimeline({ timeline: '1', read: 0x3000000n, published: null }, server)).toBe('continued');
  });

  it('not if the failover cut off what was read', () => {
    expect(judgeTimeline({ timeline: '1', read: 0x3000001n, published: null }, server)).toHaveProperty('gap');
  });

  it('not if it cut off what was published beyond the offset: a commit that begins at the switch is another one', () => {
    expect(judgeTimeline({ timeline: '2', read: 1n, published: 0x1000000a0n }, server)).toHaveProperty('gap');
  });

  it('not on an earlier timeline, nor on one with other ancestors', () => {
    expect(judgeTimeline({ timeline: '4', read: 1n, published: null }, server)).toHaveProperty('gap');
    expect(judgeTimeline({ timeline: '2', read: 1n, published: null }, { timeline: '3', history: history.slice(0, 1) })).toHaveProperty('gap');
    // Numbers, not texts: 10 comes after 9.
    expect(judgeTimeline({ timeline: '9', read: 1n, published: null }, { timeline: '10', history: [{ timeline: '9', end: 2n }] })).toBe('continued');
  });
});
