import type { Place, Position } from '../record/position.ts';

/** A position that is safe to resume from, with the place in the sink that belongs to it. */
export interface Checkpoint {
  readonly position: Position;
  readonly place: Place | null;
}

/** One batch on its way. */
interface Entry {
  readonly position: Position | null;
  /** The checkpoint is the batch's very end: what the batch wrote belongs to it. */
  readonly atEnd: boolean;
  place: Place | null;
  done: boolean;
}

/**
 * Knows which batches are durable and hands out only what the contiguous finished prefix allows (I5, I6).
 *
 * The place that is saved with a position must have everything after that position beyond it. So a batch that goes on into a transaction after its
 * checkpoint is saved with the place before it: what stands between is read back and recognised (algorithms §2).
 */
export class CheckpointTracker {
  readonly #entries: Entry[] = [];
  #first = 0;
  #place: Place | null;
  #ready: Checkpoint | null = null;

  /** `place`: the sink's end before the first batch. */
  constructor(place: Place | null) {
    this.#place = place;
  }

  /** Batches begun and not yet part of the finished prefix. */
  get pending(): number {
    return this.#entries.length - this.#first;
  }

  /** Registers the next batch; the handle goes to `finish`. */
  begin(position: Position | null, atEnd: boolean): Entry {
    const entry: Entry = { position, atEnd, place: null, done: false };
    this.#entries.push(entry);
    return entry;
  }

  /** `place`: where the sink ended with this batch; null = the batch wrote nothing. */
  finish(entry: Entry, place: Place | null): void {
    entry.done = true;
    entry.place = place;
    this.#advance();
  }

  /** The newest checkpoint of the finished prefix that was not taken yet, or null. */
  take(): Checkpoint | null {
    const ready = this.#ready;
    this.#ready = null;
    return ready;
  }

  get hasReady(): boolean {
    return this.#ready !== null;
  }

  #advance(): void {
    const entries = this.#entries;
    while (this.#first < entries.length) {
      const entry = entries[this.#first] as Entry;
      if (!entry.done) break;
      const before = this.#place;
      if (entry.place !== null) this.#place = entry.place;
      if (entry.position !== null) this.#ready = { position: entry.position, place: entry.atEnd ? this.#place : before };
      this.#first++;
    }
    if (this.#first > 64 && this.#first * 2 > entries.length) {
      entries.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
