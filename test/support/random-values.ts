/** Columns of all types with random values, and back from what the formats write to what the server takes. */
import fc from 'fast-check';

/** JSON with every number as its text: `JSON.parse` would lose digits. */
export type Exact = null | boolean | string | Digits | readonly Exact[] | { readonly [name: string]: Exact };

export class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export interface RandomType {
  readonly sql: string;
  /** Text that the server takes as a value of the type. */
  readonly value: fc.Arbitrary<string>;
  /** The same from what Debezium's format writes, never null. */
  readonly debezium: (json: Exact) => string;
  /** … and the native one. */
  readonly native: (json: Exact) => string;
  /** SQL that two expressions of equal values have in common; the server's text without it. */
  readonly compare?: (expression: string, format: 'debezium' | 'native') => string;
}

const NUMBER = '\u0001number:';

export function parseExact(json: string): Exact {
  const marked = json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) => (token.startsWith('"') ? token : JSON.stringify(NUMBER + token)));
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(NUMBER) ? new Digits(value.slice(NUMBER.length)) : value,
  ) as Exact;
}

/** JSON text again, digit by digit. */
export function printExact(value: Exact): string {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(printExact).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, each]) => `${JSON.stringify(name)}:${printExact(each as Exact)}`)
    .join(',')}}`;
}

function plain(json: Exact): string {
  if (json instanceof Digits) return json.text;
  if (json !== null && typeof json === 'object') throw new Error(`a scalar was expected, not ${printExact(json)}`);
  return String(json);
}

/** The unscaled integer, big-endian two's complement. */
function unscaled(base64: Exact): bigint {
  const bytes = Buffer.from(plain(base64), 'base64');
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex') || '0'}`));
}

function withScale(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return value < 0n ? `-${text}` : text;
}

/** Years of the astronomical count, with or without a sign, as the server writes them. */
function moment(json: Exact): string {
  const parts = /^([+-]?)(\d{4,})(-.*)$/.exec(plain(json));
  if (parts === null) throw new Error(`no moment: ${plain(json)}`);
  const [, sign, year = '', rest = ''] = parts;
  return sign === '-' || Number(year) === 0 ? `${String(Number(year) + 1).padStart(4, '0')}${rest} BC` : `${year}${rest}`;
}

const DAY = 86_400_000_000n;

function timeOf(micros: bigint): string {
  const part = (unit: bigint, modulo: bigint): string => String((micros / unit) % modulo).padStart(2, '0');
  const seconds = `${part(60_000_000n, 60n)}:${part(1_000_000n, 60n)}.${String(micros % 1_000_000n).padStart(6, '0')}`;
  return `${String(micros / 3_600_000_000n).padStart(2, '0')}:${seconds}`;
}

/** Days since the epoch, by the server's own calendar. */
const days = (count: bigint): string => `J${2_440_588n + count}`;

function timestampOf(micros: bigint): string {
  const day = micros / DAY - (micros % DAY < 0n ? 1n : 0n);
  return `${days(day)} ${timeOf(micros - day * DAY)}`;
}

const digits = (json: Exact): bigint => BigInt(plain(json));

function hexBytes(json: Exact): string {
  return `\\x${Buffer.from(plain(json), 'base64').toString('hex')}`;
}

/** Bits, the lowest byte first; `length` null: as many as the highest one asks for. */
function bitsOf(json: Exact, length: number): string {
  const bytes = Buffer.from(plain(json), 'base64').reverse();
  const all = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return all.slice(-length).padStart(length, '0');
}

const text = fc.string({
  unit: fc.constantFrom(...'aZ09 \\"\'\n\t\r\b\u0001{},():NULL', 'é', 'ß', '日', '😀', '\u2028', '\u007f', '\uFEFF'),
  maxLength: 40,
});
const long = fc.string({ unit: fc.constantFrom('x', '"', '😀'), minLength: 2500, maxLength: 3000 });
const integer = (bits: bigint): fc.Arbitrary<string> => {
  const least = -(1n << (bits - 1n));
  return fc.oneof(fc.bigInt({ min: least, max: -least - 1n }), fc.constantFrom(least, -least - 1n, 0n)).map(String);
};
const numeric = (whole: number, scale: number): fc.Arbitrary<string> =>
  fc.bigInt({ min: -(10n ** BigInt(whole + scale)) + 1n, max: 10n ** BigInt(whole + scale) - 1n }).map((value) => withScale(value, scale));
const year = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1900, max: 2100 }) },
  fc.integer({ min: 1, max: 9999 }),
  fc.integer({ min: 10_000, max: 250_000 }),
);
const monthDay = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
  .map((each) => each.map((n) => String(n).padStart(2, '0')).join('-'));
const era = fc.constantFrom('', '', '', ' BC');
const clock = fc
  .tuple(
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 0, max: 59 }),
    fc.integer({ min: 0, max: 59 }),
    fc.constantFrom('', '.5', '.120', '.999999', '.000001'),
  )
  .map(([h, m, s, fraction]) => `${[h, m, s].map((n) => String(n).padStart(2, '0')).join(':')}${fraction}`);
/** BC goes back to 4713 only. */
const date = fc.tuple(year, monthDay, era).map(([y, rest, bc]) => `${String(bc === '' ? y : Math.min(y, 4700)).padStart(4, '0')}-${rest}${bc}`);
const timestamp = fc.tuple(date, clock).map(([day, time]) => (day.endsWith(' BC') ? `${day.slice(0, -3)} ${time} BC` : `${day} ${time}`));
const zone = fc.constantFrom('+00', '+05:30', '-08', '+14', '-12:45');
const double = fc.oneof(fc.double({ noNaN: true }).map(String), fc.constantFrom('NaN', 'Infinity', '-Infinity', '5e-324', '-0', '0.1'));
const float = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => String(value)),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '3.4028235e38'),
);
const bytes = fc.uint8Array({ maxLength: 60 }).map((value) => `\\x${Buffer.from(value).toString('hex')}`);
const jsonText = fc
  .json({ maxDepth: 3, stringUnit: fc.constantFrom(...'ab" \\/é', '😀') })
  .filter((value) => value !== 'null' && !value.includes('-0'))
  .map((value) => value.replace(/\d+e([+-])/g, '1e$1'));
const jsonb = (expression: string): string => `(${expression})::jsonb::text`;

function simple(sql: string, value: fc.Arbitrary<string>): RandomType {
  return { sql, value, debezium: plain, native: plain };
}

const SCALARS: readonly RandomType[] = [
  simple('boolean', fc.constantFrom('true', 'false')),
  simple('smallint', integer(16n)),
  simple('integer', integer(32n)),
  simple('bigint', integer(64n)),
  simple('oid', fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(String)),
  simple('real', float),
  simple('double precision', double),
  simple('text', text),
  simple('text', long),
  simple('varchar(50)', text),
  simple('char(45)', text),
  simple('name', text),
  simple('uuid', fc.uuid()),
  simple('xml', fc.constantFrom('<a/>', '<a b="c">d &amp; é</a>', 'text')),
  simple(
    'inet',
    fc.ipV4().map((address) => `${address}/16`),
  ),
  simple('inet', fc.ipV6()),
  simple('macaddr', fc.constantFrom('08:00:2b:01:02:03', 'ff:ff:ff:ff:ff:ff')),
  simple('pg_lsn', fc.constantFrom('0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848')),
  simple(
    'int4range',
    fc.tuple(fc.integer({ min: -1000, max: 0 }), fc.integer({ min: 1, max: 1000 })).map(([low, high]) => `[${low},${high}]`),
  ),
  simple(
    'tstzrange',
    fc.tuple(clock, zone).map(([time, at]) => `["2024-02-29 ${time}${at}",)`),
  ),
  simple('tsvector', fc.constantFrom('a:1 fat:2', `'it''s':3A`)),
  simple('mood', fc.constantFrom(`it's ok`, 'sad', 'ünï "code"')),
  simple(
    'pair',
    fc.tuple(fc.integer(), text).map(([a, b]) => `(${a},"${b.replace(/["\\]/g, '\\$&')}")`),
  ),
  {
    sql: 'bytea',
    value: bytes,
    debezium: hexBytes,
    native: hexBytes,
  },
  {
    sql: 'numeric(18,4)',
    value: numeric(14, 4),
    debezium: (json) => withScale(unscaled(json), 4),
    native: plain,
  },
  {
    sql: 'price',
    value: numeric(7, 3),
    debezium: (json) => withScale(unscaled(json), 3),
    native: plain,
  },
  {
    sql: 'numeric',
    value: fc.oneof(numeric(30, 0), numeric(3, 25), numeric(60, 40)),
    debezium: (json) => {
      const { scale, value } = json as { readonly scale: Exact; readonly value: Exact };
      return withScale(unscaled(value), Number(digits(scale)));
    },
    native: plain,
    // Debezium leaves zeros at the end out.
    compare: (expression, format) => `${format === 'debezium' ? 'trim_scale' : ''}(${expression})::text`,
  },
  {
    sql: 'money',
    value: numeric(12, 2),
    debezium: (json) => withScale(unscaled(json), 2),
    native: plain,
  },
  { sql: 'date', value: date, debezium: (json) => days(digits(json)), native: moment },
  { sql: 'time', value: fc.oneof(clock, fc.constant('24:00:00')), debezium: (json) => timeOf(digits(json)), native: plain },
  { sql: 'time(2)', value: clock, debezium: (json) => timeOf(digits(json) * 1000n), native: plain },
  { sql: 'timestamp', value: timestamp, debezium: (json) => timestampOf(digits(json)), native: moment },
  { sql: 'timestamp(3)', value: timestamp, debezium: (json) => timestampOf(digits(json) * 1000n), native: moment },
  {
    sql: 'timestamptz',
    value: fc.tuple(timestamp, zone).map(([at, zoned]) => at.replace(/( BC)?$/, `${zoned}$1`)),
    debezium: moment,
    native: moment,
  },
  {
    sql: 'timetz',
    value: fc.tuple(clock, zone).map(([time, zoned]) => `${time}${zoned}`),
    debezium: plain,
    native: plain,
    // Debezium has the moment in UTC and not the zone.
    compare: (expression) => `((${expression}) AT TIME ZONE 'UTC')::text`,
  },
  {
    sql: 'interval',
    value: fc
      .tuple(fc.integer({ min: -3000, max: 3000 }), fc.integer({ min: -400, max: 400 }), fc.integer({ min: -400, max: 400 }), clock)
      .map(([years, months, count, time]) => `${years} years ${months} mons ${count} days -${time}`),
    debezium: plain,
    native: plain,
  },
  { sql: 'json', value: jsonText, debezium: plain, native: printExact, compare: jsonb },
  { sql: 'jsonb', value: jsonText, debezium: plain, native: printExact, compare: jsonb },
  {
    sql: 'bit(11)',
    value: fc.integer({ min: 0, max: 2047 }).map((n) => n.toString(2).padStart(11, '0')),
    debezium: (json) => bitsOf(json, 11),
    native: plain,
  },
  { sql: 'bit(1)', value: fc.constantFrom('0', '1'), debezium: (json) => (json === true ? '1' : '0'), native: plain },
  {
    sql: 'point',
    value: fc.tuple(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer()).map(([x, y]) => `(${x},${y})`),
    debezium: (json) => {
      const { x, y } = json as { readonly x: Exact; readonly y: Exact };
      return `(${plain(x)},${plain(y)})`;
    },
    native: plain,
  },
];

/** Types of which an array is tried too: one of each way in which elements are written. */
const ELEMENTS = [
  'integer',
  'bigint',
  'text',
  'boolean',
  'double precision',
  'uuid',
  'bytea',
  'numeric(18,4)',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'mood',
  'jsonb',
];

/** An array as the server reads it. */
function literal(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`;
}

function arrayOf({ sql, value, debezium, native }: RandomType): RandomType {
  return {
    sql: `${sql}[]`,
    value: fc.array(fc.option(value, { nil: null, freq: 5 }), { maxLength: 5 }).map(literal),
    debezium: (json) => literal((json as readonly Exact[]).map((each) => (each === null ? null : debezium(each)))),
    native: (json) => literal((json as readonly Exact[]).map((each) => (each === null ? null : native(each)))),
  };
}

export const RANDOM_TYPES: readonly RandomType[] = [
  ...SCALARS,
  ...ELEMENTS.map((sql) => arrayOf(SCALARS.find((each) => each.sql === sql) as RandomType)),
];

/** What the types need. */
export const RANDOM_TYPES_SQL = `
  CREATE TYPE mood AS ENUM ('it''s ok', 'sad', 'ünï "code"');
  CREATE DOMAIN price AS numeric(10,3);
  CREATE TYPE pair AS (a int, b text);`;
