import type { ComingTable, WantedTable } from '../plugin/snapshot.ts';
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
   * These are the captured tables now, in the order in which they are copied. One that was not among them before is copied from its beginning, if rows are wanted; one
   * that is no longer captured is forgotten: what is missed of it meanwhile a new copy brings.
   */
  begin(tables: readonly WantedTable[]): void {
    const captured = new Set(tables.map(({ label }) => label));
    for (const copy of [...this]) {
      if (captured.has(copy.label)) continue;
      this.#byEntry.delete(copy.entry);
      this.#changed.set(copy.entry, null);
    }
    const others = [...this].filter(({ kind }) => kind !== 'first');
    const firsts = tables.map((table) => this.#begin(table));
    this.#byEntry.clear();
    for (const copy of [...firsts, ...others]) this.#byEntry.set(copy.entry, copy);
  }

  #begin({ label, identity, isNew, isCopied, where }: WantedTable): TableCopy {
    const fresh = new TableCopy(label, 'first');
    const copy = this.#byEntry.get(fresh.entry) ?? fresh;
    const before = copy.toText();
    // Another table under the same name: what was copied says nothing of it.
    const isOther = copy === fresh || (copy.identity !== null && copy.identity !== identity);
    copy.identity = identity;
    if (isOther) {
      copy.reset(where);
      if (!isCopied || this.#isFromBefore || !(this.wanted || isNew)) copy.state = 'skipped';
    } else if (copy.isOpen && !isCopied) copy.state = 'skipped';
    // What was in its way may have been mended since; rows by another condition are another copy.
    else if (copy.state === 'failed' || (copy.isOpen && copy.where !== where)) copy.reset(where);
    if (copy === fresh || copy.toText() !== before) this.changed(copy);
    return copy;
  }

  /** What the log shows of tables that come. One whose rows may not be told is as if it had not been seen: the next start looks at it. */
  came(tables: readonly ComingTable[]): void {
    for (const { label, identity, isWhole } of tables) {
      if (isWhole && label !== null) this.#streamed(label, identity);
      if (isWhole) continue;
      for (const copy of this.list()) {
        if (copy.state !== 'streamed' || (label !== null && copy.label !== label)) continue;
        this.#byEntry.delete(copy.entry);
        this.#changed.set(copy.entry, null);
      }
    }
  }

  #streamed(label: string, identity: string): void {
    const copy = new TableCopy(label, 'first');
    if (this.#byEntry.has(copy.entry)) return;
    copy.identity = identity;
    copy.state = 'streamed';
    this.add(copy);
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
  beginAnew(): void {
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
