import type { SnapshotView } from '../plugin/snapshot.ts';
import type { RecordBatch, Transaction } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import type { Watch } from './watch.ts';

/** Where the log stands for those who copy beside it: they hold it while a view is taken, watch what it shows, and wait until it has passed a view. */
export class LogGate {
  position: Position | null = null;
  #isWatched = false;
  readonly #watches = new Set<Watch>();
  /** Handed on, and not yet seen in a view. */
  #unseen: Transaction[] = [];
  #holds = 0;
  readonly #released: () => void;

  /** `released`: nobody holds it any more. */
  constructor(released: () => void) {
    this.#released = released;
  }

  /** No batch of the log is handed on until it is released. */
  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      if (this.#holds === 0) this.#released();
    };
  }

  get held(): boolean {
    return this.#holds > 0;
  }

  /** A batch of the log is about to be handed on. */
  observe(batch: RecordBatch): void {
    for (const watch of this.#watches) watch.observe(batch);
    if (this.#isWatched) for (const transaction of batch.transactions) this.#unseen.push(transaction);
    if (batch.checkpoint !== null) this.position = batch.checkpoint;
  }

  /**
   * Whether a view shows everything that was handed on. A commit is sent before it is to be seen, by seconds under synchronous replication: rows of a view without it
   * would set its keys back (algorithms §6).
   */
  isSeenIn(view: SnapshotView): boolean {
    this.#unseen = this.#unseen.filter((transaction) => view.shows(transaction) !== true);
    return this.#unseen.length === 0;
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
    if (!on) this.#unseen = [];
  }
}
