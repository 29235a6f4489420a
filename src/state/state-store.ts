import type { PreviousShutdown } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Place, Position, Progress } from '../record/position.ts';
import { type HistoryChanges, type TableVersion, tableId } from '../record/table.ts';
import type { Change, Committer } from './committer.ts';
import { STATE_CLOSED, STATE_CORRUPT, STATE_RECOVERING } from './errors.ts';
import { FrameError, frameJson, unframeJson } from './frame.ts';
import { EngineError, type KeyValueStore, type Operation } from './key-value.ts';
import {
  ACCEPTED_PREFIX,
  acceptedKey,
  acceptedVersion,
  connectorPrefix,
  INTENT_KEY,
  JUDGED_KEY,
  LOST_KEY,
  markKey,
  OFFSET_KEY,
  PAUSED_KEY,
  PLACE_PREFIX,
  PROGRESS_PREFIX,
  parseKey,
  placeEntry,
  placeKey,
  progressEntry,
  progressKey,
  REGISTRY_PREFIX,
  SHAPE_PREFIX,
  shapeKey,
  shapeTable,
  TABLE_PREFIX,
  TABLE_STATE_PREFIX,
  tableKey,
  tableStateKey,
  tableStateLabel,
} from './keys.ts';
import type { Offset, StoredOffset } from './offset.ts';

/** One checkpoint of a connector: written whole or not at all. */
export interface Save {
  /** Of the place only the entries that moved. */
  readonly offset: Offset;
  /** Of copies, the entries that changed. */
  readonly progress?: Progress | null;
  /** Shapes that were announced since the last save. */
  readonly shapes?: Readonly<Record<string, number>> | null;
  /** As of `setMark`, with it; null: none. */
  readonly mark?: { readonly log: string; readonly mark: unknown } | null;
}

/** Versions of a table whose rows may go. */
export interface Accepted {
  /** In order. */
  readonly versions: readonly number[];
  /** The last of them that was let through without a look at those before it; 0: none was. */
  readonly anew: number;
}

/** A version whose rows may go from now on. */
export interface Acceptance {
  readonly table: TableVersion;
  /** It was let through without a look at those before it. */
  readonly isAnew: boolean;
}

export interface Loaded {
  /** Null: never saved (the first start). */
  readonly offset: { readonly position: Position } | null;
  /** All entries of the sink's place; null: there is none. It may be there before the first offset (`savePlace`). */
  readonly place: Place | null;
  /** All that is stored of copies; empty: nothing. */
  readonly progress: Progress;
  /** By `tableId`, the number of the version that was announced last; empty: none was. */
  readonly shapes: Readonly<Record<string, number>>;
  /** By `tableId`; null: no version was judged yet. */
  readonly accepted: Readonly<Record<string, Accepted>> | null;
  /** The schema history; versions of one table in order. */
  readonly tables: readonly TableVersion[];
}

/** What `offsets show` shows. */
export interface Inspected extends Loaded {
  /** The offset was lost with damaged state and is not recovered yet: `load` throws. */
  readonly lost: boolean;
  /** When the offset was saved, microseconds since the epoch; null: no offset. */
  readonly savedMicros: number | null;
  /** Why an operator's command set the offset; null: the connector saved it. */
  readonly reason: string | null;
}

/** What the store works on; a full disk costs it, and it is opened anew. */
export interface Handle {
  readonly engine: KeyValueStore;
  readonly committer: Committer;
}

/** Offsets, table versions and intents of all connectors of a data directory. Made by `openStore` (store.ts); exactly one per directory. */
export class StateStore {
  /** Random, made at the first initialisation: tells this data directory from every other one. */
  readonly instance: string;
  readonly previousShutdown: PreviousShutdown;
  readonly #directory: string;
  readonly #runtime: Runtime;
  readonly #reopen: () => Promise<Handle>;
  #handle: Handle;
  #reopening: Promise<void> | null = null;
  #closing: Promise<void> | null = null;

  constructor(
    about: { readonly directory: string; readonly instance: string; readonly previousShutdown: PreviousShutdown },
    runtime: Runtime,
    handle: Handle,
    reopen: () => Promise<Handle>,
  ) {
    this.instance = about.instance;
    this.previousShutdown = about.previousShutdown;
    this.#directory = about.directory;
    this.#runtime = runtime;
    this.#handle = handle;
    this.#reopen = reopen;
  }

  /**
   * What a connector starts from. Throws SLUICE_STATE_RECOVERING if its offset was lost with damaged state (I8: no silent new start). After a full
   * disk (SLUICE_STATE_FULL) it opens the state anew, with every check: a connector that is started again goes on as soon as there is space (I10).
   */
  async load(connector: string): Promise<Loaded> {
    const { offset, place, progress, shapes, accepted, tables, lost } = await this.inspect(connector);
    if (lost) throw new SluiceError(STATE_RECOVERING, { connector });
    return { offset, place, progress, shapes, accepted, tables };
  }

  /** As `load`, for commands: says that an offset is lost instead of throwing. */
  async inspect(connector: string): Promise<Inspected> {
    await this.#revive();
    const prefix = connectorPrefix(connector);
    const lost = (await this.#read(prefix + LOST_KEY)) !== null;
    const stored = (await this.#read(prefix + OFFSET_KEY)) as StoredOffset | null;
    const tables: TableVersion[] = [];
    await this.#each(prefix + TABLE_PREFIX, (_key, value) => tables.push(Object.freeze(value as TableVersion)));
    const entries: [string, string][] = [];
    await this.#each(prefix + PLACE_PREFIX, (key, value) => entries.push([placeEntry(key), value as string]));
    const copies: [string, string][] = [];
    await this.#each(prefix + PROGRESS_PREFIX, (key, value) => copies.push([progressEntry(key), value as string]));
    const progress = Object.fromEntries(copies);
    const announced: [string, number][] = [];
    await this.#each(prefix + SHAPE_PREFIX, (key, value) => announced.push([shapeTable(key), value as number]));
    const shapes = Object.fromEntries(announced);
    const isJudged = (await this.#read(prefix + JUDGED_KEY)) !== null;
    const ofTables: Record<string, Accepted> = {};
    await this.#each(prefix + ACCEPTED_PREFIX, (key, isAnew) => {
      const { table, version } = acceptedVersion(key);
      const { versions, anew } = ofTables[table] ?? { versions: [], anew: 0 };
      ofTables[table] = { versions: [...versions, version], anew: isAnew === true ? version : anew };
    });
    const accepted = isJudged ? ofTables : null;
    const offset = stored === null ? null : { position: stored.position };
    const place = entries.length === 0 ? null : Object.fromEntries(entries);
    return { offset, place, progress, shapes, accepted, tables, lost, savedMicros: stored?.savedMicros ?? null, reason: stored?.reason ?? null };
  }

  /**
   * Saves a checkpoint. Resolves when it is synced in LevelDB and in the side file (I5): only then may the source be told. The caller keeps the
   * order: positions are opaque here, so that going back cannot be seen (I6); operators' commands use `replaceOffset`. Saves of one connector
   * that overlap are written in call order. Throws SLUICE_STATE_WRITE or SLUICE_STATE_FULL; after the first
   * nothing can be saved any more, after the second not before the next `load`.
   */
  async save(connector: string, save: Save): Promise<void> {
    const prefix = connectorPrefix(connector);
    const operations = [put(prefix + OFFSET_KEY, this.#stored(save.offset.position, null)), ...placeOperations(prefix, save.offset.place)];
    operations.push(...progressOperations(prefix, save.progress ?? null));
    for (const [table, version] of Object.entries(save.shapes ?? {})) operations.push(put(prefix + shapeKey(table), version));
    if (save.mark != null) operations.push(put(prefix + markKey(save.mark.log), save.mark.mark));
    await this.#commit({ operations, position: { connector, value: save.offset.position } });
  }

  /**
   * Saves what is new in the schema history (`TableRegistry.takeChanges`), and the versions that were accepted since: each version has a key of its own, the offset stays
   * small. Durable when it resolves, and ahead of the offset then, never behind it; errors as of `save`.
   */
  async saveHistory(connector: string, { put: added, drop }: HistoryChanges, accepted: readonly Acceptance[] = []): Promise<void> {
    const prefix = connectorPrefix(connector);
    const operations: Operation[] = added.map((table) => put(prefix + tableKey(table), table));
    for (const table of drop) {
      operations.push({ type: 'del', key: prefix + tableKey(table) });
      operations.push({ type: 'del', key: prefix + acceptedKey(tableId(table), table.version) });
    }
    operations.push(...acceptanceOperations(prefix, accepted));
    await this.#commit({ operations });
  }

  /** An operator's command: these versions may go, and a table that stopped for one of them has a new state (null: it is as it was). All of it or nothing; durable when it resolves. */
  async accept(
    connector: string,
    accepted: readonly Acceptance[],
    changed: { readonly table: string; readonly state: unknown } | null,
  ): Promise<void> {
    const prefix = connectorPrefix(connector);
    const state = changed === null ? [] : [put(prefix + tableStateKey(changed.table), changed.state)];
    await this.#commit({ operations: [...acceptanceOperations(prefix, accepted), ...state] });
  }

  /** From now on versions of tables are judged, and all that are known may go; or they are not judged any more. Durable when it resolves. */
  async setJudged(connector: string, known: readonly TableVersion[] | null): Promise<void> {
    const prefix = connectorPrefix(connector);
    const operations: Operation[] = [known === null ? { type: 'del', key: prefix + JUDGED_KEY } : put(prefix + JUDGED_KEY, true)];
    if (known === null) await this.#each(prefix + ACCEPTED_PREFIX, (key) => operations.push({ type: 'del', key }));
    // What went before there was a rule is no promise.
    for (const table of known ?? []) operations.push(put(prefix + acceptedKey(tableId(table), table.version), true));
    await this.#commit({ operations });
  }

  /**
   * Saves entries of a sink's place by themselves, with the offset as it is, or before there is one: where something begins that is about to be
   * written to. Durable when it resolves (I5); errors as of `save`.
   */
  async savePlace(connector: string, entries: Place): Promise<void> {
    await this.#commit({ operations: placeOperations(connectorPrefix(connector), entries) });
  }

  /**
   * An operator's command: the offset becomes this one, whatever it was. Null forgets it together with the schema history and what is known of copies, so that the next start
   * is a first start; the intent stays, for what it names still stands on the server. The place becomes this one, all of it.
   */
  async replaceOffset(connector: string, offset: Offset | null, reason: string): Promise<void> {
    const prefix = connectorPrefix(connector);
    const operations: Operation[] = [{ type: 'del', key: prefix + LOST_KEY }];
    await this.#each(prefix + PLACE_PREFIX, (key) => operations.push({ type: 'del', key }));
    if (offset !== null) operations.push(put(prefix + OFFSET_KEY, this.#stored(offset.position, reason)), ...placeOperations(prefix, offset.place));
    else {
      operations.push({ type: 'del', key: prefix + OFFSET_KEY });
      await this.#each(prefix + TABLE_PREFIX, (key) => operations.push({ type: 'del', key }));
      await this.#each(prefix + PROGRESS_PREFIX, (key) => operations.push({ type: 'del', key }));
      await this.#each(prefix + SHAPE_PREFIX, (key) => operations.push({ type: 'del', key }));
      operations.push({ type: 'del', key: prefix + JUDGED_KEY });
      await this.#each(prefix + ACCEPTED_PREFIX, (key) => operations.push({ type: 'del', key }));
    }
    await this.#commit({ operations, position: { connector, value: offset?.position ?? null } });
  }

  /** What the connector was about to create on a server when it stored this; null: nothing. */
  async getIntent(connector: string): Promise<unknown> {
    return this.#read(connectorPrefix(connector) + INTENT_KEY);
  }

  /** Stores what is about to be created (plain JSON), before it is; null forgets it. */
  async setIntent(connector: string, intent: unknown): Promise<void> {
    const key = connectorPrefix(connector) + INTENT_KEY;
    await this.#commit({ operations: [intent === null ? { type: 'del', key } : put(key, intent)] });
  }

  /** Whether an operator has paused the connector. */
  async isPaused(connector: string): Promise<boolean> {
    return (await this.#read(connectorPrefix(connector) + PAUSED_KEY)) !== null;
  }

  /** Durable when it resolves. */
  async setPaused(connector: string, isPaused: boolean): Promise<void> {
    const key = connectorPrefix(connector) + PAUSED_KEY;
    await this.#commit({ operations: [isPaused ? put(key, true) : { type: 'del', key }] });
  }

  /** How far a segment log of the connector was confirmed (plain JSON); null: nothing was written to it. */
  async getMark(connector: string, log: string): Promise<unknown> {
    await this.#revive();
    return this.#read(connectorPrefix(connector) + markKey(log));
  }

  async setMark(connector: string, log: string, mark: unknown): Promise<void> {
    await this.#commit({ operations: [put(connectorPrefix(connector) + markKey(log), mark)] });
  }

  /** By label, what is stored of tables that are not live (plain JSON). */
  async getTableStates(connector: string): Promise<ReadonlyMap<string, unknown>> {
    await this.#revive();
    const states = new Map<string, unknown>();
    await this.#each(connectorPrefix(connector) + TABLE_STATE_PREFIX, (key, value) => states.set(tableStateLabel(key), value));
    return states;
  }

  /** Null: the table is live. Durable when it resolves. */
  async setTableState(connector: string, table: string, state: unknown): Promise<void> {
    const key = connectorPrefix(connector) + tableStateKey(table);
    await this.#commit({ operations: [state === null ? { type: 'del', key } : put(key, state)] });
  }

  /** All entries of the built-in registry (plain JSON), by key. */
  async readRegistry(): Promise<ReadonlyMap<string, unknown>> {
    await this.#revive();
    const entries = new Map<string, unknown>();
    await this.#each(REGISTRY_PREFIX, (key, value) => entries.set(key.slice(REGISTRY_PREFIX.length), value));
    return entries;
  }

  /** Null takes an entry away. All of them or none; durable when it resolves. Keys are ASCII. Errors as of `save`. */
  async saveRegistry(entries: ReadonlyMap<string, unknown>): Promise<void> {
    await this.#commit({
      operations: [...entries].map(([key, value]) =>
        value === null ? { type: 'del', key: REGISTRY_PREFIX + key } : put(REGISTRY_PREFIX + key, value),
      ),
    });
  }

  /** Names of all connectors that something is stored for, sorted. */
  async connectors(): Promise<readonly string[]> {
    const names = new Set<string>();
    await this.#each('connector/', (key) => names.add(parseKey(key)?.connector ?? ''));
    return [...names].sort();
  }

  /** Writes what waits, notes the orderly end, and gives the directory free. Throws if that note could not be written; it is free all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#reopening !== null) await this.#reopening.catch(() => undefined);
    try {
      await this.#handle.committer.close();
    } finally {
      await this.#handle.engine.close();
    }
  }

  #commit(change: Change): Promise<void> {
    if (this.#closing !== null) return Promise.reject(new SluiceError(STATE_CLOSED, { directory: this.#directory }));
    return this.#handle.committer.commit(change);
  }

  /** One at a time, whoever asks. A broken disk (SLUICE_STATE_WRITE) is not tried again. */
  async #revive(): Promise<void> {
    const { failure } = this.#handle.committer;
    if (failure === null || this.#closing !== null) return;
    if (failure.kind.retry !== 'auto') throw failure;
    this.#reopening ??= this.#openAnew().finally(() => {
      this.#reopening = null;
    });
    await this.#reopening;
  }

  async #openAnew(): Promise<void> {
    await this.#handle.engine.close();
    this.#handle = await this.#reopen();
  }

  #stored(position: Position, reason: string | null): StoredOffset {
    return { position, savedMicros: this.#runtime.nowMicros(), reason };
  }

  async #read(key: string): Promise<unknown> {
    try {
      const value = await this.#handle.engine.get(key);
      return value === null ? null : unframeJson(key, value);
    } catch (error) {
      throw this.#readError(error);
    }
  }

  async #each(prefix: string, use: (key: string, value: unknown) => void): Promise<void> {
    try {
      for await (const [key, value] of this.#handle.engine.iterate(prefix)) use(key, unframeJson(key, value));
    } catch (error) {
      throw this.#readError(error);
    }
  }

  #readError(error: unknown): unknown {
    if (!(error instanceof FrameError || error instanceof EngineError)) return error;
    const offsets = 'damaged since it was opened';
    return new SluiceError(STATE_CORRUPT, { directory: this.#directory, reason: error.message, offsets }, { cause: error });
  }
}

function put(key: string, value: unknown): Operation {
  return { type: 'put', key, value: frameJson(value) };
}

function acceptanceOperations(prefix: string, accepted: readonly Acceptance[]): Operation[] {
  return accepted.map(({ table, isAnew }) => put(prefix + acceptedKey(tableId(table), table.version), isAnew));
}

function placeOperations(prefix: string, place: Place | null): Operation[] {
  return entryOperations(place, (entry) => prefix + placeKey(entry));
}

function progressOperations(prefix: string, progress: Progress | null): Operation[] {
  return entryOperations(progress, (entry) => prefix + progressKey(entry));
}

/** One key for each entry; null removes it. */
function entryOperations(entries: Place | Progress | null, keyOf: (entry: string) => string): Operation[] {
  return Object.entries(entries ?? {}).map(([entry, value]) => (value === null ? { type: 'del', key: keyOf(entry) } : put(keyOf(entry), value)));
}
