/**
 * Logical types and the one form that a cell of each has, whatever road it came by (log, COPY, trigger, polling): that makes I11 (same row,
 * same bytes) a property of this table. Sources write cells in this form; formats read them.
 *
 * | type        | cell bytes                                                                    |
 * |-------------|-------------------------------------------------------------------------------|
 * | boolean     | `t` or `f`                                                                     |
 * | int16/32/64 | decimal digits, `-` in front if negative, no leading zeros                     |
 * | uint64      | decimal digits                                                                 |
 * | float32/64  | shortest decimal text that reads back to the same value; `NaN`, `Infinity`, `-Infinity` |
 * | decimal     | plain decimal digits with the value's own scale; `NaN`, `Infinity`, `-Infinity` |
 * | text        | UTF-8                                                                          |
 * | bytes       | the raw bytes                                                                  |
 * | date        | ISO 8601 `YYYY-MM-DD`, more year digits as needed, `-` year for BC (astronomical: 1 BC = 0000); `infinity`, `-infinity` |
 * | time        | `HH:MM:SS[.ffffff]`, up to `24:00:00`                                          |
 * | timetz      | `HH:MM:SS[.ffffff]` followed by the offset `+HH[:MM[:SS]]`                     |
 * | timestamp   | `date` form, `T`, `time` form                                                  |
 * | timestamptz | `timestamp` form in UTC followed by `Z`                                        |
 * | uuid        | lower case, with hyphens                                                       |
 * | json        | the JSON text as the server holds it                                           |
 * | interval    | `1 year 2 mons -3 days +04:05:06.7`: parts that are 0 left out, `00:00:00` if all are |
 * | bits        | digits `0` and `1`, the most significant first                                 |
 * | point       | `(x,y)`, both as float64                                                       |
 * | map         | `"key"=>"value", "key"=>NULL`: `"` and `\` inside escaped by a backslash        |
 * | array       | `{…,…}`: each element in its own cell form, in `"` where needed, `"` and `\` inside escaped by a backslash; `NULL`; nested braces; bounds that do not begin at 1 in front, `[0:1]=` |
 * | year        | decimal digits                                                                 |
 * | duration    | `time` form of any number of hours (at least two digits), `-` in front if negative |
 * | bitfield    | as `bits`, every bit of the declared length                                    |
 * | set         | labels in the order of their declaration, comma between                        |
 * | geometry    | SRID as four bytes, the least significant first, then little-endian well-known binary |
 * | other       | the server's canonical text, UTF-8                                             |
 *
 * A date or timestamp may have a year, month or day that is 0 (`0000-00-00`) where the system allows such.
 *
 * Fractional digits of temporal cells are as the server prints them (no trailing zeros); `scale` of the column says what was declared.
 */
export const LOGICAL_TYPES = [
  'boolean',
  'int16',
  'int32',
  'int64',
  'uint64',
  'float32',
  'float64',
  'decimal',
  'text',
  'bytes',
  'date',
  'time',
  'timetz',
  'timestamp',
  'timestamptz',
  'uuid',
  'json',
  'xml',
  'interval',
  'bits',
  'point',
  'map',
  'array',
  'year',
  'duration',
  'bitfield',
  'set',
  'geometry',
  'other',
] as const;

export type LogicalType = (typeof LOGICAL_TYPES)[number];
