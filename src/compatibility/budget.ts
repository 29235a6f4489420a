/** What a comparison may cost, in parts of schemas looked at: a schema may come from anyone, and some make more work than they have letters. */
const MAX_WORK = 300_000;

/** Ends a comparison; told as undecided. */
export class TooMuchWork extends Error {}

export class Budget {
  #left = MAX_WORK;

  /** @throws TooMuchWork */
  spend(work: number): void {
    this.#left -= work;
    if (this.#left < 0) throw new TooMuchWork();
  }
}
