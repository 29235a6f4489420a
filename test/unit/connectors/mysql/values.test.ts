/** Values of the log whose bytes are made here, by other means than those that read them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unicodeCharset, writeText } from '../../../../connectors/mysql/log/charsets.ts';
import { decimalLength, writeDecimal, writeFloat, writeLong, writeNumber } from '../../../../connectors/mysql/log/digits.ts';
import { jsonText } from '../../../../connectors/mysql/log/json.ts';
import { writeDatetime, writeTime, writeTimestamp } from '../../../../connectors/mysql/log/temporal.ts';

const to = Buffer.alloc(256);
const written = (write: (at: number) => number): string => to.toString('latin1', 0, write(0));

/** The server's packed decimal of a text with exactly `precision` digits. */
function packed(negative: boolean, digits: string, precision: number, scale: number): Buffer {
  const whole = digits.slice(0, precision - scale);
  const fraction = digits.slice(precision - scale);
  const size = (count: number): number => [0, 1, 1, 2, 2, 3, 3, 4, 4, 4][count] as number;
  const first = whole.length % 9;
  const groups: string[] = first > 0 ? [whole.slice(0, first)] : [];
  for (let at = first; at < whole.length; at += 9) groups.push(whole.slice(at, at + 9));
  for (let at = 0; at < fraction.length; at += 9) groups.push(fraction.slice(at, at + 9));
  const bytes = groups.flatMap((group) => {
    const buffer = Buffer.alloc(size(group.length));
    buffer.writeUIntBE(Number(group), 0, buffer.length);
    return [...buffer];
  });
  bytes[0] = (bytes[0] as number) ^ 0x80;
  return Buffer.from(negative ? bytes.map((byte) => byte ^ 0xff) : bytes);
}

describe('numbers', () => {
  it('decimals keep every digit, of any precision and scale', () => {
    const shape = fc
      .integer({ min: 1, max: 65 })
      .chain((precision) => fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: Math.min(30, precision) })));
    const digit = fc.constantFrom(...'0000123456789999');
    fc.assert(
      fc.property(shape, fc.array(digit, { minLength: 65, maxLength: 65 }), fc.boolean(), ([precision, scale], all, negative) => {
        const digits = all.slice(0, precision).join('');
        const isNegative = negative && /[1-9]/.test(digits);
        const bytes = packed(isNegative, digits, precision, scale);
        expect(bytes.length).toBe(decimalLength(precision, scale));
        const whole = digits.slice(0, precision - scale).replace(/^0+/, '') || '0';
        const plain = `${isNegative ? '-' : ''}${whole}${scale > 0 ? `.${digits.slice(precision - scale)}` : ''}`;
        expect(written((at) => writeDecimal(to, at, bytes, 0, precision, scale))).toBe(plain);
      }),
    );
  });

  it('integers, at every size', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(value);
        expect(written((at) => writeLong(to, at, bytes, 0, false))).toBe(String(value));
        expect(written((at) => writeLong(to, at, bytes, 0, true))).toBe(String(BigInt.asUintN(64, value)));
        const small = Number(BigInt.asIntN(53, value));
        expect(written((at) => writeNumber(to, at, small))).toBe(String(small));
      }),
    );
  });

  it('floats read back to the same 32 bits, in no more than nine digits', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = written((at) => writeFloat(to, at, value));
        expect(Object.is(Math.fround(Number(text)), value)).toBe(true);
        expect(
          text
            .replace(/e.*|[-.]/g, '')
            .replace(/^0+/, '')
            .replace(/0+$/, '').length,
        ).toBeLessThan(10);
      }),
    );
  });
});

describe('dates and times', () => {
  it('of any moment and any number of digits', () => {
    const moment = fc.date({ min: new Date('1000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 0, max: 6 }), (date, micros, digits) => {
        const kept = Math.floor(micros / 10 ** (6 - digits)) * 10 ** (6 - digits);
        const fraction = kept === 0 ? '' : `.${String(kept).padStart(6, '0').replace(/0+$/, '')}`;
        const seconds = Math.floor(date.getTime() / 1000);
        const text = new Date(seconds * 1000).toISOString().slice(0, 19) + fraction;
        const bytes = Buffer.alloc(12);
        const [year, month, day, hour, minute, second] = text.slice(0, 19).split(/[-T:]/).map(Number) as [
          number,
          number,
          number,
          number,
          number,
          number,
        ];
        const whole = ((2 ** 17 + year * 13 + month) * 32 + day) * 2 ** 17 + hour * 4096 + minute * 64 + second;
        bytes.writeUIntBE(whole, 0, 5);
        const tail = (digits + 1) >> 1;
        if (tail > 0) bytes.writeUIntBE(kept / 10 ** (6 - 2 * tail), 5, tail);
        expect(written((at) => writeDatetime(to, at, bytes, 0, digits))).toBe(text);
        if (seconds <= 0 || seconds >= 2 ** 32) return;
        bytes.writeUInt32BE(seconds, 1);
        expect(written((at) => writeTimestamp(to, at, bytes, 1, digits))).toBe(`${text}Z`);
      }),
    );
  });

  it('times of both signs', () => {
    fc.assert(
      fc.property(fc.integer({ min: -3_020_399_999_999, max: 3_020_399_999_999 }), fc.integer({ min: 0, max: 6 }), (micros, digits) => {
        const unit = 10 ** (6 - digits);
        const kept = Math.trunc(micros / unit) * unit;
        const size = Math.abs(kept);
        const [hour, minute, second, rest] = [Math.floor(size / 3.6e9), Math.floor(size / 6e7) % 60, Math.floor(size / 1e6) % 60, size % 1e6];
        const tail = (digits + 1) >> 1;
        const value = (hour * 4096 + minute * 64 + second) * 256 ** tail + rest / 10 ** (6 - 2 * tail);
        const bytes = Buffer.alloc(8);
        bytes.writeUIntBE(0x80_0000 * 256 ** tail + (kept < 0 ? -value : value), 0, 3 + tail);
        const two = (number: number) => String(number).padStart(2, '0');
        const fraction = rest === 0 ? '' : `.${String(rest).padStart(6, '0').replace(/0+$/, '')}`;
        expect(written((at) => writeTime(to, at, bytes, 0, digits))).toBe(
          `${kept < 0 ? '-' : ''}${two(hour)}:${two(minute)}:${two(second)}${fraction}`,
        );
      }),
    );
  });
});

describe('binary JSON', () => {
  it('reads no byte behind its end, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(typeof jsonText(Buffer.from(bytes))).toBe('string');
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('text', () => {
  it.each([
    ['ascii', '61ff'],
    ['utf32', '0000d800'],
    ['utf16', 'd8000061'],
    ['ucs2', '0061dc00'],
  ])('what servers let into %s and Unicode does not have is refused: %s', (name, hex) => {
    const charset = unicodeCharset(name, 4);
    if (charset === null) throw new Error(name);
    const bytes = Buffer.from(hex, 'hex');
    expect(writeText(to, 0, bytes, 0, bytes.length, charset)).toBe(-1);
  });

  it('ASCII is copied', () => {
    const charset = unicodeCharset('ascii', 1);
    if (charset === null) throw new Error('ascii');
    expect(written((at) => writeText(to, at, Buffer.from('xabc\x7fx'), 1, 5, charset))).toBe('abc\x7f');
  });
});
