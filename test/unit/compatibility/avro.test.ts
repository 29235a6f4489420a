import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IncompatibilityKind } from '../../../src/compatibility/incompatibility.ts';
import { checkReadable } from '../../../src/compatibility/levels.ts';

const kinds = (reader: unknown, writer: unknown): readonly IncompatibilityKind[] => [
  ...new Set(checkReadable('avro', reader, writer).map(({ kind }) => kind)),
];
const record = (fields: readonly unknown[], more: object = {}): object => ({ type: 'record', name: 'r', fields, ...more });
const decimal = (precision: number, scale?: number): object => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  ...(scale === undefined ? {} : { scale }),
});
const annotated = (type: string, logicalType: string): object => ({ type, logicalType });

type Found = IncompatibilityKind | null;
/** Two schemas; what is found when the second reads the first, and the reverse. */
const CASES: readonly (readonly [string, unknown, unknown, Found, Found])[] = [
  ['int and long', 'int', 'long', null, 'typeChanged'],
  ['int and float', 'int', 'float', null, 'typeChanged'],
  ['int and double', 'int', 'double', null, 'typeChanged'],
  ['long and float', 'long', 'float', null, 'typeChanged'],
  ['long and double', 'long', 'double', null, 'typeChanged'],
  ['float and double', 'float', 'double', null, 'typeChanged'],
  ['bytes and string', 'bytes', 'string', null, null],
  ['int and string', 'int', 'string', 'typeChanged', 'typeChanged'],
  ['boolean and int', 'boolean', 'int', 'typeChanged', 'typeChanged'],
  ['a type and a union with it', 'int', ['null', 'int'], null, 'typeChanged'],
  ['a type and a union with what reads it', 'int', ['null', 'long'], null, 'typeChanged'],
  ['a union and one with a branch more', ['null', 'int'], ['null', 'int', 'string'], null, 'branchRemoved'],
  ['a union and its branches in another order', ['null', 'int'], ['int', 'null'], null, null],
  ['a union of one and its branch', ['int'], 'int', null, null],
  ['an empty union', [], 'int', null, 'branchRemoved'],
  ['arrays of int and long', { type: 'array', items: 'int' }, { type: 'array', items: 'long' }, null, 'typeChanged'],
  ['maps of int and long', { type: 'map', values: 'int' }, { type: 'map', values: 'long' }, null, 'typeChanged'],
  ['an array and a map', { type: 'array', items: 'int' }, { type: 'map', values: 'int' }, 'typeChanged', 'typeChanged'],
  ['a field without default', record([]), record([{ name: 'a', type: 'int' }]), 'fieldWithoutDefault', null],
  ['a field with default', record([]), record([{ name: 'a', type: 'int', default: 0 }]), null, null],
  ['a field with default null', record([]), record([{ name: 'a', type: ['null', 'int'], default: null }]), null, null],
  [
    'fields in another order',
    record([
      { name: 'a', type: 'int' },
      { name: 'b', type: 'string' },
    ]),
    record([
      { name: 'b', type: 'string' },
      { name: 'a', type: 'int' },
    ]),
    null,
    null,
  ],
  [
    'a field renamed with an alias',
    record([{ name: 'a', type: 'int' }]),
    record([{ name: 'b', aliases: ['a'], type: 'int' }]),
    null,
    'fieldWithoutDefault',
  ],
  ['a field whose type widens', record([{ name: 'a', type: 'int' }]), record([{ name: 'a', type: 'long' }]), null, 'typeChanged'],
  ['a record renamed', record([]), record([], { name: 's' }), 'nameChanged', 'nameChanged'],
  ['a record renamed with an alias', record([]), record([], { name: 's', aliases: ['r'] }), null, 'nameChanged'],
  ['an alias in a namespace', record([], { namespace: 'n' }), record([], { name: 's', namespace: 'n', aliases: ['r'] }), null, 'nameChanged'],
  [
    'an alias of another namespace',
    record([], { namespace: 'n' }),
    record([], { name: 's', namespace: 'm', aliases: ['r'] }),
    'nameChanged',
    'nameChanged',
  ],
  ['another namespace', record([], { namespace: 'n' }), record([], { name: 'm.r' }), null, null],
  ['a symbol more', { type: 'enum', name: 'e', symbols: ['A'] }, { type: 'enum', name: 'e', symbols: ['B', 'A'] }, null, 'valueRemoved'],
  [
    'a symbol less, with a default',
    { type: 'enum', name: 'e', symbols: ['A', 'B'] },
    { type: 'enum', name: 'e', symbols: ['A'], default: 'A' },
    null,
    null,
  ],
  ['an enum renamed', { type: 'enum', name: 'e', symbols: ['A'] }, { type: 'enum', name: 'f', symbols: ['A'] }, 'nameChanged', 'nameChanged'],
  ['the size of a fixed', { type: 'fixed', name: 'f', size: 4 }, { type: 'fixed', name: 'f', size: 8 }, 'sizeChanged', 'sizeChanged'],
  ['a fixed and bytes', { type: 'fixed', name: 'f', size: 4 }, 'bytes', 'typeChanged', 'typeChanged'],
  ['the precision of a decimal', decimal(10, 2), decimal(12, 2), null, 'logicalTypeChanged'],
  ['the scale of a decimal', decimal(10, 2), decimal(12, 3), 'logicalTypeChanged', 'logicalTypeChanged'],
  ['a scale that is not said', decimal(10), decimal(10, 0), null, null],
  ['a decimal and its bytes', decimal(10, 2), 'bytes', null, 'logicalTypeChanged'],
  ['a decimal that is none', decimal(2, 3), 'bytes', null, null],
  ['another unit of time', annotated('long', 'timestamp-millis'), annotated('long', 'timestamp-micros'), 'logicalTypeChanged', 'logicalTypeChanged'],
  ['a unit of time after a promotion', annotated('int', 'date'), annotated('long', 'timestamp-micros'), 'logicalTypeChanged', 'typeChanged'],
  ['a logical type where it cannot stand', annotated('string', 'date'), 'string', null, null],
  ['a logical type that nobody knows', annotated('long', 'mine'), 'long', null, null],
  [
    'a decimal in a fixed',
    { type: 'fixed', name: 'f', size: 4, logicalType: 'decimal', precision: 4, scale: 1 },
    { type: 'fixed', name: 'f', size: 4, logicalType: 'decimal', precision: 4, scale: 2 },
    'logicalTypeChanged',
    'logicalTypeChanged',
  ],
];

describe('what an Avro schema reads of what another wrote', () => {
  it.each(CASES)('%s', (_, one, other, forward, back) => {
    expect(kinds(other, one)).toEqual(forward === null ? [] : [forward]);
    expect(kinds(one, other)).toEqual(back === null ? [] : [back]);
  });

  it('names the place and the cause', () => {
    const row = (type: unknown): object => record([{ name: 'after', type: ['null', { type: 'record', name: 'v', fields: [{ name: 'id', type }] }] }]);
    expect(checkReadable('avro', row('int'), row('long'))).toEqual([
      { path: '/fields/0/type/1/fields/0/type', kind: 'typeChanged', message: 'Long is written, and int cannot read it.' },
    ]);
  });

  it('follows names, also through themselves', () => {
    const list = (value: string): object =>
      record([
        { name: 'value', type: value },
        { name: 'next', type: ['null', 'r'] },
      ]);
    expect(kinds(list('long'), list('int'))).toEqual([]);
    expect(kinds(list('int'), list('long'))).toEqual(['typeChanged']);
  });

  it('takes no pair for compatible for the sake of one that is not, met before in itself', () => {
    // q reads what is written if W does, which is not known yet when q is compared; W does not, and then B, which would, holds q too.
    const back = { name: 'q', type: { type: 'record', name: 'Q', fields: [{ name: 'back', type: ['null', 'W'] }] } };
    const row = (type: string): object => ({ type: 'record', name: 'W', fields: [back, { name: 'bad', type }] });
    const other = { type: 'record', name: 'B', aliases: ['W'], fields: [{ name: 'q', type: 'Q' }] };
    expect(kinds([row('int'), other], row('string'))).toEqual(['typeChanged']);
    expect(kinds([row('string'), other], row('string'))).toEqual([]);
  });

  it.each([
    ['a name that is not known', 'nowhere'],
    ['a number', 5],
    ['a union in a union', ['null', ['int']]],
    ['a branch twice', ['int', 'int']],
    [
      'a field twice',
      record([
        { name: 'a', type: 'int' },
        { name: 'a', type: 'int' },
      ]),
    ],
    ['a default of another type', record([{ name: 'a', type: 'int', default: 'x' }])],
    ['a default too large', record([{ name: 'a', type: 'int', default: 2 ** 31 }])],
    ['a default of no branch', record([{ name: 'a', type: ['null', 'int'], default: 'x' }])],
    ['a name twice', record([{ name: 'a', type: record([]) }])],
    ['no name', { type: 'record', fields: [] }],
    ['a name with a space', record([], { name: 'a b' })],
    ['a primitive name', record([], { name: 'string' })],
    ['no fields', { type: 'record', name: 'r' }],
    ['no symbols', { type: 'enum', name: 'e' }],
    ['a symbol twice', { type: 'enum', name: 'e', symbols: ['A', 'A'] }],
    ['a default that is no symbol', { type: 'enum', name: 'e', symbols: ['A'], default: 'B' }],
    ['a negative size', { type: 'fixed', name: 'f', size: -1 }],
    ['no items', { type: 'array' }],
    ['aliases that are none', record([], { aliases: 'x' })],
  ])('refuses what is no schema: %s', (_, schema) => {
    expect(() => checkReadable('avro', schema, 'int')).toThrow(expect.objectContaining({ code: 'SLUICE_SCHEMA_INVALID' }));
  });

  it('refuses nesting without end, and does not compare without end', () => {
    let deep: unknown = 'int';
    for (let level = 0; level < 50_000; level++) deep = { type: 'array', items: deep };
    expect(() => checkReadable('avro', deep, 'int')).toThrow('nested');
    // A chain of names: deep in references and flat in JSON.
    const row = (defs: string, length: number): object =>
      record(
        [
          {
            name: defs,
            type: [
              'null',
              record([], { name: 'r0' }),
              ...Array.from({ length }, (_, at) => record([{ name: 'a', type: `r${at}` }], { name: `r${at + 1}` })),
            ],
            default: null,
          },
          { name: 'x', type: `r${length}` },
        ],
        { name: 'top' },
      );
    expect(kinds(row('one', 150), row('other', 150))).toEqual([]);
    expect(kinds(row('one', 5_000), row('other', 5_000))).toEqual(['undecided']);
    const wide = (symbol: string): object[] => Array.from({ length: 5_000 }, (_, at) => ({ type: 'enum', name: `e${at}`, symbols: [symbol] }));
    const began = performance.now();
    expect(kinds(wide('A'), wide('B'))).toEqual(['undecided']);
    expect(kinds(wide('A'), wide('A'))).toEqual([]);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

interface Pair {
  readonly writer: unknown;
  readonly reader: unknown;
}

const primitive = fc.constantFrom('null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string');
const letters = ['A', 'B', 'C'];
const named = fc.record({ same: fc.boolean(), alias: fc.boolean() });

function names(kind: string, { same, alias }: { same: boolean; alias: boolean }): readonly [object, object] {
  return [{ name: kind }, { name: same ? kind : `${kind}_new`, ...(alias ? { aliases: [kind] } : {}) }];
}

/** A schema and what may have become of it. */
const pairs = fc.letrec<{
  any: Pair;
  record: Pair;
  field: { pair: Pair; inWriter: boolean; inReader: boolean; renamed: boolean; hasDefault: boolean };
}>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.tuple(primitive, primitive, fc.boolean()).map(([one, other, same]) => ({ writer: one, reader: same ? one : other })),
    fc.record({ named, sizes: fc.tuple(fc.constantFrom(2, 3), fc.constantFrom(2, 3)) }).map(({ named: names2, sizes }) => {
      const [writer, reader] = names('fixed', names2);
      return { writer: { type: 'fixed', size: sizes[0], ...writer }, reader: { type: 'fixed', size: sizes[1], ...reader } };
    }),
    fc
      .record({ named, symbols: fc.tuple(fc.subarray(letters, { minLength: 1 }), fc.subarray(letters, { minLength: 1 })), hasDefault: fc.boolean() })
      .map(({ named: names2, symbols, hasDefault }) => {
        const [writer, reader] = names('enum', names2);
        const fallback = hasDefault ? { default: symbols[1][0] } : {};
        return { writer: { type: 'enum', symbols: symbols[0], ...writer }, reader: { type: 'enum', symbols: symbols[1], ...fallback, ...reader } };
      }),
    tie('any').map(({ writer, reader }) => ({ writer: { type: 'array', items: writer }, reader: { type: 'array', items: reader } })),
    tie('any').map(({ writer, reader }) => ({ writer: { type: 'map', values: writer }, reader: { type: 'map', values: reader } })),
    tie('record'),
    fc
      .tuple(fc.array(tie('any'), { minLength: 1, maxLength: 3 }), fc.constantFrom('both', 'reader', 'writer'), fc.boolean())
      .map(([branches, where, withNull]) => {
        const writers = branches.map(({ writer }) => writer);
        const readers = branches.map(({ reader }) => reader);
        if (where === 'both') return { writer: writers, reader: withNull ? ['null', ...readers] : readers };
        return where === 'reader' ? { writer: writers[0], reader: readers } : { writer: writers, reader: readers[0] };
      }),
  ),
  record: fc.tuple(named, fc.array(tie('field'), { maxLength: 3 })).map(([names2, fields]) => {
    const [writer, reader] = names('record', names2);
    const written = fields.flatMap(({ pair, inWriter }, at) => (inWriter ? [{ name: `f${at}`, type: pair.writer }] : []));
    const read = fields.flatMap(({ pair, inReader, renamed, hasDefault }, at) => {
      if (!inReader) return [];
      const name = renamed ? { name: `g${at}`, aliases: [`f${at}`] } : { name: `f${at}` };
      return [
        hasDefault
          ? { ...name, type: ['null', ...(Array.isArray(pair.reader) ? [] : [pair.reader])], default: null }
          : { ...name, type: pair.reader },
      ];
    });
    return { writer: { type: 'record', fields: written, ...writer }, reader: { type: 'record', fields: read, ...reader } };
  }),
  field: fc.record({ pair: tie('any'), inWriter: fc.boolean(), inReader: fc.boolean(), renamed: fc.boolean(), hasDefault: fc.boolean() }),
}));

/** Each named type under a name of its own: a name may stand for one thing only. */
function distinctNames(schema: unknown, path = ''): unknown {
  if (Array.isArray(schema)) return schema.map((branch: unknown, at) => distinctNames(branch, `${path}_${at}`));
  if (typeof schema !== 'object' || schema === null) return schema;
  const json = schema as Record<string, unknown>;
  const place = (name: string): string => `${name}${path}`;
  return {
    ...json,
    ...(typeof json['name'] === 'string' ? { name: place(json['name']) } : {}),
    ...(Array.isArray(json['aliases']) ? { aliases: json['aliases'].map((name: string) => place(name)) } : {}),
    ...('items' in json ? { items: distinctNames(json['items'], `${path}_i`) } : {}),
    ...('values' in json ? { values: distinctNames(json['values'], `${path}_v`) } : {}),
    ...(Array.isArray(json['fields'])
      ? {
          fields: json['fields'].map((field: { name: string; aliases?: readonly string[]; type: unknown }) => ({
            ...field,
            // By the name that it had, so that both sides make the same of it.
            type: distinctNames(field.type, `${path}_${field.name.slice(1)}`),
          })),
        }
      : {}),
  };
}

function parsed(schema: unknown): avsc.Type | null {
  try {
    return avsc.Type.forSchema(schema as avsc.Schema, { wrapUnions: true });
  } catch {
    return null;
  }
}

/** Does avsc's resolver read what is written? */
function isReadByAvsc(reader: avsc.Type, writer: avsc.Type): boolean {
  try {
    const resolver = reader.createResolver(writer, { ignoreNamespaces: true } as never);
    for (let datum = 0; datum < 5; datum++) reader.fromBuffer(writer.toBuffer(writer.random()), resolver);
    return true;
  } catch {
    return false;
  }
}

describe('avsc decoding with a resolver', () => {
  it('agrees, in both directions, on schemas and what became of them', () => {
    let [compatible, compared] = [0, 0];
    fc.assert(
      fc.property(pairs.any, (pair) => {
        const [writer, reader] = [distinctNames(pair.writer), distinctNames(pair.reader)];
        const [written, read] = [parsed(writer), parsed(reader)];
        fc.pre(written !== null && read !== null);
        for (const [to, from, toType, fromType] of [
          [reader, writer, read, written],
          [writer, reader, written, read],
        ] as const) {
          const isRead = isReadByAvsc(toType as avsc.Type, fromType as avsc.Type);
          compared++;
          if (isRead) compatible++;
          expect(checkReadable('avro', to, from).length === 0, JSON.stringify({ to, from })).toBe(isRead);
        }
      }),
      { numRuns: 1_000 },
    );
    // Both answers were asked for often enough.
    expect(compatible).toBeGreaterThan(compared / 10);
    expect(compatible).toBeLessThan((compared * 9) / 10);
  });
});
