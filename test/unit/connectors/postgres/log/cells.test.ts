import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MALFORMED, normalise } from '../../../../../connectors/postgres/log/cells.ts';
import { NORMALISE, type Normalise } from '../../../../../connectors/postgres/types.ts';

/** Normalises in the middle of other bytes, and makes sure that those stay. */
function cell(kind: Normalise, text: string): string | null {
  const bytes = Buffer.from(`[[${text}]]`, 'latin1');
  const end = normalise(kind, bytes, 2, bytes.length - 2);
  expect(bytes.subarray(0, 2).toString()).toBe('[[');
  expect(bytes.subarray(-2).toString()).toBe(']]');
  return end === MALFORMED ? null : bytes.toString('latin1', 2, end);
}

describe('dates and timestamps', () => {
  test.each([
    ['2024-02-29', '2024-02-29'],
    ['0001-01-01', '0001-01-01'],
    ['0001-01-01 BC', '0000-01-01'],
    ['0002-12-31 BC', '-0001-12-31'],
    ['0044-03-15 BC', '-0043-03-15'],
    ['1001-01-01 BC', '-1000-01-01'],
    ['4713-01-01 BC', '-4712-01-01'],
    ['5874897-12-31', '5874897-12-31'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
  ])('date %s', (text, expected) => expect(cell(NORMALISE.date, text)).toBe(expected));

  test.each([
    ['2024-02-29 12:34:56', '2024-02-29T12:34:56'],
    ['2024-02-29 12:34:56.000001', '2024-02-29T12:34:56.000001'],
    ['294276-12-31 23:59:59.999999', '294276-12-31T23:59:59.999999'],
    ['4713-01-01 00:00:00 BC', '-4712-01-01T00:00:00'],
    ['0001-06-15 01:02:03.5 BC', '0000-06-15T01:02:03.5'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
  ])('timestamp %s', (text, expected) => {
    expect(cell(NORMALISE.timestamp, text)).toBe(expected);
    if (text.endsWith('infinity')) return;
    const zoned = text.endsWith(' BC') ? text.replace(' BC', '+00 BC') : `${text}+00`;
    expect(cell(NORMALISE.timestamptz, zoned)).toBe(`${expected}Z`);
  });

  test.each(['infinity', '-infinity'])('timestamptz %s', (text) => expect(cell(NORMALISE.timestamptz, text)).toBe(text));

  test.each([
    '',
    ' ',
    '2024-2-29 12:34:56+00',
    '2024-02-29T12:34:56+00',
    '2024-02-29 12:34:56',
    '2024-02-29 12:34:56+01',
    '2024-02-29 12:34:56+00:30',
    '29.02.2024 12:34:56+00',
    'Thu Feb 29 12:34:56 2024 UTC',
    '2024-02-29 12:34:56.+00',
    '2024-02-29 12:34+00',
    'infinit',
    '-infinityy',
    '0000-01-01 00:00:00+00 BC',
    '2024-02-29 12:34:56,5+00',
  ])('a text in another style is refused: %j', (text) => expect(cell(NORMALISE.timestamptz, text)).toBeNull());

  test.each(['02/29/2024', '29-02-2024', '2024-02-29 00:00:00', '2024-02', '2024-02-29 AD', '0000-01-01 BC'])(
    'a date in another style is refused: %j',
    (text) => expect(cell(NORMALISE.date, text)).toBeNull(),
  );
});

describe('bytea', () => {
  test('hexadecimal becomes the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(cell(NORMALISE.bytea, `\\x${Buffer.from(bytes).toString('hex')}`)).toBe(Buffer.from(bytes).toString('latin1'));
      }),
    );
  });

  test.each(['', '\\', 'x00', '\\x0', '\\xzz', '\\000', '\\x0G'])('another output format is refused: %j', (text) =>
    expect(cell(NORMALISE.bytea, text)).toBeNull(),
  );
});

describe('money', () => {
  test.each([
    ['$0.00', '0.00'],
    ['-$0.01', '-0.01'],
    ['$92,233,720,368,547,758.07', '92233720368547758.07'],
    ['-$92,233,720,368,547,758.08', '-92233720368547758.08'],
  ])('%s', (text, expected) => expect(cell(NORMALISE.money, text)).toBe(expected));

  test.each(['', '$', '12,34 €', '$1', '$.00', '$1.0', '1.234,00', '$1-.00'])('another locale is refused: %j', (text) =>
    expect(cell(NORMALISE.money, text)).toBeNull(),
  );
});

test('nothing is read or written outside of the value, whatever it is', () => {
  const kinds = Object.values(NORMALISE);
  const pieces = fc.array(
    fc.constantFrom('0', '1', '9', '-', ' ', ':', '.', '+00', ' BC', '2024-02-29', '12:34:56', 'infinity', '\\x', 'ab', '$', ','),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...kinds), pieces, (kind, parts) => {
      cell(kind, parts.join(''));
    }),
  );
});
