/** A value of each type, and what it is to be in a cell. */

/** Value as SQL, type, cell. */
export const SCALARS: readonly [type: string, sql: string, cell: string][] = [
  ['boolean', 'true', 't'],
  ['smallint', '-32768', '-32768'],
  ['integer', '2147483647', '2147483647'],
  ['bigint', '9223372036854775807', '9223372036854775807'],
  ['oid', '4294967295', '4294967295'],
  ['real', '3.4028235e38', '3.4028235e+38'],
  ['real', '0.1', '0.1'],
  ['double precision', '0.1::float8 + 0.2::float8', '0.30000000000000004'],
  ['double precision', `'-Infinity'`, '-Infinity'],
  ['numeric(40,20)', '12345678901234567890.12345678901234567890', '12345678901234567890.12345678901234567890'],
  ['numeric', `'NaN'`, 'NaN'],
  ['money', `'-1234.56'`, '-1234.56'],
  ['text', `E'\\uFEFFbom é 日本'`, '\uFEFFbom é 日本'],
  ['varchar(5)', `'abc'`, 'abc'],
  ['char(5)', `'abc'`, 'abc  '],
  ['"char"', `'x'`, 'x'],
  ['name', `'nm'`, 'nm'],
  ['date', `'0044-03-15 BC'`, '-0043-03-15'],
  ['date', `'infinity'`, 'infinity'],
  ['time(3)', `'24:00:00'`, '24:00:00'],
  ['timetz', `'12:34:56.789+05:30'`, '12:34:56.789+05:30'],
  ['timestamp', `'2024-02-29 12:34:56.123456'`, '2024-02-29T12:34:56.123456'],
  ['timestamptz', `'2024-06-30 12:34:56.5+02'`, '2024-06-30T10:34:56.5Z'],
  ['timestamptz', `'-infinity'`, '-infinity'],
  ['timestamptz', `'0001-01-01 00:00:00+00 BC'`, '0000-01-01T00:00:00Z'],
  ['interval', `'1 year 2 mons -3 days 04:05:06.7'`, '1 year 2 mons -3 days +04:05:06.7'],
  ['uuid', `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['json', `'{"a": 12345678901234567890, "a":1.10}'`, '{"a": 12345678901234567890, "a":1.10}'],
  ['jsonb', `'{"b":1,"a":[1.10]}'`, '{"a": [1.10], "b": 1}'],
  ['xml', `'<a/>'`, '<a/>'],
  ['bit(3)', `B'101'`, '101'],
  ['varbit', `B'1'`, '1'],
  ['inet', `'10.0.0.1/8'`, '10.0.0.1/8'],
  ['cidr', `'10.0.0.0/8'`, '10.0.0.0/8'],
  ['macaddr', `'08:00:2b:01:02:03'`, '08:00:2b:01:02:03'],
  ['point', `'(1,2)'`, '(1,2)'],
  ['tsvector', `'a:1'`, `'a':1`],
  ['pg_lsn', `'0/16B3748'`, '0/16B3748'],
  // Named with their schemas, whatever search_path would shorten.
  ['regclass', `'public.scalars'`, 'public.scalars'],
  ['regtype', `'public.mood'`, 'public.mood'],
  ['int4range', `'[1,5)'`, '[1,5)'],
  ['integer[]', `'{1,NULL,3}'`, '{1,NULL,3}'],
  ['timestamptz[]', `array['2024-06-30 12:00+02'::timestamptz]`, '{"2024-06-30T10:00:00Z"}'],
  ['mood', `'it''s ok'`, `it's ok`],
  ['price', '1.5', '1.500'],
  ['moment', `'2024-06-30 12:00+02'`, '2024-06-30T10:00:00Z'],
  ['pair', `row(1,'a b')`, '(1,"a b")'],
];

/** The table of all of them, with the types that it needs. */
export const SCALARS_SQL = `
  CREATE TYPE mood AS ENUM ('it''s ok', 'sad');
  CREATE DOMAIN price AS numeric(10,3);
  CREATE DOMAIN moment AS timestamptz;
  CREATE TYPE pair AS (a int, b text);
  CREATE TABLE scalars (id bigint PRIMARY KEY, ${SCALARS.map(([type], i) => `c${i} ${type}`).join(', ')}, bytes bytea);`;
