import type { MessageBatch } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { TableRegistry } from '../record/table.ts';
import type { SluiceError } from './error.ts';
import type { TableOutline } from './outline.ts';
import type { Runtime } from './runtime.ts';

/** What a log line may carry beside its message. No row values, no secrets (I12). */
export interface LogFields {
  readonly code?: string;
  readonly table?: string;
  readonly remedy?: string;
  readonly [key: string]: string | number | boolean | undefined;
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** What every plug-in is given. */
export interface PluginContext {
  /** Name of the connector: the first part of every message id. */
  readonly connector: string;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Identifies the data directory: tells our own leftover sessions from another daemon's. */
  readonly instance: string;
  /** Called when something is tried again, for the retry counter. `what` is a short constant. */
  readonly retried: (what: string) => void;
}

/** How the process before this one ended; `first`: there was none. */
export type PreviousShutdown = 'first' | 'clean' | 'unclean';

export interface SinkContext extends PluginContext {
  /**
   * Saves entries of the place by themselves, before a checkpoint moves them: where something begins that is about to be written to for the first time.
   * Durable when it resolves (I5). Not from `open(null)`: with a place the next start does not ask whether the sink holds output (I8).
   */
  readonly savePlace: (entries: Place) => Promise<void>;
  /** `unclean`: bytes that the killed process had given to its sockets may still arrive. Once a sink was opened by this process it is `clean`. */
  readonly previousShutdown: PreviousShutdown;
  /**
   * No attempt will bring this message through. Resolves when it is durable elsewhere, by the connector's policy: then it counts as written, and its lane
   * goes on behind it. Rejects with what ends the sink. The lane waits for it (I3).
   */
  readonly undeliverable: (batch: MessageBatch, index: number, error: SluiceError) => Promise<void>;
  /** Keys and values are no text; left out: they are. */
  readonly isBinary?: boolean;
  /** Nothing is written next: what takes its time may be looked at too. Left out: something is. */
  readonly isExamined?: boolean;
  /** Topics or subjects beside those of the tables that messages may be written to: dead letters, and what the format says of transactions and of itself. */
  readonly extraDestinations: readonly string[];
}

export interface SourceContext extends PluginContext {
  readonly tables: TableRegistry;
  readonly batch: { readonly maxRecords: number; readonly maxBytes: number };
  /** Bound of what the source may hold between its socket and `read()`; one larger row is still taken (I9). */
  readonly maxBufferedBytes: number;
  /** A note of this connector that survives a crash: what it is about to create on the server (algorithms §5). Null = none. */
  readonly intent: { get(): Promise<unknown>; set(intent: unknown): Promise<void> };
  /**
   * What is captured has changed: the connector ends this life in order, with everything delivered and saved, and begins the next one, which prepares all anew. Not at
   * once where a copy would begin anew by it.
   */
  readonly renew: () => void;
  /** What keeps format and sink from taking a table that is not captured yet; null: nothing that they know of. */
  readonly refusalOf: (table: TableOutline) => Promise<SluiceError | null>;
  /** Statements that change the definition of tables are wanted as records. */
  readonly tellsDefinitions: boolean;
  /** So long was spent on decoding what came of the log, milliseconds; once for what came at a time. Left out: nobody counts it. */
  readonly decoded?: (ms: number) => void;
  /** `run --once`: end the stream at the log's end as it stood when reading began. */
  readonly once: boolean;
}
