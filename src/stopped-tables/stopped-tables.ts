import type { Holds } from '../pipeline/holds.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { idAt, type MessageBatch, type MessageWriter, SPAN, SPAN_SIZE, tableAt } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { Address } from '../segments/segment-log.ts';
import type { StateStore } from '../state/state-store.ts';
import { TABLE_NOT_STOPPED, TABLE_RESUMING, TABLE_STOPPED } from './errors.ts';
import { copyTo, renameResumed } from './message-copies.ts';
import { spoolEntry } from './place.ts';
import { appendInto, prepareWaiting } from './room.ts';
import { formatAddress, type Spool, type SpoolEntry } from './spool.ts';
import { isoOf, type StoppedTableView, type TableState, viewOf } from './state.ts';

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
  readonly lacking: (batch: MessageBatch, index: number) => readonly number[] | null;
  readonly write: (batch: MessageWriter) => Promise<Place>;
  /** Asks for what messages lack that would be written; null: they lack nothing. It may wait for long, and so nothing may wait for it. False: they do not get it. */
  readonly prepare: ((batch: MessageWriter) => Promise<boolean>) | null;
  /** Ends the life: what waits cannot be sent. */
  readonly failed: (error: unknown) => void;
  /** Their number, and the bytes of all spools. */
  readonly changed: (tables: number, bytes: number) => void;
}

interface Stopped {
  readonly spool: Spool;
  state: TableState;
}

interface Left extends Stopped {
  /** Of the last entry: when a checkpoint has it in its place, all that was read before the table went live is covered. */
  readonly address: string;
  /** A batch has taken the address along. */
  isMarked: boolean;
}

/** Messages and bytes that are sent, and noted, at a time; one entry may have more (I9). */
const CHUNK = 2000;
const CHUNK_BYTES = 8 * 1024 * 1024;
const NOWHERE = '0:0';

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
  /** Live again. Their spools are kept until a checkpoint covers all that was read until then: what is read once more is recognised by them, and left out. */
  readonly #left = new Map<string, Left>();
  readonly #cleaning = new Map<string, Promise<unknown>>();
  /** Of tables that are being resumed: resolves when what waits is sent but for the last of it. */
  readonly #replaying = new Map<string, Promise<void>>();
  /** Batches that were diverted and not given to the sink yet, and what keeps them from it. */
  readonly #diverted = new Set<MessageBatch>();
  #exclusive = 0;
  /** One after the other: appends in the order of the batches, and the end of a resume. */
  #chain: Promise<unknown> = Promise.resolve();
  #ended = false;
  /** What works on a spool beside the pipeline. */
  readonly #working = new Set<Promise<unknown>>();

  constructor(ports: StoppedTablesPorts, stopped: readonly OpenSpool[]) {
    this.#ports = ports;
    for (const { table, state, spool } of stopped) this.#tables.set(table, { spool, state });
  }

  /**
   * The sink is open, and nothing was written yet. What a run before this one has sent of a resumed table, and could not note, is noted first: the sink's place may
   * move beyond it from now on. Then says what is stopped, and sends what waits.
   */
  async begin(): Promise<void> {
    const { connector, log } = this.#ports;
    this.#tell();
    for (const [table, stopped] of this.#tables) await this.#noteSent(table, stopped);
    for (const [table, { state }] of this.#tables) {
      if (state.state === 'resuming') this.#start(table);
      else {
        const { remedy } = this.#stoppedError(table, state.error);
        const fields = { code: TABLE_STOPPED.code, table, remedy };
        log.warn(`Table ${table} of connector ${connector} is stopped since ${isoOf(state)}: ${state.error}`, fields);
      }
    }
  }

  /** The life is over, what is being sent is no failure of its own. Resolves, once the sink is closed, when nobody works on the spools any more. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.allSettled([...this.#working, this.#chain]);
  }

  /** As `Undelivered.divert`. */
  divert(messages: MessageWriter): Promise<Place> | null {
    const isFree = this.#diverted.size === 0 && this.#exclusive === 0;
    if (isFree && !this.#concerns(messages)) return null;
    this.#diverted.add(messages);
    const taken = this.#chain.then(() => this.#takeOut(messages));
    // Handled where it is awaited.
    taken.catch(() => undefined);
    this.#chain = taken;
    return taken;
  }

  /** The batch is given to the sink in this very moment. */
  passing(messages: MessageBatch): void {
    this.#diverted.delete(messages);
  }

  /** A checkpoint was saved. */
  saved(place: Place | null): void {
    for (const [table, { spool }] of this.#tables) {
      const covered = place?.[spoolEntry(table)];
      // What is left over does no harm: it is recognised by its id.
      if (typeof covered === 'string') void this.#during(spool.covers(covered)).catch(() => undefined);
    }
    for (const [table, { spool, address }] of this.#left) {
      if (place?.[spoolEntry(table)] !== address) continue;
      this.#left.delete(table);
      const cleaned = spool.clear().then(() => this.#ports.store.setTableState(this.#ports.connector, table, null));
      this.#cleaning.set(table, cleaned);
      // What is left over does no harm: nothing of it waits.
      void this.#during(cleaned)
        .catch(() => undefined)
        .then(() => this.#cleaning.delete(table));
    }
  }

  /** True for what is being sent again. */
  owns(batch: MessageBatch): boolean {
    return this.#own.has(batch);
  }

  /** The table of the message stops here, durably. Always throws: the sink ends, so that nothing behind the message is on its way when the next life begins. */
  async stop(batch: MessageBatch, index: number, error: SluiceError): Promise<never> {
    const { connector, store, runtime } = this.#ports;
    const table = this.#own.get(batch) ?? tableAt(batch, index);
    if (table === '') throw error;
    await this.#cleaning.get(table);
    const known = this.#tables.get(table) ?? this.#left.get(table);
    this.#left.delete(table);
    const state: TableState = {
      state: 'stopped',
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      messageId: idAt(batch, index),
      sinceMicros: known?.state.sinceMicros ?? runtime.nowMicros(),
      sent: known?.state.sent ?? null,
      already: known?.state.already ?? [],
    };
    await store.setTableState(connector, table, state);
    if (known !== undefined) known.state = state;
    throw this.#stoppedError(table, error.message, error);
  }

  #stoppedError(table: string, reason: string, cause?: SluiceError): SluiceError {
    const { connector, directoryOf } = this.#ports;
    const parameters = { connector, table, reason: reason.replace(/\.$/, ''), directory: directoryOf(table) };
    return new SluiceError(TABLE_STOPPED, parameters, { table, ...(cause === undefined ? {} : { cause }) });
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
    let view = this.#view(table, stopped);
    await this.#during(
      this.#alone(async () => {
        // With what was put there until now.
        view = this.#view(table, stopped);
        // As if all of it was sent: what comes once more after a crash is recognised.
        await this.#save(table, stopped, { ...stopped.state, state: 'resuming', sent: stopped.spool.last, already: [] });
        this.#goLive(table, stopped);
      }),
    );
    this.#ports.log.warn(`What was kept of table ${table} was discarded, ${view.messages} messages; it is live again.`, { table });
    return view;
  }

  /** It is stopped, or being resumed. */
  has(table: string): boolean {
    return this.#tables.has(table);
  }

  views(): readonly StoppedTableView[] {
    return [...this.#tables].map(([table, stopped]) => this.#view(table, stopped));
  }

  /** Whether something of the batch is not for the sink, or a spool waits for a checkpoint. */
  #concerns({ count, spans, tables }: MessageBatch): boolean {
    if (this.#left.size > 0) return true;
    if (this.#tables.size === 0) return false;
    const stopped = tables.map((table) => this.#tables.has(table));
    for (let at = SPAN.table; at < count * SPAN_SIZE; at += SPAN_SIZE) if (stopped[spans[at] as number] === true) return true;
    return false;
  }

  /** Puts the messages of stopped tables into their spools, and leaves the others in the batch. */
  async #takeOut(messages: MessageWriter): Promise<Place> {
    const known = messages.tables.map((table) => this.#tables.get(table) ?? this.#left.get(table));
    const taken = new Map<Stopped, { readonly table: string; readonly indexes: number[]; held: string | null }>();
    const kept: number[] = [];
    const { count } = messages;
    for (let index = 0; index < count; index++) {
      const at = messages.spans[index * SPAN_SIZE + SPAN.table] as number;
      const table = known[at];
      const held = table?.spool.holds(idAt(messages, index)) ?? null;
      if (table === undefined) kept.push(index);
      else {
        const into = taken.get(table) ?? { table: messages.tables[at] as string, indexes: [], held: null };
        taken.set(table, into);
        if (held !== null) into.held = held === '' ? into.held : held;
        else {
          // Where a TRUNCATE stands, rows may stand behind it: it goes only to where it does not, each time by itself.
          const lacking = this.#ports.lacking(messages, index);
          const isNew = lacking === null ? !this.#ports.stands(messages, index) : lacking.length > 0;
          if (isNew) table.spool.passed();
          if ('address' in table) kept.push(index);
          else if (lacking !== null) for (const spread of lacking) into.indexes.push(copyTo(messages, index, spread));
          else if (isNew) into.indexes.push(index);
        }
      }
    }
    const place: Record<string, string> = {};
    if (taken.size > 0) {
      await Promise.all(
        [...taken].map(async ([stopped, { table, indexes, held }]) => {
          const at = indexes.length > 0 ? await appendInto(stopped.spool, messages, indexes, () => this.#makeRoom(table, stopped)) : held;
          // Null: all of it stands in the sink.
          if (at !== null) place[spoolEntry(table)] = at;
        }),
      );
      messages.retain(kept);
      this.#tell();
    }
    for (const [table, left] of this.#left) {
      if (left.isMarked || !left.spool.isPassed) continue;
      left.isMarked = true;
      place[spoolEntry(table)] = left.address;
    }
    return place;
  }

  #start(table: string): void {
    void this.#during(this.#replay(table)).catch((error: unknown) => {
      if (!this.#ended) this.#ports.failed(error);
    });
  }

  /** Sends what waits; the last of it while nothing is appended, so that it comes to an end. A failure ends the life. */
  async #replay(table: string): Promise<void> {
    const { log } = this.#ports;
    const stopped = this.#tables.get(table) as Stopped;
    const { spool } = stopped;
    log.info(`Table ${table} is resumed: ${spool.messages} messages wait.`, { table });
    const most = this.#replayMost(table, stopped);
    this.#replaying.set(table, most);
    await most;
    await prepareWaiting(spool, this.#ports.prepare, () => this.#ended);
    await this.#alone(async () => {
      while (!this.#ended && spool.messages > 0) await this.#replaySome(table, stopped);
      if (this.#ended) return;
      this.#goLive(table, stopped);
      log.info(`Table ${table} is live again.`, { table });
    });
  }

  async #replayMost(table: string, stopped: Stopped): Promise<void> {
    while (!this.#ended && stopped.spool.messages > CHUNK) await this.#replaySome(table, stopped);
  }

  /** Sends some of what waits of a table that is being resumed; null: it is not. Called by who appends: the end of the replay comes behind, and nobody else sends once most of it is sent. */
  #makeRoom(table: string, stopped: Stopped): Promise<void> | null {
    const replaying = this.#replaying.get(table);
    return replaying === undefined || this.#ended ? null : replaying.then(() => this.#replaySome(table, stopped));
  }

  /** While nothing is appended, and no batch goes to the sink that comes after. */
  #alone(work: () => Promise<void>): Promise<void> {
    this.#exclusive++;
    const done = this.#chain.then(work).finally(() => {
      this.#exclusive--;
    });
    this.#chain = done;
    return done;
  }

  async #replaySome(table: string, stopped: Stopped): Promise<void> {
    const entries = stopped.spool.next(CHUNK, CHUNK_BYTES);
    const already = new Set(stopped.state.already);
    const batches: MessageWriter[] = [];
    for (const entry of entries) {
      const messages = await stopped.spool.read(entry);
      if (already.size > 0) messages.retain(allOf(messages).filter((index) => !already.has(idAt(messages, index))));
      renameResumed(messages, this.#ports.connector, table);
      batches.push(messages);
    }
    await this.#ports.holds.during(this.#send(table, stopped, batches, (entries.at(-1) as SpoolEntry).address));
    await stopped.spool.sent(entries.length);
    this.#tell();
  }

  /** What it moves of the sink's place is not saved by itself: it may be beyond what the pipeline's checkpoint covers. */
  async #send(table: string, stopped: Stopped, batches: readonly MessageWriter[], last: Address): Promise<void> {
    const full = batches.filter(({ count }) => count > 0);
    for (const batch of full) this.#own.set(batch, table);
    try {
      await Promise.all(full.map((batch) => this.#ports.write(batch)));
      await this.#save(table, stopped, { ...stopped.state, sent: last, already: [] });
    } finally {
      for (const batch of full) this.#own.delete(batch);
    }
  }

  /** Of the next that would be sent, what stands in the sink already. */
  async #noteSent(table: string, stopped: Stopped): Promise<void> {
    const { connector, stands } = this.#ports;
    const already = new Set(stopped.state.already);
    for (const entry of stopped.spool.next(CHUNK, CHUNK_BYTES)) {
      const messages = await stopped.spool.read(entry);
      const ids = allOf(messages).map((index) => idAt(messages, index));
      renameResumed(messages, connector, table);
      for (const [index, id] of ids.entries()) if (stands(messages, index)) already.add(id);
    }
    if (already.size > stopped.state.already.length) await this.#save(table, stopped, { ...stopped.state, already: [...already] });
  }

  /** What comes now goes to the sink, behind all that was sent. */
  #goLive(table: string, stopped: Stopped): void {
    this.#tables.delete(table);
    const { last } = stopped.spool;
    // Nothing was ever put there: there is nothing to cover.
    this.#left.set(table, { ...stopped, address: last === null ? NOWHERE : formatAddress(last), isMarked: false });
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

function allOf({ count }: MessageBatch): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
