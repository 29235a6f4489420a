import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cloudevents } from '../../../src/formats/cloudevents/index.ts';
import { debezium } from '../../../src/formats/debezium/index.ts';
import type { DebeziumConfig } from '../../../src/formats/debezium/options.ts';
import { native } from '../../../src/formats/native/index.ts';
import type { Format, FormatContext } from '../../../src/plugin/format.ts';
import { ABSENT, NULL, UNAVAILABLE } from '../../../src/record/batch.ts';
import type { LogicalType } from '../../../src/record/types.ts';
import { type CellValue, column, encoded, type RecordSpec, tableShape } from '../../support/encoded.ts';

/** Cells of each type, of all sizes. */
const CELLS: { readonly [T in LogicalType]?: fc.Arbitrary<CellValue> } = {
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  float64: fc.constantFrom('0.1', 'NaN', '-Infinity', '5e-324', '1.7976931348623157e+308', '-1e-07'),
  decimal: fc.oneof(
    fc.constantFrom('0', '-1.50', 'NaN'),
    fc.integer({ min: 1, max: 9000 }).map((length) => `-${'9'.repeat(length)}.01`),
  ),
  text: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(fc.constantFrom('"', '\u0000', 'x', '😀', 'é'), fc.integer({ min: 0, max: 6000 })).map(([part, count]) => part.repeat(count)),
  ),
  bytes: fc
    .oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.integer({ min: 0, max: 9000 }).map((size) => new Uint8Array(size).fill(250)),
    )
    .map((bytes) => Buffer.from(bytes)),
  boolean: fc.constantFrom('t', 'f'),
  timestamptz: fc.constantFrom('2024-02-29T12:34:56.7Z', 'infinity', '-4712-01-01T00:00:00Z', '294276-12-31T23:59:59.999999Z'),
  timestamp: fc.constantFrom('2024-02-29T12:34:56.7', '-infinity', '-4712-01-01T00:00:00', '294276-12-31T23:59:59.999999'),
  date: fc.constantFrom('5874897-12-31', 'infinity', '-4712-01-01'),
  json: fc.json(),
  interval: fc.constantFrom('00:00:00', '-178000000 years', '1 year -11 mons +30 days -100:59:59.999999', '-00:00:00.5'),
  bits: fc.string({ unit: fc.constantFrom('0', '1'), maxLength: 9000 }),
  point: fc.constantFrom('(1,2)', '(-1.7976931348623157e+308,NaN)', '(0.30000000000000004,-Infinity)'),
  map: fc.dictionary(fc.string({ unit: 'binary', maxLength: 9 }), fc.option(fc.string({ unit: 'binary', maxLength: 900 }))).map(hstore),
  array: fc.array(fc.option(fc.string({ unit: 'binary', maxLength: 900 })), { maxLength: 40 }).map(array),
};

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function hstore(map: Record<string, string | null>): string {
  return Object.entries(map)
    .map(([key, value]) => `${quoted(key)}=>${value === null ? 'NULL' : quoted(value)}`)
    .join(', ');
}

function array(elements: readonly (string | null)[]): string {
  return `{${elements.map((element) => (element === null ? 'NULL' : quoted(element))).join(',')}}`;
}

const MODES = fc.record({
  schemasEnable: fc.boolean(),
  provideTransactionMetadata: fc.boolean(),
  decimalHandlingMode: fc.constantFrom('precise' as const, 'double' as const, 'string' as const),
  timePrecisionMode: fc.constantFrom('adaptive' as const, 'connect' as const, 'isostring' as const, 'nanoseconds' as const),
  binaryHandlingMode: fc.constantFrom('bytes' as const, 'base64-url-safe' as const, 'hex' as const),
  intervalHandlingMode: fc.constantFrom('numeric' as const, 'string' as const),
  hstoreHandlingMode: fc.constantFrom('json' as const, 'map' as const),
  unavailableValuePlaceholder: fc.constantFrom('', '__debezium_unavailable_value', '"\u0001'.repeat(60)),
});
const TYPES = Object.keys(CELLS) as (keyof typeof CELLS)[];

const tables = fc
  .array(fc.tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom(...TYPES), fc.constantFrom(null, 0, 3, 40)), {
    minLength: 1,
    maxLength: 8,
  })
  .chain((list) => {
    const element = { type: 'text', typeName: 'text', scale: null, precision: null } as const;
    const columns = list.map(([name, type, scale], index) => ({
      ...column(`${index}${name}`, type, scale),
      ...(type === 'array' ? { element } : {}),
    }));
    return fc.subarray(columns.map((_, index) => index)).map((key) => tableShape(columns, key));
  });

const batches = fc.array(
  tables.chain((table) => {
    const image = fc.tuple(
      ...table.columns.map(({ type }) =>
        fc.oneof(
          { weight: 6, arbitrary: CELLS[type] as fc.Arbitrary<CellValue> },
          { weight: 1, arbitrary: fc.constantFrom(NULL, UNAVAILABLE, ABSENT) },
        ),
      ),
    );
    return fc.oneof(
      fc.record({ op: fc.constantFrom('create' as const, 'read' as const), table: fc.constant(table), after: image }),
      fc.record({ op: fc.constant('update' as const), table: fc.constant(table), before: image, after: image }),
      fc.record({ op: fc.constant('delete' as const), table: fc.constant(table), before: image }),
      fc.record({ op: fc.constant('truncate' as const), table: fc.constant(table) }),
    );
  }),
  { maxLength: 4 },
) as fc.Arbitrary<RecordSpec[]>;

describe.each([
  ['debezium', debezium],
  ['native', native],
  ['cloudevents, structured', { create: (config, context) => cloudevents.create({ ...config, mode: 'structured' }, context) }],
  ['cloudevents, binary', { create: (config, context) => cloudevents.create({ ...config, mode: 'binary' }, context) }],
] as readonly (readonly [string, { create(config: DebeziumConfig, context: FormatContext): Format }])[])('%s', (_name, plugin) => {
  // `encoded` throws if more was written than was reserved.
  it('writes JSON for every record and never beyond what it has reserved (I1, I9)', () => {
    fc.assert(
      fc.property(batches, fc.boolean(), MODES, (records, tombstones, modes) => {
        const messages = encoded(plugin, records, { tombstones, ...modes });
        for (const { key, value } of messages) {
          if (key !== null) JSON.parse(key);
          if (value !== null) JSON.parse(value);
        }
        expect(new Set(messages.map(({ id }) => id.slice(0, id.lastIndexOf('/')))).size, 'each record has some').toBe(records.length);
        expect(new Set(messages.map(({ id }) => id)).size, 'ids are unique').toBe(messages.length);
      }),
      { numRuns: 150 },
    );
  });
});
