import { sleep } from '#plugin';
import { classify, toFailure } from './failures.ts';
import type { LanesHost } from './lanes-host.ts';
import { typedError } from './typed-error.ts';

/** I10: progress within five seconds after the fault clears. */
const LONGEST_PAUSE_MS = 1_000;
const FIRST_PAUSE_MS = 50;

/** Asks the brokers again, until they answer or the lanes end. */
export class Persistence {
  readonly #host: LanesHost;
  readonly #signal: AbortSignal;

  constructor(host: LanesHost, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
  }

  /** For as long as it takes: what the brokers refuse for good ends it with a typed error. */
  async until<T>(what: string, action: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const { context, trouble } = this.#host;
    const signal = this.#signal;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const answer = await action(signal);
        if (attempt > 1) trouble.over(what);
        return answer;
      } catch (error) {
        if (signal.aborted) return undefined;
        // What was found out by our own code (a state that cannot be saved, a topic that is not what it was) is not asked again.
        const failure = toFailure(error);
        const kind = classify(failure.code);
        if (kind !== 'again' && kind !== 'missing') {
          throw typedError(failure, { topic: what, connector: context.connector, bytes: 0, limit: -1 });
        }
        trouble.happened(what, failure, `Kafka did not answer for ${what} (${failure.message})`);
        await this.pause(attempt);
      }
    }
    return undefined;
  }

  /** Longer after each failure, up to a second. */
  async pause(failures: number): Promise<void> {
    const { runtime } = this.#host.context;
    const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
    await sleep(runtime, full / 2 + (runtime.random() * full) / 2, this.#signal).catch(() => undefined);
  }
}
