/**
 * What each PostgreSQL type is to Sluice: its logical type (the cell form of `record/types.ts`), its declared precision and scale, and how the
 * server's text is brought into the cell form. One table for all roads (log, COPY, trigger, polling), so that I11 is a property of it.
 *
 * The text is what the server prints under the session settings of `SESSION_SETTINGS`.
 */
import type { ColumnShape, LogicalType } from '#plugin';
import { sourceTypeOf, unboundedType } from './source-type.ts';

/**
 * Settings that every session must have for the text forms below; they are sent as the start-up parameter `options`, which ranks above
 * `ALTER ROLE … SET` and `ALTER DATABASE … SET` (PostgreSQL manual, 20.1.3).
 *
 * `IntervalStyle` stays `postgres`, the style under which Debezium sees intervals inside arrays, composites and ranges, which it passes on as
 * text. `extra_float_digits` above 0 gives the shortest text that reads back exactly (manual, 20.11.2). `lc_monetary` C prints money as
 * `-$1,234.56` whatever the server's locale; whether that is the amount that was meant, `money.ts` looks.
 */
export const SESSION_SETTINGS = {
  DateStyle: 'ISO, YMD',
  TimeZone: 'UTC',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
} as const;

/** How a value's text becomes its cell (`log/cells.ts`); 0 = the text is the cell. */
/** Of arrays whose elements have a form: `ARRAY_OF` and theirs. */
export const NORMALISE = { none: 0, bytea: 1, date: 2, timestamp: 3, timestamptz: 4, money: 5 } as const;
/** Added to the form of an array's elements. */
export const ARRAY_OF = 16;
export type Normalise = number;

/** How the type modifier is read (`format_type` in the server's sources): the digits it declares. */
type Modifier = 'none' | 'length' | 'bits' | 'numeric' | 'fraction' | 'interval';

interface BuiltIn {
  /** Name in pg_type. */
  readonly name: string;
  /** Name in SQL, `format_type`'s. */
  readonly sql: string;
  readonly type: LogicalType;
  readonly modifier: Modifier;
  readonly normalise: Normalise;
}

/** A type that is not built in, as the catalogue has it. */
export interface CustomType {
  readonly name: string;
  /** Domain: the type it is over; 0 = none. */
  readonly baseOid: number;
  /** Domain: the type modifier it declares for its base type; −1 = none. */
  readonly typmod: number;
  readonly kind: 'enum' | 'domain' | 'composite' | 'range' | 'array' | 'base';
  /** Array: the type of its elements; 0 = it is none. */
  readonly elementOid?: number;
  /** Enum: its labels in their order. */
  readonly labels?: readonly string[] | null;
}

/** Everything that a column's type decides. */
export interface ColumnType extends Omit<ColumnShape, 'name' | 'facts'> {
  readonly normalise: Normalise;
  /** Labels, of an enum or an array of one. */
  readonly labels?: readonly string[];
}

const BY_OID = new Map<number, BuiltIn>();
const BY_NAME = new Map<string, number>();

function scalar(
  oid: number,
  array: number,
  name: string,
  sql: string,
  type: LogicalType,
  modifier: Modifier = 'none',
  normalise: Normalise = NORMALISE.none,
): void {
  BY_OID.set(oid, { name, sql, type, modifier, normalise });
  BY_NAME.set(name, oid);
  if (array === 0) return;
  BY_NAME.set(`_${name}`, array);
  ARRAYS.set(array, oid);
}

/** Types of arrays, and of their elements. */
const ARRAYS = new Map<number, number>();

/** Type money and arrays of it. */
export const MONEY_OIDS: ReadonlySet<number> = new Set([790, 791]);

// OIDs of pg_type.dat; fixed for ever by the server's compatibility rules.
scalar(16, 1000, 'bool', 'boolean', 'boolean');
scalar(17, 1001, 'bytea', 'bytea', 'bytes', 'none', NORMALISE.bytea);
scalar(18, 1002, 'char', '"char"', 'text');
scalar(19, 1003, 'name', 'name', 'text');
scalar(20, 1016, 'int8', 'bigint', 'int64');
scalar(21, 1005, 'int2', 'smallint', 'int16');
scalar(22, 1006, 'int2vector', 'int2vector', 'other');
scalar(23, 1007, 'int4', 'integer', 'int32');
scalar(24, 1008, 'regproc', 'regproc', 'other');
scalar(25, 1009, 'text', 'text', 'text');
scalar(26, 1028, 'oid', 'oid', 'int64');
scalar(27, 1010, 'tid', 'tid', 'other');
scalar(28, 1011, 'xid', 'xid', 'other');
scalar(29, 1012, 'cid', 'cid', 'other');
scalar(30, 1013, 'oidvector', 'oidvector', 'other');
scalar(114, 199, 'json', 'json', 'json');
scalar(142, 143, 'xml', 'xml', 'xml');
scalar(600, 1017, 'point', 'point', 'point');
scalar(601, 1018, 'lseg', 'lseg', 'other');
scalar(602, 1019, 'path', 'path', 'other');
scalar(603, 1020, 'box', 'box', 'other');
scalar(604, 1027, 'polygon', 'polygon', 'other');
scalar(628, 629, 'line', 'line', 'other');
scalar(650, 651, 'cidr', 'cidr', 'other');
scalar(700, 1021, 'float4', 'real', 'float32');
scalar(701, 1022, 'float8', 'double precision', 'float64');
scalar(718, 719, 'circle', 'circle', 'other');
scalar(774, 775, 'macaddr8', 'macaddr8', 'other');
scalar(790, 791, 'money', 'money', 'decimal', 'none', NORMALISE.money);
scalar(829, 1040, 'macaddr', 'macaddr', 'other');
scalar(869, 1041, 'inet', 'inet', 'other');
scalar(1033, 1034, 'aclitem', 'aclitem', 'other');
scalar(1042, 1014, 'bpchar', 'character', 'text', 'length');
scalar(1043, 1015, 'varchar', 'character varying', 'text', 'length');
scalar(1082, 1182, 'date', 'date', 'date', 'none', NORMALISE.date);
scalar(1083, 1183, 'time', 'time without time zone', 'time', 'fraction');
scalar(1114, 1115, 'timestamp', 'timestamp without time zone', 'timestamp', 'fraction', NORMALISE.timestamp);
scalar(1184, 1185, 'timestamptz', 'timestamp with time zone', 'timestamptz', 'fraction', NORMALISE.timestamptz);
scalar(1186, 1187, 'interval', 'interval', 'interval', 'interval');
scalar(1266, 1270, 'timetz', 'time with time zone', 'timetz', 'fraction');
scalar(1560, 1561, 'bit', 'bit', 'bits', 'bits');
scalar(1562, 1563, 'varbit', 'bit varying', 'bits', 'bits');
scalar(1700, 1231, 'numeric', 'numeric', 'decimal', 'numeric');
scalar(1790, 2201, 'refcursor', 'refcursor', 'other');
scalar(2202, 2207, 'regprocedure', 'regprocedure', 'other');
scalar(2203, 2208, 'regoper', 'regoper', 'other');
scalar(2204, 2209, 'regoperator', 'regoperator', 'other');
scalar(2205, 2210, 'regclass', 'regclass', 'other');
scalar(2206, 2211, 'regtype', 'regtype', 'other');
scalar(2950, 2951, 'uuid', 'uuid', 'uuid');
scalar(2970, 2949, 'txid_snapshot', 'txid_snapshot', 'other');
scalar(3220, 3221, 'pg_lsn', 'pg_lsn', 'other');
scalar(3614, 3643, 'tsvector', 'tsvector', 'other');
scalar(3615, 3645, 'tsquery', 'tsquery', 'other');
scalar(3642, 3644, 'gtsvector', 'gtsvector', 'other');
scalar(3734, 3735, 'regconfig', 'regconfig', 'other');
scalar(3769, 3770, 'regdictionary', 'regdictionary', 'other');
scalar(3802, 3807, 'jsonb', 'jsonb', 'json');
scalar(3904, 3905, 'int4range', 'int4range', 'other');
scalar(3906, 3907, 'numrange', 'numrange', 'other');
scalar(3908, 3909, 'tsrange', 'tsrange', 'other');
scalar(3910, 3911, 'tstzrange', 'tstzrange', 'other');
scalar(3912, 3913, 'daterange', 'daterange', 'other');
scalar(3926, 3927, 'int8range', 'int8range', 'other');
scalar(4072, 4073, 'jsonpath', 'jsonpath', 'other');
scalar(4089, 4090, 'regnamespace', 'regnamespace', 'other');
scalar(4096, 4097, 'regrole', 'regrole', 'other');
scalar(4191, 4192, 'regcollation', 'regcollation', 'other');
scalar(4451, 6150, 'int4multirange', 'int4multirange', 'other');
scalar(4532, 6151, 'nummultirange', 'nummultirange', 'other');
scalar(4533, 6152, 'tsmultirange', 'tsmultirange', 'other');
scalar(4534, 6153, 'tstzmultirange', 'tstzmultirange', 'other');
scalar(4535, 6155, 'datemultirange', 'datemultirange', 'other');
scalar(4536, 6157, 'int8multirange', 'int8multirange', 'other');
scalar(5038, 5039, 'pg_snapshot', 'pg_snapshot', 'other');
scalar(5069, 271, 'xid8', 'xid8', 'other');

/** OIDs from here on are given out at run time, and pgoutput sends a Type message for them (`FirstGenbkiObjectId` in the server's sources). */
export const FIRST_CUSTOM_OID = 10000;

/** OID of a built-in type by its name in pg_type; undefined = there is none. */
export function builtInOid(name: string): number | undefined {
  return BY_NAME.get(name);
}

/** The type of a column, or null if it is not built in. `typmod` as in pg_attribute.atttypmod; −1 = none. */
export function builtInType(oid: number, typmod: number): ColumnType | null {
  const elementOid = ARRAYS.get(oid);
  if (elementOid !== undefined) return arrayOf(builtInType(elementOid, typmod) as ColumnType, `_${BY_OID.get(elementOid)?.name}`);
  const found = BY_OID.get(oid);
  if (found === undefined) return null;
  const declared = readModifier(found.modifier, typmod);
  const typeName =
    found.modifier === 'length' && typmod < 0 && found.name.endsWith('bpchar') ? 'bpchar' : spell(found.sql, found.modifier, declared, typmod);
  const scale = found.normalise === NORMALISE.money ? 2 : declared.scale;
  const sourceType = sourceTypeOf(found.name, typmod, declared);
  return { type: found.type, typeName, precision: declared.precision, scale, normalise: found.normalise, sourceType };
}

/** `name` of the array's own type in pg_type. */
function arrayOf({ normalise, labels, sourceType: _, ...element }: ColumnType, name: string): ColumnType {
  return {
    type: 'array',
    typeName: `${element.typeName}[]`,
    precision: null,
    scale: null,
    element,
    sourceType: unboundedType(name),
    normalise: normalise === NORMALISE.none ? NORMALISE.none : ARRAY_OF + normalise,
    ...(labels === undefined ? {} : { labels }),
  };
}

/** Types of extensions that have a form of their own, by their names. */
const EXTENSION_TYPES: Readonly<Record<string, LogicalType>> = { citext: 'text', hstore: 'map' };

/**
 * The type of a column whose type is not built in. Domains are their base type (values are sent as the base type's text) under their own name;
 * `lookup` resolves domains over domains. Enums are text: any label may appear. All else is the server's canonical text.
 */
export function customType(found: CustomType, typmod: number, lookup: (oid: number) => CustomType | undefined): ColumnType {
  if (found.kind === 'domain') {
    let base = found;
    let modifier = typmod;
    for (let depth = 0; depth < 32; depth++) {
      if (base.typmod >= 0 && modifier < 0) modifier = base.typmod;
      const builtIn = builtInType(base.baseOid, modifier);
      if (builtIn !== null) return named(builtIn, found.name);
      const next = lookup(base.baseOid);
      if (next === undefined) break;
      if (next.kind !== 'domain') return named(customType(next, modifier, lookup), found.name);
      base = next;
    }
  }
  const plain = { typeName: found.name, precision: null, scale: null, normalise: NORMALISE.none, sourceType: unboundedType(found.name) };
  if (found.kind === 'domain') return { type: 'other', ...plain };
  if (found.kind === 'enum') return { type: 'text', ...plain, labels: found.labels ?? [] };
  if (found.kind === 'array' && found.elementOid !== undefined) {
    const element = builtInType(found.elementOid, typmod);
    const custom = element === null ? lookup(found.elementOid) : undefined;
    const known = element ?? (custom === undefined ? null : customType(custom, typmod, lookup));
    if (known !== null && known.type !== 'array') return arrayOf(known, found.name);
  }
  const extension = found.kind === 'base' ? EXTENSION_TYPES[found.name.replace(/^.*\./, '')] : undefined;
  return { type: extension ?? 'other', ...plain };
}

/** A domain: its base type under its own name. */
function named(base: ColumnType, name: string): ColumnType {
  const below = base.type === 'other' ? { baseName: base.baseName ?? base.typeName } : {};
  return { ...base, typeName: name, ...below, ...(base.sourceType === undefined ? {} : { sourceType: { ...base.sourceType, name } }) };
}

function readModifier(modifier: Modifier, typmod: number): { precision: number | null; scale: number | null } {
  if (typmod < 0) return { precision: null, scale: null };
  switch (modifier) {
    case 'length':
      return { precision: typmod - 4, scale: null };
    case 'bits':
      return { precision: typmod, scale: null };
    case 'numeric': {
      // VARHDRSZ (4) is added to the packed value; since PostgreSQL 15 the scale is an 11-bit signed integer.
      const packed = typmod - 4;
      return { precision: (packed >> 16) & 0xffff, scale: ((packed & 0x7ff) ^ 1024) - 1024 };
    }
    case 'fraction':
      return { precision: null, scale: typmod };
    case 'interval':
      // Low 16 bits: fractional digits, 0xffff = not declared.
      return { precision: null, scale: (typmod & 0xffff) === 0xffff ? null : typmod & 0xffff };
    case 'none':
      return { precision: null, scale: null };
  }
}

const INTERVAL_FIELDS: Readonly<Record<number, string>> = {
  [1 << 2]: ' year',
  [1 << 1]: ' month',
  [1 << 3]: ' day',
  [1 << 10]: ' hour',
  [1 << 11]: ' minute',
  [1 << 12]: ' second',
  [(1 << 2) | (1 << 1)]: ' year to month',
  [(1 << 3) | (1 << 10)]: ' day to hour',
  [(1 << 3) | (1 << 10) | (1 << 11)]: ' day to minute',
  [(1 << 3) | (1 << 10) | (1 << 11) | (1 << 12)]: ' day to second',
  [(1 << 10) | (1 << 11)]: ' hour to minute',
  [(1 << 10) | (1 << 11) | (1 << 12)]: ' hour to second',
  [(1 << 11) | (1 << 12)]: ' minute to second',
};

function spell(sql: string, modifier: Modifier, declared: { precision: number | null; scale: number | null }, typmod: number): string {
  if (typmod < 0) return sql;
  switch (modifier) {
    case 'length':
    case 'bits':
      return `${sql}(${declared.precision})`;
    case 'numeric':
      return `${sql}(${declared.precision},${declared.scale})`;
    case 'fraction':
      return sql.replace(/^(time|timestamp)/, `$1(${declared.scale})`);
    case 'interval':
      return `${sql}${INTERVAL_FIELDS[(typmod >> 16) & 0x7fff] ?? ''}${declared.scale === null ? '' : `(${declared.scale})`}`;
    case 'none':
      return sql;
  }
}
