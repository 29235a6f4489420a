import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { stackOf } from './failure.ts';

/** How often a trouble that lasts is said again. */
const SAY_AGAIN_MS = 30_000;

/** What a connector waits out: how often it has tried, and what was said of it. */
export class Trouble {
  /** In a row, without progress. */
  attempts = 0;
  /** Null: there is none. */
  error: SluiceError | null = null;
  readonly #runtime: Runtime;
  readonly #log: Logger;
  #text = '';
  #saidAt = 0;

  constructor(runtime: Runtime, log: Logger) {
    this.#runtime = runtime;
    this.#log = log;
  }

  /** It is waited out. The same trouble is said now and then, not at every attempt. */
  waitsFor(error: SluiceError): void {
    this.error = error;
    const text = `${error.code} ${error.message}`;
    const now = this.#runtime.monotonicMs();
    const isSaid = text === this.#text && now - this.#saidAt < SAY_AGAIN_MS;
    if (!isSaid) this.#saidAt = now;
    this.#log[isSaid ? 'debug' : 'warn'](`${error.message} Trying again.`, { code: error.code, remedy: error.remedy, attempt: this.attempts });
    this.#text = text;
  }

  /** It is for good. */
  stops(error: SluiceError): void {
    this.#log.error(error.message, {
      code: error.code,
      remedy: error.remedy,
      ...(error.table === undefined ? {} : { table: error.table }),
      ...stackOf(error),
    });
  }

  over(): void {
    this.attempts = 0;
    this.error = null;
    this.#text = '';
  }
}
