import type { Files } from '../../src/plugin/runtime.ts';
import type { Position } from '../../src/record/position.ts';
import { EngineError, type KeyValueStore, type Operation } from '../../src/state/key-value.ts';
import type { Checks } from './checks.ts';
import type { Plan } from './plan.ts';
import type { Owner, World } from './world.ts';

type Level = Map<string, Uint8Array>;
/** Where a position is in the log; `complains` if it is none. */
type NumberOf = (position: Position, complains?: boolean) => number;

export const CONNECTOR = 'sim';
export const DIRECTORY = '/data';
export const LEVEL = `${DIRECTORY}/state/level`;

/** A write under way: a crash leaves all of it or nothing. */
interface Writing {
  readonly apply: () => void;
}

const READ_MS = 1;
const FULL = 'IO error: /data/state/level/000007.log: No space left on device';
const BROKEN = 'IO error: /data/state/level/000007.log: Input/output error';
/** Older states of LevelDB that damage may bring back. */
const KEPT_STATES = 6;

/**
 * The disk of the data directory: LevelDB's content and files, as they would be found after a crash at this moment. It outlives processes. Writes take
 * time and may fail; what a failed write leaves behind is not known (LevelDB may find a batch in its log whose sync failed).
 */
export class Disk {
  readonly #world: World;
  readonly #checks: Checks;
  readonly #plan: Plan;
  readonly #numberOf: NumberOf;
  readonly levels = new Map<string, Level>();
  readonly files = new Map<string, Buffer>();
  /** Copies of LevelDB's content after its last batches. */
  readonly states: Level[] = [];
  readonly #directories = new Set<string>();
  readonly #locks = new Map<string, Owner>();
  readonly #writing = new Set<Writing>();
  /** Until then it is full. */
  fullUntil = 0;
  isCalm = false;
  failures = 0;

  /** `numberOf`: where a position is in the log. */
  constructor(world: World, checks: Checks, plan: Plan, numberOf: NumberOf) {
    this.#world = world;
    this.#numberOf = numberOf;
    this.#checks = checks;
    this.#plan = plan;
  }

  /** The owner is dead: what it was writing is there or not. */
  crash(): void {
    for (const { apply } of this.#writing) {
      if (!this.#world.random.chance(0.5)) continue;
      this.#world.tell('the write under way was finished by the disk');
      apply();
    }
    this.#writing.clear();
    this.#locks.clear();
  }

  async open(owner: Owner, location: string, create: boolean): Promise<KeyValueStore> {
    await this.#read(owner, 'open LevelDB');
    if (this.#locks.has(location)) throw new EngineError('locked', 'locked', null);
    let level = this.levels.get(location);
    if (level === undefined) {
      if (!create) throw new EngineError('missing', 'LevelDB holds no database (CURRENT is missing)', null);
      level = new Map();
      this.levels.set(location, level);
    }
    this.#locks.set(location, owner);
    return new SimulatedLevel(this, owner, location, level);
  }

  unlock(location: string): void {
    this.#locks.delete(location);
  }

  filesOf(owner: Owner): Files {
    return {
      read: async (path) => {
        await this.#read(owner, `read ${path}`);
        return this.files.get(path) ?? null;
      },
      replace: (path, bytes) => {
        const copy = Buffer.from(bytes);
        return this.write(owner, `replace ${path}`, () => {
          this.files.set(path, copy);
          if (path.includes('/state/offset.')) this.#checks.witnessed = Math.max(this.#checks.witnessed, this.#numberOfSide(copy));
        });
      },
      makeDirectory: async (path) => {
        await this.#read(owner, `make ${path}`);
        this.#directories.add(path);
      },
      list: (path) => Promise.resolve(this.#list(`${path}/`)),
      rename: (from, to) => this.write(owner, `rename ${from} to ${to}`, () => this.#rename(from, to)),
      state: () => Promise.reject(new Error('there are no dead letters')),
      append: () => Promise.reject(new Error('there are no dead letters')),
      truncate: () => Promise.reject(new Error('there are no dead letters')),
      remove: () => Promise.reject(new Error('there are no dead letters')),
    };
  }

  /** Takes a while; then it is there, or has failed. */
  write(owner: Owner, what: string, apply: () => void): Promise<void> {
    const { random } = this.#world;
    return new Promise((resolve, reject) => {
      const writing = { apply };
      this.#writing.add(writing);
      this.#world.after(owner, 0.2 + random.next() * this.#plan.latencyMs, what, () => {
        this.#writing.delete(writing);
        const failure = this.#failure();
        if (failure === null || random.chance(0.3)) apply();
        if (failure === null) return resolve();
        this.failures++;
        this.#world.tell(`failed: ${failure.message}`);
        reject(failure);
      });
    });
  }

  #failure(): Error | null {
    const { random, now } = this.#world;
    if (this.isCalm) return null;
    if (now < this.fullUntil) return Object.assign(new Error(FULL), { code: 'ENOSPC' });
    if (!random.chance(this.#plan.diskTrouble)) return null;
    if (random.chance(0.3)) return Object.assign(new Error(BROKEN), { code: 'EIO' });
    this.fullUntil = now + random.next() * 1500;
    return Object.assign(new Error(FULL), { code: 'ENOSPC' });
  }

  async #read(owner: Owner, what: string): Promise<void> {
    if (this.#world.random.chance(0.7)) return;
    await new Promise<void>((resolve) => void this.#world.after(owner, this.#world.random.next() * READ_MS, what, resolve));
  }

  /** LevelDB's batch, atomic. */
  batch(owner: Owner, location: string, level: Level, operations: readonly Operation[]): Promise<void> {
    const copies = operations.map((each) => (each.type === 'put' ? { ...each, value: Uint8Array.from(each.value) } : each));
    const offset = copies.find(({ key }) => key.endsWith('/offset'));
    const lsn = offset?.type === 'put' ? this.#numberOf(positionIn(offset.value)) : -1;
    if (lsn >= 0) this.#checks.issued(lsn);
    return this.write(owner, lsn < 0 ? 'LevelDB batch' : `LevelDB batch with offset ${lsn}`, () => {
      for (const each of copies) {
        if (each.type === 'put') level.set(each.key, each.value);
        else level.delete(each.key);
      }
      if (lsn >= 0) this.#checks.saved(lsn);
      if (this.#plan.corruption === 0 || location !== LEVEL) return;
      this.states.push(new Map(level));
      if (this.states.length > KEPT_STATES) this.states.shift();
    });
  }

  /** The offset that LevelDB holds now, 0 = none or not to be read; null: it waits to be recovered. */
  get storedLsn(): number | null {
    const level = this.levels.get(LEVEL);
    if (level?.has(`connector/${CONNECTOR}/lost`) === true) return null;
    const value = level?.get(`connector/${CONNECTOR}/offset`);
    return value === undefined ? 0 : this.#numberOrNone(value);
  }

  /** Of a value that may be damaged: a flipped bit may be the JSON's. */
  #numberOrNone(value: Uint8Array): number {
    try {
      return this.#numberOf(positionIn(value), false);
    } catch {
      return 0;
    }
  }

  #numberOfSide(bytes: Buffer): number {
    const { positions } = JSON.parse(bytes.toString('utf8', 9)) as { positions: [string, Position][] };
    const position = positions[0]?.[1];
    return position === undefined ? -1 : this.#numberOf(position);
  }

  #list(prefix: string): readonly string[] | null {
    const names = new Set<string>();
    for (const path of [...this.files.keys(), ...this.#directories, ...[...this.levels.keys()].map((each) => `${each}/CURRENT`)]) {
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/')[0] as string);
    }
    return names.size === 0 && !this.#directories.has(prefix.slice(0, -1)) ? null : [...names];
  }

  #rename(from: string, to: string): void {
    for (const paths of [this.files, this.levels] as readonly Map<string, unknown>[]) {
      for (const [path, content] of [...paths]) {
        if (!path.startsWith(`${from}/`)) continue;
        paths.delete(path);
        paths.set(to + path.slice(from.length), content);
      }
    }
    this.#directories.delete(from);
    this.#directories.add(to);
    this.states.length = 0;
  }
}

class SimulatedLevel implements KeyValueStore {
  readonly #disk: Disk;
  readonly #owner: Owner;
  readonly #location: string;
  readonly #level: Level;
  #closed = false;

  constructor(disk: Disk, owner: Owner, location: string, level: Level) {
    this.#disk = disk;
    this.#owner = owner;
    this.#location = location;
    this.#level = level;
  }

  async get(key: string): Promise<Uint8Array | null> {
    this.#check();
    return this.#level.get(key) ?? null;
  }

  async batch(operations: readonly Operation[]): Promise<void> {
    this.#check();
    await this.#disk.batch(this.#owner, this.#location, this.#level, operations);
  }

  async *iterate(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    this.#check();
    const found = [...this.#level].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const entry of found) yield entry;
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#disk.unlock(this.#location);
    this.#closed = true;
  }

  #check(): void {
    if (this.#closed) throw new Error('Database is not open');
  }
}

/** The position in a stored offset: behind the frame's head. */
function positionIn(value: Uint8Array): Position {
  return (JSON.parse(Buffer.from(value.subarray(8)).toString()) as { position: Position }).position;
}
