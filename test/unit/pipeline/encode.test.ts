import { describe, expect, it } from 'vitest';
import { BatchEncoder } from '../../../src/pipeline/encode.ts';
import type { Format } from '../../../src/plugin/format.ts';
import { BatchWriter, OP } from '../../../src/record/batch.ts';
import { SPAN, SPAN_SIZE } from '../../../src/record/messages.ts';
import { TableRegistry, type TableShape } from '../../../src/record/table.ts';
import { unboundedMemory } from '../../support/memory.ts';

const ID: TableShape['columns'][number] = { name: 'id', type: 'int32', typeName: 'integer', scale: null, precision: null };
const shape = (name: string, key: readonly number[], columns = [ID]): TableShape => ({
  kind: 'table',
  catalog: 'db',
  schema: 'public',
  name,
  columns,
  key,
});

/** Two messages for each record, without any content. */
const twice: Format = {
  begin: () => undefined,
  prepare: () => ({
    encode: (_record, out) => {
      for (let part = 0; part < 2; part++) out.message(-1, -1, -1, -1, -1, -1, 0, 0);
    },
  }),
};

type Row = readonly [op: (typeof OP)[keyof typeof OP], table: TableShape];

/** Of each message. */
function spreads(
  rows: readonly Row[],
  encoder = new BatchEncoder(twice, ({ label }) => label, unboundedMemory()),
  registry = new TableRegistry(),
): number[] {
  const batch = new BatchWriter(registry, () => undefined, 64);
  rows.forEach(([op, table], row) => {
    batch.record(op, batch.table(table), { id: 't', commitMicros: 1 }, row);
  });
  const { count, spans } = encoder.encode(batch, 0);
  return Array.from({ length: count }, (_, message) => spans[message * SPAN_SIZE + SPAN.spread] as number);
}

describe('where a message without a key goes (spread)', () => {
  it('is the same for all messages of a table, of all its versions and in every process: FNV-1a of its label, 31 bits', () => {
    const [orders, wider] = [shape('orders', []), shape('orders', [], [ID, { ...ID, name: 'more' }])];
    // Computed elsewhere: consumers keep their partitions only while this never changes.
    const expected = 0x1854963;
    expect(
      spreads([
        [OP.create, orders],
        [OP.update, wider],
        [OP.delete, orders],
      ]),
    ).toEqual(Array(6).fill(expected));
    // The highest bit would make it negative, which means something else.
    expect(spreads([[OP.create, shape('größe', [])]])).toEqual(Array(2).fill(0x421e7cff));
  });

  it('is every partition for a TRUNCATE of a table with a key, whose rows are in all of them, and only for that', () => {
    const [keyed, keyless] = [shape('keyed', [0]), shape('keyless', [])];
    const [a, b] = [spreads([[OP.create, keyed]]), spreads([[OP.create, keyless]])];
    const rows: Row[] = [
      [OP.truncate, keyed],
      [OP.create, keyed],
      [OP.truncate, keyless],
      [OP.truncate, keyed],
      [OP.create, keyless],
    ];
    expect(spreads(rows)).toEqual([-1, -1, ...a, ...b, -1, -1, ...b]);
    expect(Math.min(...a, ...b)).toBeGreaterThanOrEqual(0);
  });

  it('is every partition for a TRUNCATE of a table of which nothing is known', () => {
    expect(spreads([[OP.truncate, { ...shape('t', []), columns: [] }]])).toEqual([-1, -1]);
  });

  it('follows the format where that gives messages other keys than the table has', () => {
    const of = (isKeyed: boolean, key: readonly number[]): number => {
      const format: Format = { ...twice, prepare: (table) => ({ ...twice.prepare(table), isKeyed }) };
      return spreads([[OP.truncate, shape('t', key)]], new BatchEncoder(format, ({ label }) => label, unboundedMemory()))[0] as number;
    };
    expect(of(true, [])).toBe(-1);
    expect(of(false, [0])).toBeGreaterThanOrEqual(0);
  });

  it('is set anew in memory that is used again', () => {
    const registry = new TableRegistry();
    const encoder = new BatchEncoder(twice, ({ label }) => label, unboundedMemory());
    const batch = new BatchWriter(registry, () => undefined, 64);
    batch.record(OP.truncate, batch.table(shape('keyed', [0])), { id: 't', commitMicros: 1 }, 0);
    encoder.recycle(encoder.encode(batch, 0));
    expect(spreads([[OP.create, shape('keyed', [0])]], encoder, registry)).toEqual(spreads([[OP.create, shape('keyed', [0])]]));
  });
});
