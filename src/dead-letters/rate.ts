const BUCKETS = 12;

/** Messages and dead letters of the last while: so many of them that it is no bad row but a bad deploy? */
export class DeadLetterRate {
  readonly #bucketMs: number;
  readonly #messages = new Float64Array(BUCKETS);
  readonly #letters = new Float64Array(BUCKETS);
  #current = 0;
  #at = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  sent(messages: number, nowMs: number): void {
    this.#move(nowMs);
    this.#messages[this.#at] = (this.#messages[this.#at] as number) + messages;
  }

  dead(nowMs: number): void {
    this.#move(nowMs);
    this.#letters[this.#at] = (this.#letters[this.#at] as number) + 1;
  }

  get letters(): number {
    return sum(this.#letters);
  }

  get messages(): number {
    return sum(this.#messages);
  }

  #move(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs);
    for (let steps = Math.min(BUCKETS, bucket - this.#current); steps > 0; steps--) {
      this.#at = (this.#at + 1) % BUCKETS;
      this.#messages[this.#at] = 0;
      this.#letters[this.#at] = 0;
    }
    this.#current = Math.max(this.#current, bucket);
  }
}

function sum(counts: Float64Array): number {
  return counts.reduce((all, count) => all + count, 0);
}
