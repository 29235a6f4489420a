/**
 * How much may be on its way. What does not get through the link within the request time-out is sent again, identically, and fills the link again: so that a
 * slow link works, it must not be given more than it carries in that time.
 */

const FIRST_BYTES = 256 * 1024;
const LEAST_BYTES = 64 * 1024;
const LEAST_BATCH_BYTES = 16 * 1024;
/** Share of the time-out that what is on its way may take before less of it is better, and below which more is. */
const SLOW = 0.5;
const QUICK = 0.25;

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

export class Pace {
  readonly #most: number;
  readonly #timeoutMs: number;
  #window: number;
  /** What an answer takes at the least: the link's own delay, which no smaller batch makes shorter. */
  #fastestMs = Number.POSITIVE_INFINITY;
  #retrying = 0;
  readonly #waiting: Waiting[] = [];

  constructor(mostBytes: number, timeoutMs: number) {
    this.#most = mostBytes;
    this.#timeoutMs = timeoutMs;
    this.#window = Math.min(mostBytes, FIRST_BYTES);
  }

  /** Bytes that may be on their way, of all lanes together. */
  get windowBytes(): number {
    return this.#window;
  }

  /** Bytes of one batch: several lanes have their share. */
  get batchBytes(): number {
    return Math.max(LEAST_BATCH_BYTES, Math.floor(this.#window / 4));
  }

  /** An answer came after `ms`, while `bytes` were on their way. */
  answered(ms: number, bytes: number): void {
    this.#fastestMs = Math.min(this.#fastestMs, ms);
    const own = ms - this.#fastestMs;
    if (own > this.#timeoutMs * SLOW) this.#window = Math.max(LEAST_BYTES, this.#window / 2);
    else if (own < this.#timeoutMs * QUICK && bytes * 2 >= this.#window) this.#window = Math.min(this.#most, this.#window * 2);
  }

  /** None came in time. */
  timedOut(): void {
    this.#fastestMs = Number.POSITIVE_INFINITY;
    this.#window = Math.max(LEAST_BYTES, this.#window / 2);
  }

  /** Before something is sent again: not all lanes at once. Resolves when it may go; `end` must follow. */
  async again(bytes: number): Promise<void> {
    if (this.#retrying === 0 || this.#retrying + bytes <= this.#window) this.#retrying += bytes;
    else await new Promise<void>((go) => this.#waiting.push({ bytes, go }));
  }

  end(bytes: number): void {
    this.#retrying -= bytes;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#retrying > 0 && this.#retrying + next.bytes > this.#window) return;
      this.#waiting.shift();
      this.#retrying += next.bytes;
      next.go();
    }
  }

  /** Nothing is sent any more: nobody waits. */
  close(): void {
    for (const { go } of this.#waiting.splice(0)) go();
  }
}
