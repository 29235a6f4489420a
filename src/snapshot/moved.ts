import type { KeyText } from '../plugin/snapshot.ts';
import { HEAD, HEAD_SIZE, OP, type RecordBatch } from '../record/batch.ts';
import type { TableVersion } from '../record/table.ts';
import type { Copies } from './copies.ts';
import type { TableCopy } from './table-copy.ts';
import { isWhole, keyText, lacksValues } from './watch.ts';

/**
 * With more of them the table is copied once more from its beginning, and by its key alone: they are kept with its progress, which stays small.
 */
const MAX_MOVED = 10_000;

/**
 * Rows that move to another key while their table is copied, and whose change leaves values out (TOAST). From a part that is not copied yet to one that is, such a row
 * would arrive whole under neither key. So their new keys are remembered, over crashes too, and read again when all else is copied. Where a surrogate key parts the table, that is so of every
 * row whose surrogate value may have changed (mostly the log does not tell the old one) while there are parts to read: then each row is whole, or remembered.
 */
export function noteMoved(copies: Copies, batch: RecordBatch, keyOf: (table: TableVersion, batch: RecordBatch, image: number) => KeyText): void {
  for (const copy of copies) {
    if (copy.state !== 'copying' || !batch.tables.some(({ label }) => label === copy.label)) continue;
    const known = copy.moved.size;
    for (let record = 0; record < batch.count; record++) {
      const at = record * HEAD_SIZE;
      if (batch.heads[at + HEAD.op] !== OP.update) continue;
      const table = batch.tables[batch.heads[at + HEAD.table] as number] as TableVersion;
      if (table.label !== copy.label || table.key.length === 0) continue;
      const after = batch.heads[at + HEAD.after] as number;
      if (!lacksValues(batch, after, table.columns.length) || !mayHaveMoved(copy, table, batch, at)) continue;
      const key = keyOf(table, batch, after);
      copy.moved.set(JSON.stringify(key), key);
    }
    if (copy.moved.size === known) continue;
    if (copy.moved.size > MAX_MOVED) copy.reset(copy.where);
    copies.changed(copy);
  }
}

/** Whether the row of an update, whose head is at `at`, may have changed its place in the order in which the table is copied. */
function mayHaveMoved({ surrogateKey, partsAreRead }: TableCopy, table: TableVersion, batch: RecordBatch, at: number): boolean {
  const before = batch.heads[at + HEAD.before] as number;
  const after = batch.heads[at + HEAD.after] as number;
  if (before >= 0 && isWhole(batch, before, table.key) && keyText(batch, before, table.key) !== keyText(batch, after, table.key)) return true;
  if (surrogateKey === null || partsAreRead) return false;
  const order = [table.columns.findIndex(({ name }) => name === surrogateKey)];
  return before < 0 || order[0] === -1 || !isWhole(batch, before, order) || keyText(batch, before, order) !== keyText(batch, after, order);
}
