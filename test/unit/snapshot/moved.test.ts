import { expect, test } from 'vitest';
import { ABSENT, BatchWriter, OP, UNAVAILABLE } from '../../../src/record/batch.ts';
import { TableRegistry } from '../../../src/record/table.ts';
import { Copies } from '../../../src/snapshot/copies.ts';
import { noteMoved } from '../../../src/snapshot/moved.ts';
import { TableCopy } from '../../../src/snapshot/table-copy.ts';

const registry = new TableRegistry();
const column = (name: string) => ({ name, type: 'text', typeName: 'text', scale: null, precision: null }) as const;
const TABLE = registry.version({
  kind: 'table',
  catalog: 'db',
  schema: 'public',
  name: 't',
  columns: ['id', 'at', 'big'].map(column),
  key: [0],
});

type Cells = readonly (string | typeof UNAVAILABLE | typeof ABSENT)[];

/** The keys that are noted for an update of a table that is copied by `surrogateKey`. */
function noted(surrogateKey: string | null, before: Cells | null, after: Cells, isRead = false): string[] {
  const batch = new BatchWriter(registry, () => undefined, 16);
  batch.record(OP.update, TABLE, { id: 'a', commitMicros: 1 }, 0);
  for (const [which, cells] of [['before', before] as const, ['after', after] as const]) {
    if (cells === null) continue;
    batch.image(which);
    for (const cell of cells) {
      if (typeof cell === 'number') batch.mark(cell);
      else {
        const start = batch.append(Buffer.from(cell));
        batch.cell(start, start + cell.length);
      }
    }
  }
  const copies = new Copies('initial', {}, true);
  const copy = new TableCopy('public.t', 'again');
  copy.reset(null, surrogateKey);
  copy.plan([]);
  for (const part of copy.parts ?? []) part.done = isRead;
  copies.add(copy);
  noteMoved(copies, batch, (_, { arena, cells }, image) => [arena.toString('latin1', cells[image * 2], cells[image * 2 + 1])]);
  return [...copy.moved.values()].map(([key]) => key as string);
}

const WHOLE = ['1', 'b', 'value'] as const;
const LACKING = ['1', 'b', UNAVAILABLE] as const;

test('by its key alone: a row that moves to another key, and is not told whole', () => {
  expect(noted(null, null, LACKING)).toEqual([]);
  expect(noted(null, ['0', ABSENT, ABSENT], LACKING)).toEqual(['1']);
  expect(noted(null, ['0', ABSENT, ABSENT], WHOLE)).toEqual([]);
});

test('by a surrogate key: every row that is not told whole, unless the log tells that its value is the same', () => {
  expect(noted('at', null, LACKING)).toEqual(['1']);
  expect(noted('at', ['0', ABSENT, ABSENT], LACKING)).toEqual(['1']);
  expect(noted('at', ['1', 'a', ABSENT], LACKING)).toEqual(['1']);
  expect(noted('at', ['1', 'b', ABSENT], LACKING)).toEqual([]);
  expect(noted('gone', ['1', 'b', ABSENT], LACKING)).toEqual(['1']);
  expect(noted('at', null, WHOLE)).toEqual([]);
  // No part is left that it could have come from.
  expect(noted('at', null, LACKING, true)).toEqual([]);
  expect(noted('at', ['0', ABSENT, ABSENT], LACKING, true)).toEqual(['1']);
});

test('what is stored of a copy has its surrogate key', () => {
  const copy = new TableCopy('public.t', 'again');
  copy.reset("a = 'b'", 'at');
  copy.plan([['2020', '7']]);
  expect(TableCopy.restore(copy.entry, copy.toText())).toMatchObject({
    where: "a = 'b'",
    surrogateKey: 'at',
    parts: [
      { after: null, upTo: ['2020', '7'] },
      { after: ['2020', '7'], upTo: null },
    ],
  });
});
