import { describe, expect, it } from 'vitest';
import { pressingOf, type Refusals, refusedTables, runOf } from '../../../src/pipeline/refusals.ts';
import { HEAD, HEAD_SIZE, type RecordBatch } from '../../../src/record/batch.ts';

/** Records of these tables, by index; versions 0 and 1 are of table a, 2 and 3 of table b. */
function batchOf(tables: readonly number[]): RecordBatch {
  const heads = new Int32Array(tables.length * HEAD_SIZE);
  for (const [index, table] of tables.entries()) heads[index * HEAD_SIZE + HEAD.table] = table;
  return { heads, tables: ['a', 'a', 'b', 'b'].map((label) => ({ label })) } as unknown as RecordBatch;
}

describe('rows that may not go', () => {
  const refusal = { error: new Error('no'), action: 'deadLetter' };
  const refusals = [null, refusal, null, null] as unknown as Refusals;

  it.each([
    [[0, 2, 3, 0], [[4, []]]],
    [
      [0, 2, 1, 3, 1, 0],
      [
        [2, []],
        [5, ['a']],
        [6, []],
      ],
    ],
    [[1, 1, 2], [[3, ['a']]]],
  ])('stand in no run with rows of their table that may: %j', (tables, expected) => {
    const batch = batchOf(tables);
    const found: unknown[] = [];
    for (let from = 0; from < tables.length; ) {
      const { to, refused } = runOf(batch, refusals, from, tables.length);
      found.push([to, [...(refused?.keys() ?? [])]]);
      from = to;
    }
    expect(found).toEqual(expected);
  });

  it('press nobody where their table is aside, and are named all the same: it may be live when they go', () => {
    const batch = batchOf([0, 1]);
    expect(pressingOf(batch, refusals, (table) => table === 'a')).toBeNull();
    expect(pressingOf(batch, refusals, (table) => table === 'b')).toEqual(refusals);
    expect([...refusedTables(batch, refusals)]).toEqual([['a', refusal]]);
  });
});
