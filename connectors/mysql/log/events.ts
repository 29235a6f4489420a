/** Events of the binary log: their header, and the bodies that the decoder reads (source of the servers, `log_event.h`). All integers little-endian unless said. */

import { readPackedInteger } from './packed.ts';

export const EVENT = {
  query: 2,
  stop: 3,
  rotate: 4,
  intvar: 5,
  rand: 13,
  userVar: 14,
  format: 15,
  xid: 16,
  beginLoadQuery: 17,
  executeLoadQuery: 18,
  tableMap: 19,
  writeRowsV1: 23,
  updateRowsV1: 24,
  deleteRowsV1: 25,
  incident: 26,
  heartbeat: 27,
  ignorable: 28,
  rowsQuery: 29,
  writeRows: 30,
  updateRows: 31,
  deleteRows: 32,
  gtid: 33,
  anonymousGtid: 34,
  previousGtids: 35,
  transactionContext: 36,
  viewChange: 37,
  xaPrepare: 38,
  partialUpdateRows: 39,
  transactionPayload: 40,
  heartbeatV2: 41,
  gtidTagged: 42,
  annotateRows: 160,
  binlogCheckpoint: 161,
  mariadbGtid: 162,
  mariadbGtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  /** MariaDB's row events, compressed: 166 to 171. */
  firstCompressedRows: 166,
  lastCompressedRows: 171,
} as const;

export const HEADER_BYTES = 19;
export const CHECKSUM_BYTES = 4;
/** The server made it up: it stands nowhere in the log. */
export const FLAG_ARTIFICIAL = 0x20;
/** A statement about what only its own session has: a temporary table. */
export const FLAG_THREAD_SPECIFIC = 0x4;
/** A reader that does not know the event may pass it over. */
export const FLAG_IGNORABLE = 0x80;

/** Whether events carry a checksum, as a FORMAT_DESCRIPTION event says of its file: its last byte before its own checksum. */
export function checksumOf(bytes: Buffer, end: number): boolean {
  return bytes[end - CHECKSUM_BYTES - 1] === 1;
}

export interface QueryEvent {
  readonly thread: number;
  readonly database: string;
  /** Read as UTF-8; `inSessionCharset` has it as it was meant. */
  readonly sql: string;
  /** Number of the collation of the session's character set, which the statement is written in; null: it is not told. */
  readonly collation: number | null;
  /** Where the statement's bytes begin. */
  readonly sqlAt: number;
  /** 0: it was carried out. */
  readonly errorCode: number;
  /** A backslash in a text of it is an escape (`sql_mode` without NO_BACKSLASH_ESCAPES). */
  readonly hasEscapes: boolean;
}

/** Of the variables, which come in the order of their numbers: four bytes of flags, eight of `sql_mode`. */
const FLAGS_VARIABLE = 0;
const MODE_VARIABLE = 1;
const NO_BACKSLASH_ESCAPES = 1 << 20;

function readEscapes(bytes: Buffer, from: number, end: number): boolean {
  const at = bytes[from] === FLAGS_VARIABLE ? from + 5 : from;
  return at + 9 > end || bytes[at] !== MODE_VARIABLE || (bytes.readUInt32LE(at + 1) & NO_BACKSLASH_ESCAPES) === 0;
}

/** Behind the header: thread, seconds, length of the database's name, error, length of the variables; then these, the name, a zero, the statement. */
export function readQuery(bytes: Buffer, at: number, end: number): QueryEvent {
  const nameLength = bytes.readUInt8(at + 8);
  const nameAt = at + 13 + bytes.readUInt16LE(at + 11);
  return {
    sqlAt: nameAt + nameLength + 1,
    collation: readCollation(bytes, at + 13, nameAt),
    thread: bytes.readUInt32LE(at),
    database: bytes.toString('utf8', nameAt, nameAt + nameLength),
    sql: bytes.toString('utf8', nameAt + nameLength + 1, end),
    errorCode: bytes.readUInt16LE(at + 9),
    hasEscapes: readEscapes(bytes, at + 13, nameAt),
  };
}

/** Variables that stand in front of the character sets, by number: how long they are. That of the catalogue's name says it itself. */
const VARIABLE_BYTES: Readonly<Record<number, number>> = { 0: 4, 1: 8, 3: 4 };
const CATALOGUE = 6;
const CHARSETS = 4;

function readCollation(bytes: Buffer, start: number, end: number): number | null {
  for (let at = start; at < end; ) {
    const variable = bytes[at] as number;
    if (variable === CHARSETS) return bytes.readUInt16LE(at + 1);
    const length = variable === CATALOGUE ? 1 + (bytes[at + 1] as number) : VARIABLE_BYTES[variable];
    if (length === undefined) return null;
    at += 1 + length;
  }
  return null;
}

/** Of a ROWS_QUERY event, whose first byte is a length that is too short for it, or of an ANNOTATE_ROWS event: where the statement's text begins. */
export function statementAt(type: number): number {
  return type === EVENT.rowsQuery ? HEADER_BYTES + 1 : HEADER_BYTES;
}

/** Where a heartbeat says that the server stands in the log; null: it does not say. The newer form has fields of a number, a length and a value each. */
export function readHeartbeat(type: number, bytes: Buffer, end: number): { readonly file: string; readonly pos: number } | null {
  if (type === EVENT.heartbeat) {
    const pos = bytes.readUInt32LE(13);
    return pos === 0 ? null : { file: bytes.toString('utf8', HEADER_BYTES, end), pos };
  }
  let file = '';
  let pos = 0;
  for (let at = HEADER_BYTES; at < end && bytes[at] !== 0; ) {
    const field = bytes[at];
    const length = readPackedInteger(bytes, at + 1);
    at = length.end + length.value;
    if (field === 1) file = bytes.toString('utf8', length.end, at);
    else if (field === 2) pos = readPackedInteger(bytes, length.end).value;
  }
  return file === '' || pos === 0 ? null : { file, pos };
}

export interface GtidEvent {
  readonly gtid: string;
  /** When it was committed where it was first committed, microseconds since the epoch; null = not said. */
  readonly commitMicros: number | null;
}

export function uuidText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Flags, uuid, number, a byte and two clocks; then the commit time in seven bytes, whose first bit says that the original one follows. */
export function readGtid(bytes: Buffer, at: number, end: number): GtidEvent {
  const gtid = `${uuidText(bytes.toString('hex', at + 1, at + 17))}:${bytes.readBigInt64LE(at + 17)}`;
  const timeAt = at + 42;
  if (timeAt + 7 > end || bytes[at + 25] !== 2) return { gtid, commitMicros: null };
  const hasOriginal = ((bytes[timeAt + 6] as number) & 0x80) !== 0;
  const from = hasOriginal && timeAt + 14 <= end ? timeAt + 7 : timeAt;
  return { gtid, commitMicros: ((bytes[from + 6] as number) & 0x7f) * 2 ** 48 + bytes.readUIntLE(from, 6) };
}

/** GTID with a tag (MySQL 8.3 and later): numbered fields, each number and value of variable length. */
export function readTaggedGtid(bytes: Buffer, at: number, end: number): GtidEvent {
  const reader = new FieldReader(bytes, at, end);
  const version = reader.unsigned();
  const size = Number(reader.unsigned());
  const required = reader.unsigned();
  if (version !== 1n || required > 12n) throw new RangeError(`GTID event of version ${version}`);
  const stop = Math.min(end, at + size);
  let uuid = '';
  let number = 0n;
  let tag = '';
  let immediate: number | null = null;
  let original: number | null = null;
  while (reader.at < stop) {
    const field = Number(reader.unsigned());
    if (field === 1) for (let index = 0; index < 16; index++) uuid += Number(reader.unsigned()).toString(16).padStart(2, '0');
    else if (field === 2) number = reader.signed();
    else if (field === 3) tag = reader.text();
    else if (field === 4 || field === 5) reader.signed();
    else if (field === 6) immediate = Number(reader.unsigned());
    else if (field === 7) original = Number(reader.unsigned());
    else if (field === 0) reader.unsigned();
    else break;
  }
  if (uuid === '' || number < 1n) throw new RangeError('GTID event without a GTID');
  const gtid = tag === '' ? `${uuidText(uuid)}:${number}` : `${uuidText(uuid)}:${tag}:${number}`;
  return { gtid, commitMicros: original ?? immediate };
}

/** Integers whose first byte says by its trailing ones how many bytes follow. */
export class FieldReader {
  at: number;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  unsigned(): bigint {
    const first = this.#bytes.readUInt8(this.at);
    let more = 0;
    while (more < 8 && ((first >> more) & 1) === 1) more++;
    if (this.at + 1 + more > this.#end) throw new RangeError('an event ends too early');
    let value = more < 8 ? BigInt(first) >> BigInt(more + 1) : 0n;
    for (let index = 0; index < more; index++) {
      const shift = 8 * index + (more < 8 ? 7 - more : 0);
      value |= BigInt(this.#bytes[this.at + 1 + index] as number) << BigInt(shift);
    }
    this.at += 1 + more;
    return value;
  }

  /** The sign stands in the last bit. */
  signed(): bigint {
    const value = this.unsigned();
    return (value & 1n) === 0n ? value >> 1n : -((value >> 1n) + 1n);
  }

  text(): string {
    const length = Number(this.unsigned());
    if (this.at + length > this.#end) throw new RangeError('an event ends too early');
    this.at += length;
    return this.#bytes.toString('latin1', this.at - length, this.at);
  }
}

export interface MariadbGtidEvent {
  readonly domain: number;
  readonly sequence: bigint;
  /** No transaction: one statement follows, without an end of its own. */
  readonly standalone: boolean;
  /** A transaction of two phases (XA): prepared, or ended. */
  readonly twoPhase: boolean;
  /** A definition that has yet to be carried out, or was not: the beginning, or the failure, of an ALTER that is told in two parts (`binlog_alter_two_phase`). */
  readonly isUndone: boolean;
}

export function readMariadbGtid(bytes: Buffer, at: number, end: number): MariadbGtidEvent {
  const flags = bytes.readUInt8(at + 12);
  // Behind the id of a group commit, or where zeros fill the event up.
  const extra = at + ((flags & 2) === 0 ? 13 : 21);
  return {
    sequence: bytes.readBigUInt64LE(at),
    domain: bytes.readUInt32LE(at + 8),
    standalone: (flags & 1) !== 0,
    twoPhase: (flags & 0xc0) !== 0,
    isUndone: extra < end && (bytes.readUInt8(extra) & 10) !== 0,
  };
}

/** MySQL's and MariaDB's XA PREPARE: `true` for XA COMMIT … ONE PHASE, which ends the transaction. */
export function readXaOnePhase(bytes: Buffer, at: number): boolean {
  return bytes.readUInt8(at) !== 0;
}

/** Events without changes. Those for values of a statement too: the statement itself stops the reading if it changes rows. */
export const HARMLESS: ReadonlySet<number> = new Set([
  EVENT.format,
  EVENT.stop,
  EVENT.heartbeat,
  EVENT.heartbeatV2,
  EVENT.ignorable,
  EVENT.rowsQuery,
  EVENT.transactionContext,
  EVENT.viewChange,
  EVENT.annotateRows,
  EVENT.binlogCheckpoint,
  EVENT.mariadbGtidList,
  EVENT.startEncryption,
  EVENT.intvar,
  EVENT.rand,
  EVENT.userVar,
]);
