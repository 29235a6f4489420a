import type { SnapshotConfig } from '../plugin/snapshot-fields.ts';
import type { Progress } from '../record/position.ts';
import { TableCopy } from './table-copy.ts';

/** All that is known of a connector's copies, and what of it is to be saved. */
export class Copies implements Iterable<TableCopy> {
  readonly #mode: SnapshotConfig['mode'];
  readonly #byEntry = new Map<string, TableCopy>();
  readonly #changed = new Map<string, string | null>();
  /** Nothing was ever copied or decided, although the connector has run. */
  #isFromBefore: boolean;

  /** `stored`: as it was saved. `hasRun`: there is an offset. */
  constructor(mode: SnapshotConfig['mode'], stored: Progress, hasRun: boolean) {
    this.#mode = mode;
    for (const [entry, text] of Object.entries(stored)) {
      const copy = text === null ? null : TableCopy.restore(entry, text);
      if (copy !== null) this.#byEntry.set(entry, copy);
    }
    this.#isFromBefore = hasRun && this.#byEntry.size === 0;
  }

  /** Rows are copied without being asked for. */
  get wanted(): boolean {
    return this.#mode !== 'no_data' && this.#mode !== 'never';
  }

  /** Copies that are not at their end. */
  get open(): number {
    let open = 0;
    for (const copy of this) if (copy.isOpen) open++;
    return open;
  }

  *[Symbol.iterator](): Iterator<TableCopy> {
    yield* this.#byEntry.values();
  }

  list(): readonly TableCopy[] {
    return [...this];
  }

  get(entry: string): TableCopy | undefined {
    return this.#byEntry.get(entry);
  }

  add(copy: TableCopy): void {
    this.#byEntry.set(copy.entry, copy);
    this.changed(copy);
  }

  /**
   * These are the captured tables now. One that was not among them before is copied from its beginning, if rows are wanted; one that is no longer captured is forgotten:
   * what is missed of it meanwhile a new copy brings.
   */
  begin(labels: readonly string[]): void {
    const captured = new Set(labels);
    for (const copy of [...this]) {
      if (captured.has(copy.label)) continue;
      this.#byEntry.delete(copy.entry);
      this.#changed.set(copy.entry, null);
    }
    for (const label of labels) {
      const copy = new TableCopy(label, 'first');
      const known = this.#byEntry.get(copy.entry);
      if (known?.state === 'failed') {
        // What was in its way may have been mended since.
        known.reset(known.where, known.surrogateKey);
        this.changed(known);
      }
      if (known !== undefined) continue;
      if (!this.wanted || this.#isFromBefore) copy.state = 'skipped';
      this.add(copy);
    }
  }

  /** Everything once more; but where the copies of an earlier start are not at their end, those go on, and nothing is begun. */
  restart(): void {
    this.#isFromBefore = false;
    const first = this.list().filter(({ kind }) => kind === 'first');
    if (first.some(({ isOpen, paused }) => isOpen && !paused)) return;
    for (const copy of first) {
      if (copy.isOpen) continue;
      copy.reset(null);
      this.changed(copy);
    }
  }

  /** The log was begun anew behind a gap: everything is copied from its beginning, and what was asked for and is not at its end is part of that. */
  renew(): void {
    this.#isFromBefore = false;
    for (const copy of this.list()) {
      if (copy.kind === 'first') {
        copy.reset(null);
        this.changed(copy);
      } else if (copy.isOpen) {
        this.#byEntry.delete(copy.entry);
        this.#changed.set(copy.entry, null);
      }
    }
  }

  changed(copy: TableCopy): void {
    this.#changed.set(copy.entry, copy.toText());
  }

  /** What is to be saved and travels with no rows; null: nothing. */
  takeChanged(): Progress | null {
    if (this.#changed.size === 0) return null;
    const taken = Object.fromEntries(this.#changed);
    this.#changed.clear();
    return taken;
  }
}
