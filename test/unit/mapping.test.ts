import { describe, expect, it } from 'vitest';
import { openMapping } from '../../src/daemon/mapping.ts';
import { native } from '../../src/formats/native/index.ts';
import { ABSENT, type RecordBatch, UNAVAILABLE } from '../../src/record/batch.ts';
import { type ColumnShape, TableRegistry, type TableVersion } from '../../src/record/table.ts';
import { batchOf, CONTEXT, column, encodeBatch, type RecordSpec, tableShape, textsOf } from '../support/encoded.ts';

type Rules = Partial<Record<'rename' | 'cast' | 'defaults' | 'fixed', Readonly<Record<string, string>>>>;

const COLUMNS: readonly ColumnShape[] = [column('id', 'int64'), column('full_name', 'text'), column('total', 'decimal', 2), column('raw', 'bytes')];

function mappingOf(rules: Rules) {
  return openMapping({ name: 'shop', mapping: { rename: {}, cast: {}, defaults: {}, fixed: {}, rest: 'rest', ...rules } } as never);
}

interface Value {
  readonly after: Readonly<Record<string, unknown>>;
  readonly before?: unknown;
}

/** The native messages of records of `public.t`, mapped. */
function mapped(rules: Rules, records: readonly RecordSpec[]): { readonly batch: RecordBatch; readonly values: Value[] } {
  const registry = new TableRegistry();
  const batch = batchOf(records, registry);
  mappingOf(rules)?.apply(batch);
  const texts = textsOf(encodeBatch(native.create({ tombstones: false }, CONTEXT), batch));
  return { batch, values: texts.map(({ value }) => JSON.parse(value as string) as Value) };
}

const row = (cells: RecordSpec['after'], more: Partial<RecordSpec> = {}, columns = COLUMNS): RecordSpec =>
  ({ op: 'create', table: tableShape(columns, [0]), after: cells, ...more }) as RecordSpec;

describe('mapped tables', () => {
  it('a column is called otherwise, and has another type with the same value', () => {
    const { values } = mapped({ rename: { 'public.*.full_name': 'name' }, cast: { 'public.t.total': 'text', 'public.t.id': 'integer' } }, [
      row(['7', 'Ann', '1.50', null]),
    ]);
    expect(values[0]).toMatchObject({ key: { id: 7 }, after: { id: 7, name: 'Ann', total: '1.50', raw: null } });
  });

  it('columns that are there no more have their constant, and columns that are there their value', () => {
    const defaults = { 'public.t.fax': 'text', 'public.t.discount': 'integer=0', 'public.t.full_name': 'text=nobody', 'public.u.x': 'text' };
    const { values } = mapped({ defaults }, [row(['7', 'Ann', '1.50', null])]);
    expect(values[0]?.after).toEqual({ id: '7', full_name: 'Ann', total: '1.50', raw: null, fax: null, discount: 0 });
  });

  it.each([
    ['true', true],
    ['t', true],
    ['false', false],
    ['f', false],
  ])('a boolean constant is written as in JSON, or as the server prints it: %s', (written, expected) => {
    const { values } = mapped({ defaults: { 'public.t.active': `boolean=${written}` } }, [row(['7', 'Ann', '1.50', null])]);
    expect(values[0]?.after['active']).toBe(expected);
  });

  it('fixed columns stay, whatever comes: the others are gathered, with nothing lost of them', () => {
    const { values, batch } = mapped({ fixed: { 'public.t': 'id, total' }, defaults: { 'public.t.total': 'numeric=0' } }, [
      row(['7', 'A"n\n', '1.50', Buffer.from([0, 255])]),
      row(['8', null, null, null]),
    ]);
    expect(values.map(({ after }) => after)).toEqual([
      { id: '7', total: '1.50', rest: { full_name: 'A"n\n', raw: 'AP8=' } },
      { id: '8', total: null, rest: { full_name: null, raw: null } },
    ]);
    expect(batch.tables[0]?.columns.map(({ name }) => name)).toEqual(['id', 'total', 'rest']);
  });

  it('what the log did not send is not null (I11), and an old key stays one', () => {
    const { values } = mapped({ fixed: { 'public.t': 'id' }, defaults: { 'public.t.fax': 'text=x' } }, [
      row(['7', UNAVAILABLE, '1.50', null], { op: 'update', before: ['6', ABSENT, ABSENT, ABSENT] }),
    ]);
    expect(values.at(-1)).toMatchObject({
      oldKey: { id: '6' },
      after: { id: '7', rest: { full_name: { unavailable: true }, total: '1.50', raw: null }, fax: 'x' },
    });
    expect(values.at(-1)?.before ?? {}).not.toHaveProperty('rest');
  });

  it.each([
    ['integer', '12.00', 12],
    ['integer', '-2147483648.00', -2147483648],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['smallint', '0', 0],
  ])('a value that fits is cast: %s of %s', (to, value, expected) => {
    const { values } = mapped({ cast: { 'public.t.total': to } }, [row(['7', 'Ann', value, null])]);
    expect(values[0]?.after['total']).toBe(expected);
  });

  it.each([
    ['integer', '12.01'],
    ['integer', '2147483648'],
    ['bigint', '9223372036854775808'],
    ['smallint', 'NaN'],
    ['smallint', '-0.5'],
  ])('one that does not stops, and is not said: %s of %s', (to, value) => {
    const stop = (): unknown => mapped({ cast: { 'public.t.total': to } }, [row(['7', 'Ann', value, null])]);
    const message = expect.stringContaining(`has a value that is no ${to}, which`);
    expect(stop).toThrow(expect.objectContaining({ code: 'SLUICE_MAPPING_VALUE', table: 'public.t', message }));
    expect(stop).not.toThrow(value);
  });

  it.each([
    [{ rename: { 'public.t.full_name': 'raw' } }, 'SLUICE_MAPPING_NAME'],
    [{ fixed: { 'public.t': 'id' }, rename: { 'public.t.id': 'rest' } }, 'SLUICE_MAPPING_KEY'],
    [{ fixed: { 'public.t': 'total' } }, 'SLUICE_MAPPING_KEY'],
    [{ cast: { 'public.t.raw': 'text' } }, 'SLUICE_MAPPING_TYPE'],
    [{ cast: { 'public.t.id': 'double precision' } }, 'SLUICE_MAPPING_TYPE'],
  ])('what cannot be is told: %j', (rules, code) => {
    expect(() => mapped(rules, [row(['7', 'Ann', '1', null])])).toThrow(expect.objectContaining({ code }));
  });

  it('a table that nothing is said of, and one that is as it is to be, are what they are', () => {
    const registry = new TableRegistry();
    const version: TableVersion = registry.version(tableShape(COLUMNS, [0]));
    const mapping = mappingOf({ rename: { 'public.u.id': 'x' }, cast: { 'public.t.id': 'bigint' }, defaults: { 'public.t.total': 'numeric' } });
    expect(mapping.table(version)).toBe(version);
    const renaming = mappingOf({ rename: { 'public.t.id': 'x' } });
    expect(renaming.table(version)).toBe(renaming.table(version));
    expect(mappingOf({}).table(version)).toBe(version);
  });
});
