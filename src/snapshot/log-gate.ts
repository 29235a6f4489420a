import type { SnapshotView } from '../plugin/snapshot.ts';
import type { RecordBatch, Transaction } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import type { Watch } from './watch.ts';

/** With so many transactions that no view was asked about, one is: a copy may wait for hours, and each of them takes memory (I9). */
const CROWD = 10_000;

/** While it lasts the log stands still. */
export interface Hold {
  /** What was handed on, and not yet seen in a view when it began. */
  readonly unseen: Transaction[];
  release(): void;
}

/** Where the log stands for those who copy beside it: they hold it while a view is taken, watch what it shows, and wait until it has passed a view. */
export class LogGate {
  position: Position | null = null;
  #isWatched = false;
  readonly #watches = new Set<Watch>();
  /** Handed on, and not yet seen in a view. */
  #unseen: Transaction[] = [];
  #crowd = CROWD;
  /** There are so many of these that a view should be given to `seenIn`. */
  crowded: (() => void) | null = null;
  readonly #holds = new Set<Hold>();
  readonly #released: () => void;

  /** `released`: nobody holds it any more. */
  constructor(released: () => void) {
    this.#released = released;
  }

  /** No batch of the log is handed on until it is released. */
  hold(): Hold {
    const hold: Hold = {
      unseen: [...this.#unseen],
      release: () => {
        if (this.#holds.delete(hold) && this.#holds.size === 0) this.#released();
      },
    };
    this.#holds.add(hold);
    return hold;
  }

  get held(): boolean {
    return this.#holds.size > 0;
  }

  /** A batch of the log is about to be handed on. */
  observe(batch: RecordBatch): void {
    for (const watch of this.#watches) watch.observe(batch);
    if (batch.checkpoint !== null) this.position = batch.checkpoint;
    if (!this.#isWatched) return;
    for (const transaction of batch.transactions) {
      this.#unseen.push(transaction);
      for (const { unseen } of this.#holds) unseen.push(transaction);
    }
    if (this.#unseen.length < this.#crowd) return;
    this.#crowd = Number.POSITIVE_INFINITY;
    this.crowded?.();
  }

  /**
   * Whether a view that was asked for under this hold shows everything that was handed on. A commit is sent before it is to be seen, by seconds under synchronous
   * replication: rows of a view without it would set its keys back (algorithms §6). What one view shows is asked of no view that begins later; of one that began before
   * it may well be.
   */
  isSeenIn(view: SnapshotView, { unseen }: Hold): boolean {
    const isSeen = unseen.every((transaction) => view.shows(transaction) === true);
    this.seenIn(view);
    return isSeen;
  }

  /** What this view shows need not be asked of one that is taken from now on. */
  seenIn(view: SnapshotView): void {
    this.#unseen = this.#unseen.filter((transaction) => view.shows(transaction) !== true);
    this.#crowd = Math.max(CROWD, this.#unseen.length * 2);
  }

  watch(watch: Watch): void {
    this.#watches.add(watch);
  }

  unwatch(watch: Watch): void {
    this.#watches.delete(watch);
  }

  /** Whether the log has shown all that the view shows. */
  hasPassed(view: SnapshotView): boolean {
    return this.position !== null && view.passedBy(this.position);
  }

  /** While nobody copies nothing need be remembered. */
  set isWatched(on: boolean) {
    this.#isWatched = on;
    if (on) return;
    this.#unseen = [];
    this.#crowd = CROWD;
  }
}
