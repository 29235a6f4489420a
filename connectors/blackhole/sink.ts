import {
  type Finding,
  type MessageBatch,
  NOTHING_WRITTEN,
  type Place,
  type PluginContext,
  type Sink,
  SPAN,
  SPAN_SIZE,
  type TableIdentity,
  tableLabel,
  type Written,
} from '#plugin';
import type { BlackholeConfig } from './config.ts';
import { ValueHash } from './value-hash.ts';

const NOWHERE: Place = {};

/** Keeps nothing and confirms at once. */
export class BlackholeSink implements Sink {
  readonly #context: PluginContext;
  readonly #hash: ValueHash | null;
  #messages = 0;

  constructor(config: BlackholeConfig, context: PluginContext) {
    this.#context = context;
    this.#hash = config.verify ? new ValueHash() : null;
  }

  preflight(): Promise<readonly Finding[]> {
    return Promise.resolve([]);
  }

  open(): Promise<Written> {
    return Promise.resolve(NOTHING_WRITTEN);
  }

  destination(table: TableIdentity): string {
    return tableLabel(table);
  }

  stands(): boolean {
    return false;
  }

  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    this.#messages += batch.count;
    const hash = this.#hash;
    if (hash !== null) {
      for (let at = 0; at < batch.count * SPAN_SIZE; at += SPAN_SIZE) {
        const start = batch.spans[at + SPAN.valueStart] as number;
        if (start >= 0) hash.add(batch.bytes, start, batch.spans[at + SPAN.valueEnd] as number);
      }
    }
    return Promise.resolve(NOWHERE);
  }

  recover(): Promise<{ readonly place: Place; readonly lastTransaction: null }> {
    return Promise.resolve({ place: NOWHERE, lastTransaction: null });
  }

  close(): Promise<void> {
    const hash = this.#hash === null ? {} : { hash: this.#hash.toString() };
    this.#context.log.info(`The blackhole took ${this.#messages} messages.`, { messages: this.#messages, ...hash });
    return Promise.resolve();
  }
}
