/**
 * A database as the seam of a copy meets it: commits stand in the log before they are to be seen, values out of line are left out of updates, rows move to other keys,
 * tables are truncated.
 */
import type { World } from '../world.ts';

export interface Row {
  readonly version: number;
  /** Out of line: an update that leaves it as it is does not carry it. */
  readonly big: string;
}

export type Change =
  | { readonly op: 'create'; readonly key: number; readonly row: Row }
  /** `lacks`: the log does not carry `big`. */
  | { readonly op: 'update'; readonly key: number; readonly from: number; readonly row: Row; readonly lacks: boolean }
  | { readonly op: 'delete'; readonly key: number }
  | { readonly op: 'truncate' };

export interface Commit {
  readonly xid: number;
  /** Behind its end. */
  readonly lsn: number;
  readonly changes: readonly Change[];
  isVisible: boolean;
}

export const KEYS = 40;
const LSN_STEP = 10;

export class Database {
  readonly commits: Commit[] = [];
  /** As they will be once everything is to be seen. */
  readonly rows = new Map<number, Row>();
  #version = 0;
  readonly #world: World;
  /** Keys that a commit holds which is not yet to be seen; a truncation holds all. */
  readonly #locked = new Set<number>();
  #allLocked = false;

  constructor(world: World) {
    this.#world = world;
  }

  get end(): number {
    return (this.commits.at(-1)?.lsn ?? 0) + 1;
  }

  fill(rows: number): void {
    const changes: Change[] = [];
    for (let n = 0; n < rows; n++) changes.push(this.#insert(n));
    this.#commit(changes).isVisible = true;
    this.#locked.clear();
  }

  /** One transaction, if the rows it wants are free. */
  write(): void {
    const { random } = this.#world;
    if (this.#allLocked) return;
    if (random.chance(0.01) && this.#locked.size === 0) {
      this.rows.clear();
      this.#allLocked = true;
      this.#becomes(this.#commit([{ op: 'truncate' }]));
      return;
    }
    const changes: Change[] = [];
    for (let n = random.between(1, 4); n > 0; n--) {
      const change = this.#change(random.below(KEYS), random.below(KEYS));
      if (change !== null) changes.push(change);
    }
    if (changes.length > 0) this.#becomes(this.#commit(changes));
  }

  /** What queries see now. */
  visible(): { readonly xids: ReadonlySet<number>; readonly rows: ReadonlyMap<number, Row> } {
    const xids = new Set<number>();
    const rows = new Map<number, Row>();
    for (const commit of this.commits) {
      if (!commit.isVisible) continue;
      xids.add(commit.xid);
      for (const change of commit.changes) apply(rows, change);
    }
    return { xids, rows };
  }

  #change(key: number, other: number): Change | null {
    const { random } = this.#world;
    if (this.#locked.has(key) || this.#locked.has(other)) return null;
    const row = this.rows.get(key);
    if (row === undefined) return this.#insert(key);
    if (random.chance(0.25)) {
      this.rows.delete(key);
      this.#locked.add(key);
      return { op: 'delete', key };
    }
    const isMove = random.chance(0.25) && !this.rows.has(other);
    const lacks = random.chance(0.85);
    const to = isMove ? other : key;
    const version = ++this.#version;
    const next = { version, big: lacks ? row.big : `b${version}` };
    this.rows.delete(key);
    this.rows.set(to, next);
    this.#locked.add(key).add(to);
    return { op: 'update', key: to, from: key, row: next, lacks };
  }

  #insert(key: number): Change {
    const version = ++this.#version;
    const row = { version, big: `b${version}` };
    this.rows.set(key, row);
    this.#locked.add(key);
    return { op: 'create', key, row };
  }

  #commit(changes: readonly Change[]): Commit {
    const commit = { xid: 100 + this.commits.length, lsn: this.end - 1 + LSN_STEP, changes, isVisible: false };
    this.commits.push(commit);
    return commit;
  }

  #becomes(commit: Commit): void {
    const { random } = this.#world;
    const ms = random.chance(0.05) ? random.between(50, 400) : random.chance(0.5) ? 0 : random.between(1, 20);
    this.#world.after(null, ms, `commit ${commit.xid} is to be seen`, () => {
      commit.isVisible = true;
      for (const change of commit.changes) {
        if (change.op === 'truncate') this.#allLocked = false;
        else this.#locked.delete(change.key);
        if (change.op === 'update') this.#locked.delete(change.from);
      }
    });
  }
}

export function apply(rows: Map<number, Row>, change: Change): void {
  if (change.op === 'truncate') rows.clear();
  else if (change.op === 'delete') rows.delete(change.key);
  else {
    if (change.op === 'update') rows.delete(change.from);
    rows.set(change.key, change.row);
  }
}
