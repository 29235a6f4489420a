/** TABLE_MAP events with full metadata (`binlog_row_metadata=FULL`): all that is ever known of a table comes from them, never from today's catalogue. */

import { type Charset, writeText } from './charsets.ts';
import { FIELD, type LogColumn } from './columns.ts';
import { readPackedInteger } from './packed.ts';

export interface TableMap {
  readonly database: string;
  readonly name: string;
  readonly columns: readonly LogColumn[];
  /** Indexes of the primary key's columns, in its order; empty = none. */
  readonly key: readonly number[];
}

/** The metadata is not that of `binlog_row_metadata=FULL`. */
export class MetadataMissing extends Error {
  override readonly name = 'MetadataMissing';
}

/** What a collation number stands for: a character set, `null` = bytes; undefined = not known yet (its characters must be asked for first). */
export type CharsetOf = (collation: number) => Charset | null | undefined;

/** Optional metadata fields (server's source, `Table_map_event::Optional_metadata_field_type`). */
const META = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setLabels: 5,
  enumLabels: 6,
  geometryType: 7,
  simpleKey: 8,
  prefixKey: 9,
  enumSetDefaultCharset: 10,
  enumSetColumnCharset: 11,
} as const;

const NUMERIC: ReadonlySet<number> = new Set([
  FIELD.tiny,
  FIELD.short,
  FIELD.int24,
  FIELD.long,
  FIELD.longlong,
  FIELD.decimal,
  FIELD.float,
  FIELD.double,
  FIELD.year,
]);
const CHARACTER: ReadonlySet<number> = new Set([
  FIELD.varchar,
  FIELD.varString,
  FIELD.string,
  FIELD.blob,
  FIELD.blobCompressed,
  FIELD.varcharCompressed,
]);

export interface Names {
  readonly database: string;
  readonly name: string;
  /** Where they end. */
  readonly end: number;
}

/** Database and table of the event, whose body begins at `at` behind the table's number and flags. */
export function readNames(bytes: Buffer, at: number): Names {
  const databaseLength = bytes.readUInt8(at);
  const nameAt = at + databaseLength + 2;
  const nameLength = bytes.readUInt8(nameAt);
  const end = nameAt + nameLength + 2;
  return { database: bytes.toString('utf8', at + 1, nameAt - 1), name: bytes.toString('utf8', nameAt + 1, end - 1), end };
}

/**
 * Reads the event's body from `at` (behind the names) to `end`. Throws MetadataMissing, UnknownCollation.
 * @param geometryHasCharset MariaDB counts geometries among the columns that have a character set
 */
export function readTableMap(bytes: Buffer, names: Names, end: number, charsetOf: CharsetOf, geometryHasCharset: boolean): TableMap {
  const count = readPackedInteger(bytes, names.end);
  const fields = Array.from(bytes.subarray(count.end, count.end + count.value));
  const metaLength = readPackedInteger(bytes, count.end + count.value);
  const metas = readFieldMetadata(bytes, metaLength.end, fields);
  const nulls = metaLength.end + metaLength.value;
  const optional = readOptional(bytes, nulls + ((count.value + 7) >> 3), end);
  const found = optional.get(META.columnName);
  if (found === undefined) throw new MetadataMissing();
  const columnNames = readStrings(found);
  if (columnNames.length !== count.value) throw new MetadataMissing();
  const unsigned = readSignedness(optional.get(META.signedness), fields);
  const isCharacter = (field: number): boolean => CHARACTER.has(field) || (geometryHasCharset && field === FIELD.geometry);
  const collations = readCollations(optional, META.defaultCharset, META.columnCharset, fields, isCharacter);
  const labelCollations = readCollations(optional, META.enumSetDefaultCharset, META.enumSetColumnCharset, fields, isLabelled);
  const enums = readLabelLists(optional.get(META.enumLabels));
  const sets = readLabelLists(optional.get(META.setLabels));
  const geometries = readIntegers(optional.get(META.geometryType));
  const columns = fields.map((field, index): LogColumn => {
    const collation = collations[index] ?? labelCollations[index];
    const labels = field === FIELD.enum ? enums.shift() : field === FIELD.set ? sets.shift() : undefined;
    const charset = collation === undefined || field === FIELD.geometry ? null : charsetFor(charsetOf, collation);
    return {
      name: (columnNames[index] as Buffer).toString('utf8'),
      field,
      meta: metas[index] as number,
      nullable: (((bytes[nulls + (index >> 3)] as number) >> (index & 7)) & 1) === 1,
      unsigned: unsigned[index] as boolean,
      charset,
      labels: labels?.map((label) => labelText(label, charset)) ?? null,
      geometry: field === FIELD.geometry ? (geometries.shift() ?? 0) : 0,
    };
  });
  return { database: names.database, name: names.name, columns, key: readKey(optional) };
}

/** What the decoder must be told before it can read an event: the same event is then given again. */
export abstract class Question extends Error {
  override readonly name = 'Question';
}

/** A definition has to be looked up in the catalogue before anything behind it is read. */
export class CatalogueChanged extends Question {}

/** The log has said that a captured table was emptied, and nothing else of it so far: what columns it has the catalogue knows, if it is still there. */
export class UnknownTable extends Question {
  readonly database: string;
  readonly table: string;

  constructor(database: string, table: string) {
    super(`table ${database}.${table}`);
    this.database = database;
    this.table = table;
  }
}

/** A collation whose characters are not known yet. */
export class UnknownCollation extends Question {
  readonly collation: number;

  constructor(collation: number) {
    super(`collation ${collation}`);
    this.collation = collation;
  }
}

/** A table of MariaDB with columns that are BINARY, or of a type that looks so in the log. */
export class UnknownBinaries extends Question {
  readonly database: string;
  readonly table: string;
  readonly columns: readonly string[];

  constructor(database: string, table: string, columns: readonly string[]) {
    super(`binary columns of ${database}.${table}`);
    this.database = database;
    this.table = table;
    this.columns = columns;
  }

  /** By which the answer is known again. */
  get key(): string {
    return JSON.stringify([this.database, this.table, this.columns]);
  }
}

/** Throws UnknownCollation. */
export function charsetFor(charsetOf: CharsetOf, collation: number): Charset | null {
  const charset = charsetOf(collation);
  if (charset === undefined) throw new UnknownCollation(collation);
  return charset;
}

/** Labels of a binary ENUM stay bytes; they are written as UTF-8 text all the same, which is what ENUM is declared in. */
function labelText(label: Buffer, charset: Charset | null): string {
  if (charset === null) return label.toString('utf8');
  const to = Buffer.alloc(4 * label.length + 4);
  const end = writeText(to, 0, label, 0, label.length, charset);
  if (end < 0) throw new RangeError('a label has a character that Unicode does not have');
  return to.toString('utf8', 0, end);
}

function isLabelled(field: number): boolean {
  return field === FIELD.enum || field === FIELD.set;
}

/** The types' own metadata as one number each; ENUM and SET, which hide behind STRING, are put in their place in `fields`. */
function readFieldMetadata(bytes: Buffer, start: number, fields: number[]): number[] {
  let at = start;
  return fields.map((field, index) => {
    switch (field) {
      case FIELD.float:
      case FIELD.double:
      case FIELD.blob:
      case FIELD.blobCompressed:
      case FIELD.geometry:
      case FIELD.json:
      case FIELD.vector:
      case FIELD.timestamp:
      case FIELD.datetime:
      case FIELD.time:
        return bytes.readUInt8(at++);
      case FIELD.varchar:
      case FIELD.varcharCompressed:
      case FIELD.bit:
      case FIELD.decimal:
        at += 2;
        return bytes.readUInt16LE(at - 2);
      case FIELD.string:
      case FIELD.varString:
      case FIELD.enum:
      case FIELD.set: {
        const real = bytes.readUInt8(at);
        const length = bytes.readUInt8(at + 1);
        at += 2;
        if (isLabelled(real)) {
          fields[index] = real;
          return length;
        }
        // Lengths above 255 keep their upper two bits, inverted, inside the type.
        return ((((real << 4) & 0x300) ^ 0x300) | length) & 0x3ff;
      }
      default:
        return 0;
    }
  });
}

function readOptional(bytes: Buffer, start: number, end: number): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>();
  for (let at = start; at < end; ) {
    const type = bytes.readUInt8(at);
    const length = readPackedInteger(bytes, at + 1);
    at = length.end + length.value;
    if (at > end) throw new MetadataMissing();
    fields.set(type, bytes.subarray(length.end, at));
  }
  return fields;
}

/** One bit for each numeric column, the most significant first: 1 = unsigned. */
function readSignedness(bits: Buffer | undefined, fields: readonly number[]): boolean[] {
  let numeric = 0;
  return fields.map((field) => {
    if (!NUMERIC.has(field)) return false;
    const at = numeric++;
    return (((bits?.[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) === 1;
  });
}

/** Per column: its collation. Either one for all with a list of exceptions, or one for each. */
function readCollations(
  optional: ReadonlyMap<number, Buffer>,
  byDefault: number,
  byColumn: number,
  fields: readonly number[],
  takesPart: (field: number) => boolean,
): (number | undefined)[] {
  const exceptions = readIntegers(optional.get(byDefault));
  const all = readIntegers(optional.get(byColumn));
  const others = new Map<number, number>();
  for (let index = 1; index + 1 < exceptions.length; index += 2) others.set(exceptions[index] as number, exceptions[index + 1] as number);
  let position = 0;
  return fields.map((field) => {
    if (!takesPart(field)) return undefined;
    const at = position++;
    const collation = exceptions.length > 0 ? (others.get(at) ?? exceptions[0]) : all[at];
    if (collation === undefined) throw new MetadataMissing();
    return collation;
  });
}

function readIntegers(bytes: Buffer | undefined): number[] {
  const values: number[] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const { value, end } = readPackedInteger(bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}

function readStrings(bytes: Buffer): Buffer[] {
  const texts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = readPackedInteger(bytes, at);
    at = end + value;
    texts.push(bytes.subarray(end, at));
  }
  return texts;
}

/** Lists of labels, one for each column that has some: their number, then the labels. */
function readLabelLists(bytes: Buffer | undefined): Buffer[][] {
  const lists: Buffer[][] = [];
  for (let at = 0; bytes !== undefined && at < bytes.length; ) {
    const count = readPackedInteger(bytes, at);
    at = count.end;
    const labels: Buffer[] = [];
    for (let index = 0; index < count.value; index++) {
      const { value, end } = readPackedInteger(bytes, at);
      at = end + value;
      labels.push(bytes.subarray(end, at));
    }
    lists.push(labels);
  }
  return lists;
}

/** A key over prefixes of columns names each column with the prefix' length. */
function readKey(optional: ReadonlyMap<number, Buffer>): number[] {
  const simple = optional.get(META.simpleKey);
  if (simple !== undefined) return readIntegers(simple);
  return readIntegers(optional.get(META.prefixKey)).filter((_, index) => index % 2 === 0);
}
