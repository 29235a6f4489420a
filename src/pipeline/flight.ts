/** Encoded batches that are not durable yet, counted in bytes (I9): one that is larger than the bound is let through alone. */
export class Flight {
  bytes = 0;
  batches = 0;
  readonly #maxBytes: number;
  readonly #changed: (flight: Flight) => void;
  /** Commit times of what is in flight, in the order of sending. */
  readonly #commits: number[] = [];

  constructor(maxBytes: number, changed: (flight: Flight) => void) {
    this.#maxBytes = maxBytes;
    this.#changed = changed;
  }

  get full(): boolean {
    return this.bytes >= this.#maxBytes && this.batches > 0;
  }

  get oldestCommitMicros(): number | null {
    return this.#commits[0] ?? null;
  }

  add(bytes: number, commitMicros: number): void {
    this.bytes += bytes;
    this.batches++;
    this.#commits.push(commitMicros);
    this.#changed(this);
  }

  remove(bytes: number, commitMicros: number): void {
    this.bytes -= bytes;
    this.batches--;
    this.#commits.splice(this.#commits.indexOf(commitMicros), 1);
    this.#changed(this);
  }
}
