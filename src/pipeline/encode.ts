import { SluiceError } from '../plugin/error.ts';
import type { Encoder, Format, HeartbeatMessages } from '../plugin/format.ts';
import { HEAD, HEAD_SIZE, OP, OP_NAMES, type RecordBatch, type Transaction } from '../record/batch.ts';
import { RecordCursor } from '../record/cursor.ts';
import type { MessageWriter } from '../record/messages.ts';
import { type TableVersion, tableLabel } from '../record/table.ts';
import { NAME_COLLISION } from './errors.ts';
import type { MemoryShare } from './memory.ts';
import type { Refusals } from './refusals.ts';
import { TransactionMarks } from './transaction-marks.ts';

/** What is decided once per table version. */
interface PreparedTable {
  readonly encoder: Encoder;
  readonly destination: number;
  /** Among the labels. */
  readonly label: number;
  readonly spread: number;
  /** Of a TRUNCATE. */
  readonly truncateSpread: number;
}

/** Rows of one batch by table and operation, for the counters. */
export interface RowCounts {
  readonly tables: readonly TableVersion[];
  /** At table × OP_NAMES.length + op. */
  readonly rows: Int32Array;
}

const ROOM = 1.125;

/** A TRUNCATE of a table whose messages have keys: its rows are in all partitions. */
const TO_EVERY_PARTITION = -1;
/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Turns record batches into message batches: prepares each table version once, then works bytes to bytes. */
export class BatchEncoder {
  readonly #format: Format;
  readonly #destinationOf: (table: TableVersion) => string;
  readonly #prepared = new Map<TableVersion, PreparedTable>();
  readonly #destinations: string[] = [];
  readonly #labels: string[] = [];
  readonly #owners = new Map<string, TableVersion>();
  readonly #cursor = new RecordCursor();
  readonly #memory: MemoryShare;
  /** Null: the format says nothing of transactions. */
  readonly #marks: TransactionMarks | null;
  /** Encoded bytes per byte of the arena, as the last batch had it, with some room: a buffer of the right size need not grow. */
  #growth = 1;

  constructor(format: Format, destinationOf: (table: TableVersion) => string, memory: MemoryShare) {
    this.#format = format;
    this.#destinationOf = destinationOf;
    this.#memory = memory;
    const { transactions } = format;
    this.#marks = transactions === undefined ? null : new TransactionMarks(transactions, this.#aimAt(transactions.destination));
  }

  /** Null, or resolves when what is new in the batch can be encoded. Nothing is asked for versions that may not go. Rejects as `Format.ready`. */
  ready(batch: RecordBatch, refusals: Refusals | null, signal: AbortSignal): Promise<unknown> | null {
    if (this.#format.ready === undefined) return null;
    const unknown = batch.tables.filter(
      (table, index) => table.kind !== 'definition' && !this.#prepared.has(table) && (refusals?.[index] ?? null) === null,
    );
    return unknown.length === 0 ? null : this.#readyAll(unknown, signal);
  }

  /** One after the other: versions of a table in their order. */
  async #readyAll(tables: readonly TableVersion[], signal: AbortSignal): Promise<void> {
    for (const table of tables) {
      const ready = this.#format.ready?.(table, this.#destinationOf(table), signal) ?? null;
      if (ready !== null) await ready;
    }
  }

  /** Transactions begin and end among its messages: a part of a batch may have some in front of its first record. */
  get marksTransactions(): boolean {
    return this.#marks !== null;
  }

  /** Of a batch without records: the transaction whose end it brings, so that it has a message. */
  ending(batch: RecordBatch): Transaction | null {
    return this.#marks?.ending(batch) ?? null;
  }

  /** Encodes a batch, or its records from `from` on up to `to`. The result belongs to the caller until `recycle`. */
  encode(batch: RecordBatch, nowMicros: number, from = 0, to = batch.count): MessageWriter {
    const out = this.#memory.take(Math.ceil(batch.arenaLength * this.#growth));
    out.reset();
    const tables = batch.tables.map((table) => (table.kind === 'definition' ? null : this.#prepare(table)));
    out.destinations = this.#destinations;
    out.tables = this.#labels;
    this.#format.begin(nowMicros);
    const cursor = this.#cursor;
    cursor.open(batch);
    const marks = this.#marks;
    if (marks === null) {
      for (let index = from; index < to; index++) {
        cursor.move(index);
        encodeRecord(cursor, tables, out);
      }
    } else {
      for (let index = from; index < to; index++) {
        cursor.move(index);
        marks.before(cursor, out);
        encodeRecord(cursor, tables, out);
      }
      if (to === batch.count) marks.behind(batch, out);
      else {
        // What is said next, of the record's shape, is said inside its transaction.
        cursor.move(to);
        marks.before(cursor, out);
      }
    }
    if (batch.arenaLength > 0 && to - from === batch.count) this.#growth = (out.bytesLength / batch.arenaLength) * ROOM;
    this.#memory.hold(out);
    return out;
  }

  /** A batch of its own. */
  heartbeat(heartbeats: HeartbeatMessages, nowMicros: number): MessageWriter {
    return this.#single(heartbeats.destination, '', (out) => heartbeats.write(nowMicros, out));
  }

  /** A batch of its own, of the table that it tells of ('' = of none): where a table is stopped, it waits with the rows. */
  announcement(destination: string, table: string, write: (out: MessageWriter) => void): MessageWriter {
    return this.#single(destination, table, write);
  }

  #single(destination: string, table: string, write: (out: MessageWriter) => void): MessageWriter {
    const out = this.#memory.take(0);
    out.reset();
    out.destinations = this.#destinations;
    out.tables = this.#labels;
    this.#aimAt(destination, table)(out);
    write(out);
    this.#memory.hold(out);
    return out;
  }

  recycle(writer: MessageWriter): void {
    this.#memory.release(writer);
  }

  /** For messages that are no rows. They have keys. */
  #aimAt(name: string, label = ''): (out: MessageWriter) => void {
    const destination = indexIn(this.#destinations, name);
    const table = indexIn(this.#labels, label);
    return (out) => {
      out.destination = destination;
      out.table = table;
      out.op = OP.message;
      out.spread = 0;
    };
  }

  #prepare(table: TableVersion): PreparedTable {
    const known = this.#prepared.get(table);
    if (known !== undefined) return known;
    const name = this.#destinationOf(table);
    const owner = this.#owners.get(name);
    if (owner !== undefined && owner.label !== table.label && !this.#mergesTables(owner, table)) {
      throw new SluiceError(NAME_COLLISION, { first: owner.label, second: table.label, destination: name });
    }
    this.#owners.set(name, table);
    const destination = indexIn(this.#destinations, name);
    const label = indexIn(this.#labels, table.label);
    const encoder = this.#format.prepare(table);
    const spread = spreadOf(table);
    // Of a table without columns nothing is known: its rows may have keys.
    const hasKeys = encoder.isKeyed ?? table.key.length > 0;
    const truncateSpread = hasKeys || table.columns.length === 0 ? TO_EVERY_PARTITION : spread;
    const prepared = { encoder, destination, label, spread, truncateSpread };
    this.#prepared.set(table, prepared);
    return prepared;
  }

  /** A template that does not name the table puts all tables in one place on purpose; only names that became equal by sanitising collide. */
  #mergesTables(first: TableVersion, second: TableVersion): boolean {
    const probe = (table: TableVersion, name: string): string => this.#destinationOf({ ...table, name });
    return probe(first, 'a') === probe(first, 'b') && probe(second, 'a') === probe(second, 'b');
  }
}

function encodeRecord(record: RecordCursor, tables: readonly (PreparedTable | null)[], out: MessageWriter): void {
  const prepared = tables[record.tableIndex] as PreparedTable | null;
  // A statement: it is told by a message of its own (`News`).
  if (prepared === null) return;
  out.destination = prepared.destination;
  out.table = prepared.label;
  out.op = record.op;
  out.spread = record.op === OP.truncate ? prepared.truncateSpread : prepared.spread;
  prepared.encoder.encode(record, out);
}

/** Adds the name if it is not there. */
function indexIn(names: string[], name: string): number {
  const index = names.indexOf(name);
  return index < 0 ? names.push(name) - 1 : index;
}

/** All messages without a key of a table go to one partition: its rows have no other order (algorithms §4). */
function spreadOf(table: TableVersion): number {
  let hash = FNV_BASIS;
  for (const byte of Buffer.from(tableLabel(table), 'utf8')) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash & 0x7fffffff;
}

export function countRows(batch: RecordBatch): RowCounts {
  const rows = new Int32Array(batch.tables.length * OP_NAMES.length);
  for (let index = 0; index < batch.count; index++) {
    const at = index * HEAD_SIZE;
    const slot = (batch.heads[at + HEAD.table] as number) * OP_NAMES.length + (batch.heads[at + HEAD.op] as number);
    rows[slot] = (rows[slot] as number) + 1;
  }
  return { tables: batch.tables, rows };
}
