import type { Runtime, Timer } from '#plugin';

/** Looks twice per time-out whether anything was answered while something is on its way. */
export class QuietWatch {
  readonly #runtime: Runtime;
  readonly #timeoutMs: number;
  /** Something is on its way. */
  readonly #waits: () => boolean;
  readonly #giveUp: () => void;
  #timer: Timer | null = null;
  #quietChecks = 0;

  constructor(runtime: Runtime, timeoutMs: number, waits: () => boolean, giveUp: () => void) {
    this.#runtime = runtime;
    this.#timeoutMs = timeoutMs;
    this.#waits = waits;
    this.#giveUp = giveUp;
  }

  /** Something was sent. */
  begin(): void {
    if (this.#timer !== null) return;
    this.#quietChecks = 0;
    this.#next();
  }

  /** Something was answered. */
  heard(): void {
    this.#quietChecks = 0;
  }

  end(): void {
    this.#timer?.clear();
    this.#timer = null;
  }

  #next(): void {
    this.#timer = this.#runtime.setTimer(() => {
      this.#timer = null;
      if (!this.#waits()) return;
      if (++this.#quietChecks > 2) this.#giveUp();
      else this.#next();
    }, this.#timeoutMs / 2);
  }
}
