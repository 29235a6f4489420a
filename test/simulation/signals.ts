/**
 * Node (20) keeps a signal of `AbortSignal.any` for as long as it has listeners and has not fired, whoever still knows it. A process that is killed never
 * removes its listeners: with Node's own function a worker would keep all that ever lived in it, 5 MB for each seed.
 */
export function makeSignalsCollectable(): void {
  AbortSignal.any = (signals: Iterable<AbortSignal>): AbortSignal => {
    const either = new AbortController();
    for (const signal of signals) {
      if (signal.aborted) {
        either.abort(signal.reason);
        break;
      }
      signal.addEventListener('abort', () => either.abort(signal.reason), { once: true });
    }
    return either.signal;
  };
}
