import type { RecordCursor } from '../record/cursor.ts';
import type { MessageWriter } from '../record/messages.ts';
import type { TableVersion } from '../record/table.ts';
import type { ConfigOf, FieldTable } from './field.ts';
import type { OriginColumn } from './source.ts';

/** Everything about a connector that a format may write. */
export interface FormatContext {
  readonly connector: string;
  /** Way of capture: `log`, … */
  readonly capture: string;
  readonly catalog: string;
  readonly origin: { readonly system: string; readonly columns: readonly OriginColumn[] };
}

export interface Encoder {
  /** Writes the record's messages, none to several, bytes to bytes. Throws nothing for any value that a source may deliver. */
  encode(record: RecordCursor, out: MessageWriter): void;
}

export interface Format {
  /** Everything that can be decided once per table version is decided here. */
  prepare(table: TableVersion): Encoder;
  /** Called before each batch, with the processing time in microseconds since the epoch. Forgets what was prepared per transaction. */
  begin(nowMicros: number): void;
}

export interface FormatPlugin<T extends FieldTable = FieldTable> {
  readonly role: 'format';
  readonly type: string;
  readonly fields: T;
  /** Checks that one field table cannot say; each problem with the path inside the section. */
  validate?(config: ConfigOf<T>): readonly { readonly path: string; readonly message: string; readonly remedy: string }[];
  /** Whether it writes schemas: facts about the columns are then part of a table's version. Left out: it does not. */
  describes?(config: ConfigOf<T>): boolean;
  create(config: ConfigOf<T>, context: FormatContext): Format;
}
