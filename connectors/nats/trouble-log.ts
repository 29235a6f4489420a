import { type PluginContext, SluiceError } from '#plugin';
import { noProgress } from './errors.ts';
import type { Alone } from './trouble.ts';

/** While nothing is confirmed, that is said again this often. */
const SAY_AGAIN_MS = 30_000;
/** How often in a row the connection must be lost right after the same message was sent before that message is named. */
const SUSPECTED_AFTER = 5;

/** One trouble, in words for a person. */
export interface Said {
  /** What it is called; each kind is said at once when it comes for the first time. */
  readonly kind: string;
  /** A whole sentence. */
  readonly message: string;
  readonly code?: string;
  readonly remedy?: string;
  /** Expected and over at once: not said the first time. */
  readonly quiet?: boolean;
  /** The message that alone was on its way when the connection was lost. */
  readonly alone?: Alone | null;
}

/**
 * Says each trouble when it begins, not at every attempt; and where troubles go on without a message being confirmed in between, says every 30 s
 * what, how often and since when, so that a loop without progress cannot go on unseen.
 */
export class TroubleLog {
  readonly #context: PluginContext;
  readonly #said = new Set<string>();
  #count = 0;
  #sinceMicros = 0;
  #saidAtMs = 0;
  /** A warning stands that nothing took back. */
  #open = false;
  #suspect: Alone | null = null;
  #suspicions = 0;

  constructor(context: PluginContext) {
    this.#context = context;
  }

  say(trouble: Said): void {
    const { runtime, log } = this.#context;
    if (this.#count++ === 0) {
      this.#sinceMicros = runtime.nowMicros();
      this.#saidAtMs = runtime.monotonicMs();
    }
    const suspected = this.#suspected(trouble.alone);
    const first = !this.#said.has(trouble.kind) && trouble.quiet !== true;
    if (first) this.#said.add(trouble.kind);
    const { code, remedy } = trouble;
    const again = runtime.monotonicMs() - this.#saidAtMs >= SAY_AGAIN_MS;
    if (suspected || again) {
      this.#open = true;
      this.#saidAtMs = runtime.monotonicMs();
      const error = this.#noProgress(trouble.message);
      // What is known to help against this trouble is better than what helps against most.
      log.warn(error.message, { code: error.code, remedy: remedy ?? error.remedy });
      return;
    }
    if (first) {
      this.#open = true;
      this.#saidAtMs = runtime.monotonicMs();
    }
    log[first ? 'warn' : 'debug'](trouble.message, { ...(code === undefined ? {} : { code }), ...(remedy === undefined ? {} : { remedy }) });
  }

  /** The stream was read, and there is nothing to send: whether messages get through will show. */
  reachable(): void {
    if (this.#open) this.#context.log.info('NATS is reachable again.');
    this.#open = false;
  }

  /** A message was confirmed. */
  over(): void {
    if (this.#said.size > 0 || this.#open) this.#context.log.info('NATS takes messages again.');
    this.#said.clear();
    this.#count = 0;
    this.#open = false;
    this.#suspect = null;
    this.#suspicions = 0;
  }

  /** True at the moment when the message begins to be suspected. Troubles in between that belong to no message (a server that is down) say nothing for or against. */
  #suspected(alone: Alone | null | undefined): boolean {
    if (alone === null || alone === undefined) return false;
    this.#suspicions = this.#suspect?.id === alone.id ? this.#suspicions + 1 : 1;
    this.#suspect = alone;
    return this.#suspicions === SUSPECTED_AFTER;
  }

  #noProgress(message: string): SluiceError {
    const since = new Date(this.#sinceMicros / 1000).toISOString();
    const suspect = this.#suspicions >= SUSPECTED_AFTER ? this.#suspect : null;
    const where =
      suspect === null
        ? ''
        : ` That came ${this.#suspicions} times right after the same message was sent, one of ${suspect.bytes} bytes for ${suspect.subject}.`;
    return new SluiceError(noProgress, { since, count: this.#count, trouble: message + where });
  }
}
