/** Events in, records out: the state of one stream. Synchronous; bytes are copied once, into the batch. */
import { type BatchWriter, NULL, OP, SluiceError, type TableVersion, type Transaction } from '#plugin';
import { planColumn } from './columns.ts';
import { writeNumber } from './digits.ts';
import {
  anonymousTransaction,
  columnRefused,
  compressedTransaction,
  incident,
  metadataMissing,
  partialRows,
  protocolViolation,
  rolledBackRows,
  statementChanges,
  twoPhase,
  unknownEvent,
  valueRefused,
} from './errors.ts';
import {
  CHECKSUM_BYTES,
  checksumOf,
  EVENT,
  FLAG_ARTIFICIAL,
  FLAG_IGNORABLE,
  type GtidEvent,
  HEADER_BYTES,
  readGtid,
  readMariadbGtid,
  readQuery,
  readTaggedGtid,
  readXaOnePhase,
} from './events.ts';
import { readPackedInteger } from './packed.ts';
import { Executed, type LogPosition, type System } from './position.ts';
import { RowReader, ValueRefused } from './row-reader.ts';
import { beginsTransaction, kindOfStatement, truncatedTable } from './statements.ts';
import { type CharsetOf, MetadataMissing, readNames, readTableMap, UnknownCollation } from './table-map.ts';

/** Where records go: `BatchQueue`. */
export interface Target {
  readonly writer: BatchWriter;
  readonly batchNumber: number;
  recordAdded(): void;
  checkpoint(): void;
}

export interface DecoderOptions {
  readonly connector: string;
  readonly system: System;
  readonly from: LogPosition;
  /** Whether events carry a checksum until the log says so itself. */
  readonly checksum: boolean;
  readonly captures: (database: string, table: string) => boolean;
  readonly charsetOf: CharsetOf;
  readonly described: boolean;
  readonly target: Target;
}

/** A table as one TABLE_MAP event has it. */
interface Mapped {
  /** The event's body, to know the same again. */
  readonly body: Buffer;
  readonly label: string;
  /** Null: it is not captured. */
  readonly table: TableVersion | null;
  /** Null: of a table that is not captured, a column cannot be skipped over; its rows are not counted. */
  readonly rows: RowReader | null;
}

/** The number of a table that stands for none: an event that only ends a statement. */
const NO_TABLE = 0xffffff;
const NO_TRANSACTION = '';

export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #executed: Executed;
  readonly #tables = new Map<number, Mapped>();
  /** Tables under which truncations are told: of no columns, so that each is the same version after any replay. */
  readonly #truncated = new Map<string, TableVersion>();
  #checksum: boolean;
  #file: string;
  #pos = 0;
  /** Of the last commit. */
  #safeFile: string;
  #safePos: string;
  /** GTID of what is being read; empty between transactions. */
  #gtid = NO_TRANSACTION;
  #commitMicros = 0;
  #isOpen = false;
  #hasRows = false;
  #ordinal = 0;
  #thread = -1;
  #serverId = 0;
  #transaction: Transaction | null = null;
  /** Cells that the records of an event, or of a transaction, share, in the batch of this number. */
  #sharedIn = 0;
  readonly #shared = new Int32Array(8);

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#checksum = options.checksum;
    this.#executed = new Executed(options.from.gtid, options.system);
    this.#file = options.from.file;
    this.#safeFile = options.from.file;
    this.#safePos = options.from.pos;
  }

  /** Where the last transaction ended. */
  get position(): LogPosition {
    const { system, server } = this.#options.from;
    return { system, gtid: this.#executed.toString(), server, file: this.#safeFile, pos: this.#safePos };
  }

  /** Everything before this place was read: a file's name and the byte in it. Compared by the log's own order of files. */
  reached(file: string, pos: number): boolean {
    if (this.#isOpen || this.#gtid !== NO_TRANSACTION) return false;
    return this.#file === file ? this.#pos >= pos : isLater(this.#file, file);
  }

  /** One event, with its header and checksum. Throws a SluiceError; UnknownCollation, after which the same event may be given again. */
  handle(bytes: Buffer): void {
    const type = bytes.readUInt8(4);
    const flags = bytes.readUInt16LE(17);
    if (type === EVENT.format) this.#checksum = checksumOf(bytes, bytes.length);
    const end = bytes.length - (this.#checksum ? CHECKSUM_BYTES : 0);
    const stands = this.#stands(type, flags);
    if (stands) this.#locate(bytes);
    try {
      this.#handle(type, flags, bytes, end);
    } catch (error) {
      if (error instanceof SluiceError || error instanceof UnknownCollation) throw error;
      throw new SluiceError(protocolViolation, { what: (error as Error).message, place: this.#place }, { cause: error });
    }
    if (stands) this.#advance(bytes);
  }

  #handle(type: number, flags: number, bytes: Buffer, end: number): void {
    const at = HEADER_BYTES;
    switch (type) {
      case EVENT.tableMap:
        return this.#tableMap(bytes, end);
      case EVENT.writeRows:
      case EVENT.writeRowsV1:
        return this.#rows(OP.create, type === EVENT.writeRows, bytes, end);
      case EVENT.updateRows:
      case EVENT.updateRowsV1:
        return this.#rows(OP.update, type === EVENT.updateRows, bytes, end);
      case EVENT.deleteRows:
      case EVENT.deleteRowsV1:
        return this.#rows(OP.delete, type === EVENT.deleteRows, bytes, end);
      case EVENT.gtid:
        return this.#begin(readGtid(bytes, at, end), bytes);
      case EVENT.gtidTagged:
        return this.#begin(readTaggedGtid(bytes, at, end), bytes);
      case EVENT.mariadbGtid:
        return this.#mariadbGtid(bytes);
      case EVENT.query:
        return this.#query(bytes, end);
      case EVENT.xid:
        return this.#commit();
      case EVENT.rotate:
        // The file that this ends is known by its own events; the name is that of the next.
        this.#file = bytes.toString('utf8', at + 8, end);
        this.#pos = Number(bytes.readBigUInt64LE(at));
        return;
      case EVENT.xaPrepare:
        if (readXaOnePhase(bytes, at)) return this.#commit();
        throw this.#error(twoPhase);
      default:
        this.#other(type, flags);
    }
  }

  /** What holds no changes, or stops the reading. */
  #other(type: number, flags: number): void {
    switch (type) {
      case EVENT.format:
      case EVENT.stop:
      case EVENT.heartbeat:
      case EVENT.heartbeatV2:
      case EVENT.ignorable:
      case EVENT.rowsQuery:
      case EVENT.previousGtids:
      case EVENT.transactionContext:
      case EVENT.viewChange:
      case EVENT.annotateRows:
      case EVENT.binlogCheckpoint:
      case EVENT.mariadbGtidList:
      case EVENT.startEncryption:
      // Values for a statement, which itself stops the reading if it changes rows.
      case EVENT.intvar:
      case EVENT.rand:
      case EVENT.userVar:
        return;
      case EVENT.anonymousGtid:
        throw this.#error(anonymousTransaction);
      case EVENT.incident:
        throw this.#error(incident);
      case EVENT.transactionPayload:
        throw this.#error(compressedTransaction);
      case EVENT.partialUpdateRows:
        throw this.#error(partialRows, { table: 'a table', why: 'JSON columns are there in part (binlog_row_value_options)' });
      case EVENT.beginLoadQuery:
      case EVENT.executeLoadQuery:
        throw this.#error(statementChanges, { word: 'LOAD DATA' });
    }
    if (type >= EVENT.queryCompressed && type <= EVENT.lastCompressedRows) throw this.#error(compressedTransaction);
    if ((flags & FLAG_IGNORABLE) !== 0) return;
    throw this.#error(unknownEvent, { type, connector: this.#options.connector, gtid: this.#gtid });
  }

  /** The events that stand in the log itself move on in it, from where they say that they end. */
  #stands(type: number, flags: number): boolean {
    return type !== EVENT.rotate && (flags & FLAG_ARTIFICIAL) === 0 && type !== EVENT.heartbeat && type !== EVENT.heartbeatV2;
  }

  /** MariaDB tells no end inside transactions, and neither server tells more than 32 bits of it. */
  #locate(bytes: Buffer): void {
    const told = bytes.readUInt32LE(13);
    if (told === 0) return;
    let end = this.#pos - (this.#pos % 2 ** 32) + told;
    if (end < this.#pos - 2 ** 31) end += 2 ** 32;
    this.#pos = Math.max(0, end - bytes.length);
  }

  #advance(bytes: Buffer): void {
    this.#pos += bytes.length;
    if (this.#gtid !== NO_TRANSACTION) return;
    this.#safeFile = this.#file;
    this.#safePos = String(this.#pos);
  }

  #begin({ gtid, commitMicros }: GtidEvent, bytes: Buffer): void {
    this.#expectClosed();
    this.#gtid = gtid;
    this.#commitMicros = commitMicros ?? bytes.readUInt32LE(0) * 1e6;
    this.#serverId = bytes.readUInt32LE(5);
    this.#thread = -1;
    this.#ordinal = 0;
    this.#transaction = null;
    this.#hasRows = false;
    this.#sharedIn = 0;
  }

  #mariadbGtid(bytes: Buffer): void {
    const event = readMariadbGtid(bytes, HEADER_BYTES);
    if (event.twoPhase) throw this.#error(twoPhase);
    const gtid = `${event.domain}-${bytes.readUInt32LE(5)}-${event.sequence}`;
    this.#begin({ gtid, commitMicros: null }, bytes);
    // The event stands for BEGIN, too.
    this.#isOpen = !event.standalone;
  }

  #expectClosed(): void {
    if (this.#isOpen) throw new RangeError('a transaction begins inside another one');
  }

  #commit(): void {
    if (this.#gtid === NO_TRANSACTION) throw new RangeError('a transaction ends that never began');
    this.#executed.add(this.#gtid);
    this.#gtid = NO_TRANSACTION;
    this.#isOpen = false;
    this.#options.target.checkpoint();
  }

  #query(bytes: Buffer, end: number): void {
    const { sql, database, thread } = readQuery(bytes, HEADER_BYTES, end);
    switch (kindOfStatement(sql)) {
      case 'begin':
        this.#isOpen = true;
        this.#thread = thread;
        return;
      case 'commit':
        return this.#commit();
      case 'rollback':
        if (this.#hasRows) throw this.#error(rolledBackRows);
        return this.#commit();
      case 'rollbackTo':
        if (this.#hasRows) throw this.#error(rolledBackRows);
        return;
      case 'xa':
        throw this.#error(twoPhase);
      case 'rows':
        throw this.#error(statementChanges, { word: firstWord(sql) });
      case 'unknown':
        throw this.#error(protocolViolation, { what: `a statement that begins with "${firstWord(sql)}"` });
      case 'truncate':
        this.#thread = thread;
        this.#truncate(sql, database);
        break;
      case 'plain':
        if (beginsTransaction(sql)) {
          this.#isOpen = true;
          this.#thread = thread;
          return;
        }
    }
    // A statement by itself is its own transaction, and this is its end.
    if (!this.#isOpen && this.#gtid !== NO_TRANSACTION) this.#commit();
  }

  #truncate(sql: string, database: string): void {
    const named = truncatedTable(sql, database);
    if (named === null) throw this.#error(protocolViolation, { what: 'a TRUNCATE whose table cannot be read' });
    if (!this.#options.captures(named.database, named.name)) return;
    const key = JSON.stringify(named);
    const { target } = this.#options;
    let table = this.#truncated.get(key);
    if (table === undefined) {
      table = target.writer.table({ kind: 'table', catalog: named.database, schema: '', name: named.name, columns: [], key: [] });
      this.#truncated.set(key, table);
    }
    this.#share(this.#pos);
    target.writer.record(OP.truncate, table, this.#transactionOf(), this.#ordinal++);
    this.#writeOrigin(target.writer, 0);
    target.recordAdded();
  }

  #tableMap(bytes: Buffer, end: number): void {
    const id = bytes.readUIntLE(HEADER_BYTES, 6);
    const known = this.#tables.get(id);
    if (known !== undefined && known.body.length === end - HEADER_BYTES && bytes.compare(known.body, 0, known.body.length, HEADER_BYTES, end) === 0)
      return;
    const names = readNames(bytes, HEADER_BYTES + 8);
    const label = `${names.database}.${names.name}`;
    const captured = this.#options.captures(names.database, names.name);
    const body = Buffer.from(bytes.subarray(HEADER_BYTES, end));
    this.#tables.set(id, { body, label, ...(captured ? this.#plan(bytes, names, end, label) : this.#planSkipped(bytes, names, end)) });
  }

  #plan(bytes: Buffer, names: ReturnType<typeof readNames>, end: number, label: string): Pick<Mapped, 'table' | 'rows'> {
    const { charsetOf, described, system, target } = this.#options;
    let map: ReturnType<typeof readTableMap>;
    try {
      map = readTableMap(bytes, names, end, charsetOf, system === 'mariadb');
    } catch (error) {
      if (error instanceof MetadataMissing) throw this.#error(metadataMissing, { table: label });
      throw error;
    }
    const plans = map.columns.map((column) => {
      const plan = planColumn(column, described);
      if (typeof plan === 'string') throw this.#error(columnRefused, { table: label, column: column.name, why: plan });
      return plan;
    });
    const columns = plans.map(({ shape }) => shape);
    const table = target.writer.table({ kind: 'table', catalog: map.database, schema: '', name: map.name, columns, key: map.key });
    return { table, rows: new RowReader(plans) };
  }

  /** Rows of a table that is not captured are counted all the same, as far as that is possible: ordinals do not depend on what is captured. */
  #planSkipped(bytes: Buffer, names: ReturnType<typeof readNames>, end: number): Pick<Mapped, 'table' | 'rows'> {
    try {
      const map = readTableMap(bytes, names, end, () => null, this.#options.system === 'mariadb');
      const plans = map.columns.map((column) => planColumn(column, false));
      const known = plans.filter((plan) => typeof plan !== 'string');
      return { table: null, rows: known.length === plans.length ? new RowReader(known) : null };
    } catch {
      return { table: null, rows: null };
    }
  }

  #rows(op: typeof OP.create | typeof OP.update | typeof OP.delete, hasExtra: boolean, bytes: Buffer, end: number): void {
    const id = bytes.readUIntLE(HEADER_BYTES, 6);
    const mapped = this.#tables.get(id);
    if (mapped === undefined) {
      if (id === NO_TABLE) return;
      throw new RangeError(`rows of a table ${id} that was not described`);
    }
    if (this.#gtid === NO_TRANSACTION) throw new RangeError('rows outside a transaction');
    this.#isOpen = true;
    let at = HEADER_BYTES + 8;
    if (hasExtra) at += bytes.readUInt16LE(at);
    const columns = readPackedInteger(bytes, at);
    at = columns.end;
    const bitmapBytes = (columns.value + 7) >> 3;
    const { table, rows } = mapped;
    if (rows === null) {
      this.#ordinal++;
      return;
    }
    for (let bitmaps = op === OP.update ? 2 : 1; bitmaps > 0; bitmaps--, at += bitmapBytes) {
      if (columns.value === rows.columnCount && isFull(bytes, at, columns.value)) continue;
      if (table !== null) throw this.#error(partialRows, { table: mapped.label, why: 'columns are left out (binlog_row_image)' });
      this.#ordinal++;
      return;
    }
    const data = end === bytes.length ? bytes : bytes.subarray(0, end);
    if (table === null) this.#count(op, rows, data, at);
    else this.#write(op, table, rows, data, at);
  }

  #count(op: number, rows: RowReader, bytes: Buffer, start: number): void {
    for (let at = start; at < bytes.length; this.#ordinal++) {
      at = rows.skip(bytes, at);
      if (op === OP.update) at = rows.skip(bytes, at);
    }
  }

  #write(op: typeof OP.create | typeof OP.update | typeof OP.delete, table: TableVersion, rows: RowReader, bytes: Buffer, start: number): void {
    const { target } = this.#options;
    const transaction = this.#transactionOf();
    this.#hasRows = true;
    this.#share(this.#pos);
    try {
      for (let at = start, row = 0; at < bytes.length; row++) {
        // The queue may have begun another batch.
        if (target.batchNumber !== this.#sharedIn) this.#share(this.#pos);
        const { writer } = target;
        writer.record(op, table, transaction, this.#ordinal++);
        if (op !== OP.create) {
          writer.image('before');
          at = rows.read(bytes, at, writer);
        }
        if (op !== OP.delete) {
          writer.image('after');
          at = rows.read(bytes, at, writer);
        }
        this.#writeOrigin(writer, row);
        target.recordAdded();
      }
    } catch (error) {
      if (error instanceof ValueRefused) throw this.#error(valueRefused, { table: table.label, column: error.column, why: error.message });
      throw error;
    }
  }

  #transactionOf(): Transaction {
    if (this.#gtid === NO_TRANSACTION) throw new RangeError('a change outside a transaction');
    this.#transaction ??= { id: this.#gtid, commitMicros: this.#commitMicros };
    return this.#transaction;
  }

  /** Writes what all records of an event say of their origin into the batch, once. */
  #share(pos: number): void {
    const { target } = this.#options;
    const { writer } = target;
    this.#sharedIn = target.batchNumber;
    const gtid = Buffer.from(this.#gtid, 'latin1');
    const file = Buffer.from(this.#file, 'utf8');
    writer.reserve(gtid.length + file.length + 64);
    const to = writer.arena;
    const shared = this.#shared;
    let at = writer.arenaLength;
    const put = (index: number, end: number): void => {
      shared[2 * index] = at;
      shared[2 * index + 1] = end;
      at = end;
    };
    put(0, writeNumber(to, at, this.#serverId));
    to.set(gtid, at);
    put(1, at + gtid.length);
    to.set(file, at);
    put(2, at + file.length);
    put(3, writeNumber(to, at, pos));
    writer.arenaLength = at;
  }

  /** The cells of `ORIGIN_COLUMNS`. */
  #writeOrigin(writer: BatchWriter, row: number): void {
    const shared = this.#shared;
    writer.image('origin');
    for (let index = 0; index < 8; index += 2) writer.cell(shared[index] as number, shared[index + 1] as number);
    writer.reserve(32);
    this.#number(writer, row);
    if (this.#thread < 0) writer.mark(NULL);
    else this.#number(writer, this.#thread);
    writer.mark(NULL);
  }

  #number(writer: BatchWriter, value: number): void {
    const start = writer.arenaLength;
    writer.arenaLength = writeNumber(writer.arena, start, value);
    writer.cell(start, writer.arenaLength);
  }

  get #place(): string {
    return `${this.#file}:${this.#pos}${this.#gtid === NO_TRANSACTION ? '' : `, ${this.#gtid}`}`;
  }

  #error(kind: ConstructorParameters<typeof SluiceError>[0], parameters: Record<string, string | number> = {}): SluiceError {
    const table = parameters['table'];
    return new SluiceError(kind, { ...parameters, place: this.#place }, typeof table === 'string' ? { table } : {});
  }
}

function isFull(bytes: Buffer, at: number, count: number): boolean {
  for (let index = 0; index < count >> 3; index++) if (bytes[at + index] !== 0xff) return false;
  const rest = count & 7;
  const mask = (1 << rest) - 1;
  return rest === 0 || ((bytes[at + (count >> 3)] as number) & mask) === mask;
}

/** Files of one log are numbered. */
function isLater(file: string, than: string): boolean {
  const number = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? -1);
  return number(file) > number(than);
}

/** For a message: the word alone, no values (I12). */
function firstWord(sql: string): string {
  return /[A-Za-z]+/.exec(sql)?.[0].toUpperCase() ?? '?';
}
