import { type BatchWriter, type RecordBatch, SNAPSHOT_MARK } from '../record/batch.ts';
import { type Chunk, withoutOlder } from './beside-log.ts';
import type { Copies } from './copies.ts';
import type { CopyEvents } from './events.ts';
import { mark } from './held-copy.ts';
import type { LogGate } from './log-gate.ts';
import type { TableCopy } from './table-copy.ts';

/** Chunks that were read and wait until the log has passed their view. */
export class Chunks {
  readonly #gate: LogGate;
  readonly #copies: Copies;
  readonly #events: CopyEvents;
  readonly #empty: () => BatchWriter;
  readonly #waiting = new Set<Chunk>();

  constructor(gate: LogGate, copies: Copies, events: CopyEvents, empty: () => BatchWriter) {
    this.#gate = gate;
    this.#copies = copies;
    this.#events = events;
    this.#empty = empty;
  }

  add(chunk: Chunk): void {
    this.#waiting.add(chunk);
  }

  /** One that need not wait any longer. */
  next(): Chunk | undefined {
    for (const chunk of this.#waiting) {
      const { copy, watch } = chunk;
      if (watch.spoilt !== null || watch.truncated || !copy.isOpen || this.#gate.hasPassed(watch.view)) return chunk;
    }
    return undefined;
  }

  /** Gives what is left of it. The log stands still meanwhile. */
  async *handOn(chunk: Chunk): AsyncGenerator<RecordBatch, void, undefined> {
    this.#waiting.delete(chunk);
    const { copy, watch, batches } = chunk;
    const isVoid =
      watch.spoilt !== null ||
      (Array.isArray(batches) && (batches as BatchWriter[]).some(({ tables }) => tables.some((table) => watch.outdates(table))));
    if (isVoid || watch.truncated || !copy.isOpen || !copy.has(chunk.part)) {
      await drop(chunk);
      if (!isVoid && watch.truncated && copy.isOpen && copy.has(chunk.part)) {
        // Whatever is in the table now has come behind the truncation: the log shows it.
        this.#close(copy);
        this.#copies.changed(copy);
        this.#events.moved(copy);
      }
      chunk.handedOn(isVoid ? 'void' : 'over');
      return;
    }
    yield* Array.isArray(batches) ? this.#rows(chunk, batches as BatchWriter[]) : this.#keyless(chunk);
  }

  *#rows(chunk: Chunk, batches: readonly BatchWriter[]): Generator<RecordBatch, void, undefined> {
    const { copy } = chunk;
    const again = withoutOlder(chunk.watch, batches);
    const kept = batches.filter((batch) => {
      if (batch.count === 0) batch.release();
      return batch.count > 0;
    });
    if (kept[0] !== undefined) this.#markFirst(copy, kept[0]);
    for (const batch of kept) copy.rows += batch.count;
    // Of what moved, the keys that lack values again stay noted.
    const counts = again.length === 0 || chunk.part === copy.rest;
    const isRead = counts && this.#advance(chunk);
    const last = kept.at(-1);
    if (isRead && last !== undefined) this.#markLast(copy, last);
    if (counts) {
      const bearer = last ?? this.#empty();
      bearer.progress = { [copy.entry]: copy.toText() };
      if (last === undefined) kept.push(bearer);
    }
    this.#events.moved(copy);
    yield* kept;
    chunk.handedOn({ again });
  }

  async *#keyless(chunk: Chunk): AsyncGenerator<RecordBatch, void, undefined> {
    const { copy } = chunk;
    let newest: BatchWriter | null = null;
    for await (const { batch } of chunk.batches as Exclude<Chunk['batches'], readonly BatchWriter[]>) {
      if (newest === null) this.#markFirst(copy, batch);
      else yield newest;
      copy.rows += batch.count;
      newest = batch;
      this.#events.moved(copy);
    }
    this.#advance(chunk);
    if (newest !== null) this.#markLast(copy, newest);
    const bearer = newest ?? this.#empty();
    bearer.progress = { [copy.entry]: copy.toText() };
    this.#events.moved(copy);
    yield bearer;
    chunk.handedOn({ again: [] });
  }

  /** From here on it counts. True: that was the last of the table. */
  #advance(chunk: Chunk): boolean {
    const { copy, part, after, ends } = chunk;
    if (part === copy.rest) this.#settle(chunk);
    else {
      part.after = after;
      part.done = ends;
    }
    if (!copy.isRead) return false;
    this.#close(copy);
    return true;
  }

  /** What moved there is read, but what moved once more since. */
  #settle({ copy, watch, moved }: Chunk): void {
    const since = new Set([...watch.changed.values()].map((key) => JSON.stringify(key)));
    for (const key of moved) {
      const text = JSON.stringify(key);
      if (!since.has(text)) copy.moved.delete(text);
    }
  }

  #close(copy: TableCopy): void {
    copy.state = 'done';
  }

  #markFirst(copy: TableCopy, batch: BatchWriter): void {
    if (copy.kind !== 'first' || copy.rows > 0) return;
    const isFirst = this.#copies.list().every(({ kind, rows }) => kind !== 'first' || rows === 0);
    mark(batch, 0, isFirst ? SNAPSHOT_MARK.first : SNAPSHOT_MARK.firstOfTable);
  }

  #markLast(copy: TableCopy, batch: BatchWriter): void {
    if (copy.kind !== 'first') return;
    const isLast = this.#copies.list().every(({ kind, isOpen }) => kind !== 'first' || !isOpen);
    mark(batch, -1, isLast ? SNAPSHOT_MARK.last : SNAPSHOT_MARK.lastOfTable);
  }
}

async function drop({ batches, watch }: Chunk): Promise<void> {
  if (Array.isArray(batches)) for (const batch of batches as BatchWriter[]) batch.release();
  // Its rows were not even begun.
  else await watch.view.close();
}
