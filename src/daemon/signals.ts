import type { Logger } from '../plugin/context.ts';
import type { Runtime } from '../plugin/runtime.ts';

export interface Shutdown {
  /** Aborted by the first SIGTERM or SIGINT: finish what is in flight, take nothing new. */
  readonly drain: AbortSignal;
  /** Aborted by the second one, or when draining took too long: stop now. What is not confirmed is sent again at the next start. */
  readonly abort: AbortSignal;
  /** Starts the shutdown as the first signal does. */
  begin(reason: string): void;
  /** Removes the handlers. */
  close(): void;
}

/** SIGTERM drains, a second one stops at once, and the draining is bounded by `timeoutMs`. */
export function listenForShutdown(runtime: Runtime, log: Logger, timeoutMs: number): Shutdown {
  const drain = new AbortController();
  const abort = new AbortController();
  const stopNow = (why: string): void => {
    if (abort.signal.aborted) return;
    log.warn(`Stopping at once: ${why}. What the sink has not confirmed is sent again at the next start.`);
    abort.abort(new Error(why));
  };
  const begin = (reason: string): void => {
    if (drain.signal.aborted) {
      stopNow(`a second ${reason}`);
      return;
    }
    log.info(`Shutting down on ${reason}: finishing what is in flight.`);
    drain.abort(new Error(reason));
    runtime.setTimer(() => stopNow(`draining took longer than ${timeoutMs / 1000} s`), timeoutMs, true);
  };
  const onTerm = (): void => begin('SIGTERM');
  const onInt = (): void => begin('SIGINT');
  process.on('SIGTERM', onTerm);
  process.on('SIGINT', onInt);
  return {
    drain: drain.signal,
    abort: abort.signal,
    begin,
    close: () => {
      process.off('SIGTERM', onTerm);
      process.off('SIGINT', onInt);
    },
  };
}
