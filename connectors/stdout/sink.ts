import type { Writable } from 'node:stream';
import {
  type Finding,
  type MessageBatch,
  NOTHING_WRITTEN,
  type Place,
  type Sink,
  type SinkContext,
  SluiceError,
  type TableIdentity,
  type Written,
} from '#plugin';
import { type StdoutConfig, topicOf } from './config.ts';
import { outputClosed, outputFailed } from './errors.ts';
import { toLines } from './lines.ts';

/** It cannot be read back: there is nothing to remember. */
const NOWHERE: Place = {};

/** Writes one JSON line per message. Durable means: handed to the operating system. A slow reader slows the write, and so the pipeline. */
export class StdoutSink implements Sink {
  readonly #config: StdoutConfig;
  readonly #context: SinkContext;
  readonly #output: Writable;
  #failure: unknown = null;
  /** Rejects each pending write; a stream that is closed calls nobody back. */
  readonly #pending = new Set<(error: unknown) => void>();
  readonly #listening = new Map<AbortSignal, () => void>();
  readonly #onError = (error: Error): void => this.#fail(this.#typed(error));

  constructor(config: StdoutConfig, context: SinkContext, output: Writable = process.stdout) {
    this.#config = config;
    this.#context = context;
    this.#output = output;
  }

  preflight(): Promise<readonly Finding[]> {
    return Promise.resolve([]);
  }

  open(): Promise<Written> {
    // Without a listener a reader that goes away would end the process with a stack.
    this.#output.on('error', this.#onError);
    return Promise.resolve(NOTHING_WRITTEN);
  }

  destination(table: TableIdentity): string {
    return topicOf(this.#config.topic, this.#context.connector, table);
  }

  stands(): boolean {
    return false;
  }

  write(batch: MessageBatch, signal: AbortSignal): Promise<Place> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      if (signal.aborted) return reject(signal.reason);
      this.#listen(signal);
      this.#pending.add(reject);
      const pieces = toLines(batch, this.#context.isBinary);
      const done = (error: Error | null | undefined): void => {
        if (error) {
          this.#onError(error);
          return;
        }
        this.#pending.delete(reject);
        if (this.#pending.size === 0) this.#deafen();
        resolve(NOWHERE);
      };
      // Written in order: when the last is, all are.
      for (const piece of pieces.slice(0, -1)) this.#output.write(piece);
      this.#output.write(pieces.at(-1) ?? '', done);
    });
  }

  recover(): Promise<{ readonly place: Place; readonly lastTransaction: null }> {
    return Promise.resolve({ place: NOWHERE, lastTransaction: null });
  }

  close(): Promise<void> {
    this.#fail(new SluiceError(outputFailed, { detail: 'the sink was closed' }));
    // The listener stays for a while: the error of a write that is still on its way may come after this.
    setImmediate(() => this.#output.off('error', this.#onError));
    return Promise.resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const reject of this.#pending) reject(this.#failure);
    this.#pending.clear();
    this.#deafen();
  }

  /** One listener however many calls are pending: they end together. */
  #listen(signal: AbortSignal): void {
    if (this.#listening.has(signal)) return;
    const aborted = (): void => this.#fail(signal.reason);
    this.#listening.set(signal, aborted);
    signal.addEventListener('abort', aborted, { once: true });
  }

  #deafen(): void {
    for (const [signal, aborted] of this.#listening) signal.removeEventListener('abort', aborted);
    this.#listening.clear();
  }

  #typed(error: Error): SluiceError {
    const { code } = error as NodeJS.ErrnoException;
    const gone = code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED' || code === 'ERR_STREAM_WRITE_AFTER_END';
    return gone
      ? new SluiceError(outputClosed, {}, { cause: error })
      : new SluiceError(outputFailed, { detail: code ?? error.message }, { cause: error });
  }
}
