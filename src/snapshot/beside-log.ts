/**
 * Copies beside the log, in chunks: what is left of a first copy after a crash, a table that was added, an operator's request. Nothing of the log is left out and
 * nothing is written to the source (docs/decisions/0009). For each chunk:
 *
 * 1. The log is held while a view is taken that shows everything of it that was handed on.
 * 2. The rows are read while the log goes on; what it shows beyond the view is noted by key.
 * 3. Once the log has passed the view, the rows are handed on, but those that were noted: what came of them is newer. Where that does not tell the whole row (TOAST) it
 *    is read again.
 */
import { SluiceError } from '../plugin/error.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { CopiedRows, CopyTable, KeyText, SnapshotSource, SnapshotView } from '../plugin/snapshot.ts';
import { type BatchWriter, HEAD, HEAD_SIZE, SNAPSHOT_MARK, type SnapshotMark } from '../record/batch.ts';
import type { CopyEvents } from './events.ts';
import type { LogGate } from './log-gate.ts';
import type { Pace } from './pace.ts';
import type { Part, TableCopy } from './table-copy.ts';
import { keyText, Watch } from './watch.ts';
import { type Task, Work } from './work.ts';

/** A chunk is so large at most; it waits in memory for the log (I9). */
export const CHUNK_LIMITS = { bytes: 4 * 1024 * 1024, rows: 50_000, firstRows: 1_000, keysAgain: 200 };
/** A commit that was sent becomes visible right after, unless a synchronous standby keeps it waiting. */
const UNSEEN_POLL_MS = 5;
/** How often the server is asked how far its log is read while a chunk waits. */
const ASK_MS = 20;
/** If the log took longer to pass a chunk, the next one is not read before the log has caught up: much would change in it meanwhile. */
const FAR_BEHIND_MS = 2_000;
/** A table that is being altered is looked at again after this. */
const CHANGED_MS = 100;

export type ChunkLimits = Readonly<typeof CHUNK_LIMITS>;

export interface Chunk {
  readonly copy: TableCopy;
  readonly watch: Watch;
  /** Rows without a key are read only when they are handed on, while the log is held: they are not kept in memory. */
  readonly batches: readonly BatchWriter[] | AsyncGenerator<CopiedRows, void, undefined>;
  /** What counts as read when it is handed on and nothing must be read again. */
  readonly part: Part;
  readonly after: KeyText | null;
  readonly ends: boolean;
  /** Of the keys that were noted as moved, those that it has read; empty: it is another part. */
  readonly moved: readonly KeyText[];
  /** How it went. */
  readonly handedOn: (outcome: Outcome) => void;
}

/** `again`: keys whose rows must be read again; `void`: nothing of it could be used. */
export type Outcome = { readonly again: readonly KeyText[] } | 'void' | 'over';

interface Ports {
  readonly snapshots: SnapshotSource;
  readonly gate: LogGate;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly events: CopyEvents;
  readonly limits: ChunkLimits;
  readonly pace: Pace;
  /** A chunk waits until the log has passed its view; the reader of the log hands it on then. */
  readonly offer: (chunk: Chunk) => void;
}

/** Copies whatever is open, with so many workers, for as long as there is something. */
export class BesideLog {
  readonly #workers: number;
  readonly #ports: Ports;
  readonly #work: Work;
  readonly #idle: () => void;
  readonly #failed: (error: unknown) => void;
  #active = 0;

  /** `copies` may become more; `idle`: nothing is left to do, for now. */
  constructor(copies: Iterable<TableCopy>, workers: number, ports: Ports, idle: () => void, failed: (error: unknown) => void) {
    this.#work = new Work(copies);
    this.#workers = workers;
    this.#ports = ports;
    this.#idle = idle;
    this.#failed = failed;
    ports.gate.crowded = () => void this.#lookAtLog();
  }

  /** There may be more to do. */
  kick(): void {
    this.#ports.gate.isWatched = true;
    this.#work.wake();
    const more = Array.from({ length: this.#workers - this.#active }, () => new Worker(this.#work, this.#workers, this.#ports));
    this.#active += more.length;
    void this.#run(more);
  }

  /** Takes a view only to forget what it shows of the log: while workers wait, for their turn or for a transaction, nobody else does. */
  async #lookAtLog(): Promise<void> {
    try {
      const view = await this.#ports.snapshots.view(this.#ports.signal);
      this.#ports.gate.seenIn(view);
      await view.close();
      if (this.#active === 0) this.#idle();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #run(workers: readonly Worker[]): Promise<void> {
    try {
      await this.#ports.snapshots.settle(this.#ports.signal);
      await Promise.all(workers.map((worker) => worker.run()));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#active -= workers.length;
      if (this.#active === 0) {
        this.#ports.gate.isWatched = false;
        this.#idle();
      }
    }
  }
}

class Worker {
  readonly #work: Work;
  readonly #parts: number;
  readonly #ports: Ports;
  #limit: number;
  #isFarBehind = false;

  constructor(work: Work, parts: number, ports: Ports) {
    this.#work = work;
    this.#parts = parts;
    this.#ports = ports;
    this.#limit = ports.limits.firstRows;
  }

  async run(): Promise<void> {
    const { events, signal } = this.#ports;
    for (let task = await this.#work.next(); task !== null; task = await this.#work.next()) {
      try {
        signal.throwIfAborted();
        await this.#do(task);
      } catch (error) {
        if (!(error instanceof SluiceError) || error.table === undefined || error.kind.retry === 'auto') throw error;
        // Of several workers one says it; and a copy that was ended or begun anew meanwhile has nothing to do with it.
        const { copy, part } = task;
        if (copy.isOpen && (part === null || copy.has(part))) events.failed(copy, error);
      } finally {
        this.#work.done(task);
      }
    }
  }

  async #do({ copy, part }: Task): Promise<void> {
    if (part !== null) {
      this.#limit = this.#ports.limits.firstRows;
      if (part === copy.rest) while (copy.moved.size > 0 && isUnderWay(copy, part)) await this.#moved(copy);
      else while (!part.done && isUnderWay(copy, part)) await this.#chunk(copy, part);
      return;
    }
    const view = await this.#ports.snapshots.view(this.#ports.signal);
    try {
      const { surrogateKey } = copy;
      const table = await view.open(copy.label, surrogateKey);
      const bounds = await view.bounds(table, this.#parts);
      // Ended meanwhile, or begun anew in another order.
      if (copy.state !== 'waiting' || copy.surrogateKey !== surrogateKey) return;
      copy.table = table;
      copy.plan(bounds);
      this.#ports.events.planned(copy);
    } finally {
      await view.close();
    }
  }

  /** Some of the rows that moved. */
  async #moved(copy: TableCopy): Promise<void> {
    const keys = [...copy.moved.values()].slice(0, this.#ports.limits.keysAgain);
    const read = await this.#read(copy, copy.rest, keys);
    if (read === null) await sleep(this.#ports.runtime, CHANGED_MS, this.#ports.signal);
    else await this.#handOn(copy, copy.rest, read, { after: null, ends: false }, keys);
  }

  /** One chunk of the part, until all of its rows were handed on. */
  async #chunk(copy: TableCopy, part: Part): Promise<void> {
    let again: readonly KeyText[] = [];
    let end: { readonly after: KeyText | null; readonly ends: boolean } | null = null;
    while (isUnderWay(copy, part)) {
      const read = await this.#read(copy, part, again.slice(0, this.#ports.limits.keysAgain));
      if (read === null) {
        await sleep(this.#ports.runtime, CHANGED_MS, this.#ports.signal);
        continue;
      }
      end ??= { after: read.after, ends: read.ends };
      const rest = again.slice(this.#ports.limits.keysAgain);
      const outcome = await this.#handOn(copy, part, read, rest.length > 0 ? { after: part.after, ends: false } : end);
      if (outcome === 'over') return;
      if (outcome === 'void') {
        if (again.length === 0) end = null;
        this.#limit = Math.max(1, Math.ceil(this.#limit / 4));
        continue;
      }
      again = [...rest, ...outcome.again];
      if (again.length === 0) return;
    }
  }

  async #handOn(
    copy: TableCopy,
    part: Part,
    read: Read,
    end: { readonly after: KeyText | null; readonly ends: boolean },
    moved: readonly KeyText[] = [],
  ): Promise<Outcome> {
    const { gate, runtime, snapshots, offer } = this.#ports;
    const began = runtime.monotonicMs();
    const outcome = new Promise<Outcome>((handedOn) => offer({ copy, part, ...end, moved, watch: read.watch, batches: read.batches, handedOn }));
    let isOut = false;
    const done = outcome.finally(() => {
      isOut = true;
      gate.unwatch(read.watch);
    });
    while (!isOut) {
      snapshots.ask();
      await Promise.race([done, sleep(runtime, ASK_MS, this.#ports.signal)]);
    }
    this.#isFarBehind = runtime.monotonicMs() - began > FAR_BEHIND_MS;
    return done;
  }

  /** Null: the table changed, or the copy was begun anew: it is to be looked at again. */
  async #read(copy: TableCopy, part: Part, keys: readonly KeyText[]): Promise<Read | null> {
    const { gate, events, pace, signal } = this.#ports;
    const taken = keys.length > 0 ? keys.length : pace.cap(this.#limit);
    await pace.turn(taken, signal);
    // It may have been put off or ended while it waited.
    if (!isUnderWay(copy, part)) return null;
    if (this.#isFarBehind) await this.#catchUp();
    const { view, watch } = await this.#view(copy.label);
    const batches: BatchWriter[] = [];
    let isGood = false;
    try {
      // Begun anew meanwhile it may have another order than the part has.
      if (!copy.has(part)) return null;
      const table = await view.open(copy.label, copy.surrogateKey);
      copy.table = table;
      if (table.version.key.length === 0) {
        isGood = true;
        const rows = view.rows(table, { range: null, where: copy.where, mark: markOf(copy) });
        pace.correct(taken, 0);
        return { watch, batches: closing(rows, view, (count) => pace.spend(count, signal)), after: null, ends: true };
      }
      const read = await this.#rows(view, table, { copy, part, keys }, batches);
      isGood = true;
      pace.correct(taken, rowsOf(batches));
      await view.close();
      return { watch, batches, ...read };
    } catch (error) {
      if (!(error instanceof SluiceError) || error.table === undefined || error.kind.retry !== 'auto') throw error;
      events.later(copy, error);
      return null;
    } finally {
      if (!isGood) {
        gate.unwatch(watch);
        for (const batch of batches) batch.release();
        await view.close();
      }
    }
  }

  async #rows(
    view: SnapshotView,
    table: CopyTable,
    { copy, part, keys }: Wanted,
    batches: BatchWriter[],
  ): Promise<{ after: KeyText | null; ends: boolean }> {
    const { where } = copy;
    const { limits } = this.#ports;
    const limit = this.#ports.pace.cap(this.#limit);
    const some = keys.length > 0 ? { range: null, keys } : { range: { after: part.after, upTo: part.upTo }, limit };
    let rows = 0;
    let bytes = 0;
    let after: KeyText | null = null;
    for await (const { batch, lastKey } of view.rows(table, { ...some, where, mark: markOf(copy) })) {
      batches.push(batch);
      rows += batch.count;
      bytes += batch.byteLength;
      after = lastKey;
      // Rows far larger than those before: what has come is the chunk.
      if (keys.length === 0 && bytes > 2 * limits.bytes) break;
    }
    if (keys.length > 0) return { after: part.after, ends: false };
    const isCut = rows >= limit || bytes > 2 * limits.bytes;
    if (rows > 0) this.#limit = Math.max(1, Math.min(limits.rows, limit * 4, Math.floor((limits.bytes / bytes) * rows)));
    return { after: after ?? part.after, ends: !isCut };
  }

  /** A view that shows everything of the log that was handed on, watched from that moment on. */
  async #view(label: string): Promise<{ readonly view: SnapshotView; readonly watch: Watch }> {
    const { gate, snapshots, runtime, signal } = this.#ports;
    for (;;) {
      const hold = gate.hold();
      try {
        const view = await snapshots.view(signal);
        if (gate.isSeenIn(view, hold)) {
          const watch = new Watch(view, label);
          gate.watch(watch);
          return { view, watch };
        }
        await view.close();
      } finally {
        hold.release();
      }
      await sleep(runtime, UNSEEN_POLL_MS, signal);
    }
  }

  /** Waits until the log has passed the moment of now. */
  async #catchUp(): Promise<void> {
    const { gate, snapshots, runtime, signal } = this.#ports;
    const view = await snapshots.view(signal);
    await view.close();
    while (!gate.hasPassed(view)) {
      snapshots.ask();
      await sleep(runtime, ASK_MS, signal);
    }
    this.#isFarBehind = false;
  }
}

function markOf({ kind }: TableCopy): SnapshotMark {
  return kind === 'first' ? SNAPSHOT_MARK.row : SNAPSHOT_MARK.incremental;
}

/** It may have been begun anew, stopped or put off meanwhile. */
function isUnderWay(copy: TableCopy, part: Part): boolean {
  return copy.isOpen && !copy.paused && copy.has(part);
}

/** The view ends with its rows. */
async function* closing(
  rows: AsyncGenerator<CopiedRows, void, undefined>,
  view: SnapshotView,
  spend: (rows: number) => Promise<void>,
): AsyncGenerator<CopiedRows, void, undefined> {
  try {
    for await (const some of rows) {
      await spend(some.batch.count);
      yield some;
    }
  } finally {
    await view.close();
  }
}

function rowsOf(batches: readonly BatchWriter[]): number {
  return batches.reduce((sum, { count }) => sum + count, 0);
}

interface Wanted {
  readonly copy: TableCopy;
  readonly part: Part;
  /** Empty: the next ones of the part. */
  readonly keys: readonly KeyText[];
}

interface Read {
  readonly watch: Watch;
  readonly batches: Chunk['batches'];
  readonly after: KeyText | null;
  readonly ends: boolean;
}

/** Leaves out of a chunk what the log has shown to be older than what was handed on. Gives the keys that must be read again. */
export function withoutOlder(watch: Watch, batches: readonly BatchWriter[]): readonly KeyText[] {
  const { changed } = watch;
  if (changed.size === 0) return [];
  const again: KeyText[] = [];
  for (const batch of batches) {
    const table = batch.tables[0];
    if (table === undefined || table.key.length === 0) continue;
    batch.keep((record) => {
      const image = batch.heads[record * HEAD_SIZE + HEAD.after] as number;
      const text = keyText(batch, image, table.key);
      const lack = changed.get(text);
      if (lack === undefined) return true;
      if (lack !== null) again.push(lack);
      return false;
    });
  }
  return again;
}
