const BUCKETS = 12;

/** What was counted, to go on from after a restart. */
export interface RateCounts {
  /** Wall clock, microseconds since the epoch. */
  readonly atMicros: number;
  /** Messages and letters of the window's parts, the newest first. */
  readonly parts: readonly (readonly [messages: number, letters: number])[];
}

/**
 * Messages of the last while, and how many of them became dead letters: so many that it is no bad row but a bad deploy? Both are counted for the batches of which
 * the outcome is known, and for those in which a letter occurred: a share of one population, however long a message is on its way.
 */
export class DeadLetterRate {
  readonly #bucketMs: number;
  readonly #messages = new Float64Array(BUCKETS);
  readonly #letters = new Float64Array(BUCKETS);
  #current = 0;
  #at = 0;
  /** Of batches that are not settled yet. */
  #pendingMessages = 0;
  #pendingLetters = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  /** A letter more; `messages` of its batch, if it is the first of it. */
  dead(messages: number, nowMs: number): void {
    this.#move(nowMs);
    this.#pendingMessages += messages;
    this.#pendingLetters++;
  }

  /** A batch is settled; if letters occurred in it, `pending` of its messages were counted for them. */
  settled(messages: number, letters: number, pending: number, nowMs: number): void {
    this.#move(nowMs);
    this.#pendingMessages -= pending;
    this.#pendingLetters -= letters;
    this.#add(0, messages, letters);
  }

  get letters(): number {
    return sum(this.#letters) + this.#pendingLetters;
  }

  get messages(): number {
    return sum(this.#messages) + this.#pendingMessages;
  }

  /** Of batches that are not settled only the letters: they are read again, and what is a letter already does not count then. */
  counts(nowMs: number, atMicros: number): RateCounts {
    this.#move(nowMs);
    const parts = Array.from({ length: BUCKETS }, (_, age): [number, number] => {
      const at = (this.#at - age + BUCKETS) % BUCKETS;
      const pending = age === 0 ? this.#pendingLetters : 0;
      return [(this.#messages[at] as number) + pending, (this.#letters[at] as number) + pending];
    });
    return { atMicros, parts };
  }

  /** What a run before this one has counted. `since`: when letters came after that. */
  restore(counts: RateCounts | null, since: readonly number[], nowMs: number, nowMicros: number): void {
    this.#move(nowMs);
    const ageOf = (micros: number): number => Math.floor(Math.max(0, nowMicros - micros) / 1000 / this.#bucketMs);
    for (const [part, [messages, letters]] of (counts?.parts ?? []).entries()) this.#add(ageOf(counts?.atMicros ?? 0) + part, messages, letters);
    for (const micros of since) this.#add(ageOf(micros), 1, 1);
  }

  #add(age: number, messages: number, letters: number): void {
    if (age >= BUCKETS) return;
    const at = (this.#at - age + BUCKETS) % BUCKETS;
    this.#messages[at] = (this.#messages[at] as number) + messages;
    this.#letters[at] = (this.#letters[at] as number) + letters;
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
