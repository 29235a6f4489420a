/** Signals of pending calls: one listener each, however many calls are pending. They end together. */
export class Listening {
  readonly #aborted: (reason: unknown) => void;
  readonly #signals = new Map<AbortSignal, () => void>();

  constructor(aborted: (reason: unknown) => void) {
    this.#aborted = aborted;
  }

  to(signal: AbortSignal): void {
    if (this.#signals.has(signal)) return;
    const aborted = (): void => this.#aborted(signal.reason);
    this.#signals.set(signal, aborted);
    signal.addEventListener('abort', aborted, { once: true });
  }

  end(): void {
    for (const [signal, aborted] of this.#signals) signal.removeEventListener('abort', aborted);
    this.#signals.clear();
  }
}
