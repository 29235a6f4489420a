import type { Transaction } from '../../src/record/batch.ts';
import type { TableShape } from '../../src/record/table.ts';
import type { Random } from './random.ts';
import { TABLES } from './tables.ts';

/** A row change as the log has it. */
export interface Change {
  readonly op: 'create' | 'update' | 'delete' | 'truncate';
  readonly table: TableShape;
  /** Number of the shape among the table's, from 1. */
  readonly version: number;
  readonly ordinal: number;
  readonly key: number;
  /** Other than `key`: the update changes the key. */
  readonly oldKey: number;
  readonly value: string;
}

export interface Committed {
  readonly transaction: Transaction;
  /** The transaction's rows stand between these positions of the log. */
  readonly begin: number;
  readonly end: number;
  readonly changes: readonly Change[];
}

/** What is to be committed, before it has its place. */
export interface Draft {
  readonly xid: number;
  readonly changes: readonly Change[];
}

/** What a log is like. */
export interface LogStyle {
  readonly tables: readonly (readonly TableShape[])[];
  /** A TRUNCATE is a transaction by itself, and its columns are those of the rows before it. */
  readonly truncatesAlone: boolean;
  readonly mayTruncate: (table: TableShape) => boolean;
  readonly arrange: (drafts: readonly Draft[]) => readonly Committed[];
}

/** Records of a simulation, at least. */
const RECORDS = 200;
const KEYS = 9;

/**
 * The source's log: what was committed, in commit order. What aborted is not in it, but its numbers are taken: anything that is made up has a number
 * that no committed transaction has. Between transactions the log moves on by what concerns nobody.
 */
export class Log {
  readonly transactions: readonly Committed[];
  readonly records: number;
  /** How many transactions have been committed so far. */
  committed = 0;
  /** Where the log ends now. */
  head = 0;
  readonly #style: LogStyle;
  readonly #versions: number[];

  constructor(random: Random, style: LogStyle) {
    this.#style = style;
    this.#versions = style.tables.map(() => 0);
    const drafts: Draft[] = [];
    let records = 0;
    let xid = 700;
    while (records < RECORDS) {
      // Aborted, or another database's.
      xid += 1 + (random.chance(0.2) ? 1 : 0);
      const changes = this.#changes(random, xid);
      drafts.push({ xid, changes });
      records += changes.length;
    }
    this.transactions = style.arrange(drafts);
    this.records = records;
  }

  get complete(): boolean {
    return this.committed === this.transactions.length;
  }

  /** The end of the last transaction. */
  get end(): number {
    return this.transactions.at(-1)?.end ?? 0;
  }

  /** One more transaction. */
  commit(): Committed {
    const next = this.transactions[this.committed++] as Committed;
    this.head = next.end;
    return next;
  }

  /** The log moves on by what is not captured. */
  idle(random: Random): void {
    const next = this.transactions[this.committed];
    this.head = next === undefined ? this.head + 1 : random.between(this.head, next.begin);
  }

  /** Number of transactions that end at or before the position. */
  before(lsn: number): number {
    let low = 0;
    let high = this.transactions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.transactions[middle] as Committed).end <= lsn) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether a position lies within a transaction (I6). */
  isInside(lsn: number): boolean {
    const next = this.transactions[this.before(lsn)];
    return next !== undefined && next.begin < lsn;
  }

  #changes(random: Random, xid: number): readonly Change[] {
    const alone = this.#style.truncatesAlone && random.chance(0.07) ? this.#truncate(random, xid) : null;
    if (alone !== null) return [alone];
    const count = random.chance(0.1) ? random.between(12, 30) : random.between(1, 6);
    const changes: Change[] = [];
    let ordinal = 0;
    for (let index = 0; index < count; index++) {
      // A row of a table that is not captured has its number all the same.
      if (random.chance(0.1)) ordinal++;
      changes.push(this.#change(random, xid, ordinal++));
    }
    return changes;
  }

  /** Null: no table was seen yet that may be. */
  #truncate(random: Random, xid: number): Change | null {
    const { tables, mayTruncate } = this.#style;
    const seen = this.#versions.flatMap((version, number) => {
      const table = tables[number]?.[version - 1];
      return table !== undefined && mayTruncate(table) ? [{ table, version }] : [];
    });
    if (seen.length === 0) return null;
    return { op: 'truncate', ...random.pick(seen), ordinal: 0, key: 0, oldKey: 0, value: String(xid) };
  }

  #change(random: Random, xid: number, ordinal: number): Change {
    const { tables, truncatesAlone } = this.#style;
    const number = random.below(tables.length);
    const shapes = tables[number] as readonly TableShape[];
    const known = this.#versions[number] as number;
    if (known === 0 || (known < shapes.length && random.chance(0.03))) this.#versions[number] = known + 1;
    const version = this.#versions[number] as number;
    const key = random.below(KEYS);
    const op = !truncatesAlone && random.chance(0.02) ? 'truncate' : random.pick(['create', 'update', 'update', 'delete'] as const);
    const oldKey = op === 'update' && random.chance(0.2) ? random.below(KEYS) : key;
    return { op, table: shapes[version - 1] as TableShape, version, ordinal, key, oldKey, value: `${xid}-${ordinal}` };
  }
}

/** The log of a server with LSNs. */
export function withLsns(random: Random): LogStyle {
  const arrange: LogStyle['arrange'] = (drafts) => {
    let lsn = 100;
    return drafts.map(({ xid, changes }) => {
      const begin = lsn + random.between(1, 40);
      lsn = begin + 10 * changes.length + random.between(1, 9);
      const commitMicros = 1_800_000_000_000_000 + lsn * 1000;
      return { transaction: { id: `sys/${lsn.toString(16).toUpperCase()}.${xid}`, commitMicros }, begin, end: lsn, changes };
    });
  };
  return { tables: TABLES, truncatesAlone: false, mayTruncate: () => true, arrange };
}
