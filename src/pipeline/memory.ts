import { MessageWriter } from '../record/messages.ts';

/** What one connector buffers, by its configuration. */
export interface MemoryNeed {
  readonly batchBytes: number;
  readonly inFlightBytes: number;
}

/** Memory kept for encoded batches that are not in use, in the whole process; larger buffers are given back at once. */
const POOL_BYTES = 64 * 1024 * 1024;
const POOLED_WRITER_BYTES = 8 * 1024 * 1024;
const FIRST_WRITER_BYTES = 256 * 1024;
/** A buffer of the pool that is larger than this many times what is needed is not taken: it would count as a whole. */
const FITS = 4;
/** Sizes are multiples of this: batches of one kind differ by a few bytes, and the next one fits into what the last one had. */
const STEP_BYTES = 64 * 1024;

/** Divides `maxMemory` (null: there is no bound for the process) between connectors that stay as they are. */
export function shareMemory(maxMemory: number | null, needs: readonly MemoryNeed[]): readonly MemoryShare[] {
  return new MemoryBudget(maxMemory).join(needs);
}

/**
 * The memory of encoded batches of all connectors, from `encode` until they are durable (I9), counted as it is reserved, not as far as it is filled.
 *
 * Half of it is divided: what a connector may hold whatever the others do, so that one whose sink is down does not slow the rest to one batch at a
 * time. The other half is for whoever needs it, in the order of asking, a batch at a time. A connector that holds nothing may always have one batch:
 * nobody starves, and nobody waits for ever, because who waits holds something that will be given back. How large a batch will be is not
 * known before it is there, so the worst case is the budget and one batch for each connector.
 */
export class MemoryBudget {
  readonly #whole: number;
  /** Without what stands between the sockets and `read()`. */
  #bytes: number;
  #part = 0;
  readonly #shares = new Set<MemoryShare>();
  #held = 0;
  /** Of that, what is beyond the holders' own parts. */
  #common = 0;
  /** In the order of asking. */
  readonly #waiting = new Map<MemoryShare, () => void>();
  /** Oldest first. Its memory is the budget's: it is given up when the budget is needed. */
  readonly #pool: MessageWriter[] = [];
  #pooled = 0;

  /** @param maxMemory null: there is no bound for the process. It is at least two batches for each connector (`checkMemory`). */
  constructor(maxMemory: number | null) {
    this.#whole = maxMemory ?? Number.POSITIVE_INFINITY;
    this.#bytes = this.#whole;
  }

  /** Connectors come, and what there is is divided anew. */
  join(needs: readonly MemoryNeed[]): readonly MemoryShare[] {
    const count = this.#shares.size + needs.length;
    const shares = needs.map(({ batchBytes, inFlightBytes }) => {
      // An eighth for what stands between the sockets and `read()`: a queue is emptied as fast as batches are encoded, more would only wait there.
      const queue = Math.max(batchBytes, Math.floor(Math.min(inFlightBytes / 4, this.#whole / 8 / count)));
      return new MemoryShare(this, queue);
    });
    for (const share of shares) this.#shares.add(share);
    this.#divide();
    return shares;
  }

  /** A connector has gone, with all that it held. */
  remove(share: MemoryShare): void {
    share.releaseAll();
    this.#shares.delete(share);
    this.#divide();
  }

  #divide(): void {
    const shares = [...this.#shares];
    this.#bytes = this.#whole - shares.reduce((sum, { queueBytes }) => sum + queueBytes, 0);
    this.#part = this.#bytes / 2 / Math.max(1, shares.length);
    this.#common = shares.reduce((sum, { held }) => sum + Math.max(0, held - this.#part), 0);
    this.#serve();
  }

  mayPull(share: MemoryShare, wake: () => void): boolean {
    const free = this.#waiting.size === 0 && this.#common < this.#bytes / 2;
    if (share.held === 0 || share.held < this.#part || share.hasTurn || free) {
      this.#waiting.delete(share);
      return true;
    }
    // One that waits already keeps its place.
    this.#waiting.set(share, wake);
    return false;
  }

  leave(share: MemoryShare): void {
    this.#waiting.delete(share);
    this.change(share, -share.held);
  }

  change(share: MemoryShare, bytes: number): void {
    const before = Math.max(0, share.held - this.#part);
    share.held += bytes;
    this.#held += bytes;
    this.#common += Math.max(0, share.held - this.#part) - before;
    if (bytes > 0) this.#shrinkPool(this.#bytes - this.#held);
    else this.#serve();
  }

  /** Those that wait longest may go on, as many as there is room for if their next batches are like their last. */
  #serve(): void {
    let room = this.#bytes / 2 - this.#common;
    for (const [share, wake] of this.#waiting) {
      if (room <= 0) return;
      room -= share.lastBytes;
      this.#waiting.delete(share);
      share.hasTurn = true;
      wake();
    }
  }

  take(bytes: number): MessageWriter {
    const wanted = Math.min(Math.max(FIRST_WRITER_BYTES, Math.ceil(bytes / STEP_BYTES) * STEP_BYTES), POOLED_WRITER_BYTES);
    const at = this.#pool.findLastIndex((writer) => writer.bytes.length >= wanted && writer.bytes.length <= FITS * wanted);
    if (at < 0) return new MessageWriter(wanted);
    const [writer] = this.#pool.splice(at, 1) as [MessageWriter];
    this.#pooled -= writer.reservedBytes;
    return writer;
  }

  keep(writer: MessageWriter): void {
    if (writer.bytes.length > POOLED_WRITER_BYTES) return;
    this.#pool.push(writer);
    this.#pooled += writer.reservedBytes;
    this.#shrinkPool(Math.min(POOL_BYTES, this.#bytes - this.#held));
  }

  #shrinkPool(bytes: number): void {
    while (this.#pooled > bytes && this.#pool.length > 0) this.#pooled -= (this.#pool.shift() as MessageWriter).reservedBytes;
  }
}

/** One connector's part in the memory of the process, for all its lives. */
export class MemoryShare {
  /** Bound of what the source may hold between its socket and `read()`. */
  readonly queueBytes: number;
  /** Reserved for encoded batches that are not durable yet. */
  held = 0;
  /** What its last batch took. */
  lastBytes = 0;
  /** It has waited, and may pull one batch. */
  hasTurn = false;
  readonly #budget: MemoryBudget;
  readonly #writers = new Set<MessageWriter>();

  constructor(budget: MemoryBudget, queueBytes: number) {
    this.#budget = budget;
    this.queueBytes = queueBytes;
  }

  /** Whether the next batch may be pulled. If not, `wake` is called once, as soon as it may: ask again then, or earlier. */
  mayPull(wake: () => void): boolean {
    return this.#budget.mayPull(this, wake);
  }

  /** An empty writer for a batch of about so many encoded bytes. It may grow: `hold` tells how large it has become. */
  take(bytes: number): MessageWriter {
    return this.#budget.take(bytes);
  }

  hold(writer: MessageWriter): void {
    this.#writers.add(writer);
    this.lastBytes = writer.reservedBytes;
    this.hasTurn = false;
    this.#budget.change(this, writer.reservedBytes);
  }

  /** Nobody reads the writer any more. */
  release(writer: MessageWriter): void {
    // One that a life before this one left in its sink was given back with it.
    if (!this.#writers.delete(writer)) return;
    this.#budget.change(this, -writer.reservedBytes);
    this.#budget.keep(writer);
  }

  /** The pipeline has ended. What its sink may still hold is not used again, and is not counted any more: the sink is closed next. */
  releaseAll(): void {
    this.#writers.clear();
    this.hasTurn = false;
    this.#budget.leave(this);
  }
}
