/** The types that a column can be made, and which values they take. */
import type { LogicalType } from '../record/types.ts';

/** By the name that the connector's file uses. */
export const MAPPED_TYPES = {
  boolean: 'boolean',
  smallint: 'int16',
  integer: 'int32',
  bigint: 'int64',
  'double precision': 'float64',
  numeric: 'decimal',
  text: 'text',
  date: 'date',
  timestamp: 'timestamp',
  'timestamp with time zone': 'timestamptz',
  uuid: 'uuid',
  json: 'json',
} as const satisfies Readonly<Record<string, LogicalType>>;
export type MappedType = keyof typeof MAPPED_TYPES;

/** Cells that are no text, or not the one that people know. */
const NO_TEXT: readonly LogicalType[] = ['bytes', 'geometry', 'boolean'];
const WHOLE: readonly LogicalType[] = ['int16', 'int32', 'int64', 'uint64', 'year'];
const NUMBERS: readonly LogicalType[] = [...WHOLE, 'decimal'];

/** `always`: each value is one of the other type, written the same; `checked`: some are; `never`. */
export function castOf(from: LogicalType, to: LogicalType): 'always' | 'checked' | 'never' {
  if (from === to) return 'always';
  if (to === 'text') return NO_TEXT.includes(from) ? 'never' : 'always';
  if (to === 'float64') return from === 'int16' || from === 'int32' || from === 'year' ? 'always' : 'never';
  if (to === 'decimal') return WHOLE.includes(from) ? 'always' : from === 'text' ? 'checked' : 'never';
  const range = RANGES[to];
  if (range === undefined || !(NUMBERS.includes(from) || from === 'text')) return 'never';
  const given = RANGES[from];
  return given !== undefined && given.min >= range.min && given.max <= range.max ? 'always' : 'checked';
}

const RANGES: Readonly<Partial<Record<LogicalType, { readonly min: bigint; readonly max: bigint }>>> = {
  int16: { min: -(2n ** 15n), max: 2n ** 15n - 1n },
  int32: { min: -(2n ** 31n), max: 2n ** 31n - 1n },
  int64: { min: -(2n ** 63n), max: 2n ** 63n - 1n },
  year: { min: 0n, max: 9999n },
};

const WHOLE_TEXT = /^(-?(?:0|[1-9]\d{0,18}))(?:\.0*)?$/;
const DECIMAL_TEXT = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;

/** How many characters at the front of a cell are a value of the type (zeros behind the point of a whole number are left out); −1: it is none. */
export function prefixOf(text: string, to: LogicalType): number {
  if (to === 'decimal') return DECIMAL_TEXT.test(text) ? text.length : -1;
  const range = RANGES[to];
  const digits = WHOLE_TEXT.exec(text)?.[1];
  if (range === undefined || digits === undefined || digits === '-0') return -1;
  const value = BigInt(digits);
  return value >= range.min && value <= range.max ? digits.length : -1;
}

/** As people write them, and JSON. */
const BOOLEANS: Readonly<Partial<Record<string, string>>> = { true: 't', false: 'f' };

const CONSTANTS: Readonly<Record<MappedType, RegExp>> = {
  boolean: /^[tf]$/,
  smallint: /^(0|-?[1-9]\d{0,4})$/,
  integer: /^(0|-?[1-9]\d{0,9})$/,
  bigint: /^(0|-?[1-9]\d{0,18})$/,
  'double precision': /^(0|-?[1-9]\d{0,14}|-?(0|[1-9]\d{0,8})\.\d{0,5}[1-9])$/,
  numeric: DECIMAL_TEXT,
  text: /^/,
  date: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/,
  timestamp: /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{0,5}[1-9])?$/,
  'timestamp with time zone': /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{0,5}[1-9])?Z$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  json: /^/,
};

/** The name that the connector's file uses. */
export function nameOf(type: LogicalType): string {
  return Object.entries(MAPPED_TYPES).find(([, logical]) => logical === type)?.[0] ?? type;
}

/** What stands for a column that a table does not have. */
export interface Constant {
  readonly typeName: MappedType;
  /** Null: it is null. */
  readonly text: string | null;
}

/** Reads `type` or `type=constant`, the constant in the cell form; null: it is none. */
export function parseConstant(given: string): Constant | null {
  const equals = given.indexOf('=');
  const typeName = (equals < 0 ? given : given.slice(0, equals)).trim();
  if (!Object.hasOwn(MAPPED_TYPES, typeName)) return null;
  const type = typeName as MappedType;
  if (equals < 0) return { typeName: type, text: null };
  const value = given.slice(equals + 1);
  const text = type === 'boolean' ? (BOOLEANS[value] ?? value) : value;
  const range = RANGES[MAPPED_TYPES[type]];
  if (!CONSTANTS[type].test(text) || (range !== undefined && prefixOf(text, MAPPED_TYPES[type]) !== text.length)) return null;
  if (type === 'json' && !isJson(text)) return null;
  return { typeName: type, text };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
