import { describe, expect, it } from 'vitest';
import { rulesOf } from '../../../src/daemon/schema-policy.ts';
import type { SluiceError } from '../../../src/plugin/error.ts';
import { type ColumnFacts, type ColumnShape, TableRegistry, type TableVersion, tableId } from '../../../src/record/table.ts';
import { type AcceptedVersions, SchemaPolicy } from '../../../src/schema-policy/policy.ts';
import { column, tableShape } from '../../support/encoded.ts';

const FACTS: ColumnFacts = { required: true, default: null, computed: false, labels: null, id: null };
const told = (name: string, type: ColumnShape['type'], facts: Partial<ColumnFacts> = {}, more: Partial<ColumnShape> = {}): ColumnShape => ({
  ...column(name, type),
  ...more,
  facts: { ...FACTS, ...facts },
});
const ID = told('id', 'int64');

interface Options {
  readonly level?: string;
  readonly levels?: Readonly<Record<string, string>>;
  readonly rules?: 'avro' | 'jsonSchema';
  readonly action?: string;
  readonly actions?: Readonly<Record<string, string>>;
  readonly deprecated?: readonly string[];
}

function rig(options: Options, accepted: AcceptedVersions = {}, history: readonly TableVersion[] = []) {
  const said: SluiceError[] = [];
  const compatibility = { level: 'none', levels: {}, rules: 'avro', action: 'stopTable', actions: {}, deprecated: [], ...options } as never;
  return { policy: new SchemaPolicy(rulesOf({ name: 'shop', compatibility }), accepted, history, (error) => said.push(error)), said };
}

function versions(...columns: readonly (readonly ColumnShape[])[]): TableVersion[] {
  const registry = new TableRegistry({ described: true });
  return columns.map((each) => registry.version(tableShape(each, [0])));
}

/** Whether the second shape may follow the first. */
function may(options: Options, before: readonly ColumnShape[], after: readonly ColumnShape[]): boolean {
  const { policy } = rig(options);
  return versions(before, after).every((version) => policy.refusal(version) === null);
}

describe('compatibility of table versions', () => {
  const text = told('v', 'text');
  const optional = told('v', 'text', { required: false });
  const numeric = (precision: number, scale: number): ColumnShape => told('n', 'decimal', {}, { precision, scale });
  const cases: readonly [what: string, before: readonly ColumnShape[], after: readonly ColumnShape[], avro: string, json: string][] = [
    ['a column that may be null is added', [ID], [ID, optional], 'bf', 'b'],
    ['one that may not', [ID], [ID, text], 'f', ''],
    ['one with a constant default', [ID], [ID, told('v', 'text', { default: 'x' })], 'bf', 'b'],
    ['one with a computed default', [ID], [ID, told('v', 'timestamptz', { computed: true })], 'f', ''],
    ['a column that may be null is dropped', [ID, optional], [ID], 'bf', 'f'],
    ['one that may not be is dropped', [ID, text], [ID], 'b', ''],
    ['NOT NULL is dropped', [ID, text], [ID, optional], 'b', 'b'],
    ['NOT NULL is set', [ID, optional], [ID, text], 'f', 'f'],
    ['int to bigint', [ID, told('n', 'int32')], [ID, told('n', 'int64')], 'b', 'b'],
    ['bigint to int', [ID, told('n', 'int64')], [ID, told('n', 'int32')], 'f', 'f'],
    ['int to text', [ID, told('n', 'int32')], [ID, told('n', 'text')], '', ''],
    ['numeric(9,2) to numeric(12,2)', [ID, numeric(9, 2)], [ID, numeric(12, 2)], 'b', 'bf'],
    ['numeric(9,2) to numeric(9,4)', [ID, numeric(9, 2)], [ID, numeric(9, 4)], '', 'bf'],
    ['numeric to text', [ID, numeric(9, 2)], [ID, told('n', 'text')], '', ''],
    ['numeric(9,2) to numeric', [ID, numeric(9, 2)], [ID, told('n', 'decimal')], '', 'bf'],
    ['a numeric with a default is added', [ID], [ID, told('n', 'decimal', { default: '1.50' }, { precision: 9, scale: 2 })], 'bf', 'b'],
    ['a label is added to an enum', [ID, told('e', 'text', { labels: ['a'] })], [ID, told('e', 'text', { labels: ['a', 'b'] })], 'b', 'b'],
    [
      'the second enum of a table loses a label, both of one type name',
      [ID, told('e', 'text', { labels: ['a'] }, { typeName: 'enum' }), told('f', 'text', { labels: ['b', 'c'] }, { typeName: 'enum' })],
      [ID, told('e', 'text', { labels: ['a'] }, { typeName: 'enum' }), told('f', 'text', { labels: ['b'] }, { typeName: 'enum' })],
      'f',
      'f',
    ],
    ...['row', 'string', 'decimal'].map((typeName): (typeof cases)[number] => [
      `an enum called ${typeName} is added beside a numeric`,
      [ID, told('n', 'decimal')],
      [ID, told('e', 'text', { required: false, labels: ['a'] }, { typeName }), told('n', 'decimal')],
      'bf',
      'b',
    ]),
    ['a column is renamed', [ID, optional], [ID, told('w', 'text', { required: false })], 'bf', ''],
    ['varchar(10) to varchar(20)', [ID, told('v', 'text', {}, { precision: 10 })], [ID, told('v', 'text', {}, { precision: 20 })], 'bf', 'b'],
    ['the key is another column', [told('id', 'int32'), told('k', 'int32')], [told('k', 'int32'), told('id', 'int32')], '', ''],
  ];

  it.each(cases)('%s', (_, before, after, avro, json) => {
    for (const [rules, expected] of [
      ['avro', avro],
      ['jsonSchema', json],
    ] as const) {
      const found = { b: may({ level: 'backward', rules }, before, after), f: may({ level: 'forward', rules }, before, after) };
      expect(found, rules).toEqual({ b: expected.includes('b'), f: expected.includes('f') });
      expect(may({ level: 'full', rules }, before, after), rules).toBe(expected === 'bf');
      expect(may({ level: 'none', rules }, before, after)).toBe(true);
    }
  });

  it.each(['avro', 'jsonSchema'] as const)('another key goes at no level, be it one of more columns or of fewer (%s)', (rules) => {
    const columns = [ID, told('k', 'int32')];
    const keys = [[0], [0, 1], [1], []];
    for (const level of ['backward', 'forward', 'full'] as const) {
      for (const [before, after] of keys.flatMap((one) => keys.filter((other) => other !== one).map((other) => [one, other] as const))) {
        const registry = new TableRegistry({ described: true });
        const { policy } = rig({ level, rules });
        const found = [before, after].map((key) => policy.refusal(registry.version(tableShape(columns, key))) === null);
        expect(found, `${level}: ${before} to ${after}`).toEqual([true, false]);
      }
    }
  });

  it.each([
    ['date', '2020-01-01'],
    ['time', '10:00:00'],
    ['timestamp', '2020-01-01T00:00:00'],
    ['timestamptz', '2020-01-01T00:00:00Z'],
    ['duration', 'P1D'],
    ['year', '2020'],
    ['decimal', '0'],
    ['int32', '1.5'],
    ['int64', '9223372036854775807'],
    ['float64', '0.5'],
    ['boolean', 't'],
    ['bytes', '\u0100'],
    ['map', '{}'],
    ['uuid', '00000000-0000-0000-0000-000000000000'],
    ['json', '{}'],
    ['set', 'a,b', ['a', 'b']],
    ['text', 'in-progress', ['done', 'in-progress']],
  ] as const)('a constant default of %s (%s) stands for the rows of before, NOT NULL or not', (type, text, labels = undefined) => {
    for (const required of [true, false]) {
      const added = told('v', type, { required, default: text, labels: labels ?? null });
      expect(may({ level: 'full' }, [ID], [ID, added])).toBe(true);
    }
  });

  it('a TRUNCATE of which the log does not tell the columns is of no shape', () => {
    const { policy } = rig({ level: 'full-transitive' });
    const [first, truncated, next] = versions([ID, text], [], [ID, text, told('more', 'text', { required: false })]) as [
      TableVersion,
      TableVersion,
      TableVersion,
    ];
    expect([first, truncated, next].map((version) => policy.refusal(version))).toEqual([null, null, null]);
    expect(policy.takeAccepted().map(({ table }) => table.version)).toEqual([1, 3]);
  });

  it('a level counts against the version before; a transitive one against all that went', () => {
    const [one, two, three] = versions([ID, told('n', 'int32')], [ID], [ID, told('n', 'text', { required: false })]) as [
      TableVersion,
      TableVersion,
      TableVersion,
    ];
    for (const [level, refused] of [
      ['backward', false],
      ['backward-transitive', true],
    ] as const) {
      const { policy } = rig({ level });
      expect([policy.refusal(one), policy.refusal(two)]).toEqual([null, null]);
      expect(policy.refusal(three) !== null, level).toBe(refused);
    }
  });

  it('a transitive level reaches back to the last version that was let through by hand', () => {
    const [one, two, three] = versions(
      [ID, told('n', 'int32')],
      [ID, told('n', 'text')],
      [ID, told('n', 'text'), told('w', 'text', { required: false })],
    ) as [TableVersion, TableVersion, TableVersion];
    const of = (anew: number) => rig({ level: 'full-transitive' }, { [tableId(one)]: { versions: [1, 2], anew } }, [one, two]).policy;
    expect(of(2).refusal(three)).toBeNull();
    expect(of(0).refusal(three)?.error.message).toContain('behind version 1');
  });

  it('the error names table, versions and reasons, and the action is that of the table', () => {
    const [one, two] = versions([ID], [ID, text]) as [TableVersion, TableVersion];
    const { policy } = rig({ levels: { 'public.other': 'none', 'public.*': 'backward' }, actions: { 'public.t': 'deadLetter' } });
    expect(policy.refusal(one)).toBeNull();
    const refusal = policy.refusal(two);
    expect(refusal?.action).toBe('deadLetter');
    expect(refusal?.error).toMatchObject({ code: 'SLUICE_SCHEMA_INCOMPATIBLE', table: 'public.t' });
    expect(refusal?.error.message).toMatch(/version 2.*"backward".*version 1: row.*v/);
    expect(policy.refusalOf('public.t', 2)).toBe(refusal);
    expect(policy.refusalOf('public.t', 1)).toBeNull();
    expect(policy.takeAccepted()).toEqual([{ table: one, isAnew: false }]);
    expect(policy.hasChanges).toBe(false);
  });

  it('what was decided before counts: a version that was accepted is not judged again, and one that was not is refused again (I4)', () => {
    const [one, two, three] = versions([ID], [ID, text], [ID, text, told('w', 'text', { required: false })]) as [
      TableVersion,
      TableVersion,
      TableVersion,
    ];
    const of = (accepted: readonly number[]) => rig({ level: 'backward' }, { [tableId(one)]: { versions: accepted, anew: 0 } }, [one, two]).policy;
    expect(of([1]).refusal(two)).not.toBeNull();
    const after = of([1, 2]);
    expect([after.refusal(two), after.refusal(three)]).toEqual([null, null]);
    expect(after.takeAccepted()).toEqual([{ table: three, isAnew: false }]);
    // The rows of the version that was refused are not those that the next one has to fit.
    const skipped = of([1]);
    expect(skipped.refusal(three)?.error.message).toContain('version 1');
  });

  it('"continue" says it once, and the version counts as one that went', () => {
    const [one, two] = versions([ID], [ID, text]) as [TableVersion, TableVersion];
    const { policy, said } = rig({ level: 'backward', action: 'continue' });
    for (const version of [one, two, two]) expect(policy.refusal(version)).toBeNull();
    expect(said.map(({ code }) => code)).toEqual(['SLUICE_SCHEMA_INCOMPATIBLE']);
    expect(policy.takeAccepted()).toEqual([
      { table: one, isAnew: false },
      { table: two, isAnew: true },
    ]);
  });

  it('what the catalogue did not tell of a column is no change', () => {
    const untold = column('v', 'text');
    expect(may({ level: 'full' }, [ID, text], [ID, untold])).toBe(true);
    expect(may({ level: 'full' }, [ID, untold], [ID, text])).toBe(true);
  });

  it('deprecated columns are in no comparison', () => {
    expect(may({ level: 'full', deprecated: ['public.*.v'] }, [ID, text], [ID])).toBe(true);
    expect(may({ level: 'full', deprecated: ['public.t.w', 'other.t.v'] }, [ID, text], [ID])).toBe(false);
  });

  it('names that Avro does not have stay apart', () => {
    const odd = (name: string): ColumnShape => told(name, 'text', { labels: ['a b', 'a-b', ''] }, { typeName: 'my type' });
    expect(may({ level: 'full' }, [ID, odd('größe'), odd('2nd')], [ID, odd('größe'), odd('2nd')])).toBe(true);
    expect(may({ level: 'backward' }, [ID], [ID, told('a b', 'text', { required: false }), told('a_u0020b', 'int32', { required: false })])).toBe(
      true,
    );
  });
});
