import type { Place, Position, Progress } from '../record/position.ts';
import type { AnnouncedShapes } from '../schema-history/announcements.ts';

/** A position that is safe to resume from, with the entries of the sink's place that have moved since the checkpoint before it. */
export interface Checkpoint {
  readonly position: Position;
  /** Null: none has. */
  readonly place: Place | null;
  /** Of copies, what changed since the checkpoint before it; null: nothing. */
  readonly progress: Progress | null;
  /** Shapes that were announced since the checkpoint before it, in front of the position; null: none. */
  readonly shapes: AnnouncedShapes | null;
}

/** Shapes that a batch announces, in front of its checkpoint and behind it. */
export interface BatchShapes {
  readonly before: AnnouncedShapes;
  readonly behind: AnnouncedShapes;
}

/** One batch on its way. */
interface Entry {
  readonly position: Position | null;
  /** The checkpoint is the batch's very end: what the batch wrote belongs to it. */
  readonly atEnd: boolean;
  readonly progress: Progress | null;
  place: Place | null;
  shapes: BatchShapes | null;
  done: boolean;
}

type Moved = Record<string, string | null>;

function orNull<T extends object>(moved: T): T | null {
  return Object.keys(moved).length === 0 ? null : moved;
}

/**
 * Knows which batches are durable and hands out only what the contiguous finished prefix allows (I5, I6).
 *
 * The place that is saved with a position must have everything after that position beyond it. So what a batch moved that goes on into a transaction
 * after its checkpoint is saved with the next one: what stands between is read back and recognised (algorithms §2).
 */
export class CheckpointTracker {
  readonly #entries: Entry[] = [];
  #first = 0;
  #position: Position | null = null;
  /** The position that was taken last: what is known of copies can be saved with it again. */
  #taken: Position | null;
  /** Moved up to `#position`, and not taken yet. */
  #moved: Moved = {};
  /** Moved behind it. */
  #held: Moved = {};
  /** Of copies, in the finished prefix, and not taken yet. */
  #progress: Moved = {};
  /** Announced in front of `#position`, and not taken yet. */
  #shapes: Record<string, number> = {};
  /** Announced behind it: what stands between is read again, and announced again. */
  #shapesBehind: Record<string, number> = {};

  /** `from`: the position that is saved already; null: none is. */
  constructor(from: Position | null) {
    this.#taken = from;
  }

  /** Batches begun and not yet part of the finished prefix. */
  get pending(): number {
    return this.#entries.length - this.#first;
  }

  /** Registers the next batch; the handle goes to `finish`. */
  begin(position: Position | null, atEnd: boolean, progress: Progress | null): Entry {
    const entry: Entry = { position, atEnd, progress, place: null, shapes: null, done: false };
    this.#entries.push(entry);
    return entry;
  }

  /** `place`: the entries that moved with this batch; null = it wrote nothing. */
  finish(entry: Entry, place: Place | null, shapes: BatchShapes | null = null): void {
    entry.done = true;
    entry.place = place;
    entry.shapes = shapes;
    this.#advance();
  }

  /** The newest checkpoint of the finished prefix that was not taken yet, or null. */
  take(): Checkpoint | null {
    if (!this.hasReady) return null;
    // What was copied beside the log is saved with the position before it: the log is read again from there, and says nothing of the copy.
    const position = (this.#position ?? this.#taken) as Position;
    const checkpoint = { position, place: orNull(this.#moved), progress: orNull(this.#progress), shapes: orNull(this.#shapes) };
    this.#taken = position;
    this.#position = null;
    this.#moved = {};
    this.#progress = {};
    this.#shapes = {};
    return checkpoint;
  }

  get hasReady(): boolean {
    return this.#position !== null || (this.#taken !== null && orNull(this.#progress) !== null);
  }

  #advance(): void {
    const entries = this.#entries;
    while (this.#first < entries.length) {
      const { done, position, atEnd, progress, place, shapes } = entries[this.#first] as Entry;
      if (!done) break;
      if (progress !== null) Object.assign(this.#progress, progress);
      if (atEnd || position === null) Object.assign(this.#held, place);
      if (position !== null) {
        Object.assign(this.#moved, this.#held);
        this.#held = atEnd ? {} : { ...place };
        this.#position = position;
        Object.assign(this.#shapes, this.#shapesBehind, shapes?.before);
        this.#shapesBehind = { ...shapes?.behind };
      } else Object.assign(this.#shapesBehind, shapes?.before, shapes?.behind);
      this.#first++;
    }
    if (this.#first > 64 && this.#first * 2 > entries.length) {
      entries.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
