import { describe, expect, it } from 'vitest';
import { BatchEncoder } from '../../../src/pipeline/encode.ts';
import type { Refusals } from '../../../src/pipeline/refusals.ts';
import type { Format } from '../../../src/plugin/format.ts';
import type { RecordBatch } from '../../../src/record/batch.ts';
import { TableRegistry } from '../../../src/record/table.ts';
import { batchOf, column, tableShape } from '../../support/encoded.ts';
import { unboundedMemory } from '../../support/memory.ts';

const never = new AbortController().signal;

describe('what must be ready before a batch is encoded', () => {
  const registry = new TableRegistry();
  const batch = (...columns: number[]): RecordBatch =>
    batchOf(
      columns.map((count) => ({
        op: 'create' as const,
        table: tableShape(Array.from({ length: count }, (_, index) => column(`c${index}`, 'int32'))),
        after: Array.from({ length: count }, () => '1'),
      })),
      registry,
    );

  function encoderOf(ready: Format['ready']): BatchEncoder {
    const encoder = { encode: () => undefined };
    const format: Format = { prepare: () => encoder, begin: () => undefined, ...(ready === undefined ? {} : { ready }) };
    return new BatchEncoder(format, (table) => `d.${table.name}`, unboundedMemory());
  }

  it('nothing, where a format waits for nothing: no promise', () => {
    expect(encoderOf(undefined).ready(batch(1), null, never)).toBe(null);
  });

  it('nothing for a version whose rows may not go: it is not registered', async () => {
    const calls: number[] = [];
    const encoder = encoderOf(async ({ version }) => void calls.push(version));
    await encoder.ready(batch(1, 2), [null, { action: 'stopTable' }] as unknown as Refusals, never);
    expect(calls).toEqual([1]);
  });

  it('each new version, one after the other, with where its messages go; none twice', async () => {
    const calls: string[] = [];
    const encoder = encoderOf(async ({ version }, destination) => {
      calls.push(`${destination} ${version}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      calls.push(`ready ${version}`);
    });
    const first = batch(1, 2, 1);
    await encoder.ready(first, null, never);
    expect(calls).toEqual(['d.t 1', 'ready 1', 'd.t 2', 'ready 2']);
    encoder.encode(first, 0);
    expect(encoder.ready(batch(2, 1), null, never)).toBe(null);
    await encoder.ready(batch(1, 3), null, never);
    expect(calls.slice(4)).toEqual(['d.t 3', 'ready 3']);
  });

  it('a failure is the batch’s', async () => {
    await expect(encoderOf(() => Promise.reject(new Error('no'))).ready(batch(1), null, never)).rejects.toThrow('no');
  });
});
