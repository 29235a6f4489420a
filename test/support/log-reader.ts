/** Reads a log source, of Postgres unless another is given, as the pipeline does, but into memory. */

import type { PostgresConfig } from '../../connectors/postgres/config.ts';
import { PostgresLogSource } from '../../connectors/postgres/log/source.ts';
import type { SourceContext } from '../../src/plugin/context.ts';
import type { SluiceError } from '../../src/plugin/error.ts';
import type { Source } from '../../src/plugin/source.ts';
import type { RecordBatch } from '../../src/record/batch.ts';
import type { Position } from '../../src/record/position.ts';
import type { TableVersion } from '../../src/record/table.ts';
import { recordsOf, type Seen } from './pgoutput.ts';
import { postgresConfig, sourceContext } from './postgres-source.ts';

export interface ReaderOptions {
  readonly url: string;
  readonly config?: Partial<PostgresConfig>;
  readonly context?: Partial<SourceContext>;
  readonly from?: Position | null;
  /** Acknowledge each checkpoint as soon as it is read. */
  readonly acknowledge?: boolean;
  /** Before it is given back. */
  readonly onBatch?: (batch: RecordBatch) => void;
  readonly onCheckpoint?: (checkpoint: Position) => void;
}

/** One run of `read()`. Records are kept until the test takes them. */
export class LogReader<S extends Source = PostgresLogSource> {
  readonly source: S;
  readonly records: Seen[] = [];
  readonly tables: TableVersion[] = [];
  readonly batchSizes: number[] = [];
  checkpoint: Position | null = null;
  error: SluiceError | null = null;
  ended = false;
  /** While set, no batch is asked for. */
  paused = false;
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(options: ReaderOptions, source: S | null = null) {
    this.source =
      source ??
      (new PostgresLogSource(postgresConfig(options.url, options.config), { ...sourceContext('reader'), ...options.context }) as Source as S);
    this.#done = this.#run(options);
  }

  async #run(options: ReaderOptions): Promise<void> {
    try {
      for await (const batch of this.source.read({ from: options.from ?? null, published: [], sinkHoldsOutput: false }, this.#abort.signal)) {
        options.onBatch?.(batch);
        this.records.push(...recordsOf(batch));
        this.batchSizes.push(batch.count);
        this.tables.push(...batch.tables.filter((table) => !this.tables.includes(table)));
        if (batch.checkpoint !== null) {
          this.checkpoint = batch.checkpoint;
          options.onCheckpoint?.(batch.checkpoint);
          if (options.acknowledge !== false) this.source.acknowledge(batch.checkpoint);
        }
        batch.release();
        while (this.paused) await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      this.ended = true;
    } catch (error) {
      if (!this.#abort.signal.aborted) this.error = error as SluiceError;
    }
  }

  resume(): void {
    this.paused = false;
    this.#wake();
  }

  /** Waits until a condition holds; throws what ended the reader, or after ten seconds. */
  async until(holds: () => boolean | Promise<boolean>, what = 'the condition', ms = 10_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!(await holds())) {
      if (this.error !== null) throw this.error;
      if (performance.now() > deadline) throw new Error(`timed out waiting for ${what}; ${this.records.length} records`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Waits for so many records and takes them all. */
  async take(count: number): Promise<Seen[]> {
    await this.until(() => this.records.length >= count, `${count} records`);
    return this.records.splice(0);
  }

  /** Resolves when the iterator has ended, well or not. */
  finished(): Promise<void> {
    return this.#done;
  }

  async close(): Promise<void> {
    this.resume();
    this.#abort.abort(new Error('the test is over'));
    await this.#done;
    await this.source.close();
  }
}

/** Reads to the log's end as it stands now. */
export async function readToEnd(options: ReaderOptions): Promise<LogReader> {
  const reader = new LogReader({ ...options, context: { ...options.context, once: true } });
  await reader.finished();
  await reader.close();
  if (reader.error !== null) throw reader.error;
  return reader;
}
