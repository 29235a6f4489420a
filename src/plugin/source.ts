import type { RecordBatch } from '../record/batch.ts';
import type { Position } from '../record/position.ts';
import type { SourceContext } from './context.ts';
import type { ErrorKind } from './error.ts';
import type { ConfigOf, FieldTable } from './field.ts';
import type { Finding, FindingKind } from './finding.ts';
import type { TableOutline } from './outline.ts';
import type { SnapshotSource } from './snapshot.ts';
import type { SnapshotConfig } from './snapshot-fields.ts';

export interface ReadOptions {
  /** Read what comes after this. Null: the first start (the source decides where, by its configuration, and says so). */
  readonly from: Position | null;
  /** Ids of transactions of this connector that stand in the sink beyond the saved place (algorithms §2), so that a failover below them is noticed. */
  readonly published: readonly string[];
  /** True if there is no offset but the sink already holds this connector's output: the source must not begin anew by itself. */
  readonly sinkHoldsOutput: boolean;
  /** At a first start: the moment where the log begins is held for a copy of what is there (`SnapshotSource.held`). */
  readonly holdsSnapshot?: boolean;
  /** With `once`: whether the log may end, as far as copies beside it are concerned; asked again whenever `SnapshotSource.rest` is called, or so often that nobody waits. */
  readonly mayEnd?: () => boolean;
  /** With `from` null: a position that is lost (`ErrorKind.positionLost`) and given up. The server must be the one that it is of; what is left of its slot may go. */
  readonly replaces?: Position;
}

/** A column of the `origin` image: what a format may write about where a record came from, beside the commit time. */
export interface OriginColumn {
  readonly name: string;
  readonly type: 'text' | 'int32' | 'int64';
  /** Never null; left out: it may be. */
  readonly required?: boolean;
}

/** What formats may write about where records came from. */
export interface Origin {
  /** Name of the system in Debezium's source block. */
  readonly system: string;
  readonly columns: readonly OriginColumn[];
  /** Names of the columns that Debezium's id of a record's transaction is made of, a colon between; empty: it has none. */
  readonly transaction: readonly string[];
}

export interface SourceHealth {
  /** Bytes of log between what is acknowledged and the server's newest position; null = not known. */
  readonly lagBytes: number | null;
  /** The server's newest position in bytes of log, counted from some fixed beginning for as long as this source lives; null or left out: not known. */
  readonly endBytes?: number | null;
  /** Bytes of log that the server keeps for this connector; null = not known. */
  readonly retainedBytes: number | null;
  /** The server's word for the state of the slot, `reserved`, `lost`, …; null = there is none. */
  readonly slotState: string | null;
  /** Bytes of log that the standby furthest behind has not replayed; null = not known, or there is none; left out: not asked for. */
  readonly standbyLagBytes?: number | null;
  /** Bytes of log that the server will still keep before it gives the slot up; null = as much as there is disk; left out: not known. */
  readonly safeBytes?: number | null;
  /** Bytes of older log that the server still has: what it may delete before it deletes what is not saved yet; null = not known; left out: it deletes nothing that is not. */
  readonly headroomBytes?: number | null;
  /** Until the server deletes, by the age of its log, what is not saved yet; null = it does not, or that is not known; left out: it does not go by age. */
  readonly headroomSeconds?: number | null;
  /** Of what the server keeps at most, by size or by age, the part that is left before it gives up what is not saved yet, 0 to 1; null or left out: there is no bound, or it is not known. */
  readonly freeShare?: number | null;
  /** For how long the source should have ended its silent connection already, milliseconds; left out: it does not watch it. */
  readonly overdueMs?: number;
  /** True while the stream is connected. */
  readonly connected: boolean;
}

/** What is stored of a connector whose log is not read after the preflight. */
export interface StoredPosition {
  readonly position: Position;
  /** A daemon reads on from it meanwhile: that it may be read from is known, and it may have moved. */
  readonly isRead: boolean;
  /** When it was saved, microseconds since the epoch. */
  readonly savedMicros: number;
}

export interface SourcePreflight {
  readonly findings: readonly Finding[];
  /** The tables that are captured as things stand. */
  readonly tables: readonly TableOutline[];
}

/** What lies between two positions, in words such as `1200 bytes of log`. */
export interface Distance {
  /** What is read again where the second is gone on from; null: nothing. */
  readonly back: string | null;
  /** What is left out; null: nothing. */
  readonly forward: string | null;
}

/** How `offsets recover` finds a place to resume from when the state is lost (design §9). */
export interface RecoverOptions {
  readonly from: 'sink' | 'slot';
  /** `from: 'sink'`: id of the transaction of this connector's last message there. */
  readonly lastTransaction: string | null;
}

export interface Source {
  /**
   * Connects, checks what must hold, changes nothing. Throws only for what makes checking impossible. What may pass by itself is a finding too, in the words of its error
   * (`retry: 'auto'`). `stored`: is checked against the server as `read` would; left out: `read` follows, and does.
   */
  preflight(signal: AbortSignal, stored?: StoredPosition): Promise<SourcePreflight>;
  /**
   * Batches in commit order. Pull is the back-pressure. Without `from` the first batch is empty and its checkpoint is where reading begins. An empty batch with a checkpoint says that the log has moved on without captured changes.
   * The iterator ends only for `once`; anything else throws a SluiceError. So does a lost connection (`retry: 'auto'`): the engine reads anew from the saved
   * offset, and so knows of every record that comes again (I4).
   */
  read(options: ReadOptions, signal: AbortSignal): AsyncIterable<RecordBatch>;
  /** Cumulative: everything up to here is durable in the sink and saved (I5). Upstream may forget it. */
  acknowledge(checkpoint: Position): void;
  /** Resolves once `read` knows the server, before its first batch. Left out: it offers no copies of tables. */
  snapshot?(): Promise<SnapshotSource>;
  /** `saved`: where it would be gone on from, whether it is read or not; null or left out: nowhere yet. */
  observe(signal: AbortSignal, saved?: Position | null): Promise<SourceHealth>;
  /** Lets the server forget what it keeps for this connector; it can never be gone on with then. `read` has ended by then, or is ended. Left out: the server keeps nothing for it. Throws a SluiceError. */
  giveUp?(): Promise<void>;
  /** The position that `offsets recover` stores. Changes nothing on the server. */
  recover(options: RecoverOptions, signal: AbortSignal): Promise<Position>;
  close(): Promise<void>;
}

/** What the bounds of `protect` are compared with; `SourceHealth` tells it. */
export type ProtectFigure = 'retained' | 'headroom' | 'freePercent' | 'timeLeft';

export interface SourceProtection<T extends FieldTable> {
  /** That are known of this source. */
  readonly figures: readonly ProtectFigure[];
  /** It has `Source.giveUp`. */
  readonly givesUp: boolean;
  /** How an operator lets the server go, or makes it keep its log longer. */
  remedy(config: ConfigOf<T>, connector: string): string;
}

export interface SourcePlugin<T extends FieldTable = FieldTable> {
  readonly role: 'source';
  /** Values of `source.type`. */
  readonly type: string;
  readonly fields: T;
  readonly errors: readonly ErrorKind[];
  /** Kinds of what its preflight finds beside errors; left out: there are none. */
  readonly findings?: readonly FindingKind[];
  readonly origin: Origin;
  /** It can tell the statements that change the definition of tables (`SourceContext.tellsDefinitions`). Left out: it cannot. */
  readonly hasDefinitions?: boolean;
  /** Checks that one field table cannot say; each problem with the path inside the section. */
  validate?(config: ConfigOf<T>): readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
  /** Resources that one connector must have for itself, such as `slot:host/database/name`: two connectors with an equal claim are an error. */
  claims?(config: ConfigOf<T>, connector: string): readonly string[];
  /** What a connector leaves on its server when it is removed, a sentence each, with the statement that removes it; left out: nothing. */
  remains?(config: ConfigOf<T>, connector: string): readonly string[];
  /** The database that the configuration names: `source.db` in Debezium's format. */
  catalog(config: ConfigOf<T>): string;
  /** The user's own form of a position (`--lsn 0/16B3748`) for `offsets set`; throws a SluiceError if it is none. */
  parsePosition(text: string, current: Position | null): Position;
  /** For who moves a connector from one position to another; null: it cannot be told. Left out: it never can. */
  distance?(from: Position, to: Position): Distance | null;
  /** How the source can be protected from a connector that is behind; left out: it needs none. */
  readonly protection?: SourceProtection<T>;
  /** Which tables are to be copied, and how; left out: it offers no copies. */
  snapshot?(config: ConfigOf<T>): SnapshotConfig;
  create(config: ConfigOf<T>, context: SourceContext): Source;
}
