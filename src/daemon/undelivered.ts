import type { ConnectorDefinition } from '../config/load.ts';
import { DeadLetters, routeOf } from '../dead-letters/dead-letters.ts';
import type { DeadLetterFile } from '../dead-letters/file.ts';
import { Holds } from '../pipeline/holds.ts';
import type { Undelivered } from '../pipeline/pipeline.ts';
import type { RefusedTables } from '../pipeline/refusals.ts';
import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import type { Format, Refused, VersionOf } from '../plugin/format.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Sink } from '../plugin/sink.ts';
import { eachHeader, type MessageBatch, type MessageWriter, tableAt } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import type { Refusal, SchemaPolicy } from '../schema-policy/policy.ts';
import type { StateStore } from '../state/state-store.ts';
import { type OpenSpool, StoppedTables } from '../stopped-tables/stopped-tables.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { policyOf } from './dead-letter-policy.ts';
import { actionOf } from './policy-choice.ts';
import { spoolOf } from './stopped-tables.ts';

/** Somebody waits for the answer. */
const COMPLETE_MS = 10_000;

export interface UndeliveredPorts {
  readonly definition: ConnectorDefinition;
  readonly dataDir: string;
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly sink: Sink;
  readonly format: Format;
  /** Table versions that messages name. */
  readonly versionOf: VersionOf;
  /** Ends the calls of the sink. */
  readonly abort: AbortSignal;
  /** Null: the connector writes no dead letters and has none. */
  readonly letters: DeadLetterFile | null;
  readonly stopped: readonly OpenSpool[];
  /** Null: rows of every shape may go. */
  readonly policy: SchemaPolicy | null;
  /** Ends this life. */
  readonly failed: (error: unknown) => void;
}

/** What becomes of messages that do not go to the sink, in one life of a connector: dead letters, and the spools of stopped tables. */
export class UndeliveredMessages implements Undelivered {
  readonly letters: DeadLetters | null;
  readonly tables: StoppedTables;
  readonly #ports: UndeliveredPorts;
  readonly #holds = new Holds();
  /** Batches that wait for something before they go to the sink, in order. */
  readonly #waiting = new Set<MessageBatch>();
  #last: Promise<unknown> = Promise.resolve();
  /** The same, of what is sent again. */
  #lastAgain: Promise<unknown> = Promise.resolve();
  /** The life is over. */
  readonly #ending = new AbortController();
  /** Ends what is asked for of messages that are sent again. */
  readonly #asking: AbortSignal;

  constructor(ports: UndeliveredPorts) {
    const { definition, sink, abort, metrics, letters } = ports;
    const { name } = definition;
    const write = (batch: MessageBatch): Promise<Place> => sink.write(batch, abort);
    const stands = (batch: MessageBatch, index: number): boolean => sink.stands(batch, index);
    const shared = { ...ports, connector: name, holds: this.#holds, write, stands };
    const complete = (batch: MessageBatch): Promise<SluiceError | null> => this.#complete(batch);
    const counted = (code: string, open: number): void => {
      metrics.deadLetter(name, code);
      metrics.openDeadLetters(name, open);
    };
    this.#ports = ports;
    this.#asking = AbortSignal.any([abort, this.#ending.signal]);
    this.letters = letters === null ? null : new DeadLetters({ ...shared, complete, policy: policyOf(definition), file: letters, counted });
    const ofTables = {
      ...shared,
      write: (batch: MessageWriter) => this.#again(batch, write),
      prepare: ports.format.complete === undefined ? null : (batch: MessageWriter) => this.#prepareAgain(batch),
      directoryOf: (table: string) => spoolOf(ports, table),
      lacking: (batch: MessageBatch, index: number) => sink.lacking?.(batch, index) ?? null,
      changed: (tables: number, bytes: number) => metrics.stoppedTables(name, tables, bytes),
    };
    this.tables = new StoppedTables(ofTables, ports.stopped);
  }

  /** As of both: the sink is open, and nothing was written yet. */
  async begin(): Promise<void> {
    await this.letters?.open();
    await this.tables.begin();
  }

  divert(messages: MessageWriter, refused: RefusedTables | null = null): Promise<Place> | null {
    const kept = this.tables.divert(messages);
    const begun = kept === null && refused === null && this.#waiting.size === 0 ? this.#begin(messages) : undefined;
    if (begun === null) return null;
    const ready = Promise.all([kept, this.#last]).then(async ([place]) => {
      await (begun === undefined ? this.#begin(messages) : begun);
      if (refused !== null) await this.#takeOut(messages, (index) => refused.get(tableAt(messages, index)) ?? null);
      return place ?? {};
    });
    this.#waiting.add(messages);
    // Handled where it is awaited. Where one fails those behind it do not go either.
    ready.catch(() => undefined);
    this.#last = ready;
    return ready;
  }

  #begin(messages: MessageBatch): Promise<void> | null {
    if (messages.count === 0) return null;
    const refused = this.#ports.format.refused?.(messages, this.#ports.versionOf) ?? null;
    if (refused !== null) return this.#refuseUnreadable(messages, refused);
    return this.letters?.begin(messages) ?? null;
  }

  /** What nobody could read as it is becomes no dead letter, and does not go on: it waits with its table, or the connector stops. */
  #refuseUnreadable(messages: MessageBatch, { index, error }: Refused): Promise<never> {
    const table = this.#ports.versionOf(tableAt(messages, index), versionAt(messages, index));
    const isStop = table !== null && actionOf(this.#ports.definition.compatibility)(table) === 'stop';
    return isStop ? Promise.reject(error) : this.tables.stop(messages, index, error);
  }

  passing(messages: MessageBatch): void {
    this.tables.passing(messages);
    this.#waiting.delete(messages);
  }

  /** What a checkpoint takes along. */
  mark(): { readonly log: string; readonly mark: unknown } | null {
    return this.letters?.counts() ?? null;
  }

  /** A checkpoint was saved. */
  saved(place: Place | null): void {
    this.tables.saved(place);
  }

  settled(messages: MessageBatch): Promise<Place | null> | null {
    const letters = this.letters?.settled(messages) ?? null;
    const held = this.#holds.settled();
    return held === null ? letters : Promise.all([letters, held]).then(([place]) => place);
  }

  /** As `SinkContext.undeliverable`. */
  async undeliverable(batch: MessageBatch, index: number, error: SluiceError): Promise<void> {
    const { letters, tables } = this;
    if (letters?.owns(batch)) return letters.undeliverable(batch, index, error);
    const route = routeOf(policyOf(this.#ports.definition), error.code);
    // A table that stays stopped is what a refused message of its spool comes to, also where the connector would stop.
    if (route === 'stopTable' || (route === 'stop' && tables.owns(batch))) return tables.stop(batch, index, error);
    if (route === 'stop' || letters === null) throw error;
    return letters.undeliverable(batch, index, error);
  }

  isAside(table: string): boolean {
    return this.tables.has(table);
  }

  async #takeOut(messages: MessageWriter, refusalAt: (index: number) => Refusal | null): Promise<void> {
    const kept: number[] = [];
    const { count } = messages;
    for (let index = 0; index < count; index++) {
      const refusal = refusalAt(index);
      if (refusal === null) kept.push(index);
      else await this.#refuse(messages, index, refusal);
    }
    if (kept.length < count) messages.retain(kept);
  }

  async #refuse(batch: MessageBatch, index: number, { error, action }: Refusal): Promise<void> {
    const { letters, tables } = this;
    if (action === 'stopTable') return tables.stop(batch, index, error);
    if (action === 'stop' || letters === null) throw error;
    return letters.undeliverable(batch, index, error);
  }

  /** What a letter lacks to be read, is asked for: why it does not get it; null: it lacks nothing. */
  async #complete(batch: MessageBatch): Promise<SluiceError | null> {
    const { format, versionOf, abort } = this.#ports;
    await format.complete?.(batch, versionOf, AbortSignal.any([abort, AbortSignal.timeout(COMPLETE_MS)]));
    return format.refused?.(batch, versionOf)?.error ?? null;
  }

  /** As of the stopped tables. */
  end(): Promise<void> {
    const ended = this.tables.end();
    this.#ending.abort();
    return ended;
  }

  /**
   * What a stopped table has waiting, as if it came now: its shapes are judged, letters of its keys are superseded, what is refused may become one. Several batches go to the sink in
   * the order of the calls, whatever each waits for (I3).
   */
  async #again(batch: MessageWriter, write: (batch: MessageBatch) => Promise<Place>): Promise<Place> {
    const ready = this.#lastAgain.then(() => this.#judgeAgain(batch));
    // Handled where it is awaited. Where one fails those behind it do not go either.
    ready.catch(() => undefined);
    this.#lastAgain = ready;
    await ready;
    const place = batch.count === 0 ? {} : await write(batch);
    await this.letters?.settled(batch);
    return place;
  }

  /** What its level keeps back is not asked for. */
  async #prepareAgain(batch: MessageWriter): Promise<boolean> {
    const { policy, format, versionOf } = this.#ports;
    const all = Array.from({ length: batch.count }, (_, index) => index);
    if (policy !== null) batch.retain(all.filter((index) => policy.refusalOf(tableAt(batch, index), versionAt(batch, index)) === null));
    await format.complete?.(batch, versionOf, this.#asking);
    return (format.refused?.(batch, versionOf) ?? null) === null;
  }

  async #judgeAgain(batch: MessageWriter): Promise<void> {
    const { policy, format, versionOf } = this.#ports;
    await this.letters?.begin(batch);
    if (policy !== null) await this.#takeOut(batch, (index) => policy.refusalOf(tableAt(batch, index), versionAt(batch, index)));
    await format.complete?.(batch, versionOf, this.#asking);
    const refused = format.refused?.(batch, versionOf) ?? null;
    if (refused !== null) await this.tables.stop(batch, refused.index, refused.error);
  }
}

/** As the header says; 0: it does not. */
function versionAt(batch: MessageBatch, index: number): number {
  let version = 0;
  eachHeader(batch, index, (name, value) => {
    if (name === 'sluice.schema') version = Number(value);
  });
  return version;
}
