/**
 * Decodes pgoutput's logical replication messages, protocol version 1 (PostgreSQL manual 55.9, "Logical Replication Message Formats"), into
 * batches. Pure: no socket, no clock. A message is copied once, whole, into the batch's arena; its cells are ranges there, brought into their form
 * in place. Whatever is truncated, unknown or out of order throws `SLUICE_PG_PROTOCOL` (I8).
 */
import { ABSENT, type BatchWriter, NULL, OP, type Op, SluiceError, type TableShape, type TableVersion, type Transaction, UNAVAILABLE } from '#plugin';
import type { Normalise } from '../types.ts';
import { MALFORMED, normalise } from './cells.ts';
import { keyUnavailable, protocolViolation } from './errors.ts';
import { MessageReader } from './message-reader.ts';
import { OriginWriter } from './origin.ts';
import { formatHalves, transactionId } from './position.ts';
import {
  type CatalogFacts,
  columnShapes,
  keyOf,
  messageTable,
  needsCatalog,
  planTable,
  type Relation,
  type TablePlan,
  type TypeName,
  tableFacts,
  typesOf,
} from './relation.ts';
import { COLUMN, IMAGE, TAG } from './tags.ts';
import { LogTransaction } from './transaction.ts';

/** What the decoder fills: the batch queue. */
export interface DecoderTarget {
  readonly writer: BatchWriter;
  readonly batchNumber: number;
  recordAdded(): void;
  checkpointAt(hi: number, lo: number, commitHi: number, commitLo: number, commitMicros: number): void;
}

export interface DecoderOptions {
  readonly systemId: string;
  /** Name of the database. */
  readonly catalog: string;
  readonly captures: (schema: string, name: string) => boolean;
  /** A relation that is not captured was until now, and that is to be noted (`wanted`). */
  readonly leaves?: (relation: Relation) => boolean;
  /** Prefixes of the logical messages that become records. */
  readonly prefixes: ReadonlySet<string>;
  readonly facts: CatalogFacts;
  /** What only the catalogue says of columns is part of a table's version: it is asked for each relation. */
  readonly described?: boolean;
  /** Why the rows of a captured table cannot be read, if they cannot. */
  readonly refuses?: (relation: Relation) => SluiceError | null;
  readonly target: DecoderTarget;
  /** End of the last commit before the place where reading starts; null = none was seen. */
  readonly lastCommit: { readonly hi: number; readonly lo: number; readonly micros: number } | null;
}

/** Answers of `decode`. ASK: facts of the catalogue are missing (`wanted`); load them, call `learned`, and only then go on with the next message. */
export const DONE = 0;
export const ASK = 1;

/** PostgreSQL counts microseconds from 2000-01-01. */
const EPOCH_MICROS = 946_684_800_000_000;

export class PgoutputDecoder {
  /** The relation for which `decode` answered ASK. */
  wanted: Relation | null = null;
  readonly #options: DecoderOptions;
  readonly #target: DecoderTarget;
  readonly #origin: OriginWriter;
  readonly #reader = new MessageReader();
  readonly #plans = new Map<number, TablePlan>();
  readonly #types = new Map<number, TypeName>();
  #plan: TablePlan | null = null;
  /** LSN of the message that is being decoded, of its XLogData header. */
  #hi = 0;
  #lo = 0;
  /** True between Begin and Commit. */
  #open = false;
  #transaction: LogTransaction | null = null;
  #beginHi = 0;
  #beginLo = 0;
  #ordinal = 0;
  #xid = 0;
  #commitHi = 0;
  #commitLo = 0;
  #commitMicros = 0;
  #lastHi: number;
  #lastLo: number;
  #lastMicros: number;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#target = options.target;
    this.#origin = new OriginWriter(options.target);
    this.#lastHi = options.lastCommit?.hi ?? -1;
    this.#lastLo = options.lastCommit?.lo ?? 0;
    this.#lastMicros = options.lastCommit?.micros ?? 0;
  }

  /** Whether a transaction has begun and not yet ended: no place is a checkpoint then (I6). */
  get inTransaction(): boolean {
    return this.#open;
  }

  /** Number of the transaction that is open, or was last. */
  get xid(): number {
    return this.#xid;
  }

  /** The server has sent all there is up to here (a keepalive's walEnd). Not inside a transaction. */
  reached(hi: number, lo: number): void {
    if (!this.#open) this.#target.checkpointAt(hi, lo, this.#lastHi, this.#lastLo, this.#lastMicros);
  }

  /**
   * Decodes one message. `bytes` is only looked at during the call; `hi`, `lo` are its LSN. Throws a SluiceError, after which neither the decoder
   * nor the current batch may be used.
   */
  decode(bytes: Buffer, hi: number, lo: number): typeof DONE | typeof ASK {
    this.#hi = hi;
    this.#lo = lo;
    const tag = bytes[0];
    if (tag === TAG.insert || tag === TAG.update || tag === TAG.delete) {
      this.#change(tag, bytes);
      return DONE;
    }
    const reader = this.#reader;
    reader.open(bytes);
    let answer: typeof DONE | typeof ASK = DONE;
    switch (tag) {
      case TAG.begin:
        this.#begin(reader);
        break;
      case TAG.commit:
        this.#commit(reader);
        break;
      case TAG.relation:
        answer = this.#relation(reader);
        break;
      case TAG.type:
        this.#types.set(reader.uint32(), { schema: reader.text(), name: reader.text() });
        break;
      case TAG.origin:
        if (!this.#open) this.#violation('an Origin message outside a transaction');
        this.#origin.replicatedFrom(reader.uint32(), reader.uint32(), reader.text());
        break;
      case TAG.truncate:
        this.#truncate(reader);
        break;
      case TAG.message:
        this.#message(reader);
        break;
      default:
        this.#violation(tag === undefined ? 'an empty message' : `a message of unknown type 0x${tag.toString(16)}`);
    }
    if (!reader.complete) this.#violation(`a message of type ${String.fromCharCode(tag as number)} that is cut short or too long`);
    return answer;
  }

  /** The facts that `wanted` needs were loaded, as far as they exist. */
  learned(): void {
    const relation = this.wanted as Relation;
    this.wanted = null;
    this.#prepare(relation);
  }

  #begin(reader: MessageReader): void {
    if (this.#open) this.#violation('a Begin message inside a transaction');
    this.#commitHi = reader.uint32();
    this.#commitLo = reader.uint32();
    this.#commitMicros = reader.int32() * 0x1_0000_0000 + reader.uint32() + EPOCH_MICROS;
    this.#xid = reader.uint32();
    this.#open = true;
    this.#transaction = null;
    this.#beginHi = this.#hi;
    this.#beginLo = this.#lo;
    this.#ordinal = 0;
    this.#origin.begin(this.#xid, this.#lastHi, this.#lastLo);
  }

  #commit(reader: MessageReader): void {
    reader.uint8();
    const hi = reader.uint32();
    const lo = reader.uint32();
    if (!this.#open || hi !== this.#commitHi || lo !== this.#commitLo) this.#violation('a Commit message that belongs to no Begin');
    this.#lastHi = reader.uint32();
    this.#lastLo = reader.uint32();
    this.#lastMicros = reader.int32() * 0x1_0000_0000 + reader.uint32() + EPOCH_MICROS;
    if (!reader.complete) return;
    this.#open = false;
    this.#transaction?.ended(this.#lastHi, this.#lastLo);
    this.#target.checkpointAt(this.#lastHi, this.#lastLo, this.#lastHi, this.#lastLo, this.#lastMicros);
  }

  #relation(reader: MessageReader): typeof DONE | typeof ASK {
    const oid = reader.uint32();
    // An empty schema name stands for pg_catalog.
    const schema = reader.text() || 'pg_catalog';
    const name = reader.text();
    const identity = String.fromCharCode(reader.uint8());
    const count = reader.uint16();
    const columns: Relation['columns'][number][] = [];
    for (let i = 0; i < count && reader.ok; i++) {
      const isIdentity = (reader.uint8() & 1) !== 0;
      columns.push({ isIdentity, name: reader.text(), typeOid: reader.uint32(), typmod: reader.int32() });
    }
    if (!reader.complete) return DONE;
    if (!'dfin'.includes(identity)) this.#violation(`a Relation message with the unknown replica identity ${JSON.stringify(identity)}`);
    const relation: Relation = { oid, schema, name, identity, columns };
    this.#plan = null;
    const { captures, facts, leaves, described } = this.#options;
    if (captures(schema, name) ? needsCatalog(relation, facts, described) : leaves?.(relation) === true) {
      this.wanted = relation;
      return ASK;
    }
    this.#prepare(relation);
    return DONE;
  }

  #prepare(relation: Relation): void {
    const { captures, facts, catalog } = this.#options;
    let table: TableVersion | null = null;
    const { schema, name } = relation;
    const identity = { kind: 'table', catalog, schema, name } as const;
    const before = this.#target.writer.current(identity);
    const types = typesOf(relation, facts, this.#types, before);
    if (captures(schema, name)) {
      const problem = this.#options.refuses?.(relation) ?? null;
      if (problem !== null) throw problem;
      const key = keyOf(relation, facts, before);
      const shape: TableShape = { ...identity, columns: columnShapes(relation, types), key, facts: tableFacts(relation) };
      table = this.#target.writer.table(shape, { position: formatHalves(this.#commitHi, this.#commitLo), micros: this.#commitMicros });
    }
    this.#plans.set(relation.oid, planTable(relation, table, types));
  }

  #planOf(oid: number): TablePlan {
    const known = this.#plan;
    if (known !== null && known.relation.oid === oid) return known;
    const plan = this.#plans.get(oid);
    if (plan === undefined) this.#violation(`a change of relation ${oid}, which was not described`);
    this.#plan = plan;
    return plan;
  }

  #transactionOf(): Transaction {
    const known = this.#transaction;
    if (known !== null) return known;
    const id = transactionId(this.#options.systemId, this.#commitHi, this.#commitLo, this.#xid);
    this.#transaction = new LogTransaction(id, this.#commitMicros, this.#xid, this.#beginHi, this.#beginLo);
    return this.#transaction;
  }

  /** Insert, Update or Delete: the hot path. */
  #change(tag: number, bytes: Buffer): void {
    if (!this.#open) this.#violation('a change outside a transaction');
    if (bytes.length < 6) this.#violation('a change that is cut short');
    const plan = this.#planOf((bytes[1] as number) * 0x1000000 + (((bytes[2] as number) << 16) | ((bytes[3] as number) << 8) | (bytes[4] as number)));
    const ordinal = this.#ordinal++;
    const { table } = plan;
    if (table === null) return;
    const target = this.#target;
    const { writer } = target;
    let at = writer.append(bytes) + 5;
    const end = writer.arenaLength;
    const op: Op = tag === TAG.insert ? OP.create : tag === TAG.update ? OP.update : OP.delete;
    writer.record(op, table, this.#transactionOf(), ordinal);
    let image = writer.arena[at] as number;
    let before = -1;
    if (tag !== TAG.insert && image !== IMAGE.new) {
      if (image !== IMAGE.key && image !== IMAGE.old) this.#violation('a change with an unknown kind of row');
      before = writer.cellCount;
      writer.image('before');
      at = this.#tuple(plan, writer, at + 1, end, image === IMAGE.key, -1);
      image = tag === TAG.update && at < end ? (writer.arena[at] as number) : 0;
    }
    if (tag !== TAG.delete) {
      if (image !== IMAGE.new) this.#violation('a change without its new row');
      writer.image('after');
      at = this.#tuple(plan, writer, at + 1, end, false, before);
    } else if (before < 0) this.#violation('a delete without its old row');
    if (at !== end) this.#violation('a change with bytes left over');
    this.#origin.write(writer, this.#hi, this.#lo);
    target.recordAdded();
  }

  /**
   * TupleData at `at`: one cell per column. `keyOnly`: the server sends null for what is no part of the replica identity. `before`: first cell of the
   * old image, −1 = none; from it comes what the new row leaves out because it did not change. Returns where the tuple ends.
   */
  #tuple(plan: TablePlan, writer: BatchWriter, at: number, end: number, keyOnly: boolean, before: number): number {
    const { arena } = writer;
    const { columnCount } = plan;
    if (at + 2 > end || (((arena[at] as number) << 8) | (arena[at + 1] as number)) !== columnCount)
      this.#violation('a row whose columns are not those of its table');
    at += 2;
    for (let column = 0; column < columnCount; column++) {
      if (at >= end) this.#violation('a row that is cut short');
      const kind = arena[at++];
      if (kind === COLUMN.text) {
        if (at + 4 > end) this.#violation('a row that is cut short');
        const length =
          ((arena[at] as number) << 24) | ((arena[at + 1] as number) << 16) | ((arena[at + 2] as number) << 8) | (arena[at + 3] as number);
        const start = at + 4;
        at = start + length;
        if (length < 0 || at > end) this.#violation('a row that is cut short');
        if (keyOnly && plan.isIdentity[column] === 0) writer.mark(ABSENT);
        else {
          const form = plan.normalise[column] as Normalise;
          const stop = form === 0 ? at : normalise(form, arena, start, at);
          if (stop === MALFORMED) this.#malformed(plan, column);
          writer.cell(start, stop);
        }
      } else if (kind === COLUMN.null) writer.mark(keyOnly && plan.isIdentity[column] === 0 ? ABSENT : NULL);
      else if (kind === COLUMN.unchanged) this.#unchanged(plan, writer, column, before);
      else this.#violation('a column of unknown kind');
    }
    return at;
  }

  /** An out-of-line value that did not change and was not sent: never null (I11). */
  #unchanged(plan: TablePlan, writer: BatchWriter, column: number, before: number): void {
    const old = before < 0 ? -1 : (before + column) * 2;
    const start = old < 0 ? ABSENT : (writer.cells[old] as number);
    if (start >= 0) writer.cell(start, writer.cells[old + 1] as number);
    else if (plan.isKey[column] === 1) {
      const table = `${plan.relation.schema}.${plan.relation.name}`;
      const name = plan.relation.columns[column]?.name ?? '';
      throw new SluiceError(keyUnavailable, { table, column: name, lsn: formatHalves(this.#hi, this.#lo) }, { table });
    } else writer.mark(UNAVAILABLE);
  }

  #truncate(reader: MessageReader): void {
    if (!this.#open) this.#violation('a Truncate message outside a transaction');
    const count = reader.uint32();
    reader.uint8();
    for (let i = 0; i < count && reader.ok; i++) {
      const oid = reader.uint32();
      if (!reader.ok) return;
      const { table } = this.#planOf(oid);
      const ordinal = this.#ordinal++;
      if (table === null) continue;
      const { writer } = this.#target;
      writer.record(OP.truncate, table, this.#transactionOf(), ordinal);
      this.#origin.write(writer, this.#hi, this.#lo);
      this.#target.recordAdded();
    }
  }

  /** A logical decoding message. Publications do not filter these: every connector sees every tool's. */
  #message(reader: MessageReader): void {
    const isTransactional = (reader.uint8() & 1) !== 0;
    reader.uint32();
    reader.uint32();
    const prefixStart = reader.at;
    const prefix = reader.text();
    const prefixEnd = reader.at - 1;
    const contentStart = reader.bytes(reader.uint32());
    if (!reader.complete) return;
    if (isTransactional && !this.#open) this.#violation('a transactional message outside a transaction');
    // What is not transactional comes when it is decoded, between transactions.
    if (!isTransactional && this.#open) this.#violation('a non-transactional message inside a transaction');
    const ordinal = isTransactional ? this.#ordinal++ : 0;
    let transaction: Transaction | null = null;
    if (!isTransactional) {
      // As Debezium does: a message outside transactions counts as a commit of its own in `source.sequence`.
      this.#lastHi = this.#hi;
      this.#lastLo = this.#lo;
      this.#origin.begin(null, this.#hi, this.#lo);
      // It carries no time; the last commit's is stored with the position, so that a replay gives the same bytes (I4).
      transaction = { id: transactionId(this.#options.systemId, this.#hi, this.#lo, 0), commitMicros: this.#lastMicros };
    }
    if (!this.#options.prefixes.has(prefix)) return;
    const { writer } = this.#target;
    const base = writer.append(reader.whole);
    writer.record(OP.message, writer.table(messageTable(this.#options.catalog)), transaction ?? this.#transactionOf(), ordinal);
    writer.image('after');
    writer.cell(base + prefixStart, base + prefixEnd);
    writer.cell(base + contentStart, base + reader.whole.length);
    this.#origin.write(writer, this.#hi, this.#lo);
    this.#target.recordAdded();
  }

  #malformed(plan: TablePlan, column: number): never {
    const { schema, name, columns } = plan.relation;
    this.#violation(`the text of column ${columns[column]?.name} of ${schema}.${name} is not in the form that was asked for`);
  }

  #violation(what: string): never {
    throw new SluiceError(protocolViolation, { what, lsn: formatHalves(this.#hi, this.#lo) });
  }
}
