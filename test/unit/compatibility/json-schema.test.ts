import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IncompatibilityKind } from '../../../src/compatibility/incompatibility.ts';
import { checkReadable } from '../../../src/compatibility/levels.ts';

const kinds = (reader: unknown, writer: unknown): readonly IncompatibilityKind[] => [
  ...new Set(checkReadable('json-schema', reader, writer).map(({ kind }) => kind)),
];

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const open = (properties: object, required: readonly string[] = []): object => ({ type: 'object', properties, required });
const closed = (properties: object, required: readonly string[] = []): object => ({ ...open(properties, required), additionalProperties: false });
const text = { type: 'string' };
const whole = { type: 'integer' };
/** Read from text: an object with `then` may be taken for a promise. */
const conditional: unknown = JSON.parse('{"if":{"type":"string"},"then":{"maxLength":3}}');
const tagged = (kind: string, more: object): object => closed({ kind: { const: kind }, ...more }, ['kind']);

type Found = IncompatibilityKind | readonly IncompatibilityKind[] | null;
/** Two schemas; what is found when the second reads the first, and the reverse. */
const CASES: readonly (readonly [string, unknown, unknown, Found, Found])[] = [
  ['integer and number', whole, { type: 'number' }, null, 'typeChanged'],
  ['a type and one of two', text, { type: ['string', 'null'] }, null, 'typeChanged'],
  ['string and integer', text, whole, 'typeChanged', 'typeChanged'],
  ['anything and a type', {}, text, 'typeChanged', null],
  ['true and nothing said', true, {}, null, null],
  ['false and anything', false, text, null, 'typeChanged'],
  ['a value of an enum more', { enum: ['a'] }, { enum: ['a', 'b'] }, null, 'valueRemoved'],
  ['an enum and its type', { enum: ['a', 'b'] }, text, null, 'valueRemoved'],
  ['an enum of two types', { enum: ['a', 1] }, { type: ['string', 'integer'] }, null, 'valueRemoved'],
  ['booleans in an enum', { type: 'boolean' }, { enum: [true, false] }, null, null],
  ['a const and an enum with it', { const: { a: [1, null] } }, { enum: [{ a: [1, null] }, 2] }, null, 'valueRemoved'],
  ['a const and what describes it', { const: { a: [1, 'x'] } }, closed({ a: { prefixItems: [whole, text], items: false } }), null, 'valueRemoved'],
  ['a minimum that falls', { type: 'number', minimum: 2 }, { type: 'number', minimum: 1 }, null, 'boundNarrowed'],
  ['a maximum that rises', { type: 'number', maximum: 1 }, { type: 'number', maximum: 2 }, null, 'boundNarrowed'],
  ['an exclusive bound', { type: 'number', exclusiveMinimum: 1 }, { type: 'number', minimum: 1 }, null, 'boundNarrowed'],
  ['an exclusive bound of integers', { type: 'integer', exclusiveMinimum: 0 }, { type: 'integer', minimum: 1 }, null, null],
  ['a bound of another type', text, { type: 'string', minimum: 5 }, null, null],
  ['multiples', { type: 'integer', multipleOf: 6 }, { type: 'integer', multipleOf: 3 }, null, 'boundNarrowed'],
  ['an integer and multiples of 1', whole, { type: 'number', multipleOf: 1 }, null, 'typeChanged'],
  ['a longer string', { type: 'string', maxLength: 5 }, { type: 'string', maxLength: 6 }, null, 'boundNarrowed'],
  ['a shorter string', { type: 'string', minLength: 5 }, { type: 'string', minLength: 4 }, null, 'boundNarrowed'],
  ['a pattern', { type: 'string', pattern: '^a' }, text, null, 'conditionAdded'],
  ['a format', { type: 'string', format: 'date' }, text, null, 'conditionAdded'],
  ['a property required', closed({ a: text }, ['a']), closed({ a: text }), null, 'requiredAdded'],
  ['a property more, closed', closed({ a: text }), closed({ a: text, b: text }), null, 'propertyRemoved'],
  ['a property more, open', open({ a: text }), open({ a: text, b: text }), 'propertyAdded', null],
  ['a property more that takes anything, open', open({ a: text }), open({ a: text, b: {} }), null, null],
  ['closed and open', closed({ a: text }), open({ a: text }), null, 'propertyRemoved'],
  [
    'a property more of the additional type',
    { ...open({}), additionalProperties: whole },
    { ...open({ a: whole }), additionalProperties: whole },
    null,
    null,
  ],
  [
    'additional properties that widen',
    { ...open({}), additionalProperties: whole },
    { ...open({}), additionalProperties: { type: 'number' } },
    null,
    'typeChanged',
  ],
  ['a property that widens', closed({ a: whole }), closed({ a: { type: 'number' } }), null, 'typeChanged'],
  ['a property that cannot be', closed({ a: false, b: text }), closed({ b: text }), null, null],
  ['more properties', { type: 'object', maxProperties: 2 }, { type: 'object', maxProperties: 3 }, null, 'boundNarrowed'],
  [
    'as many properties as are required',
    closed({ a: text, b: text }, ['a']),
    { type: 'object', minProperties: 1, maxProperties: 2 },
    null,
    ['requiredAdded', 'propertyAdded', 'propertyRemoved'],
  ],
  [
    'names of properties',
    { type: 'object', propertyNames: { maxLength: 3 } },
    { type: 'object', propertyNames: { maxLength: 4 } },
    null,
    'conditionAdded',
  ],
  [
    'names of a closed object',
    closed({ abc: text }),
    { type: 'object', propertyNames: { maxLength: 3 } },
    null,
    ['propertyAdded', 'propertyRemoved'],
  ],
  [
    'a pattern of properties that widens',
    { type: 'object', patternProperties: { '^x': whole }, additionalProperties: false },
    { type: 'object', patternProperties: { '^x': { type: 'number' } }, additionalProperties: false },
    null,
    'undecided',
  ],
  [
    'a name that a pattern may match',
    { type: 'object', patternProperties: { '^a': { type: 'number' } }, additionalProperties: whole },
    { type: 'object', properties: { abc: whole } },
    'propertyAdded',
    ['undecided', 'typeChanged'],
  ],
  ['a pattern of properties', { type: 'object', patternProperties: { '^x': whole } }, { type: 'object' }, null, 'undecided'],
  ['required together', { type: 'object', dependentRequired: { a: ['b'] } }, { type: 'object' }, null, 'conditionAdded'],
  ['required together, and required', open({}, ['b']), { type: 'object', dependentRequired: { a: ['b'] } }, null, 'requiredAdded'],
  ['items that widen', { type: 'array', items: whole }, { type: 'array', items: { type: 'number' } }, null, 'typeChanged'],
  ['more items', { type: 'array', maxItems: 1 }, { type: 'array', maxItems: 2 }, null, 'boundNarrowed'],
  ['different items', { type: 'array', uniqueItems: true }, { type: 'array' }, null, 'conditionAdded'],
  ['one item is different from all', { type: 'array', maxItems: 1 }, { type: 'array', uniqueItems: true }, null, 'boundNarrowed'],
  [
    'a tuple in both ways of writing',
    { type: 'array', items: [whole, text], additionalItems: false },
    { type: 'array', prefixItems: [whole, text], items: false },
    null,
    null,
  ],
  ['a tuple and its items', { type: 'array', prefixItems: [whole, whole], items: false }, { type: 'array', items: whole }, null, 'boundNarrowed'],
  [
    'an item that is asked for',
    { type: 'array', contains: whole, minContains: 2 },
    { type: 'array', contains: { type: 'number' } },
    null,
    'conditionAdded',
  ],
  ['a branch of anyOf more', { anyOf: [text, whole] }, { anyOf: [text, whole, { type: 'null' }] }, null, 'branchRemoved'],
  ['a branch of oneOf more, of another type', { oneOf: [text, whole] }, { oneOf: [text, whole, { type: 'null' }] }, null, 'branchRemoved'],
  ['anyOf and the types', { anyOf: [text, { type: 'null' }] }, { type: ['string', 'null'] }, null, null],
  ['oneOf and the types', { oneOf: [text, { type: 'null' }] }, { type: ['string', 'null'] }, null, null],
  ['oneOf whose branches overlap', whole, { oneOf: [whole, { type: 'number', minimum: 0 }] }, 'undecided', 'typeChanged'],
  ['oneOf with the same branch twice', { oneOf: [whole] }, { oneOf: [whole, whole] }, 'undecided', null],
  [
    'oneOf told by a const',
    tagged('a', { x: whole }),
    { oneOf: [tagged('a', { x: { type: 'number' } }), tagged('b', {})] },
    null,
    ['typeChanged', 'valueRemoved'],
  ],
  [
    'oneOf with the same overlap',
    { oneOf: [whole, { type: 'number' }], title: 'one' },
    { oneOf: [whole, { type: 'number' }], title: 'other' },
    null,
    null,
  ],
  ['allOf and what it says', { allOf: [whole, { minimum: 1 }] }, { type: 'integer', minimum: 1 }, null, null],
  ['not', { not: text }, {}, null, 'conditionAdded'],
  ['not, of another type', whole, { not: text }, null, 'typeChanged'],
  ['if, then and else', conditional, {}, null, 'undecided'],
  ['if that never holds', whole, conditional, null, 'typeChanged'],
  ['what is evaluated elsewhere', { type: 'object', unevaluatedProperties: false }, { type: 'object' }, null, 'undecided'],
  [
    'a definition that widens',
    { $ref: '#/$defs/a', $defs: { a: whole } },
    { $ref: '#/definitions/b', definitions: { b: { type: 'number' } } },
    null,
    'typeChanged',
  ],
  ['a reference out of the schema', { $ref: 'http://elsewhere/x' }, text, 'undecided', 'undecided'],
  ['the same reference out of the schema', { $ref: 'http://elsewhere/x' }, { $ref: 'http://elsewhere/x' }, null, null],
  [
    'keywords beside a reference in 2020-12',
    { $schema: DIALECT, $ref: '#/$defs/a', minimum: 1, $defs: { a: whole } },
    { type: 'integer', minimum: 1 },
    null,
    null,
  ],
  [
    'keywords beside a reference in draft 7',
    { $schema: 'http://json-schema.org/draft-07/schema#', $ref: '#/definitions/a', minimum: 1, definitions: { a: whole } },
    { type: 'integer', minimum: 1 },
    'boundNarrowed',
    null,
  ],
  [
    'keywords beside a reference in a draft that is not told',
    { $ref: '#/$defs/a', minimum: 1, $defs: { a: whole } },
    whole,
    'undecided',
    'undecided',
  ],
  [
    'a keyword of a later draft than is told',
    { $schema: 'http://json-schema.org/draft-07/schema#', prefixItems: [whole] },
    { prefixItems: [whole] },
    'undecided',
    'undecided',
  ],
  ['annotations', { type: 'string', title: 'a', default: 'x' }, { type: 'string', description: 'b', deprecated: true }, null, null],
];

describe('what a JSON Schema takes of what another describes', () => {
  it.each(CASES)('%s', (_, one, other, forward, back) => {
    expect(kinds(other, one)).toEqual([forward ?? []].flat());
    expect(kinds(one, other)).toEqual([back ?? []].flat());
  });

  it('names the place and the cause', () => {
    expect(
      checkReadable('json-schema', open({ after: { anyOf: [{ type: 'null' }, open({ id: whole })] } }), open({ after: open({ id: text }) })),
    ).toEqual([{ path: '/properties/after/anyOf/1/properties/id/type', kind: 'typeChanged', message: 'What may be written is not taken: string.' }]);
  });

  it('follows references, also to themselves', () => {
    const list = (value: object): object => ({ ...closed({ value, next: { anyOf: [{ type: 'null' }, { $ref: '#' }] } }) });
    expect(kinds(list({ type: 'number' }), list(whole))).toEqual([]);
    expect(kinds(list(whole), list({ type: 'number' }))).toEqual(['typeChanged']);
    expect(kinds({ $ref: '#' }, text)).toEqual(['undecided']);
    expect(kinds({ anyOf: [{ $ref: '#' }, whole] }, text)).toEqual(['undecided']);
  });

  it('takes names such as __proto__ for names', () => {
    const property = (type: string): unknown =>
      JSON.parse(`{"type":"object","properties":{"__proto__":{"type":"${type}"},"constructor":{"type":"${type}"}},"additionalProperties":false}`);
    expect(kinds(property('number'), property('integer'))).toEqual([]);
    expect(checkReadable('json-schema', property('integer'), property('number')).map(({ path }) => path)).toEqual([
      '/properties/__proto__/type',
      '/properties/constructor/type',
    ]);
  });

  it.each([
    ['a number', 5],
    ['a type that is none', { type: 'text' }],
    ['properties in an array', { properties: [] }],
    ['a bound that is no number', { minimum: '1' }],
    ['required that is true', { required: true }],
    ['anyOf that is an object', { anyOf: {} }],
    ['anyOf with nothing', { anyOf: [] }],
    ['a length below 0', { minLength: -1 }],
    ['a multiple of 0', { multipleOf: 0 }],
    ['a schema in a schema that is none', { items: { not: 1 } }],
  ])('refuses what is no schema: %s', (_, schema) => {
    expect(() => checkReadable('json-schema', schema, {})).toThrow(expect.objectContaining({ code: 'SLUICE_SCHEMA_INVALID' }));
  });

  it('is not held up by a stranger', () => {
    let deep: unknown = {};
    for (let level = 0; level < 50_000; level++) deep = { not: deep };
    expect(() => checkReadable('json-schema', deep, {})).toThrow('nested');
    const many = { allOf: Array.from({ length: 30 }, (_, at) => ({ oneOf: [{ minimum: at }, { maximum: at + 1 }, { pattern: '(a+)+$' }] })) };
    expect(kinds(many, { ...many, title: 'x' })).toEqual(['undecided']);
    const values = Array.from({ length: 15_000 }, (_, at) => `v${at}`);
    expect(kinds({ enum: values }, { enum: values, title: 'x' })).toEqual([]);
    let nested: object = { type: 'object' };
    for (let level = 0; level < 12; level++) nested = { anyOf: [{ properties: { a: nested } }, { properties: { b: nested } }, { required: ['c'] }] };
    kinds(nested, { ...nested, title: 'x' });
    // Else it would not end within the time of a test.
  });
});

const letters = ['a', 'b', 'c'];
const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom(null, true, false, 0, 1, 2, 3, 1.5, -1, '', 'a', 'ab', 'abc'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...letters), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const small = fc.nat({ max: 3 });
const schemas = fc.letrec<{ schema: object | boolean }>((tie) => {
  const some = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => fc.option(arbitrary, { nil: undefined, freq: 2 });
  const properties = fc.dictionary(fc.constantFrom(...letters), tie('schema'), { maxKeys: 3 });
  const sub = tie('schema');
  const pick = (keywords: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
    fc
      .record(Object.fromEntries(Object.entries(keywords).map(([key, arbitrary]) => [key, some(arbitrary)])))
      .map((json) => JSON.parse(JSON.stringify(json)) as object);
  const list = fc.array(sub, { minLength: 1, maxLength: 3 });
  return {
    schema: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom<object | boolean>(
        { type: 'string' },
        { type: 'integer' },
        { type: 'number' },
        { type: 'null' },
        { type: 'object' },
        {},
        true,
        false,
      ),
      pick({
        type: fc.constantFrom('integer', 'number'),
        minimum: small,
        maximum: small,
        exclusiveMinimum: small,
        exclusiveMaximum: small,
        multipleOf: fc.constantFrom(1, 2, 3),
      }),
      pick({ type: fc.constant('string'), minLength: small, maxLength: small, pattern: fc.constantFrom('^a', 'b$') }),
      pick({
        type: fc.constant('object'),
        properties,
        required: fc.subarray(letters),
        additionalProperties: fc.oneof(fc.constant(false), sub),
        minProperties: small,
        maxProperties: small,
      }),
      pick({
        properties,
        patternProperties: fc.dictionary(fc.constantFrom('^a', 'b'), sub),
        additionalProperties: fc.oneof(fc.constant(false), sub),
        propertyNames: sub,
        dependentRequired: fc.dictionary(fc.constantFrom(...letters), fc.subarray(letters)),
        dependentSchemas: fc.dictionary(fc.constantFrom(...letters), sub, { maxKeys: 1 }),
      }),
      pick({
        type: fc.constant('array'),
        prefixItems: list,
        items: sub,
        minItems: small,
        maxItems: small,
        uniqueItems: fc.boolean(),
        contains: sub,
        minContains: small,
      }),
      fc.array(values, { minLength: 1, maxLength: 4 }).map((listed) => ({ enum: listed })),
      values.map((value) => ({ const: value })),
      pick({
        type: fc.subarray(['null', 'boolean', 'object', 'array', 'string', 'integer', 'number'], { minLength: 1 }),
        enum: fc.array(values, { minLength: 1, maxLength: 3 }),
      }),
      list.map((anyOf) => ({ anyOf })),
      list.map((oneOf) => ({ oneOf })),
      list.map((allOf) => ({ allOf })),
      sub.map((not) => ({ not })),
      // biome-ignore lint/suspicious/noThenProperty: it is a keyword.
      pick({ if: sub, then: sub, else: sub }),
      fc.tuple(sub, sub).map(([inner, base]) => (typeof base === 'boolean' ? base : { ...base, allOf: [inner] })),
    ),
  };
}).schema;

/** What may have become of a schema: some of its parts are widened, narrowed, taken away, or left. */
function changed(schema: unknown, random: () => number): unknown {
  if (typeof schema !== 'object' || schema === null) return random() < 0.1 ? !schema : schema;
  if (Array.isArray(schema)) {
    const kept = schema.filter(() => random() > 0.1);
    return (kept.length > 0 ? kept : schema).map((one: unknown) => changed(one, random));
  }
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (random() < 0.15) continue;
    if (typeof value === 'number' && key !== 'const') result[key] = random() < 0.4 ? Math.max(1, value + (random() < 0.5 ? 1 : -1)) : value;
    else if (['enum', 'required', 'type'].includes(key)) {
      const kept = Array.isArray(value) ? value.filter(() => random() > 0.2) : value === 'integer' && random() < 0.3 ? 'number' : value;
      result[key] = Array.isArray(kept) && kept.length === 0 ? value : kept;
    } else if (['const', 'pattern', 'dependentRequired', 'uniqueItems'].includes(key)) result[key] = value;
    else if (['properties', 'patternProperties', 'dependentSchemas'].includes(key))
      result[key] = Object.fromEntries(
        Object.entries(value as object)
          .filter(() => random() > 0.1)
          .map(([name, one]) => [name, changed(one, random)]),
      );
    else result[key] = changed(value, random);
  }
  return result;
}

describe('ajv', () => {
  // Without allErrors ajv takes an empty array for valid where `contains` stands beside `prefixItems`.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false, allErrors: true });
  // Noting what was evaluated, which no schema here asks for, ajv throws a TypeError at {patternProperties, allOf: [{anyOf: [{properties}]}]}.
  ajv.opts.unevaluated = false;

  it('finds no document that contradicts "compatible"', () => {
    let [compatible, told] = [0, 0];
    fc.assert(
      fc.property(
        schemas,
        schemas,
        fc.array(values, { minLength: 30, maxLength: 30 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        (one, other, documents, chances) => {
          const random = (): number => chances.next().value as number;
          const later = changed(one, random);
          for (const [reader, writer] of [
            [later, one],
            [one, later],
            [one, other],
            [{ anyOf: [one, other] }, one],
            [one, { oneOf: [other, one] }],
          ]) {
            if (kinds(reader, writer).length > 0) {
              told++;
              continue;
            }
            compatible++;
            const [isWritten, isRead] = [ajv.compile(writer as object), ajv.compile(reader as object)];
            for (const document of documents)
              if (isWritten(document)) expect(isRead(document), JSON.stringify({ reader, writer, document })).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(compatible).toBeGreaterThan(told / 5);
    expect(told).toBeGreaterThan(compatible / 5);
  }, 60_000);
});
