import type { CopyTable, KeyText } from '../plugin/snapshot.ts';
import { RowRate } from './row-rate.ts';

/**
 * `waiting`: nothing of it was read. `skipped`: its rows are not wanted. `failed`: it cannot be read; its changes go on. `stopped`: by an operator.
 * `streamed`: it came, empty, while the log was read: all its rows are changes.
 */
export type CopyState = 'waiting' | 'copying' | 'done' | 'skipped' | 'streamed' | 'failed' | 'stopped';

/** A part of a table that is copied from one end to the other. */
export interface Part {
  after: KeyText | null;
  readonly upTo: KeyText | null;
  done: boolean;
}

export interface CopyError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** What is stored of a copy. */
interface Stored {
  readonly state: CopyState;
  readonly identity?: string;
  readonly where?: string;
  readonly surrogateKey?: string;
  readonly paused?: true;
  readonly rows?: number;
  readonly error?: CopyError;
  readonly moved?: readonly KeyText[];
  /** [after, upTo, done]. */
  readonly parts?: readonly (readonly [KeyText | null, KeyText | null, 0 | 1])[];
}

/** First copies begin before anything else is known of the table; those of an operator come again and again. */
export type CopyKind = 'first' | 'again';

const KINDS = ['first', 'again'] as const;

/** The copy of one table: how far it has come. What is stored of it stays small, however large the table: its parts are few. */
export class TableCopy {
  readonly label: string;
  readonly kind: CopyKind;
  /** Of the table that it copies (`WantedTable`); null: not known. */
  identity: string | null = null;
  where: string | null = null;
  /** The column by which it is read in chunks, before its key: ends of parts begin with its value. Null: by its key alone. */
  surrogateKey: string | null = null;
  state: CopyState = 'waiting';
  paused = false;
  /** That were handed on. */
  rows = 0;
  error: CopyError | null = null;
  /** Null: not planned. A table without a key has one, from its beginning to its end. */
  parts: Part[] | null = null;
  /** Keys to which rows moved while they were not told whole (moved.ts), by their JSON. */
  readonly moved = new Map<string, KeyText>();
  /** Stands for these, as a part that comes last. */
  readonly rest: Part = { after: null, upTo: null, done: false };
  /** Of this process: how the table was seen when it was opened last. */
  table: CopyTable | null = null;
  /** Of this process: how fast its rows are handed on. */
  readonly rate = new RowRate();

  constructor(label: string, kind: CopyKind) {
    this.label = label;
    this.kind = kind;
  }

  /** Null: the entry is none of these. */
  static restore(entry: string, text: string): TableCopy | null {
    const kind = KINDS.find((each) => entry.startsWith(`${each}/`));
    if (kind === undefined) return null;
    const { state, identity, where, surrogateKey, paused, rows, error, parts, moved = [] } = JSON.parse(text) as Stored;
    const copy = new TableCopy(entry.slice(kind.length + 1), kind);
    copy.state = state;
    copy.identity = identity ?? null;
    copy.where = where ?? null;
    copy.surrogateKey = surrogateKey ?? null;
    copy.paused = paused === true;
    copy.rows = rows ?? 0;
    copy.error = error ?? null;
    for (const key of moved) copy.moved.set(JSON.stringify(key), key);
    copy.parts = parts === undefined ? null : parts.map(([after, upTo, done]) => ({ after, upTo, done: done === 1 }));
    return copy;
  }

  /** Of `Progress`. */
  get entry(): string {
    return `${this.kind}/${this.label}`;
  }

  get isOpen(): boolean {
    return this.state === 'waiting' || this.state === 'copying';
  }

  /** What the server believes there is to copy; null: not known, as of what a condition takes. */
  get estimatedRows(): number | null {
    const estimate = this.where === null ? (this.table?.estimatedRows ?? -1) : -1;
    return estimate < 0 ? null : estimate;
  }

  /** Its parts are all read, and what moved meanwhile. */
  get isRead(): boolean {
    return this.partsAreRead && this.moved.size === 0;
  }

  get partsAreRead(): boolean {
    return this.parts?.every(({ done }) => done) ?? false;
  }

  /** Whether it is one of its parts as it is planned now. */
  has(part: Part): boolean {
    return part === this.rest || (this.parts?.includes(part) ?? false);
  }

  toText(): string {
    const { state, identity, where, surrogateKey, paused, rows, error, parts, moved } = this;
    const stored: Stored = {
      state,
      ...(identity === null ? {} : { identity }),
      ...(where === null ? {} : { where }),
      ...(surrogateKey === null ? {} : { surrogateKey }),
      ...(paused ? { paused } : {}),
      ...(rows === 0 ? {} : { rows }),
      ...(error === null ? {} : { error }),
      ...(state !== 'copying' || moved.size === 0 ? {} : { moved: [...moved.values()] }),
      ...(state !== 'copying' || parts === null ? {} : { parts: parts.map(({ after, upTo, done }) => [after, upTo, done ? 1 : 0] as const) }),
    };
    return JSON.stringify(stored);
  }

  /** Parts it by the keys given, in order. */
  plan(bounds: readonly KeyText[]): void {
    this.state = 'copying';
    this.parts = [...bounds, null].map((upTo, at) => ({ after: at === 0 ? null : (bounds[at - 1] as KeyText), upTo, done: false }));
  }

  /** From the beginning. */
  reset(where: string | null, surrogateKey: string | null = null): void {
    this.state = 'waiting';
    this.where = where;
    this.surrogateKey = surrogateKey;
    this.paused = false;
    this.rows = 0;
    this.error = null;
    this.parts = null;
    this.moved.clear();
    this.rate.clear();
    this.table = null;
  }
}
