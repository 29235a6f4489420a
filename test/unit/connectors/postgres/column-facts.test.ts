import { describe, expect, it } from 'vitest';
import { columnFacts } from '../../../../connectors/postgres/column-facts.ts';
import { normalise } from '../../../../connectors/postgres/log/cells.ts';
import { builtInOid, builtInType, type ColumnType } from '../../../../connectors/postgres/types.ts';

const typeOf = (name: string): ColumnType => builtInType(builtInOid(name) ?? 0, -1) as ColumnType;

describe('defaults, as pg_get_expr spells them', () => {
  const of = (type: string, expression: string | null) => {
    const { default: value, computed } = columnFacts(typeOf(type), 1, false, expression);
    return computed ? 'computed' : value;
  };

  it.each<[string, string | null, string | null]>([
    ['int4', null, null],
    ['int4', '5', '5'],
    ['int4', "'-5'::integer", '-5'],
    ['int4', '(-5)', '-5'],
    ['int4', '1.5', 'computed'],
    ['int8', "'1e3'::numeric", 'computed'],
    ['numeric', '1.50', '1.50'],
    ['bool', 'true', 't'],
    ['varchar', "'it''s'::character varying", "it's"],
    ['text', 'NULL::text', null],
    ['timestamp', "'2020-01-01 00:00:00'::timestamp without time zone", '2020-01-01T00:00:00'],
    ['timestamptz', "'2020-01-01 00:00:00+00'::timestamp with time zone", '2020-01-01T00:00:00Z'],
    ['date', "'0044-03-15 BC'::date", '-0043-03-15'],
    ['bit', `B'101'::"bit"`, '101'],
    ['bytea', "'\\x0102'::bytea", null],
    ['int4', "nextval('t_id_seq'::regclass)", 'computed'],
    ['date', "('now'::text)::date", 'computed'],
    ['timestamptz', 'CURRENT_TIMESTAMP', 'computed'],
    ['text', "('a'::text || 'b'::text)", 'computed'],
    ['text', "(('a'::text))::character varying", 'computed'],
  ])('%s %s', (type, expression, expected) => expect(of(type, expression)).toBe(expected));

  it.each([
    ['0', '0'],
    ['1.55', '1.55'],
    ['1.555', null],
    ["'NaN'::numeric", 'NaN'],
  ])('numeric(5,2) %s: what the server would round is told as no constant', (expression, expected) => {
    const type = builtInType(builtInOid('numeric') ?? 0, ((5 << 16) | 2) + 4) as ColumnType;
    expect(columnFacts(type, 1, true, expression)).toMatchObject({ default: expected, computed: expected === null });
  });
});

describe('arrays in their cell form', () => {
  it.each([
    ['_timestamptz', '{"2024-01-01 10:00:00.5+00",NULL,infinity}', '{"2024-01-01T10:00:00.5Z",NULL,infinity}'],
    ['_date', '{2024-01-01,"0044-03-15 BC"}', '{2024-01-01,"-0043-03-15"}'],
    ['_money', '{"$1,234.50",-$0.01}', '{"1234.50",-0.01}'],
    ['_bytea', String.raw`{"\\x225c2c","\\x"}`, String.raw`{"\"\\,",""}`],
    ['_timestamp', '[0:1]={{"2024-01-01 00:00:00"},{NULL}}', '[0:1]={{"2024-01-01T00:00:00"},{NULL}}'],
    ['_text', '{a,"b c"}', '{a,"b c"}'],
  ])('%s', (type, text, expected) => {
    const bytes = Buffer.from(text, 'latin1');
    const end = normalise(typeOf(type).normalise, bytes, 0, bytes.length);
    expect(bytes.toString('latin1', 0, end)).toBe(expected);
  });

  it.each(['{"2024-01-01', '{"not a time"}', '{2024-01-01 00:00:00+05}'])('what is none of them is malformed: %s', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    expect(normalise(typeOf('_timestamptz').normalise, bytes, 0, bytes.length)).toBe(-1);
  });
});
