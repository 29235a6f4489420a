import type { Mapping } from '../mapping/mapping.ts';
import type { Format } from '../plugin/format.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import type { ReadOptions, Source } from '../plugin/source.ts';
import type { RecordBatch } from '../record/batch.ts';
import type { MessageBatch, MessageWriter } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { SchemaAnnouncements } from '../schema-history/announcements.ts';
import type { SchemaPolicy } from '../schema-policy/policy.ts';
import type { Checkpoint } from './checkpoints.ts';
import type { RowCounts } from './encode.ts';
import type { MemoryShare } from './memory.ts';
import type { RefusedTables } from './refusals.ts';

/** Where the pipeline's time goes. `send`: from giving a batch to the sink until it is durable; several may be under way, so it may be more than the time that has passed. */
export type Stage = 'encode' | 'send' | 'save' | 'acknowledge';

/** What the pipeline tells about itself, once per batch. */
export interface PipelineEvents {
  /** Rows that are durable in the sink now; `newestMicros` and `oldestMicros`: when they were committed. */
  durable(rows: RowCounts, messages: number, bytes: number, newestMicros: number, oldestMicros: number): void;
  spent(stage: Stage, ms: number): void;
  /** Nothing was to be done: the source had nothing, or what is in flight had come to `maxInFlightBytes`, or to the bound of the process. */
  waited(what: 'source' | 'sink' | 'memory', ms: number): void;
  /** The log moved on without captured rows, and nothing is in flight. */
  idle(): void;
  inFlight(bytes: number, batches: number, oldestCommitMicros: number | null): void;
  saved(checkpoint: Checkpoint): void;
}

/** Somebody who looks on. Called behind each step, in order; what is given is read before it returns. Throws nothing and holds nothing up. */
export interface Tap {
  /** A batch as the source has given it. */
  read(batch: RecordBatch): void;
  /** As readers get it. */
  mapped(batch: RecordBatch): void;
  /** Messages that are given to the sink next. */
  encoded(messages: MessageBatch): void;
  /** Those of them that the sink has made durable. */
  durable(messages: MessageBatch): void;
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
  /** Stores what is new in the schema history and which versions may go, durably; null: nothing is new. Called before messages go that name a version. */
  readonly saveHistory: () => Promise<void> | null;
  readonly events: PipelineEvents;
  readonly undelivered: Undelivered;
  /** Null: changes of a table's shape are not announced. */
  readonly announcements: SchemaAnnouncements | null;
  /** Null: tables are to readers what they are. */
  readonly mapping: Mapping | null;
  /** Null: rows of every shape may go. */
  readonly policy: SchemaPolicy | null;
  /** Ends it as an error of the sink does; the reason is thrown. For what works beside it. */
  readonly broken?: AbortSignal;
  /** Left out: nobody looks on. */
  readonly tap?: Tap;
}

/** What becomes of messages that the sink cannot deliver. */
export interface Undelivered {
  /**
   * Takes out of a batch what is not to go to the sink. Null: nothing was, nor of one before it that still waits; else resolves with entries of the place when it is
   * durable elsewhere (I1), in the order of the calls. Only then the rest is given to the sink: what stands there says that all before it is safe. Of `refused` tables no
   * message is given to it: they become what their policy says, or it rejects with what stops.
   */
  divert(messages: MessageWriter, refused: RefusedTables | null): Promise<Place> | null;
  /** Messages of the table, by label, are taken out by `divert` as things stand. */
  isAside(table: string): boolean;
  /** A batch is given to the sink. */
  passing(messages: MessageBatch): void;
  /** The sink has done with it: null, or resolves when what was not delivered is durable elsewhere (I1), with entries of the place that moved by it. */
  settled(messages: MessageBatch): Promise<Place | null> | null;
}
