/**
 * Between the callback of a log's socket and `read()`: collects records into batches and hands them over when they are asked for. Nothing here waits or
 * makes an object per row.
 */
import { BatchWriter, type RecordBatch } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import type { TableRegistry } from '../record/table.ts';
import type { Runtime, Timer } from './runtime.ts';

export interface QueueOptions {
  readonly runtime: Runtime;
  readonly tables: TableRegistry;
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Above it the socket is to be paused, below half of it resumed (I9). */
  readonly maxBufferedBytes: number;
  /** The place of the last checkpoint: asked for when a batch that carries it is closed. */
  readonly position: () => Position;
  readonly pause: () => void;
  readonly resume: () => void;
}

/**
 * How long a checkpoint that no record comes with may wait for one: the log of a busy database moves on all the time, and each checkpoint is a
 * synced write.
 */
const QUIET_CHECKPOINT_MS = 1000;

/** Memory of batches that were released is kept for this many. */
const MAX_POOLED = 16;

const MIN_ARENA_BYTES = 64 * 1024;

export class BatchQueue {
  /** Where records are written to. Another object after each seal. */
  writer: BatchWriter;
  /** Number of the writer: memory is recycled, so that the object alone does not tell two batches apart. */
  batchNumber = 1;
  readonly #options: QueueOptions;
  readonly #sealed: BatchWriter[] = [];
  readonly #pool: BatchWriter[] = [];
  #pooledBytes = 0;
  /** Handed over and not yet released. */
  readonly #out = new Set<BatchWriter>();
  /** Records of the writer that stand before the mark; −1: the mark is in a batch already. */
  #markedAt = -1;
  #sealedBytes = 0;
  #arenaBytes = MIN_ARENA_BYTES;
  #full = false;
  #reader: { resolve: (batch: RecordBatch | null) => void; reject: (error: unknown) => void } | null = null;
  #quiet: Timer | null = null;
  #ended = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.writer = this.#take();
  }

  /** No more records are wanted: the queue has ended or failed. */
  get over(): boolean {
    return this.#ended || this.#failure !== null;
  }

  /** Bytes that wait for the reader; of closed batches the memory that they have, filled or not. */
  get bufferedBytes(): number {
    return this.#sealedBytes + this.writer.byteLength;
  }

  /** After each record: closes the batch when it has reached a limit. */
  recordAdded(): void {
    const { writer } = this;
    if (writer.count >= this.#options.maxRecords || writer.byteLength >= this.#options.maxBytes) this.#seal();
  }

  /** Everything up to here is complete: the end of a transaction (I6). */
  checkpoint(): void {
    this.#markedAt = this.writer.count;
  }

  /** What has come so far is all for now: a waiting reader gets it at once. `urgent`: a checkpoint without records, too. */
  flush(urgent: boolean): void {
    if (this.over) return;
    if (this.writer.count > 0) {
      if (this.#reader !== null) this.#seal();
      else this.#measure();
    } else if (this.#markedAt >= 0) {
      if (urgent) this.#seal();
      else this.#quiet ??= this.#options.runtime.setTimer(() => this.#sealQuietly(), QUIET_CHECKPOINT_MS);
    }
  }

  /** The next batch; null: the log's end (`once`) or closed. Throws what `fail` was given. One call at a time. */
  next(): Promise<RecordBatch | null> {
    if (this.#failure !== null) return Promise.reject(this.#failure.error as Error);
    if (this.#sealed.length === 0 && this.writer.count > 0) this.#seal();
    if (this.#sealed.length > 0) return Promise.resolve(this.#handOver());
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** Nothing more will come; what is here is still handed over. */
  end(): void {
    if (this.over) return;
    this.#seal();
    this.#ended = true;
    this.#stop()?.resolve(null);
  }

  /** The stream is broken: what was not handed over is dropped (it will be sent again), an unfinished transaction with it. */
  fail(error: unknown): void {
    if (this.over) return;
    this.#failure = { error };
    this.#sealed.length = 0;
    this.#stop()?.reject(error);
  }

  /** Nobody reads any more. */
  close(): void {
    this.#sealed.length = 0;
    this.#ended = true;
    this.writer.reset();
    this.#stop()?.resolve(null);
  }

  #stop(): { resolve: (batch: null) => void; reject: (error: unknown) => void } | null {
    this.#quiet?.clear();
    this.#quiet = null;
    const reader = this.#reader;
    this.#reader = null;
    return reader;
  }

  #sealQuietly(): void {
    this.#quiet = null;
    if (this.#markedAt >= 0 && !this.over) this.#seal();
  }

  /** Closes the current batch, if it has anything, and gives it to the reader that waits. */
  #seal(): void {
    const { writer } = this;
    if (writer.count === 0 && this.#markedAt < 0) return;
    if (this.#markedAt >= 0) {
      writer.checkpoint = this.#options.position();
      writer.checkpointRecords = this.#markedAt;
      this.#markedAt = -1;
    }
    this.#quiet?.clear();
    this.#quiet = null;
    // Memory for the next batch is made as large as this one needed, with some room.
    this.#arenaBytes = Math.max(MIN_ARENA_BYTES, Math.min(Math.ceil(writer.arenaLength * 1.25), this.#options.maxBytes + MIN_ARENA_BYTES));
    this.#sealed.push(writer);
    this.#sealedBytes += writer.reservedBytes;
    this.#shrinkPool();
    this.writer = this.#take();
    this.batchNumber++;
    const reader = this.#reader;
    if (reader !== null) {
      this.#reader = null;
      reader.resolve(this.#handOver());
    }
    this.#measure();
  }

  #handOver(): BatchWriter {
    const batch = this.#sealed.shift() as BatchWriter;
    this.#sealedBytes -= batch.reservedBytes;
    this.#out.add(batch);
    this.#measure();
    return batch;
  }

  #measure(): void {
    const bytes = this.bufferedBytes;
    if (!this.#full && bytes > this.#options.maxBufferedBytes) {
      this.#full = true;
      this.#options.pause();
    } else if (this.#full && bytes <= this.#options.maxBufferedBytes / 2) {
      this.#full = false;
      this.#options.resume();
    }
  }

  #take(): BatchWriter {
    const pooled = this.#pool.pop();
    if (pooled === undefined) return new BatchWriter(this.#options.tables, (batch) => this.#recycle(batch), this.#arenaBytes);
    this.#pooledBytes -= pooled.reservedBytes;
    return pooled;
  }

  /** What is kept for later has its place within the bound (I9), but for one. */
  #shrinkPool(): void {
    const room = this.#options.maxBufferedBytes - this.#sealedBytes;
    while (this.#pool.length > 1 && this.#pooledBytes > room) this.#pooledBytes -= (this.#pool.shift() as BatchWriter).reservedBytes;
  }

  #recycle(batch: BatchWriter): void {
    // Released twice it would be filled by two batches at once.
    if (!this.#out.delete(batch)) return;
    batch.reset();
    if (this.#pool.length >= MAX_POOLED || batch.arena.length > 2 * this.#options.maxBytes + MIN_ARENA_BYTES) return;
    this.#pool.push(batch);
    this.#pooledBytes += batch.reservedBytes;
    this.#shrinkPool();
  }
}
