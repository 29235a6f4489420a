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
  /** What the server believes there is to copy; null: not known. */
  readonly estimatedRows: number | null;
  /** Of the estimate, 99 at most before the end; null: not known. */
  readonly percent: number | null;
  /** Over the last seconds; null: it is not being copied by this process, or only just. */
  readonly rowsPerSecond: number | null;
  /** By the estimate and this rate; null: not known. */
  readonly secondsLeft: number | null;
  readonly where: string | null;
  readonly surrogateKey: string | null;
  readonly error: CopyError | null;
}

/** `nowMs`: by the clock that the rate was noted with; null: nobody copies. */
export function copyView(connector: string, copy: TableCopy, nowMs: number | null): CopyView {
  const { label, kind, state, paused, rows, where, surrogateKey, error, isOpen, estimatedRows } = copy;
  const isUnderWay = state === 'copying' && !paused && nowMs !== null;
  const rowsPerSecond = isUnderWay ? copy.rate.perSecond(nowMs, rows) : null;
  const isTold = estimatedRows !== null && estimatedRows > rows && rowsPerSecond !== null && rowsPerSecond > 0;
  return {
    connector,
    table: label,
    copy: kind,
    state: isOpen && paused ? 'paused' : state,
    rows,
    estimatedRows,
    percent: state === 'done' ? 100 : estimatedRows === null ? null : Math.min(99, Math.floor((rows / Math.max(1, estimatedRows)) * 100)),
    rowsPerSecond,
    secondsLeft: isTold ? Math.ceil((estimatedRows - rows) / rowsPerSecond) : null,
    where,
    surrogateKey,
    error,
  };
}

export function countText(rows: number): string {
  return rows.toLocaleString('en-US');
}

/** `45 s`, `12 min`, `3 h 20 min`. */
export function durationText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
