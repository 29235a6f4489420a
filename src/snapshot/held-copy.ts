/**
 * The first copy: from views of the very moment where the log begins, before anything of the log is read. The seam is exact by itself (algorithms §6). What is left
 * of it after a crash is copied beside the log (beside-log.ts).
 */
import { setMaxListeners } from 'node:events';
import { SluiceError } from '../plugin/error.ts';
import type { SnapshotView } from '../plugin/snapshot.ts';
import { type BatchWriter, HEAD, HEAD_SIZE, SNAPSHOT_MARK, type SnapshotMark } from '../record/batch.ts';
import { Channel } from './channel.ts';
import type { CopyEvents } from './events.ts';
import type { CopyPorts } from './ports.ts';
import type { Part, TableCopy } from './table-copy.ts';
import { Work } from './work.ts';

/** Rows that are handed on, or only what has become of a table. */
export interface Copied {
  readonly copy: TableCopy;
  /** Null: nothing but progress. */
  readonly batch: BatchWriter | null;
}

interface Item {
  readonly copy: TableCopy;
  readonly part: Part | null;
  readonly batch: BatchWriter | null;
  readonly after: Part['after'];
  /** The part ends with it. */
  ends: boolean;
}

/** Copies all of them; what it gives is marked as Debezium does, and counts as done once it is handed on. The views are closed at the end. */
export async function* copyHeld(
  views: readonly SnapshotView[],
  copies: readonly TableCopy[],
  partsOfTable: number,
  ports: Pick<CopyPorts, 'events' | 'pace'>,
  signal: AbortSignal,
): AsyncGenerator<Copied, void, undefined> {
  const channel = new Channel<Item>(views.length);
  const work = new Work(copies);
  const ending = new AbortController();
  const ended = AbortSignal.any([signal, ending.signal]);
  setMaxListeners(0, ended);
  const push = async (item: Item): Promise<void> => {
    await ports.pace.spend(item.batch?.count ?? 0, ended);
    await channel.push(item);
  };
  const workers = Promise.all(views.map((view) => copyTasks(view, work, push, partsOfTable, ports.events))).then(
    () => channel.end(),
    (error: unknown) => channel.fail(error),
  );
  try {
    yield* new Marks(channel).all();
  } finally {
    channel.fail(new Error('nobody reads'));
    ending.abort();
    // They are in the midst of rows, and a view knows only then that its connection cannot be used again.
    await workers;
    await Promise.all(views.map((view) => view.close()));
  }
}

type Push = (item: Item) => Promise<void>;

async function copyTasks(view: SnapshotView, work: Work, push: Push, partsOfTable: number, events: CopyEvents): Promise<void> {
  for (let task = await work.next(); task !== null; task = await work.next()) {
    try {
      await (task.part === null ? plan(view, task.copy, partsOfTable, events) : copyPart(view, task.copy, task.part, push));
    } catch (error) {
      const { copy } = task;
      if (!(error instanceof SluiceError) || error.table === undefined) throw error;
      work.putAside(copy);
      if (error.kind.retry === 'auto') events.later(copy, error);
      else {
        // Of several views one says it.
        if (copy.isOpen) events.failed(copy, error);
        await push({ copy, part: null, batch: null, after: null, ends: false });
      }
    } finally {
      if (task.part === null) work.done(task);
      else work.read();
    }
  }
}

async function plan(view: SnapshotView, copy: TableCopy, partsOfTable: number, events: CopyEvents): Promise<void> {
  const table = await view.open(copy.label, copy.surrogateKey);
  copy.table = table;
  copy.plan(await view.bounds(table, partsOfTable));
  events.planned(copy);
}

async function copyPart(view: SnapshotView, copy: TableCopy, part: Part, push: Push): Promise<void> {
  const table = copy.table ?? (await view.open(copy.label, copy.surrogateKey));
  const range = table.version.key.length === 0 ? null : { after: part.after, upTo: part.upTo };
  for await (const { batch, lastKey } of view.rows(table, { range, where: copy.where, mark: SNAPSHOT_MARK.row })) {
    await push({ copy, part, batch, after: lastKey, ends: false });
  }
  await push({ copy, part, batch: null, after: null, ends: true });
}

/** Puts the marks on, for which the newest batch of each table is held back until it is known what comes behind it. */
class Marks {
  readonly #channel: Channel<Item>;
  readonly #newest = new Map<TableCopy, Item>();
  readonly #ended = new Map<TableCopy, number>();
  /** The newest batch of the table that ended last. */
  #last: Item | null = null;
  #begun = false;

  constructor(channel: Channel<Item>) {
    this.#channel = channel;
  }

  async *all(): AsyncGenerator<Copied, void, undefined> {
    for (let item = await this.#channel.next(); item !== undefined; item = await this.#channel.next()) {
      const { copy, batch, part } = item;
      if (batch !== null) {
        if (!this.#newest.has(copy) && copy.rows === 0) mark(batch, 0, this.#begun ? SNAPSHOT_MARK.firstOfTable : SNAPSHOT_MARK.first);
        this.#begun = true;
        const before = this.#newest.get(copy);
        this.#newest.set(copy, item);
        if (before !== undefined) yield handOn(before);
      } else if (part !== null) yield* this.#partEnded(copy, part);
      else yield* this.#failed(copy);
    }
    if (this.#last === null) return;
    mark(this.#last.batch as BatchWriter, -1, SNAPSHOT_MARK.last);
    yield this.#close(this.#last);
  }

  *#partEnded(copy: TableCopy, part: Part): Generator<Copied, void, undefined> {
    const newest = this.#newest.get(copy);
    if (newest?.part === part) newest.ends = true;
    else part.done = true;
    const ended = (this.#ended.get(copy) ?? 0) + 1;
    this.#ended.set(copy, ended);
    const open = (copy.parts ?? []).length;
    if (ended < open) return;
    if (newest === undefined) {
      copy.state = 'done';
      yield { copy, batch: null };
      return;
    }
    this.#newest.delete(copy);
    if (this.#last !== null) {
      mark(this.#last.batch as BatchWriter, -1, SNAPSHOT_MARK.lastOfTable);
      yield this.#close(this.#last);
    }
    this.#last = newest;
  }

  *#failed(copy: TableCopy): Generator<Copied, void, undefined> {
    const newest = this.#newest.get(copy);
    this.#newest.delete(copy);
    if (newest !== undefined) yield handOn(newest);
    yield { copy, batch: null };
  }

  #close(item: Item): Copied {
    item.copy.state = 'done';
    return handOn(item);
  }
}

/** From here on it counts. */
function handOn({ copy, part, batch, after, ends }: Item): Copied {
  if (part !== null) {
    part.after = after;
    part.done ||= ends;
  }
  copy.rows += batch?.count ?? 0;
  return { copy, batch };
}

/** −1: the last record. */
export function mark(batch: BatchWriter, record: number, as: SnapshotMark): void {
  const index = record < 0 ? batch.count + record : record;
  if (index >= 0 && index < batch.count) batch.heads[index * HEAD_SIZE + HEAD.snapshot] = as;
}
