/**
 * Where the pipeline's loop waits. Whatever happens (a batch came, one left, a failure, time to end) wakes it, and the loop looks at the state.
 * One promise per wait: racing against promises that live as long as the connector would keep a reaction of each race for ever.
 */
export class Gate {
  #failure: { readonly error: unknown } | null = null;
  #wake: (() => void) | null = null;

  /** The first failure wins. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.wake();
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Resolves at the next `wake`; rejects with the failure if there is one. One waiter at a time. */
  async wait(): Promise<void> {
    this.check();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.check();
  }

  /** As `wait`, but does not care about failures. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Throws the failure if there is one. */
  check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
