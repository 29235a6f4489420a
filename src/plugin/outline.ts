import type { TableIdentity } from '../record/table.ts';

/** A captured table as the catalogue has it, which may be ahead of the log. */
export interface TableOutline extends TableIdentity {
  /** Names of its columns; left out: not known. */
  readonly columnNames?: readonly string[];
  /** Of those whose old values the log has of every update and delete; null: neither is captured; left out: not known. */
  readonly oldColumnNames?: readonly string[] | null;
}
