import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64Bytes, writeBase64 } from '../../../src/formats/base64.ts';
import { daysFromDate, isoFromMicros } from '../../../src/formats/calendar.ts';
import {
  type Escapes,
  JACKSON_ESCAPES,
  jsonString,
  MINIMAL_ESCAPES,
  stringBytes,
  writeInteger,
  writeString,
} from '../../../src/formats/json-text.ts';

/** The text that a writer puts at an offset, and a check that it wrote nothing else. */
function written(capacity: number, write: (to: Buffer, at: number) => number): string {
  const to = Buffer.alloc(capacity + 8, 0xaa);
  const end = write(to, 4);
  expect([...to.subarray(0, 4), ...to.subarray(end)].every((byte) => byte === 0xaa)).toBe(true);
  return to.toString('utf8', 4, end);
}

function stringText(text: string, escapes: Escapes): string {
  const from = Buffer.from(`«${text}»`, 'utf8');
  const [start, end] = [2, from.length - 2];
  const length = stringBytes(from, start, end, escapes);
  const result = written(length, (to, at) => writeString(to, at, from, start, end, escapes));
  expect(Buffer.byteLength(result), 'stringBytes is exact').toBe(length);
  return result;
}

/** Jackson's form of a text, one UTF-16 unit at a time. */
function jackson(text: string): string {
  const short: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' };
  const unit = (character: string): string => {
    const code = character.charCodeAt(0);
    const escaped = code < 0x20 || (code >= 0xd800 && code <= 0xdfff);
    return short[character] ?? (escaped ? `\\u${code.toString(16).toUpperCase().padStart(4, '0')}` : character);
  };
  return `"${text.split('').map(unit).join('')}"`;
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  // Mostly what is escaped, and long runs of what is not.
  fc
    .array(
      fc.oneof(
        fc.constantFrom('"', '\\', '\n', '\u0000', '\u001f', '\u007f', '\u2028', '😀', '𝄞', '\u{10ffff}', 'é', '日'),
        fc.integer({ min: 0, max: 300 }).map((n) => 'x'.repeat(n)),
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join('')),
);

describe('JSON strings', () => {
  it('are what Jackson writes', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(stringText(text, JACKSON_ESCAPES)).toBe(jackson(text));
      }),
    );
  });

  it('are what JSON.stringify writes, but for the case of hex digits', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const ours = stringText(text, MINIMAL_ESCAPES);
        expect(JSON.parse(ours)).toBe(text);
        expect(ours.replace(/\\u00(..)/g, (unit) => unit.toLowerCase())).toBe(JSON.stringify(text));
        expect(jsonString(text, MINIMAL_ESCAPES)).toBe(ours);
      }),
    );
  });

  it('never read beyond a cell that ends inside a code point', () => {
    for (const [pad, part] of [0, 200].flatMap((size) => [1, 2, 3].map((length) => [size, length] as const))) {
      const from = Buffer.concat([Buffer.alloc(pad, 0x78), Buffer.from('😀')]);
      const end = pad + part;
      const to = Buffer.alloc(1000);
      const at = writeString(to, 0, from, 0, end, JACKSON_ESCAPES);
      expect(at).toBe(end + 2);
      expect(stringBytes(from, 0, end, JACKSON_ESCAPES)).toBe(at);
      expect(to.subarray(1, at - 1).equals(from.subarray(0, end))).toBe(true);
    }
  });
});

describe('numbers and bytes', () => {
  it('integers are their digits', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(written(20, (to, at) => writeInteger(to, at, value))).toBe(String(value));
      }),
    );
    for (const value of [0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 1e15, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      expect(written(20, (to, at) => writeInteger(to, at, value))).toBe(String(value));
    }
  });

  it('base64 is as RFC 4648 has it, for short and long values', () => {
    const lengths = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 500, max: 530 }), fc.integer({ min: 49_000, max: 50_000 }));
    fc.assert(
      fc.property(lengths, fc.integer({ min: 0, max: 255 }), (length, seed) => {
        const from = Buffer.from(Array.from({ length: length + 2 }, (_, index) => (index * 31 + seed) & 255));
        const text = written(base64Bytes(length), (to, at) => writeBase64(to, at, from, 1, length + 1));
        expect(text).toBe(from.subarray(1, length + 1).toString('base64'));
        expect(base64Bytes(length)).toBe(text.length);
      }),
    );
  });
});

describe('the calendar', () => {
  it('agrees with Date where Date goes', () => {
    fc.assert(
      fc.property(fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 }), (seconds) => {
        const date = new Date(seconds * 1000);
        expect(daysFromDate(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())).toBe(Math.floor(seconds / 86_400));
      }),
    );
  });

  it('counts one day from each day to the next, through every leap year rule, over −5000 … +300000', () => {
    const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    const isLeap = (year: number) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
    fc.assert(
      fc.property(fc.integer({ min: -5000, max: 300_000 }), (year) => {
        let expected = daysFromDate(year, 1, 1);
        for (const [month, length] of lengths.entries()) {
          expect(daysFromDate(year, month + 1, 1)).toBe(expected);
          expected += length + (month === 1 && isLeap(year) ? 1 : 0);
          expect(daysFromDate(year, month + 1, length)).toBe(expected - (month === 1 && isLeap(year) ? 2 : 1));
        }
        expect(daysFromDate(year + 1, 1, 1)).toBe(expected);
      }),
    );
    expect(daysFromDate(1970, 1, 1)).toBe(0);
  });

  it('prints commit times with their microseconds', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), fc.integer({ min: 0, max: 999 }), (millis, micros) => {
        fc.pre(Math.abs(millis * 1000) < Number.MAX_SAFE_INTEGER);
        expect(isoFromMicros(millis * 1000 + micros)).toBe(new Date(millis).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`));
      }),
    );
  });
});
