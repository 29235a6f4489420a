import { SluiceError } from '../plugin/error.ts';
import type { Format } from '../plugin/format.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import type { ReadOptions, Source } from '../plugin/source.ts';
import type { RecordBatch, Transaction } from '../record/batch.ts';
import type { MessageBatch, MessageWriter } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import { type Checkpoint, CheckpointTracker } from './checkpoints.ts';
import { BatchEncoder, countRows, type RowCounts } from './encode.ts';
import { INTERNAL } from './errors.ts';
import { Flight } from './flight.ts';
import { Gate } from './gate.ts';
import type { MemoryShare } from './memory.ts';
import { Saver } from './saver.ts';

/** What the pipeline tells about itself, once per batch. */
export interface PipelineEvents {
  /** Rows that are durable in the sink now; `commitMicros` of the newest of them. */
  durable(rows: RowCounts, messages: number, bytes: number, commitMicros: number): void;
  /** The log moved on without captured rows, and nothing is in flight. */
  idle(): void;
  inFlight(bytes: number, batches: number, oldestCommitMicros: number | null): void;
  saved(checkpoint: Checkpoint): void;
}

export interface PipelineOptions {
  readonly source: Source;
  readonly sink: Sink;
  readonly format: Format;
  readonly read: ReadOptions;
  readonly runtime: Runtime;
  readonly maxInFlightBytes: number;
  /** This connector's part in the bound of the process (I9). */
  readonly memory: MemoryShare;
  /** While several batches are in flight, how long the next one may wait to fill. */
  readonly maxDelayMs: number;
  readonly checkpointMaxDelayMs: number;
  /** Stores a checkpoint durably (I5); called one at a time, in order. */
  readonly save: (checkpoint: Checkpoint) => Promise<void>;
  readonly events: PipelineEvents;
  readonly undelivered: Undelivered;
  /** Ends it as an error of the sink does; the reason is thrown. For what works beside it. */
  readonly broken?: AbortSignal;
}

/** What becomes of messages that the sink cannot deliver. */
export interface Undelivered {
  /**
   * Takes out of a batch what is not to go to the sink. Null: nothing was, nor of one before it that still waits; else resolves with entries of the place when it is
   * durable elsewhere (I1), in the order of the calls. Only then the rest is given to the sink: what stands there says that all before it is safe.
   */
  divert(messages: MessageWriter): Promise<Place> | null;
  /** A batch is given to the sink. */
  passing(messages: MessageBatch): void;
  /** The sink has done with it: null, or resolves when what was not delivered is durable elsewhere (I1), with entries of the place that moved by it. */
  settled(messages: MessageBatch): Promise<Place | null> | null;
}

/** From this many batches in flight on it is better to let the next one fill than to send it at once. */
const BUSY_BATCHES = 4;

/**
 * THE MAIN PATH: read → encode → write → save → acknowledge.
 *
 * Batches overlap in the sink; only the contiguous finished prefix is saved, and only what is saved is acknowledged (I5). Resolves when the source
 * ends or `drain` is aborted, with everything durable, saved and acknowledged. Rejects with the first error of source, sink or store after every
 * pending write has settled; what was durable by then is saved. The caller closes source and sink.
 */
export async function runPipeline(options: PipelineOptions, drain: AbortSignal, abort: AbortSignal): Promise<void> {
  const { source, sink, runtime, events } = options;
  const gate = new Gate();
  const flight = new Flight(options.maxInFlightBytes, (now) => events.inFlight(now.bytes, now.batches, now.oldestCommitMicros));
  const encoder = new BatchEncoder(options.format, (table) => sink.destination(table), options.memory);
  const tracker = new CheckpointTracker(options.read.from);
  const saver = new Saver(tracker, {
    ...options,
    saved: (checkpoint) => {
      source.acknowledge(checkpoint.position);
      events.saved(checkpoint);
    },
    failed: (error) => gate.fail(error),
  });

  const send = (batch: RecordBatch): void => {
    const entry = tracker.begin(batch.checkpoint, batch.checkpointRecords === batch.count, batch.progress);
    if (batch.count === 0) {
      batch.release();
      tracker.finish(entry, null);
      if (flight.batches === 0) events.idle();
      saver.kick();
      return;
    }
    const oldest = (batch.transactions[0] as Transaction).commitMicros;
    const newest = (batch.transactions.at(-1) as Transaction).commitMicros;
    const messages = encoder.encode(batch, runtime.nowMicros());
    const { count, bytesLength } = messages;
    const rows = countRows(batch);
    batch.release();
    flight.add(bytesLength, oldest);
    const durable = (place: Place | null): void => {
      tracker.finish(entry, place);
      flight.remove(bytesLength, oldest);
      encoder.recycle(messages);
      events.durable(rows, count, bytesLength, newest);
      saver.kick();
      gate.wake();
    };
    if (count === 0) {
      durable(null);
      return;
    }
    deliver(options, messages, abort).then(durable, (error: unknown) => {
      flight.remove(bytesLength, oldest);
      gate.fail(error);
    });
  };

  const end = (): void => gate.wake();
  const stop = (): void => gate.fail(abort.reason);
  drain.addEventListener('abort', end);
  abort.addEventListener('abort', stop);
  const fail = (): void => gate.fail(options.broken?.reason);
  options.broken?.addEventListener('abort', fail, { once: true });
  if (options.broken?.aborted === true) fail();
  try {
    await readAll(options, { gate, flight, send, saved: () => saver.finish() }, drain, abort);
    while (flight.batches > 0) await gate.wait();
  } catch (error) {
    // The sink's contract: after a throw every pending write settles. What is durable by then is saved, so that less is sent twice.
    while (flight.batches > 0 && !abort.aborted) await gate.settle();
    await saver.finish().catch(() => undefined);
    throw error;
  } finally {
    options.memory.releaseAll();
    drain.removeEventListener('abort', end);
    abort.removeEventListener('abort', stop);
  }
  await saver.finish();
}

/** Resolves when every message is durable, in the sink or where undeliverable ones are kept (I1), with the entries of the place that moved. */
async function deliver({ sink, undelivered }: PipelineOptions, messages: MessageWriter, abort: AbortSignal): Promise<Place> {
  const diverted = undelivered.divert(messages);
  const kept = diverted === null ? null : await diverted;
  undelivered.passing(messages);
  const place = messages.count === 0 ? {} : await sink.write(messages, abort);
  const rest = undelivered.settled(messages);
  if (rest === null) return kept === null ? place : { ...kept, ...place };
  // The sink's own entry is the one that covers no later call.
  return { ...kept, ...(await rest), ...place };
}

interface Way {
  readonly gate: Gate;
  readonly flight: Flight;
  readonly send: (batch: RecordBatch) => void;
  /** Resolves when everything that is safe is saved. */
  readonly saved: () => Promise<void>;
}

/** Pulls batches until the source ends or `drain` is aborted. Not pulling is the back-pressure. */
async function readAll(options: PipelineOptions, { gate, flight, send, saved }: Way, drain: AbortSignal, abort: AbortSignal): Promise<void> {
  const batches = options.source.read(options.read, abort)[Symbol.asyncIterator]();
  let arrived: IteratorResult<RecordBatch> | null = null;
  let pulling = false;
  const wake = (): void => gate.wake();
  let first = options.read.from === null;
  const pull = (): void => {
    pulling = true;
    batches.next().then(
      (result) => {
        arrived = result;
        pulling = false;
        gate.wake();
      },
      (error: unknown) => gate.fail(error),
    );
  };
  while (!drain.aborted) {
    gate.check();
    if (arrived !== null) {
      const { done, value } = arrived as IteratorResult<RecordBatch>;
      arrived = null;
      if (done === true) return;
      // The first start: where it begins is saved before anything is written (I5), or a crash in between would look like lost state.
      if (first && value.count > 0) throw new SluiceError(INTERNAL, { reason: 'the source did not begin with its position' });
      send(value as RecordBatch);
      if (first) await saved();
      first = false;
      continue;
    }
    if (!pulling && !flight.full && options.memory.mayPull(wake)) {
      if (flight.batches >= BUSY_BATCHES) await fill(options, gate);
      pull();
    }
    await gate.wait();
  }
}

/** Lets the source's next batch fill until something leaves, but no longer than `maxDelayMs`. */
async function fill(options: PipelineOptions, gate: Gate): Promise<void> {
  const timer = options.runtime.setTimer(() => gate.wake(), options.maxDelayMs);
  await gate.wait();
  timer.clear();
}
