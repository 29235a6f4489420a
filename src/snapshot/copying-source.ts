import { setMaxListeners } from 'node:events';
import type { SnapshotSource } from '../plugin/snapshot.ts';
import type { SnapshotConfig } from '../plugin/snapshot-fields.ts';
import type { ReadOptions, RecoverOptions, Source, SourceHealth, SourcePreflight, StoredPosition } from '../plugin/source.ts';
import { BatchWriter, type RecordBatch } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import { BesideLog, type Chunk } from './beside-log.ts';
import { Chunks } from './chunks.ts';
import type { SnapshotCommands } from './commands.ts';
import type { Copies } from './copies.ts';
import { copyHeld } from './held-copy.ts';
import { LogGate } from './log-gate.ts';
import { noteMoved } from './moved.ts';
import type { CopyPorts } from './ports.ts';

/**
 * A source with the copies of its tables in its stream: the first copy before the log, everything else in the midst of it. What is known of copies travels with the
 * batches and is saved with the offset (I5).
 */
export class CopyingSource implements Source {
  readonly #source: Source;
  readonly #config: SnapshotConfig;
  readonly #copies: Copies;
  readonly #commands: SnapshotCommands;
  readonly #ports: CopyPorts;
  readonly #closing = new AbortController();
  readonly #gate = new LogGate(() => this.#wake());
  #beside: BesideLog | null = null;
  #chunks: Chunks | null = null;
  #failure: { readonly error: unknown } | null = null;
  #woken: () => void = () => undefined;
  #renews = false;

  constructor(source: Source, config: SnapshotConfig, copies: Copies, commands: SnapshotCommands, ports: CopyPorts) {
    this.#source = source;
    this.#config = config;
    this.#copies = copies;
    this.#commands = commands;
    this.#ports = ports;
  }

  /** Ends this life for another one, once no copy is in the midst of a table that would be read from its beginning again. */
  renew(): void {
    this.#renews = true;
    this.#wake();
  }

  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight> {
    return this.#source.preflight(signal, stored);
  }

  acknowledge(checkpoint: Position): void {
    this.#source.acknowledge(checkpoint);
  }

  async observe(signal: AbortSignal, saved: Position | null = null): Promise<SourceHealth> {
    const health = await this.#source.observe(signal, saved);
    this.#ports.pace.observed(health);
    return health;
  }

  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position> {
    return this.#source.recover(options, signal);
  }

  async giveUp(): Promise<void> {
    await this.#source.giveUp?.();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#commands.end();
    await this.#source.close();
  }

  async *read(options: ReadOptions, signal: AbortSignal): AsyncGenerator<RecordBatch, void, undefined> {
    const isFirst = options.from === null;
    const holdsSnapshot = isFirst && this.#copies.wanted;
    // Nothing may come of the log any more when this ends: it must not wait for it.
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const log = this.#source.read({ ...options, holdsSnapshot, mayEnd: () => this.#mayEnd }, either)[Symbol.asyncIterator]();
    try {
      this.#gate.position = options.from;
      if (isFirst) {
        const begun = await log.next();
        if (begun.done === true) return;
        const snapshots = await this.#begin();
        // What is to be copied is saved with the place where the log begins, or a crash in between would leave an offset that says nothing of it (I1).
        const beginning = this.#empty();
        this.#gate.position = begun.value.checkpoint;
        beginning.setCheckpoint(begun.value.checkpoint as Position);
        beginning.progress = this.#copies.takeChanged();
        begun.value.release();
        yield beginning;
        yield* this.#copyFirst(snapshots);
        if (this.#isOver) return;
      }
      yield* this.#withLog(log, signal);
    } finally {
      this.#closing.abort();
      await log.return?.(undefined);
    }
  }

  /** Nothing is left to do, and it ends by that. */
  get #isOver(): boolean {
    return this.#config.mode === 'initial_only' && this.#copies.open === 0;
  }

  /** No copy is under way, nor will be by itself. */
  get #mayEnd(): boolean {
    return this.#beside !== null && this.#copies.list().every(({ isOpen, paused }) => !isOpen || paused);
  }

  async #begin(): Promise<SnapshotSource> {
    const snapshots = await (this.#source.snapshot as () => Promise<SnapshotSource>).call(this.#source);
    this.#copies.begin(snapshots.tables());
    return snapshots;
  }

  async *#copyFirst(snapshots: SnapshotSource): AsyncGenerator<RecordBatch, void, undefined> {
    if (!this.#copies.wanted) return;
    const { parallelism } = this.#config;
    const views = await snapshots.held(this.#copies.open === 0 ? 0 : parallelism);
    if (views === null) return;
    const position = this.#gate.position as Position;
    for await (const { copy, batch } of copyHeld(views, this.#copies.list(), parallelism, this.#ports, this.#closing.signal)) {
      const next = batch ?? this.#empty();
      // All of it belongs to where the log begins: the place moves with it, so that a crash leaves little to read back.
      next.setCheckpoint(position);
      next.progress = { ...this.#copies.takeChanged(), [copy.entry]: copy.toText() };
      this.#ports.events.moved(copy);
      yield next;
      // The server keeps its log for as long as this goes on, or deletes it: what is left is copied beside the log.
      if (this.#ports.pace.isPressed) break;
    }
  }

  /** The log, and what is copied beside it. */
  async *#withLog(log: AsyncIterator<RecordBatch>, signal: AbortSignal): AsyncGenerator<RecordBatch, void, undefined> {
    let arrived: IteratorResult<RecordBatch> | null = null;
    let isPulling = false;
    let snapshots: SnapshotSource | null = null;
    const pull = (): void => {
      isPulling = true;
      log.next().then(
        (result) => {
          isPulling = false;
          arrived = result;
          this.#wake();
        },
        (error: unknown) => this.#fail(error),
      );
    };
    pull();
    const ending = AbortSignal.any([signal, this.#closing.signal]);
    // Each worker waits on it.
    setMaxListeners(0, ending);
    const begun = this.#copyBeside(ending);
    begun.catch((error: unknown) => this.#fail(error));
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#renews) {
        this.#renews = false;
        this.#ports.renew();
      }
      const chunk = this.#chunks?.next();
      if (chunk !== undefined) {
        yield* (this.#chunks as Chunks).handOn(chunk);
        continue;
      }
      const changed = this.#copies.takeChanged();
      if (changed !== null) {
        const batch = this.#empty();
        batch.progress = changed;
        yield batch;
        continue;
      }
      if (this.#beside !== null && this.#isOver) return;
      if (arrived !== null && snapshots === null) {
        snapshots = await begun;
        continue;
      }
      if (arrived !== null && snapshots !== null && !this.#gate.held) {
        const { done, value } = arrived as IteratorResult<RecordBatch>;
        arrived = null;
        if (done === true) {
          this.#ports.events.unfinished(this.#copies.open);
          return;
        }
        yield* this.#logged(value as RecordBatch, snapshots);
        continue;
      }
      if (arrived === null && !isPulling) pull();
      await new Promise<void>((resolve) => {
        this.#woken = resolve;
        if (this.#failure !== null || (arrived !== null && !this.#gate.held)) resolve();
      });
    }
  }

  /** A batch of the log is handed on: those who copy beside it see it first. */
  *#logged(batch: RecordBatch, snapshots: SnapshotSource): Generator<RecordBatch, void, undefined> {
    this.#copies.came(snapshots.come?.() ?? []);
    noteMoved(this.#copies, batch, (table, of, image) => snapshots.keyOf(table, of, image));
    const changed = this.#copies.takeChanged();
    if (changed !== null) {
      // In front of what made it so: never saved behind it.
      const noted = this.#empty();
      noted.progress = changed;
      yield noted;
    }
    const rest = this.#ports.signals?.take(batch) ?? batch;
    // What signals changed is saved in one with the place behind them: they are neither lost nor followed twice.
    const followed = this.#copies.takeChanged();
    this.#gate.observe(rest);
    yield followed === null ? rest : { ...rest, progress: followed, release: () => rest.release() };
  }

  async #copyBeside(signal: AbortSignal): Promise<SnapshotSource> {
    const snapshots = await this.#begin();
    if (signal.aborted) return snapshots;
    const { runtime, events, limits, pace } = this.#ports;
    this.#chunks = new Chunks(this.#gate, this.#copies, events, () => this.#empty());
    const offer = (chunk: Chunk): void => {
      (this.#chunks as Chunks).add(chunk);
      this.#wake();
    };
    this.#beside = new BesideLog(
      this.#copies,
      this.#config.parallelism,
      { snapshots, gate: this.#gate, runtime, signal, events, limits, pace, offer },
      () => void snapshots.rest().catch(() => undefined),
      (error) => {
        if (!signal.aborted) this.#fail(error);
      },
    );
    const kick = (): void => {
      this.#beside?.kick();
      this.#wake();
    };
    this.#commands.kick = kick;
    if (this.#copies.open > 0) kick();
    else void snapshots.rest();
    this.#wake();
    return snapshots;
  }

  #empty(): BatchWriter {
    return new BatchWriter(this.#ports.tables, () => undefined, 0);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    this.#woken();
  }
}
