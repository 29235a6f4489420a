import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
  suggestDuration,
  suggestSize,
} from '../../../src/config/units.ts';

test.each([
  ['0ms', 0],
  ['500ms', 500],
  ['1.5s', 1_500],
  ['0.001s', 1],
  ['10 m', 600_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toEqual({ ok: true, value: ms });
});

test.each([
  ['512B', 512],
  ['1KiB', 1_024],
  ['64MiB', 67_108_864],
  ['0.5GiB', 536_870_912],
  ['10MB', 10_000_000],
  ['1kB', 1_000],
])('%s is %i bytes', (text, bytes) => {
  expect(parseSize(text)).toEqual({ ok: true, value: bytes });
});

test.each([
  ['500', parseDuration, 'unit', null],
  ['5 minutes', parseDuration, 'unit', '5m'],
  ['5S', parseDuration, 'unit', '5s'],
  ['0.5ms', parseDuration, 'whole', null],
  ['fast', parseDuration, 'form', null],
  ['-1s', parseDuration, 'form', null],
  ['1e3ms', parseDuration, 'form', null],
  ['', parseDuration, 'form', null],
  ['9007199254740993ms', parseDuration, 'form', null],
  ['64mb', parseSize, 'unit', '64MiB'],
  ['64M', parseSize, 'unit', '64MiB'],
  ['1g', parseSize, 'unit', '1GiB'],
  ['3 apples', parseSize, 'unit', null],
  ['1constructor', parseSize, 'unit', null],
  ['0.3B', parseSize, 'whole', null],
] as const)('%j is refused', (text, parse, reason, suggestion) => {
  expect(parse(text)).toEqual({ ok: false, reason, suggestion });
});

test('what is written is read back, whatever the number', () => {
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (number) => {
      expect(parseDuration(formatDuration(number))).toEqual({ ok: true, value: number });
      expect(parseSize(formatSize(number))).toEqual({ ok: true, value: number });
    }),
  );
});

test('fractions are exact: no binary fraction is involved', () => {
  fc.assert(
    fc.property(fc.nat({ max: 999_999 }), fc.nat({ max: 999 }), (whole, thousandths) => {
      const text = `${whole}.${String(thousandths).padStart(3, '0')}`;
      expect(parseDuration(`${text}s`)).toEqual({ ok: true, value: whole * 1_000 + thousandths });
      expect(parseSize(`${text}kB`)).toEqual({ ok: true, value: whole * 1_000 + thousandths });
    }),
  );
});

test('no text makes it throw, and what it accepts matches the pattern of the JSON Schema', () => {
  const text = fc.oneof(
    fc.string(),
    fc.tuple(fc.stringMatching(/^\d{0,3}\.?\d{0,3} ?$/), fc.constantFrom('ms', 's', 'm', 'MiB', 'kB', 'x', '')).map(([a, b]) => a + b),
  );
  fc.assert(
    fc.property(text, (given) => {
      if (parseDuration(given).ok) expect(given).toMatch(new RegExp(DURATION_PATTERN));
      if (parseSize(given).ok) expect(given).toMatch(new RegExp(SIZE_PATTERN));
    }),
  );
});

test('a bare number is taken for what it most likely is', () => {
  expect(suggestDuration(500, '5ms')).toBe('500ms');
  expect(suggestDuration(30, '10s')).toBe('30s');
  expect(suggestDuration(30_000, '10s')).toBe('30000ms');
  expect(suggestDuration(30, undefined)).toBe('30ms');
  expect(suggestSize(67_108_864)).toBe('64MiB');
  expect(suggestSize(1_000)).toBe('1000B');
});
