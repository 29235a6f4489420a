/** Events of a binary log as bytes, by other means than those that read them (source of the servers, `log_event.h`). Little-endian. */
import { crc32 } from 'node:zlib';
import { EVENT, FLAG_ARTIFICIAL } from '../../../connectors/mysql/log/events.ts';

const HEADER = 19;
const CHECKSUM = 4;
const EVENTS_HEADERS = 42;

export interface Head {
  readonly type: number;
  readonly seconds: number;
  readonly serverId: number;
  readonly flags?: number;
}

/** An event whose place in the log is not known yet. */
export function event({ type, seconds, serverId, flags = 0 }: Head, body: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER + body.length + CHECKSUM);
  bytes.writeUInt32LE(seconds, 0);
  bytes[4] = type;
  bytes.writeUInt32LE(serverId, 5);
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt16LE(flags, 17);
  body.copy(bytes, HEADER);
  return placed(bytes, 0);
}

/** Where the event ends in its file; 0: it is not told. */
export function placed(bytes: Buffer, end: number): Buffer {
  bytes.writeUInt32LE(end, 13);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, bytes.length - CHECKSUM)), bytes.length - CHECKSUM);
  return bytes;
}

/** What the server makes up for a reader. */
export function artificial(type: number, body: Buffer, end = 0): Buffer {
  return placed(event({ type, seconds: 0, serverId: 1, flags: FLAG_ARTIFICIAL }, body), end);
}

export function packed(value: number): Buffer {
  if (value < 0xfb) return Buffer.from([value]);
  const bytes = Buffer.from([0xfc, 0, 0]);
  bytes.writeUInt16LE(value, 1);
  return bytes;
}

export function uint(value: number | bigint, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value));
  else buffer.writeUIntLE(Number(value), 0, bytes);
  return buffer;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([packed(bytes.length), bytes]);
}

export function formatBody(): Buffer {
  const version = Buffer.alloc(50);
  version.write('9.7.4-simulated');
  return Buffer.concat([uint(4, 2), version, uint(0, 4), Buffer.from([HEADER]), Buffer.alloc(EVENTS_HEADERS, 8), Buffer.from([1])]);
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** @param text as the servers write a set: `uuid:1-5:7,…` */
export function previousGtidsBody(set: string): Buffer {
  const parts = set === '' ? [] : set.split(',');
  return Buffer.concat([
    uint(parts.length, 8),
    ...parts.flatMap((part) => {
      const [uuid = '', ...intervals] = part.split(':');
      const bounds = intervals.map((interval) => interval.split('-').map(Number));
      return [uuidBytes(uuid), uint(bounds.length, 8), ...bounds.flatMap(([first = 0, last = first]) => [uint(first, 8), uint(last + 1, 8)])];
    }),
  ]);
}

/** @param gtids `0-1-5`, one for each domain and server */
export function gtidListBody(gtids: readonly string[]): Buffer {
  const entries = gtids.map((gtid) => {
    const [domain, server, sequence] = gtid.split('-').map(Number) as [number, number, number];
    return Buffer.concat([uint(domain, 4), uint(server, 4), uint(sequence, 8)]);
  });
  return Buffer.concat([uint(gtids.length, 4), ...entries]);
}

/** @param gtid null: an anonymous one */
export function gtidBody(gtid: string | null, sequence: number, micros: number): Buffer {
  const [uuid = '', number = '0'] = gtid?.split(':') ?? [];
  return Buffer.concat([
    Buffer.from([1]),
    gtid === null ? Buffer.alloc(16) : uuidBytes(uuid),
    uint(BigInt(number), 8),
    Buffer.from([2]),
    uint(sequence - 1, 8),
    uint(sequence, 8),
    uint(BigInt(micros), 8).subarray(0, 7),
    packed(200),
    uint(90_704, 4),
  ]);
}

export function mariadbGtidBody(gtid: string, standalone: boolean): Buffer {
  const [domain = 0, , sequence = 0] = gtid.split('-').map(Number);
  return Buffer.concat([uint(sequence, 8), uint(domain, 4), Buffer.from([standalone ? 1 : 0x0c]), Buffer.alloc(6)]);
}

/** The session's character set is utf8mb4. */
export function queryBody(database: string, sql: string): Buffer {
  const variables = Buffer.concat([
    Buffer.from([0]),
    uint(0, 4),
    Buffer.from([1]),
    uint(0, 8),
    Buffer.from([4]),
    uint(255, 2),
    uint(255, 2),
    uint(255, 2),
  ]);
  return Buffer.concat([
    uint(7, 4),
    uint(0, 4),
    Buffer.from([Buffer.byteLength(database)]),
    uint(0, 2),
    uint(variables.length, 2),
    variables,
    Buffer.from(`${database}\0${sql}`),
  ]);
}

export function rotateBody(file: string, pos: number): Buffer {
  return Buffer.concat([uint(pos, 8), Buffer.from(file)]);
}

/** Behind a row query's first byte, a length that is not read. */
export function rowsQueryBody(sql: string, mariadb: boolean): Buffer {
  return Buffer.concat([Buffer.from(mariadb ? [] : [Buffer.byteLength(sql) & 0xff]), Buffer.from(sql)]);
}

/** A column of an INT, or of a VARCHAR in a character set of this collation. */
export interface TableColumn {
  readonly name: string;
  readonly collation: number | null;
}

const INT = 3;
const VARCHAR = 15;
const VARCHAR_BYTES = 1020;

export function tableMapBody(id: number, database: string, name: string, columns: readonly TableColumn[], key: readonly number[]): Buffer {
  const isText = columns.map(({ collation }) => collation !== null);
  const collations = columns.flatMap(({ collation }) => (collation === null ? [] : [collation]));
  const numbers = isText.filter((each) => !each).length;
  const [most = 255] = collations;
  const exceptions = collations.flatMap((collation, index) => (collation === most ? [] : [packed(index), packed(collation)]));
  const metadata = [
    [1, Buffer.alloc((numbers + 7) >> 3)],
    [2, Buffer.concat([packed(most), ...exceptions])],
    [4, Buffer.concat(columns.map((column) => text(column.name)))],
    ...(key.length === 0 ? [] : [[8, Buffer.concat(key.map(packed))] as const]),
  ] as const;
  const types = Buffer.from(isText.map((each) => (each ? VARCHAR : INT)));
  const lengths = Buffer.concat(isText.flatMap((each) => (each ? [uint(VARCHAR_BYTES, 2)] : [])));
  return Buffer.concat([
    uint(id, 6),
    uint(1, 2),
    text(database),
    Buffer.from([0]),
    text(name),
    Buffer.from([0]),
    packed(columns.length),
    types,
    packed(lengths.length),
    lengths,
    Buffer.alloc((columns.length + 7) >> 3),
    ...metadata.flatMap(([type, value]) => [Buffer.from([type]), packed(value.length), value]),
  ]);
}

export type RowOp = 'create' | 'update' | 'delete';

const ROWS = {
  mysql: { create: EVENT.writeRows, update: EVENT.updateRows, delete: EVENT.deleteRows },
  mariadb: { create: EVENT.writeRowsV1, update: EVENT.updateRowsV1, delete: EVENT.deleteRowsV1 },
} as const;

export function rowsType(op: RowOp, mariadb: boolean): number {
  return ROWS[mariadb ? 'mariadb' : 'mysql'][op];
}

/** @param images of an update two for each row */
export function rowsBody(
  id: number,
  op: RowOp,
  columns: number,
  images: readonly Buffer[],
  { mariadb, ends }: { mariadb: boolean; ends: boolean },
): Buffer {
  const bitmap = Buffer.alloc((columns + 7) >> 3, 0xff);
  return Buffer.concat([
    uint(id, 6),
    uint(ends ? 1 : 0, 2),
    ...(mariadb ? [] : [uint(2, 2)]),
    packed(columns),
    bitmap,
    ...(op === 'update' ? [bitmap] : []),
    ...images,
  ]);
}

/** One image, of all columns. */
export function image(columns: readonly TableColumn[], cells: readonly string[]): Buffer {
  return Buffer.concat([
    Buffer.alloc((columns.length + 7) >> 3),
    ...columns.map(({ collation }, index) => {
      const cell = cells[index] as string;
      if (collation !== null) return Buffer.concat([uint(Buffer.byteLength(cell), 2), Buffer.from(cell)]);
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(Number(cell));
      return bytes;
    }),
  ]);
}
