import { murmur2 as libraryMurmur2 } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionOfKey } from '../../../../connectors/kafka/partitioner.ts';

const hash = (text: string): number => {
  const bytes = Buffer.from(text);
  return murmur2(bytes, 0, bytes.length);
};

describe('murmur2', () => {
  // The vectors of Kafka's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of "%s" is Java\'s', (text, expected) => {
    expect(hash(text)).toBe(expected);
  });

  it('is the same as an independent implementation for any bytes, wherever they stand', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 9 }), (bytes, before) => {
        const at = Buffer.concat([before, bytes, Buffer.from([1, 2, 3])]);
        expect(murmur2(at, before.length, before.length + bytes.length) | 0).toBe(libraryMurmur2(Buffer.from(bytes)) | 0);
      }),
    );
  });

  it('gives a partition that exists', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 12_000 }), (bytes, count) => {
        const partition = partitionOfKey(bytes, 0, bytes.length, count);
        expect(partition >= 0 && partition < count).toBe(true);
      }),
    );
  });
});
