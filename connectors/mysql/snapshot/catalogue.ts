/** Columns of a table as the catalogue has them, described as the log's TABLE_MAP describes them: rows that are copied then have the same version of their table (I11). */
import { type ColumnShape, SluiceError } from '#plugin';
import type { Charsets } from '../charset-tables.ts';
import type { Client } from '../client.ts';
import { type ColumnPlan, FIELD, type LogColumn, planColumn } from '../log/columns.ts';
import type { System } from '../log/position.ts';
import { columnNotCopied, tableGone, tableNotCopied } from './errors.ts';

export interface TableName {
  readonly database: string;
  readonly name: string;
  /** `database.table`. */
  readonly label: string;
}

export interface CatalogueTable {
  readonly plans: readonly ColumnPlan[];
  /** Collation of each column that is text; null: it is none. */
  readonly nullable: readonly boolean[];
  /** Indexes of the primary key's columns, in its order. */
  readonly key: readonly number[];
  /** −1: not known. */
  readonly estimatedRows: number;
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  /** With lengths, labels and attributes. */
  readonly declared: string;
  readonly nullable: string;
  readonly digits: string | null;
  readonly scale: string | null;
  readonly fraction: string | null;
  readonly bytes: string | null;
  readonly charset: string | null;
}

const COLUMNS = `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS declared, IS_NULLABLE AS nullable, CAST(NUMERIC_PRECISION AS CHAR) AS digits,
    CAST(NUMERIC_SCALE AS CHAR) AS scale, CAST(DATETIME_PRECISION AS CHAR) AS fraction, CAST(CHARACTER_OCTET_LENGTH AS CHAR) AS bytes, CHARACTER_SET_NAME AS charset
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
// The log tells the primary key and no other.
const KEY = `SELECT COLUMN_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX`;
const TABLE = `SELECT ENGINE AS engine, TABLE_TYPE AS kind, CAST(TABLE_ROWS AS CHAR) AS estimate FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`;

export interface ReadCatalogueOptions {
  readonly connector: string;
  readonly system: System;
  readonly charsets: Charsets;
  /** Formats write schemas: facts of the columns are part of a version. */
  readonly described: boolean;
  /** False: nothing but what the log would tell of it is wanted. */
  readonly isCopied: boolean;
}

/** The table must be locked against changes of its definition. Throws a SluiceError of the table. */
export async function readCatalogue(client: Client, { database, name, label }: TableName, options: ReadCatalogueOptions): Promise<CatalogueTable> {
  const ask = <T extends object>(sql: string): Promise<T[]> => client.rows<T>(`the definition of ${label}`, sql, [database, name]);
  const [table] = await ask<{ engine: string | null; kind: string; estimate: string | null }>(TABLE);
  const { connector } = options;
  if (table === undefined) throw new SluiceError(tableGone, { table: label, detail: 'there is no such table', connector }, { table: label });
  const refused = refusalOf(table);
  if (options.isCopied && refused !== null) throw new SluiceError(tableNotCopied, { table: label, detail: refused }, { table: label });
  const rows = await ask<ColumnRow>(COLUMNS);
  const plans: ColumnPlan[] = [];
  for (const row of rows) {
    const column = await logColumn(client, row, options, label);
    const plan = typeof column === 'string' ? column : planColumn(column, options.described);
    if (typeof plan === 'string') throw new SluiceError(columnNotCopied, { table: label, column: row.name, why: plan }, { table: label });
    plans.push(plan);
  }
  const key = await ask<{ name: string }>(KEY);
  return {
    plans,
    nullable: rows.map(({ nullable }) => nullable === 'YES'),
    key: key.map((part) => rows.findIndex((row) => row.name === part.name)),
    estimatedRows: table.estimate === null ? -1 : Number(table.estimate),
  };
}

/** Null: its rows can be copied. */
function refusalOf({ engine, kind }: { readonly engine: string | null; readonly kind: string }): string | null {
  if (kind === 'SYSTEM VERSIONED') return 'it has the history of its rows in it (WITH SYSTEM VERSIONING)';
  if (kind !== 'BASE TABLE') return `it is a ${kind.toLowerCase()}`;
  return engine?.toLowerCase() === 'innodb' ? null : `its engine ${engine ?? 'unknown'} cannot show it as it stood at one moment (only InnoDB can)`;
}

const INTEGERS: Readonly<Record<string, number>> = {
  tinyint: FIELD.tiny,
  smallint: FIELD.short,
  mediumint: FIELD.int24,
  int: FIELD.long,
  bigint: FIELD.longlong,
  float: FIELD.float,
  double: FIELD.double,
  year: FIELD.year,
  date: FIELD.date,
};
const TEMPORAL: Readonly<Record<string, number>> = { time: FIELD.time, datetime: FIELD.datetime, timestamp: FIELD.timestamp };
/** Bytes of the length of a value. */
const LENGTHS: Readonly<Record<string, number>> = { tiny: 1, '': 2, medium: 3, long: 4 };
/** By the server's number. */
const GEOMETRIES = ['geometry', 'point', 'linestring', 'polygon', 'multipoint', 'multilinestring', 'multipolygon', 'geomcollection'];

/** Why it cannot be copied, as text. Throws a SluiceError where its characters cannot be known. */
async function logColumn(client: Client, row: ColumnRow, { charsets }: ReadCatalogueOptions, label: string): Promise<LogColumn | string> {
  const type = row.type.toLowerCase();
  const storage = storageOf(type, row);
  if (typeof storage === 'string') return storage;
  const isLabelled = storage.field === FIELD.enum || storage.field === FIELD.set;
  return {
    name: row.name,
    nullable: row.nullable === 'YES',
    unsigned: /\bunsigned\b/i.test(row.declared),
    charset: row.charset === null ? null : await charsets.named(client, row.charset, label),
    labels: isLabelled ? labelsOf(row.declared) : null,
    geometry: storage.field === FIELD.geometry ? GEOMETRIES.indexOf(type.replace('geometrycollection', 'geomcollection')) : 0,
    ...storage,
  };
}

/** How the log stores its values, as far as their form depends on it; a text: it is not copied. */
function storageOf(type: string, { declared, digits, scale, fraction, bytes }: ColumnRow): Pick<LogColumn, 'field' | 'meta'> | string {
  if (/mariadb-5\.3/.test(declared)) return 'its values are in the storage form of servers before 5.6';
  if (/\bcompressed\b/i.test(declared)) return 'it has a column that the server stores compressed (COMPRESSED)';
  if (/^year\(2\)/i.test(declared)) return 'of a YEAR(2) the century cannot be told';
  const field = INTEGERS[type];
  if (field !== undefined) return { field, meta: 0 };
  const temporal = TEMPORAL[type];
  if (temporal !== undefined) return { field: temporal, meta: Number(fraction ?? 0) };
  const long = /^(tiny|medium|long|)(?:text|blob)$/.exec(type)?.[1];
  if (long !== undefined) return { field: FIELD.blob, meta: LENGTHS[long] as number };
  switch (type) {
    case 'decimal':
      return { field: FIELD.decimal, meta: Number(scale) * 256 + Number(digits) };
    case 'bit':
      return { field: FIELD.bit, meta: (Number(digits) >> 3) * 256 + (Number(digits) & 7) };
    case 'char':
    case 'binary':
      return { field: FIELD.string, meta: Number(bytes) };
    case 'varchar':
    case 'varbinary':
      return { field: FIELD.varchar, meta: Number(bytes) };
    case 'enum':
      return { field: FIELD.enum, meta: 2 };
    case 'set':
      return { field: FIELD.set, meta: 8 };
    case 'json':
      return { field: FIELD.json, meta: 4 };
  }
  if (GEOMETRIES.includes(type) || type === 'geometrycollection') return { field: FIELD.geometry, meta: 4 };
  return `columns of type ${type} are not copied`;
}

/** `enum('a','it''s')`: the labels between the quotes. */
export function labelsOf(declared: string): string[] {
  return [...declared.matchAll(/'((?:[^']|'')*)'/g)].map(([, label]) => (label as string).replaceAll("''", "'"));
}

/** Text of a value as the server is asked for it, so that nothing of it is lost. `quoted`: the column's name. */
export function selected(quoted: string, { type }: ColumnShape): string {
  // The text of a FLOAT is rounded, that of a DOUBLE(10,2) has so many digits: as a plain double they are whole, and a negative zero stays one.
  return type === 'float32' || type === 'float64' ? `${quoted} - 0e0` : quoted;
}
