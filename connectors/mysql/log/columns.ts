/** What a TABLE_MAP event says of each column: how its values are stored, and what they are. Decided once per version of a table. */
import type { ColumnShape, LogicalType } from '#plugin';
import type { Charset } from './charsets.ts';
import { decimalLength } from './digits.ts';
import { fractionLength } from './temporal.ts';

/** Column types in the log (manual of the server's source, `enum_field_types`). */
export const FIELD = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  null: 6,
  oldTimestamp: 7,
  longlong: 8,
  int24: 9,
  date: 10,
  oldTime: 11,
  oldDatetime: 12,
  year: 13,
  newdate: 14,
  varchar: 15,
  bit: 16,
  timestamp: 17,
  datetime: 18,
  time: 19,
  blobCompressed: 140,
  varcharCompressed: 141,
  vector: 242,
  json: 245,
  decimal: 246,
  enum: 247,
  set: 248,
  blob: 252,
  varString: 253,
  string: 254,
  geometry: 255,
} as const;

/** How a value is read: the case of the row decoder's switch. */
export const READ = {
  int8: 0,
  uint8: 1,
  int16: 2,
  uint16: 3,
  int24: 4,
  uint24: 5,
  int32: 6,
  uint32: 7,
  int64: 8,
  uint64: 9,
  float: 10,
  double: 11,
  decimal: 12,
  date: 13,
  time: 14,
  datetime: 15,
  timestamp: 16,
  year: 17,
  bits: 18,
  text: 19,
  bytes: 20,
  paddedBytes: 21,
  enum: 22,
  set: 23,
  json: 24,
  geometry: 25,
  vector: 26,
} as const;
export type Read = (typeof READ)[keyof typeof READ];

/** A column as the event describes it. */
export interface LogColumn {
  readonly name: string;
  readonly field: number;
  /** The type's own metadata: lengths, digits, bits. */
  readonly meta: number;
  readonly nullable: boolean;
  readonly unsigned: boolean;
  /** Null: bytes, or no text at all. */
  readonly charset: Charset | null;
  /** Of enum and set, in UTF-8. */
  readonly labels: readonly string[] | null;
  /** The server's number for the kind of geometry. */
  readonly geometry: number;
}

/** How a column's values are read, skipped and described. */
export interface ColumnPlan {
  readonly read: Read;
  /** Bytes of the value; 0: they are preceded by their length. */
  readonly fixed: number;
  /** Bytes of the length. */
  readonly lengthBytes: number;
  /** Digits, precision or width, by kind. */
  readonly detail: number;
  readonly scale: number;
  readonly charset: Charset | null;
  readonly labels: readonly Buffer[] | null;
  readonly shape: ColumnShape;
}

const GEOMETRIES = ['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geomcollection'];
const BLOBS = ['tinyblob', 'blob', 'mediumblob', 'longblob'];
const TEXTS = ['tinytext', 'text', 'mediumtext', 'longtext'];

type Described = Pick<ColumnShape, 'type' | 'typeName'> & Partial<Pick<ColumnShape, 'scale' | 'precision'>>;

interface Planned extends Described {
  readonly read: Read;
  readonly fixed?: number;
  readonly lengthBytes?: number;
  readonly detail?: number;
}

/** How a column is read; a text that says why it cannot be. */
export function planColumn(column: LogColumn, described: boolean): ColumnPlan | string {
  const planned = PLANNERS[column.field]?.(column) ?? `columns of the log's type ${column.field} are not known`;
  if (typeof planned === 'string') return planned;
  const { read, fixed = 0, lengthBytes = 0, detail = 0, type, typeName, scale = null, precision = null } = planned;
  const { name, charset, labels, nullable } = column;
  const facts = { required: !nullable, default: null, computed: false, labels, id: null };
  const shape: ColumnShape = { name, type, typeName, scale, precision, required: !nullable, ...(described ? { facts } : {}) };
  return { read, fixed, lengthBytes, detail, scale: scale ?? 0, charset, labels: labels?.map((label) => Buffer.from(label, 'utf8')) ?? null, shape };
}

/** An integer of so many bytes; its logical type holds every value, signed or not. */
function integer(typeName: string, fixed: number, reads: readonly [Read, Read], types: readonly [LogicalType, LogicalType]) {
  return ({ unsigned }: LogColumn): Planned => {
    const index = unsigned ? 1 : 0;
    return { read: reads[index], fixed, type: types[index], typeName: unsigned ? `${typeName} unsigned` : typeName };
  };
}

const OLD_TEMPORAL = (): string => 'it has a date or time in the storage form of servers before 5.6, of which the log does not tell the digits';
const COMPRESSED = (): string => 'it has a column that the server stores compressed (COMPRESSED)';

const PLANNERS: Readonly<Record<number, (column: LogColumn) => Planned | string>> = {
  [FIELD.tiny]: integer('tinyint', 1, [READ.int8, READ.uint8], ['int16', 'int16']),
  [FIELD.short]: integer('smallint', 2, [READ.int16, READ.uint16], ['int16', 'int32']),
  [FIELD.int24]: integer('mediumint', 3, [READ.int24, READ.uint24], ['int32', 'int32']),
  [FIELD.long]: integer('int', 4, [READ.int32, READ.uint32], ['int32', 'int64']),
  [FIELD.longlong]: integer('bigint', 8, [READ.int64, READ.uint64], ['int64', 'uint64']),
  [FIELD.float]: () => ({ read: READ.float, fixed: 4, type: 'float32', typeName: 'float' }),
  [FIELD.double]: () => ({ read: READ.double, fixed: 8, type: 'float64', typeName: 'double' }),
  [FIELD.decimal]: ({ meta, unsigned }) => {
    const precision = meta & 0xff;
    const scale = meta >> 8;
    const typeName = `decimal(${precision},${scale})${unsigned ? ' unsigned' : ''}`;
    return { read: READ.decimal, fixed: decimalLength(precision, scale), detail: precision, type: 'decimal', typeName, precision, scale };
  },
  [FIELD.date]: () => ({ read: READ.date, fixed: 3, type: 'date', typeName: 'date' }),
  [FIELD.newdate]: () => ({ read: READ.date, fixed: 3, type: 'date', typeName: 'date' }),
  [FIELD.year]: () => ({ read: READ.year, fixed: 1, type: 'year', typeName: 'year' }),
  [FIELD.time]: temporal('time', READ.time, 3, 'duration'),
  [FIELD.datetime]: temporal('datetime', READ.datetime, 5, 'timestamp'),
  [FIELD.timestamp]: temporal('timestamp', READ.timestamp, 4, 'timestamptz'),
  [FIELD.oldTimestamp]: OLD_TEMPORAL,
  [FIELD.oldTime]: OLD_TEMPORAL,
  [FIELD.oldDatetime]: OLD_TEMPORAL,
  [FIELD.blobCompressed]: COMPRESSED,
  [FIELD.varcharCompressed]: COMPRESSED,
  [FIELD.bit]: ({ meta }) => {
    const bits = (meta >> 8) * 8 + (meta & 0xff);
    return { read: READ.bits, fixed: (bits + 7) >> 3, detail: bits, type: 'bitfield', typeName: `bit(${bits})`, precision: bits };
  },
  [FIELD.enum]: ({ meta, labels }) =>
    labels === null ? 'its ENUM column came without its labels' : { read: READ.enum, fixed: meta, type: 'text', typeName: 'enum' },
  [FIELD.set]: ({ meta, labels }) =>
    labels === null ? 'its SET column came without its labels' : { read: READ.set, fixed: meta, type: 'set', typeName: 'set' },
  [FIELD.varchar]: ({ meta, charset }) => characters(charset, meta, ['varbinary', 'varchar'], false),
  [FIELD.varString]: ({ meta, charset }) => characters(charset, meta, ['varbinary', 'varchar'], false),
  [FIELD.string]: ({ meta, charset }) => characters(charset, meta, ['binary', 'char'], true),
  [FIELD.blob]: ({ meta, charset }) =>
    charset === null
      ? { read: READ.bytes, lengthBytes: meta, type: 'bytes', typeName: BLOBS[meta - 1] ?? 'blob' }
      : { read: READ.text, lengthBytes: meta, type: 'text', typeName: TEXTS[meta - 1] ?? 'text' },
  [FIELD.json]: ({ meta }) => ({ read: READ.json, lengthBytes: meta, type: 'json', typeName: 'json' }),
  [FIELD.geometry]: ({ meta, geometry }) => ({
    read: READ.geometry,
    lengthBytes: meta,
    type: 'geometry',
    typeName: GEOMETRIES[geometry] ?? 'geometry',
  }),
  [FIELD.vector]: () => 'it has a VECTOR column',
};

function temporal(name: string, read: Read, bytes: number, type: LogicalType) {
  return ({ meta }: LogColumn): Planned => ({
    read,
    fixed: bytes + fractionLength(meta),
    detail: meta,
    type,
    typeName: meta === 0 ? name : `${name}(${meta})`,
    scale: meta,
  });
}

function characters(charset: Charset | null, bytes: number, [binary, text]: readonly [string, string], isFixed: boolean): Planned {
  const lengthBytes = bytes > 255 ? 2 : 1;
  if (charset !== null) {
    const length = Math.floor(bytes / charset.width);
    return { read: READ.text, lengthBytes, type: 'text', typeName: `${text}(${length})`, precision: length };
  }
  // The log leaves out the zeros at the end of BINARY, which are part of the value.
  const read = isFixed ? READ.paddedBytes : READ.bytes;
  return { read, lengthBytes, detail: bytes, type: 'bytes', typeName: `${binary}(${bytes})`, precision: bytes };
}
