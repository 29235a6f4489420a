/**
 * The real engine of copies between a simulated database and a simulated sink: a first copy, crashes anywhere, copies beside the log. After each message that arrives no
 * key may have gone back in time, and at the end what was rebuilt is the table (I7).
 */
import { CheckpointTracker } from '../../../src/pipeline/checkpoints.ts';
import type { Runtime } from '../../../src/plugin/runtime.ts';
import type { RecordBatch } from '../../../src/record/batch.ts';
import { OP, UNAVAILABLE } from '../../../src/record/batch.ts';
import { RecordCursor } from '../../../src/record/cursor.ts';
import type { Position } from '../../../src/record/position.ts';
import { TableRegistry } from '../../../src/record/table.ts';
import { SnapshotCommands } from '../../../src/snapshot/commands.ts';
import { Copies } from '../../../src/snapshot/copies.ts';
import { CopyingSource } from '../../../src/snapshot/copying-source.ts';
import { Pace } from '../../../src/snapshot/pace.ts';
import { givenCredentials } from '../credentials.ts';
import { Random } from '../random.ts';
import { type Owner, type Violation, World } from '../world.ts';
import { Database, KEYS } from './database.ts';
import { SeamSource } from './source.ts';

const MAX_STEPS = 40_000;
const LACKS = 'left out';

interface Rebuilt {
  big: string;
  version: number;
  isThere: boolean;
}

/** What arrived: it outlives the process. */
class Sink {
  readonly rows = new Map<number, Rebuilt>();
  readonly #stands = new Set<string>();
  #deleted = LACKS;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** All records of a batch, in order; those of the log that stand there already are passed over (algorithms §2). */
  take(records: readonly Arriving[]): void {
    for (const record of records) {
      if (record.id.startsWith('log/')) {
        if (this.#stands.has(record.id)) continue;
        this.#stands.add(record.id);
      }
      this.#apply(record);
    }
  }

  #apply({ op, before, after, id }: Arriving): void {
    if (op === OP.truncate) {
      for (const row of this.rows.values()) row.isThere = false;
      return;
    }
    this.#deleted = LACKS;
    if (before !== null && before !== after?.key) {
      const old = this.rows.get(before);
      this.#deleted = old?.isThere === true ? old.big : LACKS;
      if (old !== undefined) old.isThere = false;
    }
    if (after === null) return;
    const known = this.rows.get(after.key);
    if (known !== undefined && (after.version < known.version || (!known.isThere && after.version === known.version && op === OP.read))) {
      this.#world.violated('I7', `key ${after.key} went back from version ${known.version} to ${after.version} by ${id}`);
    }
    const kept = before !== null && before !== after.key ? this.#deleted : known?.isThere === true ? known.big : LACKS;
    this.rows.set(after.key, { version: after.version, big: after.big ?? kept, isThere: true });
  }
}

interface Arriving {
  readonly id: string;
  readonly op: number;
  readonly before: number | null;
  /** `big` null: left out. */
  readonly after: { readonly key: number; readonly version: number; readonly big: string | null } | null;
}

export interface SeamOutcome {
  readonly violation: Violation | null;
  readonly steps: number;
  readonly crashes: number;
  readonly rows: number;
}

/** One seed, from the first start until everything is copied and the log is read. */
export async function simulateSeam(seed: number): Promise<SeamOutcome> {
  const world = new World(new Random(seed), false);
  const database = new Database(world);
  database.fill(world.random.between(0, KEYS));
  const sink = new Sink(world);
  const saved: Saved = { offset: null, progress: {} };
  const writes = world.random.between(30, 200);
  for (let n = 0, at = 0; n < writes; n++) {
    at += world.random.next() * 8;
    world.after(null, at, 'a transaction', () => database.write());
  }
  const crashes = world.random.between(0, 5);
  let crashed = 0;
  // A slot that was there before exports nothing: then everything is copied beside the log.
  const holds = world.random.chance(0.4);
  let life = new Life(0, world, database, sink, saved, holds);
  while (world.violation === null && world.steps < MAX_STEPS) {
    if (crashed < crashes && world.random.chance(0.006)) {
      world.kill(life.owner);
      life.die();
      life = new Life(++crashed, world, database, sink, saved, holds);
    }
    if (!world.step()) break;
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (life.failure !== null) world.violated('I10', String(life.failure));
    if (isOver(database, life, writes, world)) break;
  }
  world.kill(life.owner);
  if (world.violation === null) checkEnd(world, database, sink, life);
  return { violation: world.violation, steps: world.steps, crashes: crashed, rows: sink.rows.size };
}

interface Saved {
  offset: Position | null;
  progress: Record<string, string>;
}

/** Everything was written and is to be seen, is read and saved, and nothing is left to copy. */
function isOver(database: Database, life: Life, _writes: number, world: World): boolean {
  return world.now > 3_000 && database.commits.every(({ isVisible }) => isVisible) && life.isDone(database.end - 1);
}

function checkEnd(world: World, database: Database, sink: Sink, life: Life): void {
  if (!life.isDone(database.end - 1)) {
    world.violated('I10', `not done after ${world.steps} steps: ${JSON.stringify(life.saved)}`);
    return;
  }
  for (const [key, row] of database.rows) {
    const found = sink.rows.get(key);
    if (found?.isThere !== true) world.violated('I7', `key ${key} is missing`);
    else if (found.version !== row.version || found.big !== row.big) {
      world.violated('I7', `key ${key} is ${found.version} ${found.big}, not ${row.version} ${row.big}`);
    }
  }
  for (const [key, { isThere }] of sink.rows) if (isThere && !database.rows.has(key)) world.violated('I7', `key ${key} is too much`);
}

/** One process: reads, writes to the sink in order, saves, dies. */
class Life {
  readonly owner: Owner;
  readonly saved: Saved;
  failure: unknown = null;
  readonly #world: World;
  readonly #sink: Sink;
  readonly #source: CopyingSource;
  readonly #copies: Copies;
  readonly #tracker: CheckpointTracker;
  readonly #isFirst: boolean;
  readonly #abort = new AbortController();
  /** On their way to the sink; they arrive in order. */
  readonly #flying: (() => void)[] = [];
  #isDead = false;

  constructor(number: number, world: World, database: Database, sink: Sink, saved: Saved, holds: boolean) {
    this.owner = { name: `life ${number}` };
    this.#world = world;
    this.#sink = sink;
    this.saved = saved;
    const runtime = runtimeOf(world, this.owner);
    const tables = new TableRegistry();
    this.#isFirst = saved.offset === null;
    this.#copies = new Copies('initial', saved.progress, !this.#isFirst);
    const events = { planned: ignore, failed: (_: unknown, error: unknown) => this.#fail(error), later: ignore, moved: ignore, unfinished: ignore };
    const source = new SeamSource(database, world, runtime, tables, number, holds);
    const config = {
      mode: 'initial',
      include: [],
      exclude: [],
      where: {},
      order: 'listed',
      parallelism: world.random.between(1, 3),
      maxRowsPerSecond: 0,
      maxLag: 1e9,
    } as const;
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
    this.#source = new CopyingSource(source, config, this.#copies, new SnapshotCommands('s', this.#copies, runtime), {
      runtime,
      tables,
      events,
      limits: { bytes: 1e6, rows: 8, firstRows: 2, keysAgain: 2 },
      pace: new Pace(config, runtime, log),
      signals: null,
      renew: ignore,
    });
    this.#tracker = new CheckpointTracker(saved.offset);
    void this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** What had left the process may arrive all the same. */
  die(): void {
    this.#isDead = true;
    const arriving = this.#world.random.between(0, this.#flying.length);
    for (const arrive of this.#flying.splice(0, arriving)) arrive();
    this.#abort.abort();
  }

  isDone(end: number): boolean {
    return this.#copies.open === 0 && Number(this.saved.offset?.['lsn'] ?? -1) >= end && !this.#tracker.hasReady && this.#tracker.pending === 0;
  }

  async #run(): Promise<void> {
    const read = { from: this.saved.offset, published: [], sinkHoldsOutput: false };
    for await (const batch of this.#source.read(read, this.#abort.signal)) {
      if (this.#isDead) return;
      const records = recordsOf(batch);
      const entry = this.#tracker.begin(batch.checkpoint, batch.checkpointRecords === batch.count, batch.progress);
      batch.release();
      this.#flying.push(() => this.#sink.take(records));
      this.#world.after(this.owner, this.#world.random.next() * 6, 'a batch arrives', () => {
        this.#flying.shift()?.();
        this.#tracker.finish(entry, null);
        this.#world.after(this.owner, this.#world.random.next() * 15, 'a checkpoint', () => this.#save());
      });
      while (this.#flying.length >= 4 || (this.#isFirst && this.saved.offset === null)) {
        await new Promise<void>((resolve) => this.#world.after(this.owner, 1, 'back-pressure', resolve));
      }
    }
  }

  #save(): void {
    const taken = this.#tracker.take();
    if (taken === null) return;
    if (Number(taken.position['lsn']) < Number(this.saved.offset?.['lsn'] ?? 0)) this.#world.violated('I6', 'the offset went back');
    this.saved.offset = taken.position;
    for (const [key, text] of Object.entries(taken.progress ?? {})) {
      if (text === null) delete this.saved.progress[key];
      else this.saved.progress[key] = text;
    }
  }

  #fail(error: unknown): void {
    if (!this.#isDead) this.failure ??= error;
  }
}

function recordsOf(batch: RecordBatch): Arriving[] {
  const cursor = new RecordCursor();
  cursor.open(batch);
  const text = (image: number, column: number): string => batch.arena.toString('latin1', cursor.start(image, column), cursor.end(image, column));
  return Array.from({ length: batch.count }, (_, record) => {
    cursor.move(record);
    const { op, before, after, transaction, ordinal } = cursor;
    return {
      id: `${transaction.id}/${ordinal}`,
      op,
      before: before < 0 ? null : Number(text(before, 0)),
      after:
        after < 0
          ? null
          : { key: Number(text(after, 0)), version: Number(text(after, 1)), big: cursor.start(after, 2) === UNAVAILABLE ? null : text(after, 2) },
    };
  });
}

function runtimeOf(world: World, owner: Owner): Runtime {
  return {
    nowMicros: () => world.now * 1000,
    monotonicMs: () => world.now,
    random: () => world.random.next(),
    files: {} as Runtime['files'],
    credentials: givenCredentials,
    setTimer: (callback, ms) => {
      const event = world.after(owner, ms, 'a timer', callback);
      return { clear: () => world.cancel(event) };
    },
  };
}

function ignore(): void {
  // Nobody listens.
}
