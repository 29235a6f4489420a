import type { KeyText } from '../plugin/snapshot.ts';
import { HEAD, HEAD_SIZE, OP, type RecordBatch } from '../record/batch.ts';
import type { TableVersion } from '../record/table.ts';
import type { Copies } from './copies.ts';
import { isWhole, keyText, lacksValues } from './watch.ts';

/** With more of them the table is copied once more from its beginning: they are kept with its progress, which stays small. */
const MAX_MOVED = 10_000;

/**
 * Rows that move to another key while their table is copied, and whose change leaves values out (TOAST). From a part that is not copied yet to one that is, such a row
 * would arrive whole under neither key. So their new keys are remembered, over crashes too, and read again when all else is copied.
 */
export function noteMoved(copies: Copies, batch: RecordBatch, keyOf: (table: TableVersion, batch: RecordBatch, image: number) => KeyText): void {
  for (const copy of copies) {
    if (copy.state !== 'copying' || !batch.tables.some(({ label }) => label === copy.label)) continue;
    const known = copy.moved.size;
    for (let record = 0; record < batch.count; record++) {
      const at = record * HEAD_SIZE;
      if (batch.heads[at + HEAD.op] !== OP.update) continue;
      const before = batch.heads[at + HEAD.before] as number;
      const table = batch.tables[batch.heads[at + HEAD.table] as number] as TableVersion;
      if (before < 0 || table.label !== copy.label || table.key.length === 0 || !isWhole(batch, before, table.key)) continue;
      const after = batch.heads[at + HEAD.after] as number;
      if (!lacksValues(batch, after, table.columns.length) || keyText(batch, before, table.key) === keyText(batch, after, table.key)) continue;
      const key = keyOf(table, batch, after);
      copy.moved.set(JSON.stringify(key), key);
    }
    if (copy.moved.size === known) continue;
    if (copy.moved.size > MAX_MOVED) copy.reset(copy.where);
    copies.changed(copy);
  }
}
