import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../../src/daemon/backoff.ts';
import { type ConnectorState, isFinal, mayFollow } from '../../../src/daemon/lifecycle.ts';

const STATES: readonly ConnectorState[] = ['starting', 'running', 'retrying', 'draining', 'paused', 'stopped', 'failed'];

describe('lifecycle', () => {
  it('nothing follows a final state, but that one which failed is started by a command', () => {
    for (const state of STATES) {
      expect(isFinal(state)).toBe(state === 'stopped' || state === 'failed');
      if (isFinal(state)) for (const next of STATES) expect(mayFollow(state, next)).toBe(state === 'failed' && next === 'starting');
    }
  });

  it('a connector that failed for good does not run again by itself, one that retries does', () => {
    expect(mayFollow('retrying', 'starting')).toBe(true);
    expect(mayFollow('running', 'starting')).toBe(false);
    expect(mayFollow('draining', 'running')).toBe(false);
  });
});

describe('backoffMs', () => {
  const retry = { initialDelay: 1000, maxDelay: 60_000, exponentialBase: 2, jitter: false };

  it('doubles up to the bound', () => {
    expect([1, 2, 3, 6, 7, 50].map((attempt) => backoffMs(retry, attempt, Math.random))).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000]);
  });

  it('with jitter stays between half and the whole, so that it never exceeds the bound (I10)', () => {
    const jittered = { ...retry, maxDelay: 2000, jitter: true };
    expect(backoffMs(jittered, 9, () => 0)).toBe(1000);
    expect(backoffMs(jittered, 9, () => 1)).toBe(2000);
  });
});
