/** Events in, records out: the state of one stream. Synchronous; bytes are copied once, into the batch. */
import { type BatchWriter, type ErrorKind, OP, SluiceError, type TableVersion } from '#plugin';
import {
  anonymousTransaction,
  compressedTransaction,
  incident,
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
  FLAG_IGNORABLE,
  type GtidEvent,
  HARMLESS,
  HEADER_BYTES,
  readGtid,
  readHeartbeat,
  readMariadbGtid,
  readQuery,
  readTaggedGtid,
  readXaOnePhase,
} from './events.ts';
import { OriginCells } from './origin.ts';
import { isFull, readPackedInteger } from './packed.ts';
import { isBefore, Place } from './place.ts';
import { Executed, type LogPosition, type LogTransaction, type System } from './position.ts';
import { type RowReader, ValueRefused } from './row-reader.ts';
import { statementText } from './statement-text.ts';
import { beginsTransaction, kindOfStatement, needsCatalogue, truncatedTable } from './statements.ts';
import { CatalogueChanged, type CharsetOf, Question } from './table-map.ts';
import { type Mapped, TableMaps } from './tables.ts';
import type { FileEnds } from './torn.ts';

/** Where records go: `BatchQueue`. */
export interface Target {
  readonly writer: BatchWriter;
  /** Another for each batch. */
  readonly batchNumber: number;
  recordAdded(): void;
  checkpoint(): void;
}

export interface DecoderOptions {
  readonly connector: string;
  readonly system: System;
  readonly from: LogPosition;
  readonly captures: (database: string, table: string) => boolean;
  readonly charsetOf: CharsetOf;
  readonly areBinary: (key: string) => boolean;
  readonly described: boolean;
  /** The server's catalogue has to be asked about some definitions (CatalogueChanged). */
  readonly asksCatalogue: boolean;
  readonly fileEnds: FileEnds;
  readonly target: Target;
}

type RowsOp = typeof OP.create | typeof OP.update | typeof OP.delete;

/** The number of a table that stands for none: an event that only ends a statement. */
const NO_TABLE = 0xffffff;
/** GTID between transactions. */
const NONE = '';

export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #executed: Executed;
  readonly #tables: TableMaps;
  readonly #place: Place;
  readonly #origin = new OriginCells();
  /** Servers send checksums to whoever says that it reads them, but in files that have none. */
  #checksum = true;
  /** Where the last transaction ended. */
  #safe: { readonly file: string; readonly pos: string };
  /** GTID of what is being read. */
  #gtid = NONE;
  /** Where it begins. */
  #begunAt: { readonly file: string; readonly pos: number } = { file: '', pos: 0 };
  #commitMicros = 0;
  /** Its end is yet to come. */
  #isOpen = false;
  #hasRows = false;
  #ordinal = 0;
  #transaction: LogTransaction | null = null;
  #isCatalogueStale = false;

  constructor(options: DecoderOptions) {
    const { from, system, captures, charsetOf, areBinary, described, target } = options;
    this.#options = options;
    this.#executed = new Executed(from.gtid, system);
    this.#place = new Place(from.file);
    this.#safe = { file: from.file, pos: from.pos };
    this.#tables = new TableMaps({
      system,
      captures,
      charsetOf,
      areBinary,
      described,
      versionOf: (shape) => target.writer.table(shape, { position: this.#gtid, micros: this.#commitMicros }),
      currentOf: (table) => target.writer.current(table),
      error: (kind, parameters) => this.#error(kind, parameters),
    });
  }

  /** Where the last transaction ended. */
  get position(): LogPosition {
    const { system, server } = this.#options.from;
    return { system, gtid: this.#executed.toString(), server, ...this.#safe };
  }

  /** Where everything was read up to, another object once that has moved; null: in the midst of a transaction. */
  get settled(): object | null {
    return this.#gtid === NONE ? this.#safe : null;
  }

  /** Everything before this place was read, and no transaction is open. */
  reached({ file, pos }: { readonly file: string; readonly pos: string }): boolean {
    return this.#gtid === NONE && !isBefore(this.#safe, { file, pos });
  }

  /** One event, with its header and checksum. Throws a SluiceError; a Question, after which the same event may be given again. */
  handle(bytes: Buffer): void {
    if (this.#isCatalogueStale) {
      this.#isCatalogueStale = false;
      throw new CatalogueChanged();
    }
    const type = bytes.readUInt8(4);
    const flags = bytes.readUInt16LE(17);
    if (type === EVENT.format) this.#checksum = checksumOf(bytes, bytes.length);
    const end = bytes.length - (this.#checksum ? CHECKSUM_BYTES : 0);
    const stands = this.#place.enter(type, flags, bytes);
    try {
      this.#handle(type, flags, bytes, end);
    } catch (error) {
      if (error instanceof SluiceError || error instanceof Question) throw error;
      throw this.#error(protocolViolation, { what: (error as Error).message });
    }
    if (stands) this.#place.pos += bytes.length;
    else if (type !== EVENT.heartbeat && type !== EVENT.heartbeatV2) return;
    if (this.#gtid !== NONE) return;
    const place = { file: this.#place.file, pos: String(this.#place.pos) };
    // The server begins at the head of a file, before what was read of it.
    if (!isBefore(place, this.#safe)) this.#safe = place;
  }

  #handle(type: number, flags: number, bytes: Buffer, end: number): void {
    if (this.#options.fileEnds.hides(type)) return;
    switch (type) {
      case EVENT.tableMap:
        this.#tables.see(bytes, end);
        break;
      case EVENT.writeRows:
      case EVENT.writeRowsV1:
        this.#rows(OP.create, type === EVENT.writeRows, bytes, end);
        break;
      case EVENT.updateRows:
      case EVENT.updateRowsV1:
        this.#rows(OP.update, type === EVENT.updateRows, bytes, end);
        break;
      case EVENT.deleteRows:
      case EVENT.deleteRowsV1:
        this.#rows(OP.delete, type === EVENT.deleteRows, bytes, end);
        break;
      case EVENT.gtid:
        this.#begin(readGtid(bytes, HEADER_BYTES, end), bytes);
        break;
      case EVENT.gtidTagged:
        this.#begin(readTaggedGtid(bytes, HEADER_BYTES, end), bytes);
        break;
      case EVENT.mariadbGtid:
        this.#beginMariadb(bytes);
        break;
      case EVENT.query:
        this.#query(bytes, end);
        break;
      case EVENT.xid:
        this.#commit();
        break;
      case EVENT.rotate:
        this.#place.rotate(bytes, end);
        break;
      case EVENT.heartbeat:
      case EVENT.heartbeatV2:
        this.#heartbeat(type, bytes, end);
        break;
      case EVENT.xaPrepare:
        if (!readXaOnePhase(bytes, HEADER_BYTES)) throw this.#error(twoPhase);
        this.#commit();
        break;
      default:
        this.#other(type, flags);
    }
  }

  #heartbeat(type: number, bytes: Buffer, end: number): void {
    const heard = readHeartbeat(type, bytes, end);
    if (heard !== null) this.#place.heard(heard);
  }

  /** What holds no changes, or stops the reading. */
  #other(type: number, flags: number): void {
    if (HARMLESS.has(type)) return;
    switch (type) {
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

  #begin({ gtid, commitMicros }: GtidEvent, bytes: Buffer): void {
    if (this.#isOpen) throw new RangeError('a transaction begins inside another one');
    this.#gtid = gtid;
    this.#begunAt = { file: this.#place.file, pos: this.#place.pos };
    this.#commitMicros = commitMicros ?? bytes.readUInt32LE(0) * 1e6;
    this.#origin.serverId = bytes.readUInt32LE(5);
    this.#origin.thread = -1;
    this.#ordinal = 0;
    this.#transaction = null;
    this.#hasRows = false;
  }

  #beginMariadb(bytes: Buffer): void {
    const event = readMariadbGtid(bytes, HEADER_BYTES);
    if (this.#options.fileEnds.begins(this.#place.file, bytes.readUInt32LE(5), event)) return;
    if (event.twoPhase) throw this.#error(twoPhase);
    const gtid = `${event.domain}-${bytes.readUInt32LE(5)}-${event.sequence}`;
    this.#begin({ gtid, commitMicros: null }, bytes);
    // The event stands for BEGIN, too.
    this.#isOpen = !event.standalone;
  }

  #commit(): void {
    if (this.#gtid === NONE) throw new RangeError('a transaction ends that never began');
    this.#executed.add(this.#gtid);
    this.#gtid = NONE;
    this.#isOpen = false;
    this.#options.target.checkpoint();
  }

  #query(bytes: Buffer, end: number): void {
    const query = readQuery(bytes, HEADER_BYTES, end);
    const { sql, database, thread } = query;
    const kind = kindOfStatement(sql);
    if (this.#origin.thread < 0) this.#origin.thread = thread;
    switch (kind) {
      case 'begin':
        this.#isOpen = true;
        return;
      case 'rollback':
      case 'rollbackTo':
        if (this.#hasRows) throw this.#error(rolledBackRows);
        if (kind === 'rollback') this.#commit();
        return;
      case 'commit':
        this.#commit();
        return;
      case 'xa':
        throw this.#error(twoPhase);
      case 'rows':
        throw this.#error(statementChanges, { word: firstWord(sql) });
      case 'unknown':
        throw this.#error(protocolViolation, { what: `a statement that begins with "${firstWord(sql)}"` });
      case 'truncate':
        this.#truncate(statementText(query, this.#options.charsetOf), database);
        break;
      default:
        if (beginsTransaction(sql)) this.#isOpen = true;
        if (this.#options.asksCatalogue && needsCatalogue(sql)) this.#isCatalogueStale = true;
    }
    // A statement by itself is its own transaction, and this is its end.
    if (!this.#isOpen && this.#gtid !== NONE) this.#commit();
  }

  #truncate(sql: string, database: string): void {
    const named = truncatedTable(sql, database);
    if (named === null) throw this.#error(protocolViolation, { what: 'a TRUNCATE whose table cannot be read' });
    const table = this.#tables.truncated(named.database, named.name);
    if (table === null) return;
    const { target } = this.#options;
    const { writer } = target;
    this.#share(writer);
    writer.record(OP.truncate, table, this.#openTransaction(), this.#ordinal++);
    this.#origin.write(writer, 0);
    target.recordAdded();
  }

  #rows(op: RowsOp, hasExtra: boolean, bytes: Buffer, end: number): void {
    const id = bytes.readUIntLE(HEADER_BYTES, 6);
    const mapped = this.#tables.get(id);
    if (mapped === undefined) {
      if (id === NO_TABLE) return;
      throw new RangeError(`rows of a table ${id} that was not described`);
    }
    if (!this.#isOpen) throw new RangeError('rows outside a transaction');
    const at = this.#readColumns(op, hasExtra, mapped, bytes);
    // Without its last bytes, the checksum.
    const data = end === bytes.length ? bytes : bytes.subarray(0, end);
    if (at < 0 || mapped.rows === null) this.#ordinal++;
    else if (mapped.table === null) this.#count(op, mapped.rows, data, at);
    else this.#write(op, mapped.table, mapped.rows, data, at);
  }

  /** Where the rows begin, behind what says which columns they have: it must be all. −1: the rows of a table that is not captured cannot be counted. */
  #readColumns(op: RowsOp, hasExtra: boolean, { table, rows, label }: Mapped, bytes: Buffer): number {
    let at = HEADER_BYTES + 8;
    if (hasExtra) at += bytes.readUInt16LE(at);
    const columns = readPackedInteger(bytes, at);
    at = columns.end;
    for (let bitmaps = op === OP.update ? 2 : 1; bitmaps > 0; bitmaps--) {
      if (columns.value !== rows?.columnCount || !isFull(bytes, at, columns.value)) {
        if (table === null) return -1;
        throw this.#error(partialRows, {
          table: label,
          why: 'columns are left out (by binlog_row_image; MariaDB from 11 on leaves generated ones out of updates)',
        });
      }
      at += (columns.value + 7) >> 3;
    }
    return at;
  }

  #count(op: RowsOp, rows: RowReader, bytes: Buffer, start: number): void {
    for (let at = start; at < bytes.length; this.#ordinal++) {
      at = rows.skip(bytes, at);
      if (op === OP.update) at = rows.skip(bytes, at);
    }
  }

  #write(op: RowsOp, table: TableVersion, rows: RowReader, bytes: Buffer, start: number): void {
    const { target } = this.#options;
    const transaction = this.#openTransaction();
    this.#hasRows = true;
    let batch = -1;
    try {
      for (let at = start, row = 0; at < bytes.length; row++) {
        const { writer } = target;
        // The queue may have begun another batch.
        if (target.batchNumber !== batch) this.#share(writer);
        batch = target.batchNumber;
        writer.record(op, table, transaction, this.#ordinal++);
        if (op !== OP.create) {
          writer.image('before');
          at = rows.read(bytes, at, writer);
        }
        if (op !== OP.delete) {
          writer.image('after');
          at = rows.read(bytes, at, writer);
        }
        this.#origin.write(writer, row);
        target.recordAdded();
      }
    } catch (error) {
      if (error instanceof ValueRefused) throw this.#error(valueRefused, { table: table.label, column: error.column, why: error.message });
      throw error;
    }
  }

  #openTransaction(): LogTransaction {
    if (this.#gtid === NONE) throw new RangeError('a change outside a transaction');
    this.#transaction ??= { id: this.#gtid, commitMicros: this.#commitMicros, beginId: this.#gtid, endId: this.#gtid, ...this.#begunAt };
    return this.#transaction;
  }

  #share(writer: BatchWriter): void {
    this.#origin.share(writer, this.#gtid, this.#place.file, this.#place.pos);
  }

  #error(kind: ErrorKind, parameters: Record<string, string | number> = {}): SluiceError {
    const { file, pos } = this.#place;
    const place = `${file}:${pos}${this.#gtid === NONE ? '' : `, ${this.#gtid}`}`;
    const table = parameters['table'];
    return new SluiceError(kind, { ...parameters, place }, typeof table === 'string' ? { table } : {});
  }
}

/** For a message: the word alone, no values (I12). */
function firstWord(sql: string): string {
  return /[A-Za-z]+/.exec(sql)?.[0].toUpperCase() ?? '?';
}
