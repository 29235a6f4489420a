/** From several writers to one reader, with room for so many: a writer waits while it is full. */
export class Channel<T> {
  readonly #room: number;
  readonly #items: T[] = [];
  readonly #writers: (() => void)[] = [];
  #reader: (() => void) | null = null;
  #ended = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(room: number) {
    this.#room = room;
  }

  /** Resolves when there was room. Throws what `fail` was given. */
  async push(item: T): Promise<void> {
    while (this.#items.length >= this.#room && this.#failure === null) {
      await new Promise<void>((resolve) => this.#writers.push(resolve));
    }
    if (this.#failure !== null) throw this.#failure.error;
    this.#items.push(item);
    this.#wakeReader();
  }

  /** Undefined: it has ended. Throws what `fail` was given. */
  async next(): Promise<T | undefined> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#writers.shift()?.();
        return item;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** The first error counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeReader();
    for (const wake of this.#writers.splice(0)) wake();
  }

  #wakeReader(): void {
    this.#reader?.();
    this.#reader = null;
  }
}
