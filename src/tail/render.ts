/** Changes and messages as lines for people. */
import { ABSENT, NULL, OP_NAMES, UNAVAILABLE } from '../record/batch.ts';
import type { RecordCursor } from '../record/cursor.ts';
import { destinationAt, eachHeader, idAt, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../record/messages.ts';
import type { Stage } from './filter.ts';

/** More of one value is not shown. */
const SHOWN_BYTES = 16 * 1024;

/** A value in the one form of its logical type; bytes in base64. `null`, and what the log did not send, as itself. */
export type TailValue = string | null | { readonly unavailable: true };

/** A row change. */
export interface TailRecord {
  readonly stage: Stage;
  readonly operation: string;
  readonly table: string;
  readonly transaction: string;
  readonly ordinal: number;
  /** Commit time by the source's clock, ISO 8601. */
  readonly committed: string;
  readonly before: Readonly<Record<string, TailValue>> | null;
  readonly after: Readonly<Record<string, TailValue>> | null;
}

/** A message. */
export interface TailMessage {
  readonly stage: Stage;
  /** Null: it is of no row change. */
  readonly operation: string | null;
  /** '' = of none. */
  readonly table: string;
  readonly destination: string;
  readonly id: string;
  /** Text, or base64 where `isBinary`. Null: there is none. */
  readonly key: string | null;
  readonly value: string | null;
  readonly isBinary?: true;
  readonly headers: Readonly<Record<string, string>>;
}

/** Lines that the looker was too slow for. */
export interface TailMissed {
  readonly missed: number;
}

export type TailLine = TailRecord | TailMessage | TailMissed;

export function recordLine(stage: Stage, record: RecordCursor): TailRecord {
  const { op, table, transaction, ordinal } = record;
  return {
    stage,
    operation: OP_NAMES[op],
    table: table.label,
    transaction: transaction.id,
    ordinal,
    committed: new Date(transaction.commitMicros / 1000).toISOString(),
    before: imageOf(record, record.before),
    after: imageOf(record, record.after),
  };
}

function imageOf(record: RecordCursor, image: number): Record<string, TailValue> | null {
  if (image < 0) return null;
  const values: [string, TailValue][] = [];
  for (const [index, { name, type }] of record.table.columns.entries()) {
    const start = record.start(image, index);
    if (start === ABSENT) continue;
    if (start === NULL) values.push([name, null]);
    else if (start === UNAVAILABLE) values.push([name, { unavailable: true }]);
    else values.push([name, text(record.arena, start, record.end(image, index), type === 'bytes' || type === 'geometry')]);
  }
  // A column may be called `__proto__`.
  return Object.fromEntries(values);
}

export function messageLine(stage: Stage, messages: MessageBatch, index: number, isBinary: boolean): TailMessage {
  const { bytes, spans } = messages;
  const at = index * SPAN_SIZE;
  const part = (start: number, end: number): string | null => {
    const from = spans[at + start] as number;
    return from < 0 ? null : text(bytes, from, spans[at + end] as number, isBinary);
  };
  const headers: [string, string][] = [];
  eachHeader(messages, index, (name, value) => headers.push([name, value]));
  const table = tableAt(messages, index);
  return {
    stage,
    operation: table === '' ? null : (OP_NAMES[spans[at + SPAN.op] as number] ?? null),
    table,
    destination: destinationAt(messages, index),
    id: idAt(messages, index),
    key: part(SPAN.keyStart, SPAN.keyEnd),
    value: part(SPAN.valueStart, SPAN.valueEnd),
    ...(isBinary ? { isBinary: true } : {}),
    headers: Object.fromEntries(headers),
  };
}

function text(bytes: Buffer, start: number, end: number, isBinary: boolean): string {
  const shown = Math.min(end, start + SHOWN_BYTES);
  const value = bytes.toString(isBinary ? 'base64' : 'utf8', start, shown);
  return shown === end ? value : `${value}… (${end - start} bytes)`;
}
