import type { Runtime, Timer } from '../plugin/runtime.ts';

/** When the format's next heartbeat is due: an interval after the one before it was taken, however busy or idle the source is. */
export class HeartbeatClock {
  readonly #runtime: Runtime;
  readonly #intervalMs: number;
  readonly #wake: () => void;
  #timer: Timer | null = null;
  #due = false;

  /** `wake` is called when one is due. */
  constructor(runtime: Runtime, intervalMs: number, wake: () => void) {
    this.#runtime = runtime;
    this.#intervalMs = intervalMs;
    this.#wake = wake;
    this.#start();
  }

  /** True once for each interval. */
  take(): boolean {
    if (!this.#due) return false;
    this.#due = false;
    this.#start();
    return true;
  }

  stop(): void {
    this.#timer?.clear();
  }

  #start(): void {
    this.#timer = this.#runtime.setTimer(
      () => {
        this.#due = true;
        this.#wake();
      },
      this.#intervalMs,
      true,
    );
  }
}
