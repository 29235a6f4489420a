/**
 * Work that no checkpoint may pass: a message that is written beside the pipeline (one that is sent again) is not marked as sent yet, and a checkpoint would
 * move the sink's place beyond it. After a crash it would be sent once more without being recognised (I4).
 */
export class Holds {
  readonly #work = new Set<Promise<unknown>>();

  /** Holds from now until the work is done. */
  during<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work);
    const done = (): void => void this.#work.delete(work);
    work.then(done, done);
    return work;
  }

  /** Null: nothing is held; else resolves when what is held now is done, and rejects if it failed. */
  settled(): Promise<unknown> | null {
    return this.#work.size === 0 ? null : Promise.all(this.#work);
  }
}
