import type { Holds } from '../pipeline/holds.ts';
import type { Logger } from '../plugin/context.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { RESUMED } from '../record/message-id.ts';
import { idAt, type MessageBatch, type MessageWriter, SPAN, SPAN_SIZE, tableAt } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { StateStore } from '../state/state-store.ts';
import { TABLE_NOT_STOPPED, TABLE_RESUMING, TABLE_STOPPED } from './errors.ts';
import type { Spool, SpoolEntry } from './spool.ts';
import type { StoppedTableView, TableState } from './state.ts';

/** Entries of the place that say how far a checkpoint covers a spool. */
const PLACE_PREFIX = 'spool!';

export const spoolEntry = (table: string): string => `${PLACE_PREFIX}${table}`;

/** The sink's own part of a saved place, and the rest; the sink has none if all is ours. */
export function sinkPlace(place: Place | null): Place | null {
  const own = Object.entries(place ?? {}).filter(([entry]) => !entry.startsWith(PLACE_PREFIX));
  return own.length === 0 ? null : Object.fromEntries(own);
}

export interface StoppedTablesPorts {
  readonly connector: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly store: StateStore;
  readonly holds: Holds;
  /** Directory of a table's spool, for people. */
  readonly directoryOf: (table: string) => string;
  /** The sink's. */
  readonly stands: (batch: MessageBatch, index: number) => boolean;
  readonly write: (batch: MessageBatch) => Promise<Place>;
  /** Their number, and the bytes of all spools. */
  readonly changed: (tables: number, bytes: number) => void;
}

interface Stopped {
  readonly spool: Spool;
  state: TableState;
}

/** A stopped table as it is found at the start. */
export interface OpenSpool {
  readonly table: string;
  readonly state: TableState;
  readonly spool: Spool;
}

/**
 * Tables that are stopped while the others go on, for one life of a connector (algorithms §9). Their messages are taken out of each batch before the sink gets
 * it and kept in order in a spool, which counts as durable; what stands in the sink already, from before the table was stopped, is left out. When a table is
 * resumed its spool is sent in order through the same sink, until nothing waits; only then does the table take the direct way again (I3).
 */
export class StoppedTables {
  readonly #ports: StoppedTablesPorts;
  readonly #tables = new Map<string, Stopped>();
  /** What is being sent again: its refusal is ours. */
  readonly #own = new Map<MessageBatch, string>();
  /** Appends, in the order of the batches. */
  #chain: Promise<unknown> = Promise.resolve();
  #diverting = 0;
  #ended = false;
  /** What works on a spool beside the pipeline. */
  readonly #working = new Set<Promise<unknown>>();

  constructor(ports: StoppedTablesPorts, stopped: readonly OpenSpool[]) {
    this.#ports = ports;
    for (const { table, state, spool } of stopped) this.#tables.set(table, { spool, state });
  }

  /** The sink is open. Says what is stopped, and sends what waits of the tables that were resumed. */
  begin(): void {
    const { connector, log } = this.#ports;
    this.#tell();
    for (const [table, { state }] of this.#tables) {
      if (state.state === 'resuming') void this.#during(this.#replay(table));
      else {
        const remedy = `\`sluice tables resume --table ${table}\` when the cause is mended.`;
        log.warn(`Table ${table} of connector ${connector} is stopped since ${isoOf(state)}: ${state.error}`, {
          code: TABLE_STOPPED.code,
          table,
          remedy,
        });
      }
    }
  }

  /** The life is over, what is being sent is no failure of its own. Resolves, once the sink is closed, when nobody works on the spools any more. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const { spool } of this.#tables.values()) spool.wake();
    await Promise.allSettled(this.#working);
  }

  /** As `Undelivered.divert`. */
  divert(messages: MessageWriter): Promise<Place> | null {
    const taken = this.#tables.size === 0 ? [] : this.#takeOut(messages);
    if (this.#diverting === 0 && taken.length === 0) return null;
    this.#diverting++;
    // Handled when their turn comes.
    for (const each of taken) each.catch(() => undefined);
    const appended = this.#chain.then(async (): Promise<Place> => {
      try {
        // Null: all of it stands in the sink.
        return Object.fromEntries((await Promise.all(taken)).filter(([, place]) => place !== null));
      } finally {
        this.#diverting--;
      }
    });
    this.#chain = appended;
    return appended;
  }

  /** True for what is being sent again. */
  owns(batch: MessageBatch): boolean {
    return this.#own.has(batch);
  }

  /** The table of the message stops here, durably. Always throws: the sink ends, so that nothing behind the message is on its way when the next life begins. */
  async stop(batch: MessageBatch, index: number, error: SluiceError): Promise<never> {
    const { connector, store, runtime, directoryOf } = this.#ports;
    const table = this.#own.get(batch) ?? tableAt(batch, index);
    if (table === '') throw error;
    const known = this.#tables.get(table);
    const state: TableState = {
      state: 'stopped',
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      messageId: idAt(batch, index),
      sinceMicros: known?.state.sinceMicros ?? runtime.nowMicros(),
      sent: known?.state.sent ?? null,
    };
    await store.setTableState(connector, table, state);
    if (known !== undefined) known.state = state;
    throw new SluiceError(TABLE_STOPPED, { connector, table, reason: error.message, directory: directoryOf(table) }, { cause: error, table });
  }

  /** What waits is to be sent, from the next life on. Throws SLUICE_TABLE_NOT_STOPPED. */
  async resume(table: string): Promise<StoppedTableView> {
    const stopped = this.#find(table);
    if (stopped.state.state === 'stopped') await this.#save(table, stopped, { ...stopped.state, state: 'resuming' });
    return this.#view(table, stopped);
  }

  /** Lets go what waits: it is never sent. The table is live again. Throws SLUICE_TABLE_NOT_STOPPED, SLUICE_TABLE_RESUMING. */
  async discard(table: string): Promise<StoppedTableView> {
    const stopped = this.#find(table);
    if (stopped.state.state === 'resuming') throw new SluiceError(TABLE_RESUMING, { connector: this.#ports.connector, table });
    const view = this.#view(table, stopped);
    while (stopped.spool.isAppending) await stopped.spool.changed();
    await this.#during(this.#golive(table, stopped));
    this.#ports.log.warn(`What was kept of table ${table} was discarded, ${view.messages} messages; it is live again.`, { table });
    return view;
  }

  views(): readonly StoppedTableView[] {
    return [...this.#tables].map(([table, stopped]) => this.#view(table, stopped));
  }

  /** Appends the messages of stopped tables, and leaves the others in the batch. */
  #takeOut(messages: MessageWriter): Promise<readonly [string, string | null]>[] {
    const stopped = messages.tables.map((table) => this.#tables.get(table));
    const taken = new Map<Stopped, { readonly table: string; readonly indexes: number[]; held: string | null }>();
    const kept: number[] = [];
    for (let index = 0; index < messages.count; index++) {
      const at = messages.spans[index * SPAN_SIZE + SPAN.table] as number;
      const table = stopped[at];
      if (table === undefined) kept.push(index);
      else {
        const into = taken.get(table) ?? { table: messages.tables[at] as string, indexes: [], held: null };
        taken.set(table, into);
        const held = table.spool.holds(idAt(messages, index));
        if (held !== null) into.held = held === '' ? into.held : held;
        else if (!this.#ports.stands(messages, index)) into.indexes.push(index);
      }
    }
    if (taken.size === 0) return [];
    const places = [...taken].map(([to, { table, indexes, held }]): Promise<[string, string | null]> => {
      if (indexes.length > 0) return this.#append(to, table, messages, indexes);
      return Promise.resolve([spoolEntry(table), held]);
    });
    messages.retain(kept);
    return places;
  }

  async #append(to: Stopped, table: string, messages: MessageBatch, indexes: readonly number[]): Promise<[string, string]> {
    const place = await to.spool.append(messages, indexes);
    this.#tell();
    return [spoolEntry(table), place];
  }

  async #replay(table: string): Promise<void> {
    const { log } = this.#ports;
    const stopped = this.#tables.get(table) as Stopped;
    const { spool } = stopped;
    log.info(`Table ${table} is resumed: ${spool.messages} messages wait.`, { table });
    try {
      while (!this.#ended && stopped.state.state === 'resuming' && this.#tables.get(table) === stopped) {
        const entry = spool.next();
        if (entry !== undefined) await this.#replayOne(table, stopped, entry);
        else if (spool.isAppending) await spool.changed();
        else {
          await this.#golive(table, stopped);
          log.info(`Table ${table} is live again.`, { table });
        }
      }
    } catch (error) {
      // The sink or the disk has ended this life, and says why; the next one goes on.
      if (!this.#ended) log.debug(`Sending what waits of table ${table} was interrupted: ${rootMessage(error)}`, { table });
    }
  }

  async #replayOne(table: string, stopped: Stopped, entry: SpoolEntry): Promise<void> {
    const messages = await stopped.spool.read(entry);
    renameResumed(messages, this.#ports.connector, table);
    await this.#ports.holds.during(this.#send(table, stopped, messages, entry));
    await stopped.spool.sent();
    this.#tell();
  }

  /** What it moves of the sink's place is not saved by itself: it may be beyond what the pipeline's checkpoint covers. */
  async #send(table: string, stopped: Stopped, messages: MessageBatch, { address }: SpoolEntry): Promise<void> {
    this.#own.set(messages, table);
    try {
      if (messages.count > 0) await this.#ports.write(messages);
      await this.#save(table, stopped, { ...stopped.state, sent: address });
    } finally {
      this.#own.delete(messages);
    }
  }

  /** From the caller's look at the spool to here nothing was awaited: what comes now goes to the sink, behind all that was sent. */
  async #golive(table: string, stopped: Stopped): Promise<void> {
    this.#tables.delete(table);
    await stopped.spool.clear();
    await this.#ports.store.setTableState(this.#ports.connector, table, null);
    this.#tell();
  }

  async #save(table: string, stopped: Stopped, state: TableState): Promise<void> {
    await this.#ports.store.setTableState(this.#ports.connector, table, state);
    stopped.state = state;
  }

  #during<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work);
    const done = (): void => void this.#working.delete(work);
    work.then(done, done);
    return work;
  }

  #find(table: string): Stopped {
    const stopped = this.#tables.get(table);
    if (stopped === undefined) throw new SluiceError(TABLE_NOT_STOPPED, { connector: this.#ports.connector, table });
    return stopped;
  }

  #tell(): void {
    let bytes = 0;
    for (const { spool } of this.#tables.values()) bytes += spool.bytes;
    this.#ports.changed(this.#tables.size, bytes);
  }

  #view(table: string, { state, spool }: Stopped): StoppedTableView {
    return viewOf(this.#ports.connector, table, state, spool);
  }
}

export function viewOf(connector: string, table: string, state: TableState, spool: Spool | null): StoppedTableView {
  const { code, error, remedy } = state;
  const since = isoOf(state);
  return { connector, table, state: state.state, code, error, remedy, since, messages: spool?.messages ?? null, bytes: spool?.bytes ?? null };
}

/**
 * A message that is sent late stands under an id of its own: under its first one it would say of the others of its transaction, which may still be on their way, that
 * they stand (I1).
 */
function renameResumed(messages: MessageWriter, connector: string, table: string): void {
  for (let index = 0; index < messages.count; index++) {
    const id = `${connector}/${RESUMED}${encodeURIComponent(table)}/${idAt(messages, index).slice(connector.length + 1)}`;
    messages.reserve(id.length);
    const at = index * SPAN_SIZE;
    messages.spans[at + SPAN.idStart] = messages.bytesLength;
    messages.bytesLength += messages.bytes.write(id, messages.bytesLength, 'latin1');
    messages.spans[at + SPAN.idEnd] = messages.bytesLength;
  }
}

function isoOf({ sinceMicros }: TableState): string {
  return new Date(sinceMicros / 1000).toISOString();
}
