import type { MessageBatch } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { TableIdentity } from '../record/table.ts';
import type { SinkContext } from './context.ts';
import type { ErrorKind } from './error.ts';
import type { ConfigOf, FieldTable } from './field.ts';
import type { Finding, FindingKind } from './finding.ts';

/** What already stands in the sink (algorithms §2). */
export interface Written {
  /** Ids of transactions of this connector that stand beyond the saved place. The sink itself skips their messages when they come again. */
  readonly transactions: readonly string[];
  /** Only asked when there is no saved place: the sink already holds output of this connector. */
  readonly holdsOutput: boolean;
}

/** Of a sink that cannot be read back. */
export const NOTHING_WRITTEN: Written = { transactions: [], holdsOutput: false };

export interface Sink {
  /**
   * Connects, checks what must hold, changes nothing. Asked once more for a table that has come, whether or not it is open.
   * @param destinations where messages will go, as far as is known: of the tables that are captured now, and of dead letters
   */
  preflight(destinations: readonly string[], signal: AbortSignal): Promise<readonly Finding[]>;
  /**
   * `place`: where this connector's output ended at the last checkpoint, all entries; null = nothing was saved yet. Creates what is missing and may be created. Reads
   * forward from the place what a run before this one left there, so that it is not written twice (I4). Throws if the sink lost what was confirmed.
   */
  open(place: Place | null, signal: AbortSignal): Promise<Written>;
  /** Where messages of a table go: a topic or subject, by the configured template. Called once per table version. */
  destination(table: TableIdentity): string;
  /**
   * Resolves when all of it is durable, with the entries of the place that moved. Calls overlap; messages of one key become durable in call order; retries are the sink's
   * own business and go on for as long as it takes. Beyond the place after call n stands everything that later calls have written.
   * A throw (SluiceError) ends the sink: every pending write settles, the engine closes it and reads again from the saved offset (I3).
   */
  write(batch: MessageBatch, signal: AbortSignal): Promise<Place>;
  /**
   * Whether a message stood beyond the place when the sink was opened, so that `write` would skip it. For messages that go elsewhere (those of a stopped table):
   * asked after `open`, in the order of the batches, before any later message is written.
   */
  stands(batch: MessageBatch, index: number): boolean;
  /**
   * Of a message that goes to several places at once: the `spread` of each in which it does not stand, with which it would go there alone. Null: it goes to one.
   * Left out: every message does.
   */
  lacking?(batch: MessageBatch, index: number): readonly number[] | null;
  /** The place to store by `offsets recover`, and the id of the transaction of the last message of this connector (null: none, or no total order). */
  recover(signal: AbortSignal): Promise<{ readonly place: Place; readonly lastTransaction: string | null }>;
  close(): Promise<void>;
}

/** How attributes of CloudEvents stand in the headers of a system, by its protocol binding. */
export interface CloudEventsHeaders {
  /** In front of an attribute's name. */
  readonly prefix: string;
  /** Values hold printable ASCII only: the rest is percent-encoded. */
  readonly isPercentEncoded: boolean;
}

export interface SinkPlugin<T extends FieldTable = FieldTable> {
  readonly role: 'sink';
  readonly type: string;
  readonly fields: T;
  readonly errors: readonly ErrorKind[];
  /** Kinds of what its preflight finds beside errors; left out: there are none. */
  readonly findings?: readonly FindingKind[];
  /** Those of them with which it hands a message to `SinkContext.undeliverable`; left out: it takes every message. */
  readonly undeliverable?: readonly ErrorKind[];
  /** Left out: `ce_` in front, values as they are. */
  readonly cloudEvents?: CloudEventsHeaders;
  validate?(config: ConfigOf<T>): readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
  /** Resources that one connector must have for itself, such as `slot:host/database/name`: two connectors with an equal claim are an error. */
  claims?(config: ConfigOf<T>, connector: string): readonly string[];
  create(config: ConfigOf<T>, context: SinkContext): Sink;
}
