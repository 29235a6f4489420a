import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABSENT, BatchWriter, HEAD_SIZE, NULL, type Op, type RecordBatch, type Transaction, UNAVAILABLE } from '../../../src/record/batch.ts';
import { BatchFormatError, batchFromBytes, batchToBytes } from '../../../src/record/serialize.ts';
import { TableRegistry, type TableShape } from '../../../src/record/table.ts';
import { LOGICAL_TYPES } from '../../../src/record/types.ts';

const name = fc.string({ unit: 'binary', maxLength: 8 });
const shape: fc.Arbitrary<TableShape> = fc
  .record({
    kind: fc.constantFrom('table' as const, 'message' as const),
    catalog: name,
    schema: name,
    name,
    columns: fc.array(
      fc.record({
        name: fc.oneof(name, fc.constant('__proto__'), fc.constant('\u2028"\\')),
        type: fc.constantFrom(...LOGICAL_TYPES),
        typeName: name,
        scale: fc.option(fc.integer({ min: -1000, max: 16_383 })),
        precision: fc.option(fc.nat()),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  })
  .chain((rest) => fc.record({ ...constants(rest), key: fc.uniqueArray(fc.nat(rest.columns.length - 1)) }));

function constants<T extends object>(value: T): { [K in keyof T]: fc.Arbitrary<T[K]> } {
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fc.constant(each)])) as { [K in keyof T]: fc.Arbitrary<T[K]> };
}

const cell = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.constantFrom(NULL, UNAVAILABLE, ABSENT));
const transaction: fc.Arbitrary<Transaction> = fc.record({ id: name, commitMicros: fc.maxSafeInteger() });
const position = fc.option(fc.dictionary(fc.oneof(name, fc.constant('__proto__')), fc.option(name), { maxKeys: 3 }));
const record = fc.record({
  op: fc.integer({ min: 0, max: 5 }),
  table: fc.nat(2),
  transaction: fc.nat(2),
  ordinal: fc.nat(2 ** 31 - 1),
  images: fc.subarray(['before', 'after', 'origin'] as const),
  cells: fc.array(cell, { minLength: 1, maxLength: 6 }),
  checkpoint: fc.boolean(),
});

const batch: fc.Arbitrary<RecordBatch> = fc
  .record({
    shapes: fc.array(shape, { minLength: 3, maxLength: 3 }),
    transactions: fc.array(transaction, { minLength: 3, maxLength: 3 }),
    records: fc.array(record, { maxLength: 20 }),
    position,
  })
  .map(({ shapes, transactions, records, position: at }) => {
    const writer = new BatchWriter(new TableRegistry(), () => undefined, 16);
    for (const each of records) {
      writer.record(each.op as Op, writer.table(shapes[each.table] as TableShape), transactions[each.transaction] as Transaction, each.ordinal);
      for (const image of each.images) {
        writer.image(image);
        for (const value of each.cells) {
          if (typeof value === 'number') writer.mark(value as typeof NULL);
          else writer.cell(writer.append(value), writer.arenaLength);
        }
      }
      if (each.checkpoint && at !== null) writer.setCheckpoint(at);
    }
    if (records.length === 0 && at !== null) writer.setCheckpoint(at);
    return writer;
  });

/** All that a reader of a batch can see. */
function visible(of: RecordBatch): unknown {
  return {
    count: of.count,
    heads: [...of.heads.subarray(0, of.count * HEAD_SIZE)],
    cells: [...of.cells.subarray(0, of.cellCount * 2)],
    arena: of.arena.subarray(0, of.arenaLength).toString('hex'),
    sizes: [of.arenaLength, of.cellCount],
    tables: JSON.stringify(of.tables),
    transactions: JSON.stringify(of.transactions),
    checkpoint: JSON.stringify(of.checkpoint),
    checkpointRecords: of.checkpointRecords,
  };
}

describe('a record batch as bytes', () => {
  it('reads back exactly: any tables, transactions, images, marks, and empty batches with or without a checkpoint', () => {
    fc.assert(
      fc.property(batch, fc.nat(7), (written, shift) => {
        const bytes = batchToBytes(written);
        // Read from any alignment: a stored value is a part of something larger.
        const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
        const read = batchFromBytes(moved);
        expect(visible(read)).toEqual(visible(written));
        expect(batchToBytes(read)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('does not need the batch any more', () => {
    const writer = new BatchWriter(new TableRegistry(), (each) => each.reset(), 16);
    const table = writer.table({ kind: 'table', catalog: 'c', schema: 's', name: 't', columns: [], key: [] });
    writer.record(1, table, { id: 'a', commitMicros: 1 }, 7);
    writer.image('after');
    writer.cell(writer.append(Buffer.from('value')), 5);
    const before = visible(writer);
    const bytes = batchToBytes(writer);
    writer.arena.fill(0);
    writer.release();
    expect(visible(batchFromBytes(bytes))).toEqual(before);
  });

  it('refuses any change of one bit and any other length', () => {
    fc.assert(
      fc.property(batch, fc.nat(), fc.nat(7), (written, where, bit) => {
        const bytes = batchToBytes(written);
        const at = where % bytes.length;
        const damaged = Buffer.from(bytes);
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at);
        expect(() => batchFromBytes(damaged)).toThrow(BatchFormatError);
        expect(() => batchFromBytes(bytes.subarray(0, at))).toThrow(BatchFormatError);
        expect(() => batchFromBytes(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(BatchFormatError);
      }),
    );
  });
});
