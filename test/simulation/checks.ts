import type { Expected, Oracle } from './expected.ts';
import type { Log } from './log.ts';
import type { World } from './world.ts';

/** A record that a broker is about to store. */
export interface Appended {
  readonly id: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly version: string;
}

/** The invariants of design §3, held against the oracle and the simulated disk. */
export class Checks {
  readonly #world: World;
  readonly #log: Log;
  readonly #oracle: Oracle;
  readonly #stands = new Map<string, number>();
  /** Transactions that stand in the sink, all of them up to here. */
  durable = 0;
  records = 0;
  /** By the slot. */
  acknowledged = 0;
  /** What a crash now would leave on the disk, as positions: LevelDB's, and the side file's. */
  synced = 0;
  witnessed = 0;
  /** While the disk is damaged and nobody has noticed nothing is known of it. */
  isDamaged = false;
  /** Schema versions are lost with the state: from then on they are counted anew. */
  versionsLost = false;
  inFlight = 0;
  #bound = Number.POSITIVE_INFINITY;
  #largest = 0;
  lastProgress = 0;

  constructor(world: World, log: Log, oracle: Oracle) {
    this.#world = world;
    this.#log = log;
    this.#oracle = oracle;
  }

  bound(bytes: number): void {
    this.#bound = bytes;
  }

  progress(): void {
    this.lastProgress = this.#world.now;
  }

  /** I1 to I4: a partition gets exactly what it must get, in commit order, each once. */
  appended(where: string, record: Appended): void {
    const list = this.#oracle.partitions.get(where) ?? [];
    const at = this.#stands.get(where) ?? 0;
    const expected = list[at];
    if (expected?.id !== record.id) {
      this.#wrong(where, list, at, record.id);
      return;
    }
    if (!this.#isSame(expected, record)) {
      const { key, value, version } = record;
      this.#world.violated('I4', `${record.id} has other content: key ${key}, schema ${version}, value ${value}; wanted ${JSON.stringify(expected)}`);
    }
    this.#stands.set(where, at + 1);
    const { open } = this.#oracle;
    open[expected.transaction] = (open[expected.transaction] as number) - 1;
    while (this.durable < this.#log.committed && open[this.durable] === 0) {
      this.records += this.#log.transactions[this.durable]?.changes.length ?? 0;
      this.durable++;
    }
    this.progress();
  }

  /** A checkpoint goes to the disk: from now on a crash may find it there. */
  issued(lsn: number): void {
    if (!this.isDamaged && lsn < this.synced) this.#world.violated('I6', `the offset goes back from ${this.synced} to ${lsn}`);
    if (this.#log.isInside(lsn)) this.#world.violated('I6', `the offset ${lsn} lies within a transaction`);
    if (this.#log.before(lsn) > this.durable) {
      this.#world.violated('I5', `the offset ${lsn} is saved (${this.#log.before(lsn)} transactions), and ${this.durable} are durable`);
    }
  }

  saved(lsn: number): void {
    this.synced = lsn;
    this.progress();
  }

  /** What the engine says may be forgotten upstream. */
  acknowledge(lsn: number): void {
    const saved = Math.min(this.synced, this.witnessed);
    if (!this.isDamaged && lsn > saved) this.#world.violated('I5', `${lsn} is acknowledged, and only ${saved} is synced`);
  }

  /** An operator sets the offset: it may be any. */
  replacing(): void {
    this.witnessed = 0;
  }

  /** The state was opened without a complaint: it must hold what it is known to hold. */
  opened(storedLsn: number | null): void {
    if (!this.isDamaged || storedLsn === null) return;
    this.isDamaged = false;
    this.synced = storedLsn;
  }

  written(bytes: number): void {
    this.inFlight += bytes;
    this.#largest = Math.max(this.#largest, bytes);
    // One batch is let through while the bound is not reached.
    if (this.inFlight > this.#bound + this.#largest) this.#world.violated('I9', `${this.inFlight} bytes are in flight, the bound is ${this.#bound}`);
  }

  /** After each step. */
  each(): void {
    if (this.isDamaged) return;
    if (this.acknowledged > this.synced) this.#world.violated('I5', `${this.acknowledged} is acknowledged, and ${this.synced} is on the disk`);
    if (this.#log.before(this.synced) > this.durable) {
      this.#world.violated('I5', `${this.synced} is on the disk, and ${this.durable} transactions are durable`);
    }
  }

  /** When everything should have arrived. */
  end(): void {
    for (const [where, list] of this.#oracle.partitions) {
      const at = this.#stands.get(where) ?? 0;
      if (at < list.length) this.#world.violated('I1', `${list.length - at} messages do not stand in ${where}, the first is ${list[at]?.id}`);
    }
  }

  get isComplete(): boolean {
    return this.durable === this.#log.transactions.length;
  }

  #isSame(expected: Expected, { key, value, version }: Appended): boolean {
    if (key !== expected.key) return false;
    if (!this.versionsLost && version !== String(expected.version)) return false;
    return expected.holds === null ? value === null : value?.includes(expected.holds) === true;
  }

  #wrong(where: string, list: readonly Expected[], at: number, id: string): void {
    const known = list.findIndex((each) => each.id === id);
    const next = list[at]?.id ?? 'nothing';
    if (known < 0) this.#world.violated('I2', `${id} comes to ${where}, where nothing of that name belongs`);
    else if (known < at) this.#world.violated('I4', `${id} comes to ${where} a second time, next is ${next}`);
    else this.#world.violated('I3', `${id} comes to ${where} before ${next}`);
  }
}
