import { describe, expect, it } from 'vitest';
import { post } from '../../../../src/formats/registry/http.ts';
import type { Runtime } from '../../../../src/plugin/runtime.ts';

describe('a call to the registry', () => {
  it('that Node.js does not even begin leaves no timer behind', async () => {
    let timers = 0;
    const setTimer = (): { clear(): void } => {
      timers++;
      return { clear: () => void timers-- };
    };
    const call = {
      url: new URL('http://127.0.0.1:9/subjects'),
      body: '{}',
      headers: { Authorization: 'Bearer a\n' },
      timeoutMs: 100,
      tls: {},
      signal: new AbortController().signal,
    };
    await expect(post(call, { setTimer } as unknown as Runtime)).rejects.toThrow('Invalid character');
    expect(timers).toBe(0);
  });
});
