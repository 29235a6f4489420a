/** Events in, records out: the state of one stream. Synchronous; bytes are copied once, into the batch. */
import { type BatchWriter, definitionTable, type ErrorKind, OP, SluiceError, type TableVersion } from '#plugin';
import type { DecoderOptions } from './decoder-options.ts';
import { truncatedTable } from './definition-statements.ts';
import { type DefinitionRecord, Definitions, writeDefinition } from './definitions.ts';
import { partialRows, protocolViolation, rolledBackRows, statementChanges, twoPhase, valueRefused } from './errors.ts';
import {
  CHECKSUM_BYTES,
  checksumOf,
  EVENT,
  FLAG_THREAD_SPECIFIC,
  type GtidEvent,
  HEADER_BYTES,
  type QueryEvent,
  readGtid,
  readHeartbeat,
  readMariadbGtid,
  readQuery,
  readTaggedGtid,
  readXaOnePhase,
  statementAt,
} from './events.ts';
import { OriginCells } from './origin.ts';
import { isFull, readPackedInteger } from './packed.ts';
import { isBefore, Place } from './place.ts';
import { type LogPosition, type LogTransaction, namelessId } from './position.ts';
import { LogProgress } from './progress.ts';
import { refusedEvent } from './refused-events.ts';
import { type RowReader, ValueRefused } from './row-reader.ts';
import { inSessionCharset } from './statement-text.ts';
import { beginsTransaction, firstWord, kindOfStatement, needsCatalogue } from './statements.ts';
import { CatalogueChanged, Question } from './table-map.ts';
import { type Mapped, TableMaps } from './tables.ts';

type RowsOp = typeof OP.create | typeof OP.update | typeof OP.delete;

/** Stands for no table: an event that only ends a statement. */
const NO_TABLE = 0xffffff;
/** GTID between transactions. */
const NONE = '';

export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #progress: LogProgress;
  readonly #tables: TableMaps;
  readonly #definitions: Definitions;
  readonly #place: Place;
  readonly #origin = new OriginCells();
  /** Servers send checksums to whoever says that it reads them, but in files that have none. */
  #checksum = true;
  /** Id of the transaction that is being read: its GTID, if it has one. */
  #gtid = NONE;
  /** How manieth it is of those without a GTID; null: it has one. */
  #nameless: number | null = null;
  /** Where it begins. */
  #begunAt: { readonly file: string; readonly pos: number } = { file: '', pos: 0 };
  #commitMicros = 0;
  /** Its end is yet to come. */
  #isOpen = false;
  #hasRows = false;
  #isUndone = false;
  #ordinal = 0;
  #transaction: LogTransaction | null = null;
  #isCatalogueStale = false;

  constructor(options: DecoderOptions) {
    const { from, system, captures, charsetOf, areBinary, described, target } = options;
    this.#options = options;
    this.#definitions = new Definitions(options.definitions, from.told);
    this.#progress = new LogProgress(from);
    this.#place = new Place(from);
    this.#tables = new TableMaps({
      system,
      captures,
      charsetOf,
      areBinary,
      described,
      versionOf: (shape) => target.writer.table(shape, { position: this.#gtid, micros: this.#commitMicros }),
      currentOf: (table) => target.writer.current(table, this.#commitMicros),
      error: (kind, parameters) => this.#error(kind, parameters),
    });
  }

  /** Where the last transaction ended. */
  get position(): LogPosition {
    const { system, server } = this.#options.from;
    const { by, gtid } = this.#progress;
    const { told } = this.#definitions;
    return { system, by, gtid, server, ...this.#place.safe, ...(told === undefined ? {} : { told }) };
  }

  /** How many transactions without a GTID were read to their end. */
  get nameless(): number {
    return this.#progress.nameless;
  }

  /** Where everything was read up to, another object once that has moved; null: in the midst of a transaction. */
  get settled(): object | null {
    return this.#gtid === NONE ? this.#place.safe : null;
  }

  /** Everything before this place was read, and no transaction is open. */
  reached({ file, pos }: { readonly file: string; readonly pos: string }): boolean {
    return this.#gtid === NONE && !isBefore(this.#place.safe, { file, pos });
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
    if (stands) this.#place.pass(bytes.length);
    else if (type !== EVENT.heartbeat && type !== EVENT.heartbeatV2) return;
    // A place in what has not happened is none to go on from.
    if (this.#gtid === NONE && !this.#options.fileEnds.isTorn) this.#place.settle(type, bytes, end);
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
      case EVENT.anonymousGtid:
        this.#beginNameless(bytes, end);
        break;
      case EVENT.mariadbGtid:
        this.#beginMariadb(bytes, end);
        break;
      case EVENT.rowsQuery:
      case EVENT.annotateRows:
        if (this.#options.includesQuery) this.#origin.query = Buffer.from(bytes.subarray(statementAt(type), end));
        break;
      case EVENT.previousGtids:
        this.#progress.fileBegins(bytes, end);
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
        this.#place.heard(readHeartbeat(type, bytes, end));
        break;
      case EVENT.xaPrepare:
        if (!readXaOnePhase(bytes, HEADER_BYTES)) throw this.#error(twoPhase);
        this.#commit();
        break;
      default:
        this.#other(type, flags);
    }
  }

  /** What holds no changes, or stops the reading. */
  #other(type: number, flags: number): void {
    const refused = refusedEvent(type, flags);
    if (refused === null) return;
    throw this.#error(refused.kind, { ...refused.parameters, type });
  }

  #begin({ gtid, commitMicros }: GtidEvent, bytes: Buffer): void {
    if (this.#isOpen) throw new RangeError('a transaction begins inside another one');
    this.#gtid = gtid;
    this.#nameless = null;
    this.#begunAt = { file: this.#place.file, pos: this.#place.pos };
    this.#commitMicros = commitMicros ?? bytes.readUInt32LE(0) * 1e6;
    this.#origin.serverId = bytes.readUInt32LE(5);
    this.#origin.thread = -1;
    this.#origin.query = null;
    this.#ordinal = 0;
    this.#transaction = null;
    this.#hasRows = false;
  }

  /** The same event as that of a GTID, without one. */
  #beginNameless(bytes: Buffer, end: number): void {
    this.#begin({ ...readGtid(bytes, HEADER_BYTES, end), gtid: namelessId(this.#options.from.server, this.#place) }, bytes);
    this.#nameless = this.#progress.nameless + 1;
  }

  #beginMariadb(bytes: Buffer, end: number): void {
    const event = readMariadbGtid(bytes, HEADER_BYTES, end);
    if (this.#options.fileEnds.begins(this.#place.file, bytes.readUInt32LE(5), event)) return;
    const gtid = `${event.domain}-${bytes.readUInt32LE(5)}-${event.sequence}`;
    this.#begin({ gtid, commitMicros: null }, bytes);
    if (event.twoPhase) throw this.#error(twoPhase);
    // The event stands for BEGIN, too.
    this.#isOpen = !event.standalone;
    this.#isUndone = event.isUndone;
  }

  #commit(): void {
    if (this.#gtid === NONE) throw new RangeError('a transaction ends that never began');
    this.#progress.end(this.#nameless === null ? this.#gtid : null);
    this.#gtid = NONE;
    this.#isOpen = false;
    this.#options.target.checkpoint();
  }

  #query(bytes: Buffer, end: number): void {
    const query = inSessionCharset(readQuery(bytes, HEADER_BYTES, end), bytes, end, this.#options.charsetOfStatement);
    const { sql, hasEscapes, thread } = query;
    const kind = kindOfStatement(sql, hasEscapes);
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
        // A temporary table has the name of the one that it hides.
        if ((bytes.readUInt16LE(17) & FLAG_THREAD_SPECIFIC) === 0) this.#truncate(query);
        break;
      default:
        if (!this.#isUndone) this.#define(query);
        if (beginsTransaction(sql)) this.#isOpen = true;
        if (this.#options.asksCatalogue && needsCatalogue(sql, hasEscapes)) this.#isCatalogueStale = true;
    }
    // A statement by itself is its own transaction, and this is its end.
    if (!this.#isOpen && this.#gtid !== NONE) this.#commit();
  }

  /** Throws a Question before anything is written. */
  #define(statement: QueryEvent): void {
    for (const told of this.#definitions.of(statement)) {
      if (told !== null) this.#tell(told);
      this.#ordinal++;
    }
    this.#options.arrivals.see(statement);
  }

  #tell(told: DefinitionRecord): void {
    const { target } = this.#options;
    const { writer } = target;
    this.#share(writer);
    writer.record(OP.message, writer.table(definitionTable(told.database)), this.#openTransaction(), this.#ordinal);
    writeDefinition(writer, told);
    this.#origin.write(writer, 0);
    target.recordAdded();
  }

  #truncate(statement: QueryEvent): void {
    const named = truncatedTable(statement);
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
    else {
      const shown = this.#definitions.shown(mapped.table, mapped.plans);
      if (shown !== null) this.#tell(shown);
      this.#write(op, mapped.table, mapped.rows, data, at);
    }
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
    const { file, pos } = this.#begunAt;
    // Debezium's name for one without a GTID.
    const name = this.#nameless === null ? this.#gtid : `file=${file},pos=${pos}`;
    this.#transaction ??= { id: this.#gtid, commitMicros: this.#commitMicros, beginId: name, endId: name, file, pos, nameless: this.#nameless };
    return this.#transaction;
  }

  #share(writer: BatchWriter): void {
    this.#origin.share(writer, this.#nameless === null ? this.#gtid : null, this.#place.file, this.#place.pos);
  }

  #error(kind: ErrorKind, parameters: Record<string, string | number> = {}): SluiceError {
    const { file, pos } = this.#place;
    const place = `${file}:${pos}${this.#gtid === NONE ? '' : `, ${this.#gtid}`}`;
    const table = parameters['table'];
    const { connector } = this.#options;
    const beyond = this.#progress.beyond(this.#nameless === null ? this.#gtid : NONE, { file, pos: this.#gtid === NONE ? pos : this.#begunAt.pos });
    return new SluiceError(kind, { ...parameters, place, connector, beyond }, typeof table === 'string' ? { table } : {});
  }
}
