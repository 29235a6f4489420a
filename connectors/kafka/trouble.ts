import type { PluginContext } from '#plugin';
import type { KafkaFailure } from './drivers/driver.ts';

/** How often a trouble that lasts is said again. */
const AGAIN_MS = 30_000;

/**
 * Says what keeps messages from the brokers: once when it begins, again every 30 s while it lasts, and when it is over. It is tried again the whole
 * time (I10). Lanes fail and recover by themselves; what is said is said of all.
 */
export class Trouble {
  readonly #context: PluginContext;
  /** What is in trouble: lanes and other things by name. */
  readonly #who = new Set<string>();
  readonly #said = new Set<string>();
  #since = 0;
  #last = 0;
  #times = 0;

  constructor(context: PluginContext) {
    this.#context = context;
  }

  /** `what`: a sentence without its full stop. */
  happened(who: string, { code }: KafkaFailure, what: string): void {
    const { runtime, log, retried } = this.#context;
    retried('kafka');
    const now = runtime.monotonicMs();
    if (this.#who.size === 0) this.#since = now;
    this.#who.add(who);
    this.#times++;
    if (!this.#said.has(code)) {
      this.#said.add(code);
      this.#last = now;
      log.warn(`${what}. Trying again.`, { kafka: code });
    } else if (now - this.#last >= AGAIN_MS) {
      this.#last = now;
      const seconds = Math.round((now - this.#since) / 1000);
      log.warn(`${what}. Still trying, for ${seconds} s and ${this.#times} times now.`, { kafka: code, waiting: this.#who.size });
    }
  }

  /** It works again for this one. */
  over(who: string): void {
    if (!this.#who.delete(who) || this.#who.size > 0) return;
    this.#said.clear();
    this.#times = 0;
    this.#context.log.info('Kafka takes messages again.');
  }
}
