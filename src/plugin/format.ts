import type { Transaction } from '../record/batch.ts';
import type { RecordCursor } from '../record/cursor.ts';
import type { MessageBatch, MessageWriter } from '../record/messages.ts';
import type { TableShape, TableVersion } from '../record/table.ts';
import type { PluginContext } from './context.ts';
import type { ErrorKind, SluiceError } from './error.ts';
import type { ConfigOf, FieldTable } from './field.ts';
import type { Finding, FindingKind } from './finding.ts';
import type { TableOutline } from './outline.ts';
import type { CloudEventsHeaders } from './sink.ts';
import type { Origin } from './source.ts';

/** Everything about a connector that a format may write. */
export interface FormatContext {
  readonly connector: string;
  /** Way of capture: `log`, … */
  readonly capture: string;
  readonly catalog: string;
  readonly origin: Origin;
  /** As the sink has it (`SinkPlugin.cloudEvents`). */
  readonly cloudEvents?: CloudEventsHeaders | undefined;
}

/** What a format is given that asks a server. */
export interface FormatPorts extends PluginContext {
  /** State of the circuit breaker in front of the server. */
  circuit(state: 'closed' | 'open' | 'half-open'): void;
  /** The server was asked; `withheld`: it was not, because the circuit is open. */
  asked(outcome: 'answered' | 'failed' | 'withheld'): void;
}

export interface Encoder {
  /** Whether its messages have keys; left out: if the table has one. */
  readonly isKeyed?: boolean;
  /**
   * Writes the record's messages, none to several, bytes to bytes. Throws nothing for any value that a source may deliver; a SluiceError where the log
   * does not carry what the configuration asks for (I8).
   */
  encode(record: RecordCursor, out: MessageWriter): void;
}

/** What a format says of each transaction of the log as a whole, in a topic or subject of its own. */
export interface TransactionMessages {
  readonly destination: string;
  /** Before the transaction's first record. */
  begin(transaction: Transaction, out: MessageWriter): void;
  /** Behind its last. */
  end(transaction: Transaction, out: MessageWriter): void;
}

/** What a format says of statements that change the definition of tables, in a topic or subject of its own. */
export interface DefinitionMessages {
  readonly destination: string;
  /** Of a record of a table of kind `definition`. Each is durable before a record behind it goes. */
  write(record: RecordCursor, nowMicros: number, out: MessageWriter): void;
}

/** A message that says at an interval that the connector lives, in a topic or subject of its own. */
export interface HeartbeatMessages {
  readonly destination: string;
  readonly intervalMs: number;
  write(nowMicros: number, out: MessageWriter): void;
}

/** A message that cannot be delivered. */
export interface Refused {
  readonly index: number;
  readonly error: SluiceError;
}

/** A version of a table by its label; null: it is not known any more. */
export type VersionOf = (label: string, version: number) => TableVersion | null;

export interface Format {
  /** Left out: it writes none. */
  readonly transactions?: TransactionMessages;
  readonly heartbeats?: HeartbeatMessages;
  readonly definitions?: DefinitionMessages;
  /**
   * Called before a table version is prepared, with the topic or subject of its messages. Null: it can be encoded; else resolves when it can, however long that takes.
   * Rejects with a SluiceError, and once `signal` is aborted. Left out: nothing is ever waited for.
   */
  ready?(table: TableVersion, destination: string, signal: AbortSignal): Promise<void> | null;
  /** The first of the messages that lack what nobody would grant them, and why: they cannot be delivered as they are. Null: there is none. */
  refused?(messages: MessageBatch, versionOf: VersionOf): Refused | null;
  /** Asks once more for what messages lack, which were kept meanwhile, and gives it to them. Null: they lack nothing. Rejects as `ready`. */
  complete?(messages: MessageBatch, versionOf: VersionOf, signal: AbortSignal): Promise<void> | null;
  /** Everything that can be decided once per table version is decided here. Throws a SluiceError for a table that the configuration does not fit. */
  prepare(table: TableVersion): Encoder;
  /** Called before each batch, with the processing time in microseconds since the epoch. Forgets what was prepared per transaction. */
  begin(nowMicros: number): void;
}

export interface FormatPlugin<T extends FieldTable = FieldTable> {
  readonly role: 'format';
  readonly type: string;
  readonly fields: T;
  /** Keys and values are no text; left out: they are. */
  readonly isBinary?: boolean;
  /** Kinds of what its encoders throw and its preflight finds; left out: there are none. */
  readonly errors?: readonly ErrorKind[];
  /** Kinds of what its preflight finds beside errors; left out: there are none. */
  readonly findings?: readonly FindingKind[];
  /** Checks that one field table cannot say; each problem with the path inside the section. */
  validate?(config: ConfigOf<T>): readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
  /** Topics or subjects that it writes to beside those of the tables. Left out: there are none. */
  destinations?(config: ConfigOf<T>, connector: string): readonly string[];
  /** Topic or subject of `Format.definitions`, where the source tells definitions; null: it writes none. Left out: the same. */
  definitions?(config: ConfigOf<T>, connector: string): string | null;
  /** Whether it writes schemas: facts about the columns are then part of a table's version. Left out: it does not. */
  describes?(config: ConfigOf<T>): boolean;
  /** JSON Schemas (2020-12) of the keys (null: there are none) and values of a table version's messages. Left out: the format publishes none. */
  jsonSchemas?(
    table: TableShape,
    origin: Pick<Origin, 'columns'>,
  ): {
    readonly key: Readonly<Record<string, unknown>> | null;
    readonly value: Readonly<Record<string, unknown>>;
  };
  /** What the configuration asks of the captured tables, and they do not have. Errors stop the connector before it starts. */
  preflight?(config: ConfigOf<T>, tables: readonly TableOutline[]): readonly Finding[];
  create(config: ConfigOf<T>, context: FormatContext, ports: FormatPorts): Format;
}
