import { describe, expect, it } from 'vitest';
import { BatchMemory } from '../../../../connectors/kafka/drivers/platformatic/batch-memory.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

describe('memory of record batches', () => {
  it('serves the next batch of about the same size', () => {
    const memory = new BatchMemory();
    const first = memory.take(800 * KIB);
    memory.give(first.subarray(0, 790 * KIB));
    expect(memory.take(801 * KIB).buffer).toBe(first.buffer);
    expect(memory.take(801 * KIB).buffer).not.toBe(first.buffer);
  });

  it('never serves two at a time, and none that is too small', () => {
    const memory = new BatchMemory();
    const small = memory.take(100 * KIB);
    memory.give(small);
    const taken = [memory.take(200 * KIB), memory.take(100 * KIB), memory.take(100 * KIB)];
    expect(taken.every((buffer, at) => buffer.length >= [200, 100, 100][at]! * KIB)).toBe(true);
    expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(3);
  });

  it('a small batch does not hold a large buffer, and is not kept', () => {
    const memory = new BatchMemory();
    const large = memory.take(4 * MIB);
    memory.give(large);
    expect(memory.take(200 * KIB).buffer).not.toBe(large.buffer);
    const tiny = memory.take(100);
    memory.give(tiny);
    expect(memory.take(100).buffer).not.toBe(tiny.buffer);
  });

  it('keeps no more than 16 MiB (I9)', () => {
    const memory = new BatchMemory();
    const taken = Array.from({ length: 64 }, () => memory.take(MIB));
    for (const buffer of taken) memory.give(buffer);
    const kept = new Set(taken.map(({ buffer }) => buffer));
    expect(Array.from({ length: 64 }, () => memory.take(MIB)).filter(({ buffer }) => kept.has(buffer))).toHaveLength(16);
    memory.give(Buffer.allocUnsafeSlow(17 * MIB));
    expect(memory.take(17 * MIB).length).toBe(17 * MIB);
  });
});
