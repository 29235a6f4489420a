import { expect, test } from 'vitest';
import { isVisible } from '../../../../../connectors/postgres/log/visibility.ts';

test.each([
  ['100:100:', 99, true],
  ['100:100:', 100, false],
  ['100:105:101,103', 101, false],
  ['100:105:101,103', 102, true],
  ['100:105:101,103', 104, true],
  ['100:105:101,103', 105, false],
  ['100:105:101,103', 200, false],
])('snapshot %s, transaction %i: %s', (snapshot, xid, visible) => expect(isVisible(snapshot, xid)).toBe(visible));

test('numbers of the log have 32 bits and wrap around', () => {
  const epoch = 1n << 32n;
  expect(isVisible(`${epoch + 5n}:${epoch + 5n}:`, 4)).toBe(true);
  expect(isVisible(`${epoch + 5n}:${epoch + 5n}:`, 4_294_967_295)).toBe(true);
  expect(isVisible(`${epoch - 1n}:${epoch - 1n}:`, 3)).toBe(false);
  expect(isVisible(`${epoch + 5n}:${epoch + 9n}:${epoch + 7n}`, 7)).toBe(false);
});
