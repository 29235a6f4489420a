/** A log and views of the database, for the real engine of copies. */
import type { Runtime } from '../../../src/plugin/runtime.ts';
import { sleep } from '../../../src/plugin/runtime.ts';
import type { CopiedRows, CopyTable, KeyText, RowRequest, SnapshotSource, SnapshotView } from '../../../src/plugin/snapshot.ts';
import type { ReadOptions, Source } from '../../../src/plugin/source.ts';
import { ABSENT, BatchWriter, OP, type RecordBatch, UNAVAILABLE } from '../../../src/record/batch.ts';
import type { Position } from '../../../src/record/position.ts';
import type { TableRegistry, TableVersion } from '../../../src/record/table.ts';
import type { World } from '../world.ts';
import { type Change, type Commit, type Database, KEYS, type Row } from './database.ts';

const COLUMN = { typeName: 'text', scale: null, precision: null } as const;
const SHAPE = {
  kind: 'table',
  catalog: 'db',
  schema: 'public',
  name: 't',
  columns: [
    { name: 'id', type: 'int32', ...COLUMN },
    { name: 'v', type: 'int64', ...COLUMN },
    { name: 'big', type: 'text', ...COLUMN },
  ],
  key: [0],
} as const;

export class SeamSource implements Source {
  readonly #database: Database;
  readonly #world: World;
  readonly #runtime: Runtime;
  readonly #tables: TableRegistry;
  readonly #holds: boolean;
  #token: number;
  #isClosed = false;
  /** Views that are open: of the slot's beginning, none can be had later. */
  #begun: ReturnType<Database['visible']> | null = null;

  constructor(database: Database, world: World, runtime: Runtime, tables: TableRegistry, life: number, holds: boolean) {
    this.#holds = holds;
    this.#database = database;
    this.#world = world;
    this.#runtime = runtime;
    this.#tables = tables;
    this.#token = life * 1_000_000;
  }

  preflight = (): never => unused();
  observe = (): never => unused();
  recover = (): never => unused();
  acknowledge = (): void => undefined;

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  async *read({ from, holdsSnapshot }: ReadOptions): AsyncGenerator<RecordBatch, void, undefined> {
    await this.#pause(2);
    let at: number;
    if (from === null) {
      // The slot begins where everything before is to be seen (manual, 47.2).
      while (this.#database.commits.some(({ isVisible }) => !isVisible)) await this.#pause(3);
      at = this.#database.end - 1;
      if (holdsSnapshot === true && this.#holds) this.#begun = this.#database.visible();
      const batch = this.#batch();
      batch.setCheckpoint(positionOf(at));
      yield batch;
    } else at = Number(from['lsn']);
    const { commits } = this.#database;
    let next = commits.findIndex(({ lsn }) => lsn > at);
    // A log that is behind shows what a view shows long after it was taken.
    const slow = this.#world.random.pick([2, 5, 40]);
    while (!this.#isClosed) {
      await this.#pause(slow);
      if (next < 0) next = commits.findIndex(({ lsn }) => lsn > at);
      const batch = this.#batch();
      const until = Math.min(commits.length, next + this.#world.random.between(1, 4));
      while (next >= 0 && next < until) {
        const commit = commits[next++] as Commit;
        const cut = this.#world.random.chance(0.2) ? this.#world.random.below(commit.changes.length) : -1;
        for (const [ordinal, change] of commit.changes.entries()) {
          this.#write(batch, commit, ordinal, change);
          if (ordinal !== cut) continue;
          // A batch may end inside a transaction; its checkpoint is that of the one before.
          if (batch.checkpoint === null) batch.setCheckpoint(positionOf(at));
        }
        at = commit.lsn;
        batch.setCheckpoint(positionOf(at));
      }
      if (batch.count === 0) {
        batch.setCheckpoint(positionOf(at));
        await this.#pause(4);
      }
      yield batch;
    }
  }

  snapshot(): Promise<SnapshotSource> {
    return Promise.resolve({
      tables: () => [{ label: 'public.t', identity: '1', isNew: false, isCopied: true, where: null }],
      keyOf,
      held: async (count: number) => {
        const begun = this.#begun;
        this.#begun = null;
        return begun === null ? null : Array.from({ length: count }, () => this.#view(begun, 0));
      },
      settle: async () => {
        const running = this.#database.commits.filter(({ isVisible }) => !isVisible);
        while (running.some(({ isVisible }) => !isVisible)) await this.#pause(5);
      },
      view: async () => {
        await this.#pause(2);
        const view = this.#view(this.#database.visible(), this.#database.end - 1);
        await this.#pause(1);
        return view;
      },
      ask: () => undefined,
      rest: () => Promise.resolve(),
    });
  }

  #view({ xids, rows }: ReturnType<Database['visible']>, end: number): SnapshotView {
    const sorted = [...rows].sort(([a], [b]) => a - b);
    const version = this.#tables.version(SHAPE);
    const source = this;
    return {
      keyOf,
      shows: ({ id }) => xids.has(Number(id.split('.')[1])),
      passedBy: (position) => Number(position['lsn']) >= end,
      open: async (label) => {
        await this.#pause(1);
        return { label, version, estimatedRows: sorted.length };
      },
      bounds: (_: CopyTable, parts: number) =>
        Promise.resolve(Array.from({ length: parts - 1 }, (_each, n) => [String(Math.floor((KEYS * (n + 1)) / parts))])),
      async *rows(_: CopyTable, request: RowRequest): AsyncGenerator<CopiedRows, void, undefined> {
        const wanted = sorted.filter(([key]) => isWanted(key, request)).slice(0, request.limit);
        for (let at = 0; at < wanted.length; ) {
          await source.#pause(4);
          const batch = source.#batch();
          const transaction = { id: `snapshot/${source.#token++}`, commitMicros: 0 };
          for (let n = source.#world.random.between(1, 5); n > 0 && at < wanted.length; n--, at++) {
            const [key, row] = wanted[at] as [number, Row];
            batch.record(OP.read, version, transaction, batch.count);
            batch.snapshot(request.mark);
            batch.image('after');
            writeRow(batch, key, row, false);
          }
          yield { batch, lastKey: [String((wanted[at - 1] as [number, Row])[0])] };
        }
      },
      close: () => Promise.resolve(),
    };
  }

  #write(batch: BatchWriter, commit: Commit, ordinal: number, change: Change): void {
    const op = { create: OP.create, update: OP.update, delete: OP.delete, truncate: OP.truncate }[change.op];
    batch.record(op, this.#tables.version(SHAPE), { id: `log/${commit.lsn}.${commit.xid}`, commitMicros: 0 }, ordinal);
    if (change.op === 'truncate') return;
    const old = change.op === 'delete' ? change.key : change.op === 'update' && change.from !== change.key ? change.from : null;
    if (old !== null) {
      batch.image('before');
      writeCell(batch, String(old));
      batch.mark(ABSENT);
      batch.mark(ABSENT);
    }
    if (change.op === 'delete') return;
    batch.image('after');
    writeRow(batch, change.key, change.row, change.op === 'update' && change.lacks);
  }

  #batch(): BatchWriter {
    return new BatchWriter(this.#tables, () => undefined, 256);
  }

  #pause(ms: number): Promise<void> {
    return sleep(this.#runtime, this.#world.random.next() * ms);
  }
}

function isWanted(key: number, { range, keys }: RowRequest): boolean {
  if (keys !== undefined) return keys.some(([text]) => Number(text) === key);
  const after = range?.after?.[0];
  const upTo = range?.upTo?.[0];
  return (after === undefined || key > Number(after)) && (upTo === undefined || key <= Number(upTo));
}

function keyOf({ key }: TableVersion, { arena, cells }: RecordBatch, image: number): KeyText {
  return key.map((index) => arena.toString('latin1', cells[(image + index) * 2] as number, cells[(image + index) * 2 + 1] as number));
}

function writeRow(batch: BatchWriter, key: number, row: Row, lacks: boolean): void {
  writeCell(batch, String(key));
  writeCell(batch, String(row.version));
  if (lacks) batch.mark(UNAVAILABLE);
  else writeCell(batch, row.big);
}

function writeCell(batch: BatchWriter, text: string): void {
  const start = batch.append(Buffer.from(text));
  batch.cell(start, start + text.length);
}

function positionOf(lsn: number): Position {
  return { lsn: String(lsn) };
}

function unused(): never {
  throw new Error('not used here');
}
