import type { CopyError, CopyKind, CopyState, TableCopy } from './table-copy.ts';

/** What `sluice snapshot status` shows of one copy. */
export interface CopyView {
  readonly connector: string;
  readonly table: string;
  /** `first`: before anything else of the table; `again`: it was asked for. */
  readonly copy: CopyKind;
  readonly state: CopyState | 'paused';
  /** That were handed on. */
  readonly rows: number;
  /** What the server believes the table has; null: not known. */
  readonly estimatedRows: number | null;
  readonly where: string | null;
  readonly surrogateKey: string | null;
  readonly error: CopyError | null;
}

export function copyView(connector: string, copy: TableCopy): CopyView {
  const { label, kind, state, paused, rows, table, where, surrogateKey, error, isOpen } = copy;
  const estimate = table?.estimatedRows ?? -1;
  return {
    connector,
    table: label,
    copy: kind,
    state: isOpen && paused ? 'paused' : state,
    rows,
    estimatedRows: estimate < 0 ? null : estimate,
    where,
    surrogateKey,
    error,
  };
}
