import type { HeartbeatMessages } from '../plugin/format.ts';
import type { RecordBatch, Transaction } from '../record/batch.ts';
import type { MessageWriter } from '../record/messages.ts';
import type { Place, Position } from '../record/position.ts';
import type { BatchShapes, CheckpointTracker } from './checkpoints.ts';
import { type BatchEncoder, countRows } from './encode.ts';
import type { Flight } from './flight.ts';
import type { Gate } from './gate.ts';
import { News } from './news.ts';
import type { PipelineOptions, Stage } from './options.ts';
import { pressingOf, type Refusals, type RefusedTables, refusalsOf, refusedTables, runOf } from './refusals.ts';
import type { Saver } from './saver.ts';

export interface SenderParts {
  readonly gate: Gate;
  readonly flight: Flight;
  readonly encoder: BatchEncoder;
  readonly tracker: CheckpointTracker;
  readonly saver: Saver;
  /** Ends the sink's calls. */
  readonly abort: AbortSignal;
  /** Nothing is waited for any longer. */
  readonly ending: AbortSignal;
}

/** Gives batches to the sink, in order, and notes what is durable. */
export class Sender {
  readonly #options: PipelineOptions;
  readonly #parts: SenderParts;
  readonly #news: News;
  /** The position that everything sent so far leads to; null: it ends inside a transaction, or none was saved yet. */
  #settled: Position | null;

  constructor(options: PipelineOptions, parts: SenderParts) {
    this.#options = options;
    this.#parts = parts;
    this.#news = new News(options.announcements, options.format, parts.encoder);
    this.#settled = options.read.from;
  }

  /**
   * Null, or resolves when the next batch may be given: a new version of a table is stored before a message names it, so that a crash gives its number to no other (I4), and
   * where new shapes are announced, that is durable before the rows in them go. What a format must learn of a version elsewhere, it has learned.
   */
  send(batch: RecordBatch): Promise<void> | null {
    const { mapping, policy, saveHistory, tap } = this.#options;
    tap?.read(batch);
    if (mapping !== null) this.#timed('encode', () => mapping.apply(batch));
    tap?.mapped(batch);
    const refusals = policy === null ? null : refusalsOf(batch, policy);
    const stored = saveHistory();
    const ready = this.#parts.encoder.ready(batch, refusals, this.#parts.ending);
    return stored === null && ready === null ? this.#send(batch, refusals) : this.#sendBehind(Promise.all([stored, ready]), batch, refusals);
  }

  async #sendBehind(stored: Promise<unknown>, batch: RecordBatch, refusals: Refusals | null): Promise<void> {
    try {
      await stored;
    } catch (error) {
      this.#parts.gate.fail(error);
      return;
    }
    await this.#send(batch, refusals);
  }

  #send(batch: RecordBatch, refusals: Refusals | null): Promise<void> | null {
    const { events, runtime } = this.#options;
    const { encoder, tracker, flight, saver } = this.#parts;
    const isAtEnd = batch.checkpointRecords === batch.count;
    const entry = tracker.begin(batch.checkpoint, isAtEnd, batch.progress);
    if (batch.checkpoint !== null || batch.count > 0) this.#settled = isAtEnd ? batch.checkpoint : null;
    const ending = encoder.ending(batch);
    if (batch.count === 0 && ending === null) {
      batch.release();
      tracker.finish(entry, null);
      if (flight.batches === 0) events.idle();
      saver.kick();
      return null;
    }
    const oldest = ((batch.transactions[0] ?? ending) as Transaction).commitMicros;
    const newest = ((batch.transactions.at(-1) ?? ending) as Transaction).commitMicros;
    const rows = countRows(batch);
    const pressing = refusals === null ? null : pressingOf(batch, refusals, (table) => this.#options.undelivered.isAside(table));
    if (pressing !== null || this.#news.next(batch, 0, null) >= 0) {
      return this.#giveInParts(batch, { refusals, pressing }, oldest, (place, shapes, count, bytes) => {
        batch.release();
        tracker.finish(entry, place, shapes);
        events.durable(rows, count, bytes, newest, oldest);
        saver.kick();
      });
    }
    const begun = runtime.monotonicMs();
    const messages = encoder.encode(batch, runtime.nowMicros());
    events.spent('encode', runtime.monotonicMs() - begun);
    const { count, bytesLength } = messages;
    // One that is aside now may be live when they go.
    const refused = refusals === null ? null : refusedTables(batch, refusals);
    batch.release();
    this.#give(messages, entry, oldest, refused, () => events.durable(rows, count, bytesLength, newest, oldest));
    return null;
  }

  /** One part after the other: the rows up to one that there is news of, the news, the rows from there on; those that may not go by themselves. Never throws. */
  async #giveInParts(
    batch: RecordBatch,
    { refusals, pressing }: { readonly refusals: Refusals | null; readonly pressing: Refusals | null },
    oldestMicros: number,
    done: (place: Place, shapes: BatchShapes, messages: number, bytes: number) => void,
  ): Promise<void> {
    const { encoder, gate, flight } = this.#parts;
    const { runtime } = this.#options;
    const before: Record<string, number> = {};
    const behind: Record<string, number> = {};
    const place: Record<string, string | null> = {};
    let [messages, bytes] = [0, 0];
    const give = async (part: MessageWriter, refused: RefusedTables | null): Promise<void> => {
      messages += part.count;
      bytes += part.bytesLength;
      Object.assign(place, await this.#deliver(part, oldestMicros, refused));
      encoder.recycle(part);
    };
    try {
      for (let from = 0; ; ) {
        const next = this.#news.next(batch, from, pressing);
        const end = next < 0 ? batch.count : next;
        const { to, refused } = refusals === null ? { to: end, refused: null } : runOf(batch, refusals, from, end);
        // What is said of transactions stands in front of the news, or behind all.
        if (to > from || encoder.marksTransactions) await give(this.#encoded(batch, from, to), refused);
        from = to;
        if (to < end) continue;
        if (next < 0) break;
        // Rows of before that are on their way stand in front of the news, wherever both can be read in one order.
        while (flight.batches > 0) await gate.wait();
        const told = this.#news.tell(batch, next, runtime.nowMicros());
        Object.assign(next < batch.checkpointRecords ? before : behind, told.shapes);
        await give(told.messages, null);
        from = told.next;
      }
      done(place, { before, behind }, messages, bytes);
      gate.wake();
    } catch (error) {
      gate.fail(error);
    }
  }

  #encoded(batch: RecordBatch, from: number, to: number): MessageWriter {
    return this.#timed('encode', () => this.#parts.encoder.encode(batch, this.#options.runtime.nowMicros(), from, to));
  }

  #timed<T>(stage: Stage, work: () => T): T {
    const { runtime, events } = this.#options;
    const begun = runtime.monotonicMs();
    const done = work();
    events.spent(stage, runtime.monotonicMs() - begun);
    return done;
  }

  async #deliver(messages: MessageWriter, oldestMicros: number, refused: RefusedTables | null): Promise<Place | null> {
    const { flight, abort } = this.#parts;
    const { bytesLength } = messages;
    const { runtime, events } = this.#options;
    const begun = runtime.monotonicMs();
    flight.add(bytesLength, oldestMicros);
    try {
      return messages.count === 0 ? null : await deliver(this.#options, messages, abort, refused);
    } finally {
      events.spent('send', runtime.monotonicMs() - begun);
      flight.remove(bytesLength, oldestMicros);
    }
  }

  /** Between two batches. Where all before it leads to a position, that is saved with it again, so that what is read back at a start stays short however long the source is idle. */
  beat(heartbeats: HeartbeatMessages): void {
    const nowMicros = this.#options.runtime.nowMicros();
    const entry = this.#parts.tracker.begin(this.#settled, true, null);
    this.#give(this.#parts.encoder.heartbeat(heartbeats, nowMicros), entry, nowMicros, null, () => undefined);
  }

  #give(
    messages: MessageWriter,
    entry: ReturnType<CheckpointTracker['begin']>,
    oldestMicros: number,
    refused: RefusedTables | null,
    tell: () => void,
  ): void {
    const { gate, flight, encoder, tracker, saver, abort } = this.#parts;
    const { count, bytesLength } = messages;
    flight.add(bytesLength, oldestMicros);
    const durable = (place: Place | null): void => {
      tracker.finish(entry, place);
      flight.remove(bytesLength, oldestMicros);
      encoder.recycle(messages);
      tell();
      saver.kick();
      gate.wake();
    };
    if (count === 0) {
      durable(null);
      return;
    }
    const { runtime, events } = this.#options;
    const begun = runtime.monotonicMs();
    const delivered = (place: Place): void => {
      events.spent('send', runtime.monotonicMs() - begun);
      durable(place);
    };
    deliver(this.#options, messages, abort, refused).then(delivered, (error: unknown) => {
      flight.remove(bytesLength, oldestMicros);
      gate.fail(error);
    });
  }
}

/** Resolves when every message is durable, in the sink or where undeliverable ones are kept (I1), with the entries of the place that moved. */
async function deliver(
  { sink, undelivered, tap }: PipelineOptions,
  messages: MessageWriter,
  abort: AbortSignal,
  refused: RefusedTables | null,
): Promise<Place> {
  const diverted = undelivered.divert(messages, refused);
  const kept = diverted === null ? null : await diverted;
  undelivered.passing(messages);
  tap?.encoded(messages);
  const place = messages.count === 0 ? {} : await sink.write(messages, abort);
  const rest = undelivered.settled(messages);
  tap?.durable(messages);
  if (rest === null) return kept === null ? place : { ...kept, ...place };
  // The sink's own entry is the one that covers no later call.
  return { ...kept, ...(await rest), ...place };
}
