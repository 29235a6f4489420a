/** Rows of a batch that may not go to the sink, because of their table's shape. */
import { HEAD, HEAD_SIZE, type RecordBatch } from '../record/batch.ts';
import type { Refusal, SchemaPolicy } from '../schema-policy/policy.ts';

/** Of the tables of a batch, by index; null: its rows may go. */
export type Refusals = readonly (Refusal | null)[];

/** By label, tables of which the rows of a batch are of a shape that may not go. */
export type RefusedTables = ReadonlyMap<string, Refusal>;

/** Null: all of the batch may go. */
export function refusalsOf({ tables }: RecordBatch, policy: SchemaPolicy): Refusals | null {
  let refusals: (Refusal | null)[] | null = null;
  for (let index = 0; index < tables.length; index++) {
    const refusal = policy.refusal(tables[index] as RecordBatch['tables'][number]);
    if (refusal === null) continue;
    refusals ??= tables.map(() => null);
    refusals[index] = refusal;
  }
  return refusals;
}

/** How far the records from `from` on can go as one, `end` at the most: no table has both rows that may go and rows that may not. */
export function runOf(
  { heads, tables }: RecordBatch,
  refusals: Refusals,
  from: number,
  end: number,
): { readonly to: number; readonly refused: RefusedTables | null } {
  const refused = new Map<string, Refusal>();
  const free = new Set<string>();
  let to = from;
  for (; to < end; to++) {
    const index = heads[to * HEAD_SIZE + HEAD.table] as number;
    const { label } = tables[index] as RecordBatch['tables'][number];
    const refusal = refusals[index] ?? null;
    if (refusal === null ? refused.has(label) : free.has(label)) break;
    if (refusal === null) free.add(label);
    else refused.set(label, refusal);
  }
  return { to, refused: refused.size === 0 ? null : refused };
}

/** Without those whose messages are kept elsewhere in any case, so that nothing has to go by itself for them; null: none is left. */
export function pressingOf({ tables }: RecordBatch, refusals: Refusals, isAside: (table: string) => boolean): Refusals | null {
  const pressing = refusals.map((refusal, index) => (isAside((tables[index] as RecordBatch['tables'][number]).label) ? null : refusal));
  return pressing.every((refusal) => refusal === null) ? null : pressing;
}

export function refusedTables({ tables }: RecordBatch, refusals: Refusals): RefusedTables {
  const refused = new Map<string, Refusal>();
  for (const [index, refusal] of refusals.entries()) {
    if (refusal !== null) refused.set((tables[index] as RecordBatch['tables'][number]).label, refusal);
  }
  return refused;
}
