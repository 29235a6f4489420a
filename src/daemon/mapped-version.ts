import type { Mapping } from '../mapping/mapping.ts';
import type { TableVersion } from '../record/table.ts';

/** A version as readers have it. One that cannot be mapped, by what the file says today, is what it is: a row of it says what is wrong. */
export function mappedVersion<T extends TableVersion | null>(table: T, mapping: Mapping | null): TableVersion | T {
  if (table === null || mapping === null) return table;
  try {
    return mapping.table(table);
  } catch {
    return table;
  }
}
