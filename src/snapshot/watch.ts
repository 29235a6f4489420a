import type { KeyText, SnapshotView } from '../plugin/snapshot.ts';
import { ABSENT, HEAD, HEAD_SIZE, OP, type RecordBatch, UNAVAILABLE } from '../record/batch.ts';
import { haveSameRows, type TableVersion } from '../record/table.ts';

/** Beyond so many changed keys a chunk is read again, when the log has caught up: what is remembered stays small (I9). */
const MAX_CHANGED = 100_000;

/** The key of a row as one text: equal texts = the same cells. */
export function keyText(batch: RecordBatch, image: number, key: readonly number[]): string {
  const { arena, cells } = batch;
  let text = '';
  for (const column of key) {
    const at = (image + column) * 2;
    const start = cells[at] as number;
    const end = cells[at + 1] as number;
    // With its length: of several cells none can pass for another's end.
    text += start < 0 ? `${start}:` : `${end - start}:${arena.toString('latin1', start, end)}`;
  }
  return text;
}

/**
 * What the log shows of one table beyond a view of the database, from the moment the view was taken: keys that were changed by transactions the view does not show.
 * Their rows in the view are older than what was handed on.
 */
export class Watch {
  readonly view: SnapshotView;
  readonly label: string;
  /** Null: what came of this key tells the whole row, or that there is none. Else the key: what came had not all of the row's columns (TOAST). */
  readonly changed = new Map<string, KeyText | null>();
  /** The table was emptied behind the view: nothing of the view is left. */
  truncated = false;
  /** Why the chunk is worth nothing; it is read again. */
  spoilt: 'too many changes' | 'rows without a key changed' | 'not to be told' | null = null;
  #version: TableVersion | null = null;

  constructor(view: SnapshotView, label: string) {
    this.view = view;
    this.label = label;
  }

  /** A batch of the log is handed on. */
  observe(batch: RecordBatch): void {
    if (this.spoilt !== null || !batch.tables.some(({ label }) => label === this.label)) return;
    // By index of the transaction; asked once for each.
    const shown: (boolean | null | undefined)[] = [];
    for (let record = 0; record < batch.count; record++) {
      const at = record * HEAD_SIZE;
      const table = batch.tables[batch.heads[at + HEAD.table] as number] as TableVersion;
      if (table.label !== this.label || table.kind !== 'table') continue;
      const index = batch.heads[at + HEAD.transaction] as number;
      let isShown = shown[index];
      if (isShown === undefined) {
        isShown = this.view.shows(batch.transactions[index] as RecordBatch['transactions'][number]);
        shown[index] = isShown;
      }
      if (isShown === true) continue;
      if (isShown === null) {
        this.spoilt = 'not to be told';
        return;
      }
      this.#changed(batch, at, table);
    }
    if (this.changed.size > MAX_CHANGED) this.spoilt = 'too many changes';
  }

  /**
   * The log has shown the table otherwise than the rows have it. What only the catalogue says (labels of an enum) may be newer with the rows: the log says nothing of
   * such a change, and no row is another for it.
   */
  outdates(table: TableVersion): boolean {
    return this.#version !== null && !haveSameRows(this.#version, table);
  }

  #changed(batch: RecordBatch, at: number, table: TableVersion): void {
    this.#version = table;
    if ((batch.heads[at + HEAD.op] as number) === OP.truncate) {
      this.truncated = true;
      return;
    }
    if (table.key.length === 0) {
      // Its rows cannot be told from each other: one that is gone behind the view must not be handed on.
      if ((batch.heads[at + HEAD.op] as number) !== OP.create) this.spoilt = 'rows without a key changed';
      return;
    }
    const before = batch.heads[at + HEAD.before] as number;
    const after = batch.heads[at + HEAD.after] as number;
    const old = before >= 0 && isWhole(batch, before, table.key) ? keyText(batch, before, table.key) : null;
    if (old !== null) this.changed.set(old, null);
    if (after < 0) return;
    const text = keyText(batch, after, table.key);
    if (!lacksValues(batch, after, table.columns.length)) {
      this.changed.set(text, null);
      return;
    }
    // Whatever came whole since the view tells the row; of one that moves here, its old key would have told it.
    const moved = old !== null && old !== text;
    if (moved || this.changed.get(text) !== null) this.changed.set(text, this.view.keyOf(table, batch, after));
  }
}

export function isWhole({ cells }: RecordBatch, image: number, key: readonly number[]): boolean {
  return key.every((column) => (cells[(image + column) * 2] as number) !== ABSENT);
}

export function lacksValues({ cells }: RecordBatch, image: number, columns: number): boolean {
  for (let column = 0; column < columns; column++) if (cells[(image + column) * 2] === UNAVAILABLE) return true;
  return false;
}
