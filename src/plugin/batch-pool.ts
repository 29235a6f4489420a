import { BatchWriter } from '../record/batch.ts';
import type { TableRegistry } from '../record/table.ts';

/** Released batches whose memory is kept. */
const MAX_POOLED = 4;
const ARENA_BYTES = 64 * 1024;

export interface BatchLimits {
  readonly tables: TableRegistry;
  readonly maxRecords: number;
  readonly maxBytes: number;
}

/** Makes and takes back the batches of one connection that copies rows. */
export class BatchPool {
  readonly #limits: BatchLimits;
  readonly #pool: BatchWriter[] = [];

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  take(): BatchWriter {
    return this.#pool.pop() ?? new BatchWriter(this.#limits.tables, (batch) => this.#recycle(batch), ARENA_BYTES);
  }

  full(batch: BatchWriter): boolean {
    return batch.count >= this.#limits.maxRecords || batch.byteLength >= this.#limits.maxBytes;
  }

  #recycle(batch: BatchWriter): void {
    batch.reset();
    if (this.#pool.length < MAX_POOLED && !this.#pool.includes(batch) && batch.arena.length <= 2 * this.#limits.maxBytes) this.#pool.push(batch);
  }
}
