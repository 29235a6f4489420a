import { describe, expect, it } from 'vitest';
import { Holds } from '../../../src/pipeline/holds.ts';

describe('Holds (I4)', () => {
  it('holds from the call until the work is done, and rejects as it does', async () => {
    const holds = new Holds();
    expect(holds.settled()).toBeNull();
    let done: () => void = () => undefined;
    const first = holds.during(new Promise<void>((resolve) => (done = resolve)));
    let passed = false;
    const waiting = holds.settled()?.then(() => (passed = true));
    await Promise.resolve();
    expect(passed).toBe(false);
    done();
    await first;
    await waiting;
    expect(passed).toBe(true);
    expect(holds.settled()).toBeNull();

    const failing = holds.during(Promise.reject(new Error('disk')));
    await expect(holds.settled()).rejects.toThrow('disk');
    await expect(failing).rejects.toThrow('disk');
    expect(holds.settled()).toBeNull();
  });
});
