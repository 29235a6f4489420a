import { SluiceError } from '../plugin/error.ts';
import type { RecordBatch } from '../record/batch.ts';
import { CheckpointTracker } from './checkpoints.ts';
import { BatchEncoder } from './encode.ts';
import { INTERNAL } from './errors.ts';
import { Flight } from './flight.ts';
import { Gate } from './gate.ts';
import { HeartbeatClock } from './heartbeats.ts';
import type { PipelineOptions } from './options.ts';
import { Saver } from './saver.ts';
import { Sender } from './sender.ts';

export type { PipelineEvents, PipelineOptions, Stage, Undelivered } from './options.ts';

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
    save: async (checkpoint) => {
      const begun = runtime.monotonicMs();
      await options.save(checkpoint);
      events.spent('save', runtime.monotonicMs() - begun);
    },
    saved: (checkpoint) => {
      const begun = runtime.monotonicMs();
      source.acknowledge(checkpoint.position);
      events.spent('acknowledge', runtime.monotonicMs() - begun);
      events.saved(checkpoint);
    },
    failed: (error) => gate.fail(error),
  });

  const sender = new Sender(options, { gate, flight, encoder, tracker, saver, abort, ending: AbortSignal.any([drain, abort]) });
  const { heartbeats } = options.format;
  const clock = heartbeats === undefined ? null : new HeartbeatClock(runtime, heartbeats.intervalMs, () => gate.wake());
  const beat = (): void => {
    if (heartbeats !== undefined && clock?.take() === true) sender.beat(heartbeats);
  };

  const end = (): void => gate.wake();
  const stop = (): void => gate.fail(abort.reason);
  drain.addEventListener('abort', end);
  abort.addEventListener('abort', stop);
  const fail = (): void => gate.fail(options.broken?.reason);
  options.broken?.addEventListener('abort', fail, { once: true });
  if (options.broken?.aborted === true) fail();
  try {
    await readAll(options, { gate, flight, beat, send: (batch) => sender.send(batch), saved: () => saver.finish() }, drain, abort);
    while (flight.batches > 0) await gate.wait();
  } catch (error) {
    // The sink's contract: after a throw every pending write settles. What is durable by then is saved, so that less is sent twice.
    while (flight.batches > 0 && !abort.aborted) await gate.settle();
    await saver.finish().catch(() => undefined);
    throw error;
  } finally {
    clock?.stop();
    options.memory.releaseAll();
    drain.removeEventListener('abort', end);
    abort.removeEventListener('abort', stop);
  }
  await saver.finish();
}

interface Way {
  readonly gate: Gate;
  readonly flight: Flight;
  /** Null, or resolves when the next one may be sent. */
  readonly send: (batch: RecordBatch) => Promise<void> | null;
  /** Sends a heartbeat if one is due. */
  readonly beat: () => void;
  /** Resolves when everything that is safe is saved. */
  readonly saved: () => Promise<void>;
}

/** Pulls batches until the source ends or `drain` is aborted. Not pulling is the back-pressure. */
async function readAll(options: PipelineOptions, { gate, flight, send, beat, saved }: Way, drain: AbortSignal, abort: AbortSignal): Promise<void> {
  const { runtime, events } = options;
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
      const sent = send(value as RecordBatch);
      if (sent !== null) await sent;
      if (first) await saved();
      first = false;
      continue;
    }
    // A sink that is behind gets no more of them.
    if (!first && !flight.full) beat();
    if (!pulling && !flight.full && options.memory.mayPull(wake)) {
      if (flight.batches >= BUSY_BATCHES) await fill(options, gate);
      pull();
    }
    const what = pulling ? 'source' : flight.full ? 'sink' : 'memory';
    const begun = runtime.monotonicMs();
    await gate.wait();
    events.waited(what, runtime.monotonicMs() - begun);
  }
}

/** Lets the source's next batch fill until something leaves, but no longer than `maxDelayMs`. */
async function fill(options: PipelineOptions, gate: Gate): Promise<void> {
  const timer = options.runtime.setTimer(() => gate.wake(), options.maxDelayMs);
  await gate.wait();
  timer.clear();
}
