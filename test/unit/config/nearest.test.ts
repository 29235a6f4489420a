import fc from 'fast-check';
import { expect, test } from 'vitest';
import { alignmentDistance, nearest } from '../../../src/config/nearest.ts';

const keys = ['maxRecords', 'maxBytes', 'maxDelay', 'publication', 'tables', 'slot'];

test.each([
  ['maxrecords', 'maxRecords'],
  ['max_records', 'maxRecords'],
  ['max-delay', 'maxDelay'],
  ['tabels', 'tables'],
  ['table', 'tables'],
  ['solt', 'slot'],
  ['pubication', 'publication'],
  ['colour', null],
  ['', null],
])('%s: did you mean %s?', (given, meant) => {
  expect(nearest(given, keys)).toBe(meant);
});

test('two swapped neighbours are one error, as Damerau counts', () => {
  expect(alignmentDistance('slot', 'solt')).toBe(1);
  expect(alignmentDistance('ca', 'abc')).toBe(3);
});

test('the distance is zero only for equal texts, symmetric, and at most the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = alignmentDistance(a, b);
      expect(distance).toBe(alignmentDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
