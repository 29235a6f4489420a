import type { Files, Runtime, Timer } from '../../src/plugin/runtime.ts';
import { givenCredentials } from '../simulation/credentials.ts';

interface Pending {
  readonly at: number;
  readonly callback: () => void;
}

/** A runtime whose clock only moves when the test says so. */
export class FakeRuntime implements Runtime {
  now = 0;
  readonly files: Files = {
    read: () => Promise.resolve(null),
    state: () => Promise.resolve(null),
    replace: () => Promise.resolve(),
    makeDirectory: () => Promise.resolve(),
    list: () => Promise.resolve(null),
    rename: () => Promise.resolve(),
    append: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
    remove: () => Promise.resolve(),
  };
  readonly credentials = givenCredentials;
  readonly #pending = new Set<Pending>();

  nowMicros(): number {
    return this.now * 1000;
  }

  monotonicMs(): number {
    return this.now;
  }

  random(): number {
    return 0.5;
  }

  setTimer(callback: () => void, ms: number): Timer {
    const pending = { at: this.now + ms, callback };
    this.#pending.add(pending);
    return { clear: () => void this.#pending.delete(pending) };
  }

  get timers(): number {
    return this.#pending.size;
  }

  /** Moves the clock, calling timers in order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      // A callback may lead to several rounds of promises before the next timer is set.
      for (let round = 0; round < 10; round++) await settle();
      const due = [...this.#pending].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#pending.delete(due);
      this.now = Math.max(this.now, due.at);
      due.callback();
    }
    this.now = end;
    await settle();
  }
}

/** Lets everything that is ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
