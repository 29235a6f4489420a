import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debezium } from '../../../../src/formats/debezium/index.ts';
import { NULL, UNAVAILABLE } from '../../../../src/record/batch.ts';
import { LOGICAL_TYPES, type LogicalType } from '../../../../src/record/types.ts';
import { cellText } from '../../../support/encoded.ts';

const text = (type: LogicalType, cell: string | Buffer, scale: number | null = null) => cellText(debezium, type, scale, cell);

/** The integer in Kafka Connect's decimal. */
function unscaled(base64: string): bigint {
  const bytes = Buffer.from(base64, 'base64');
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
}

function plain(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`;
}

const integers = fc.oneof(
  fc.bigInt({ min: -(10n ** 80n), max: 10n ** 80n }),
  fc.bigInt({ min: -300n, max: 300n }),
  // Around every change of the number of bytes, and around the end of the fast road.
  fc
    .tuple(fc.integer({ min: 0, max: 90 }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([bits, off, sign]) => (sign ? -1n : 1n) * 2n ** BigInt(bits) + off),
  fc
    .tuple(fc.integer({ min: 13, max: 17 }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([digits, off, sign]) => (sign ? -1n : 1n) * 10n ** BigInt(digits) + off),
);

describe('decimals', () => {
  it('hold the exact unscaled integer in as few bytes as Java does (I11)', () => {
    fc.assert(
      fc.property(integers, fc.integer({ min: 0, max: 20 }), (value, scale) => {
        const base64 = JSON.parse(text('decimal', plain(value, scale), scale)) as string;
        expect(unscaled(base64)).toBe(value);
        const bytes = Buffer.from(base64, 'base64');
        const first = bytes.readInt8(0);
        if (bytes.length > 1) expect(first === (bytes.readInt8(1) < 0 ? -1 : 0), 'a byte that says nothing').toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('are filled up to the declared scale, and are right for a negative one', () => {
    expect(unscaled(JSON.parse(text('decimal', '1.5', 3)) as string)).toBe(1500n);
    expect(unscaled(JSON.parse(text('decimal', '12300', -2)) as string)).toBe(123n);
    expect(unscaled(JSON.parse(text('decimal', '-100', -2)) as string)).toBe(-1n);
    expect(unscaled(JSON.parse(text('decimal', '0', -2)) as string)).toBe(0n);
  });

  it('are never rounded: more digits than declared keep their own scale', () => {
    const { scale, value } = JSON.parse(text('decimal', '1.239', 2)) as { scale: number; value: string };
    expect([scale, unscaled(value)]).toEqual([3, 1239n]);
  });

  it('without a declared scale carry their own, without trailing zeros', () => {
    fc.assert(
      fc.property(integers, fc.integer({ min: 0, max: 20 }), (value, digits) => {
        const { scale, value: base64 } = JSON.parse(text('decimal', plain(value, digits))) as { scale: number; value: string };
        expect(unscaled(base64) * 10n ** BigInt(digits - scale)).toBe(value);
        if (scale > 0) expect(unscaled(base64) % 10n).not.toBe(0n);
      }),
    );
  });

  it('as large as PostgreSQL allows', () => {
    const digits = `-${'9'.repeat(131_072)}.${'1'.repeat(16_383)}`;
    const { scale, value } = JSON.parse(text('decimal', digits)) as { scale: number; value: string };
    expect(scale).toBe(16_383);
    expect(unscaled(value)).toBe(BigInt(digits.replace('.', '')));
    expect(text('decimal', '-Infinity', 2)).toBe('null');
    expect(text('decimal', 'NaN')).toBe('null');
  });
});

describe('floats', () => {
  /** PostgreSQL's text: shortest digits, exponent with at least two digits. */
  const server = (value: number) => String(value).replace(/e([+-])(\d)$/, 'e$10$2');

  it('read back to the same value, in Java’s form', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const ours = text('float64', Object.is(value, -0) ? '-0' : server(value));
        expect(ours).toMatch(/^-?(\d+\.\d+|\d\.\d+E-?\d+)$/);
        expect(Object.is(Number(ours), value)).toBe(true);
        const size = Math.abs(value);
        expect(ours.includes('E')).toBe(size !== 0 && (size < 1e-3 || size >= 1e7));
      }),
      { numRuns: 500 },
    );
  });

  it('take the same digits from any notation', () => {
    for (const [cell, java] of [
      ['100000000', '1.0E8'],
      ['1e8', '1.0E8'],
      ['1e+08', '1.0E8'],
      ['0.00012', '1.2E-4'],
      ['12e-5', '1.2E-4'],
      ['9999999', '9999999.0'],
      ['10000000', '1.0E7'],
      ['0.001', '0.001'],
      ['-0.00999', '-0.00999'],
      ['-0', '-0.0'],
      ['120', '120.0'],
      ['1234567.5', '1234567.5'],
      ['1.5e300', '1.5E300'],
      ['100000000000000000000000000000000000000', '1.0E38'],
    ] as const) {
      expect(text('float64', cell), cell).toBe(java);
    }
  });

  it('have two digits among the smallest, as Java has', () => {
    expect([text('float64', '5e-324'), text('float64', '1e-323'), text('float64', '-2e-323')]).toEqual(['4.9E-324', '9.9E-324', '-2.0E-323']);
    expect([text('float32', '1e-45'), text('float32', '3e-45'), text('float32', '-1e-45')]).toEqual(['1.4E-45', '2.8E-45', '-1.4E-45']);
    expect(text('float32', '1e-40')).toBe('1.0E-40');
  });

  it('are strings where JSON has no number', () => {
    expect([text('float32', 'NaN'), text('float64', 'Infinity'), text('float64', '-Infinity')]).toEqual(['"NaN"', '"Infinity"', '"-Infinity"']);
  });
});

/** The reference: BigInt microseconds, days counted by whole years. */
function microsOf(year: number, month: number, day: number, ofDay: bigint): bigint {
  const leaps = (y: number) => Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1] as number;
  const days = 365 * (year - 1970) + leaps(year - 1) - leaps(1969) + before + (isLeap && month > 2 ? 1 : 0) + day - 1;
  return BigInt(days) * 86_400_000_000n + ofDay;
}

const isoYear = (year: number) => `${year < 0 ? '-' : ''}${String(Math.abs(year)).padStart(4, '0')}`;
const two = (value: number) => String(value).padStart(2, '0');
const dates = fc.tuple(fc.integer({ min: -5000, max: 300_000 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }));
const ofDays = fc.oneof(
  fc.bigInt({ min: 0n, max: 86_399_999_999n }),
  fc.constantFrom(0n, 1n, 999_999n, 1_000_000n, 86_399_999_999n, 86_400_000_000n),
);

/** `HH:MM:SS[.ffffff]` as servers print it: without trailing zeros. */
function timeText(ofDay: bigint): string {
  const seconds = Number(ofDay / 1_000_000n);
  const fraction = (ofDay % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction === '' ? '' : `.${fraction}`}`;
}

describe('temporal cells', () => {
  it('dates and timestamps are exact over −5000 … +300000, beyond 2⁵³ and beyond 64 bits (I11)', () => {
    fc.assert(
      fc.property(dates, ofDays, ([year, month, day], ofDay) => {
        const date = `${isoYear(year)}-${two(month)}-${two(day)}`;
        const micros = microsOf(year, month, day, ofDay);
        const millis = ofDay - (ofDay % 1000n);
        expect(text('date', date)).toBe((microsOf(year, month, day, 0n) / 86_400_000_000n).toString());
        expect(text('timestamp', `${date}T${timeText(ofDay)}`)).toBe(micros.toString());
        expect(text('timestamp', `${date}T${timeText(millis)}`, 3)).toBe(((micros - (ofDay % 1000n)) / 1000n).toString());
      }),
      { numRuns: 500 },
    );
  });

  it('times are microseconds, or milliseconds up to three declared digits', () => {
    fc.assert(
      fc.property(ofDays, (ofDay) => {
        const millis = ofDay - (ofDay % 1000n);
        expect(text('time', timeText(ofDay))).toBe(ofDay.toString());
        expect(text('time', timeText(ofDay), 4)).toBe(ofDay.toString());
        for (const scale of [0, 3]) expect(text('time', timeText(millis), scale)).toBe((millis / 1000n).toString());
      }),
    );
  });

  it('timetz is UTC on one day, with the offset’s seconds', () => {
    fc.assert(
      fc.property(ofDays, fc.integer({ min: -57_599, max: 57_599 }), (ofDay, offset) => {
        const size = Math.abs(offset);
        const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 3600))}:${two(Math.floor(size / 60) % 60)}:${two(size % 60)}`;
        const day = 86_400_000_000n;
        const utc = (((ofDay - BigInt(offset) * 1_000_000n) % day) + day) % day;
        expect(text('timetz', timeText(ofDay) + zone)).toBe(`"${timeText(utc)}Z"`);
      }),
    );
  });

  it('timestamptz has the digits that the column declares, and a sign before long years', () => {
    for (const [cell, scale, expected] of [
      ['2024-02-29T12:34:56.7Z', null, '2024-02-29T12:34:56.700000Z'],
      ['2024-02-29T12:34:56.7Z', 1, '2024-02-29T12:34:56.7Z'],
      ['2024-02-29T12:34:56Z', 2, '2024-02-29T12:34:56.00Z'],
      ['2024-02-29T12:34:56Z', 0, '2024-02-29T12:34:56Z'],
      ['0000-12-31T00:00:00Z', 6, '0000-12-31T00:00:00.000000Z'],
      ['-0001-12-31T00:00:00Z', 0, '-0001-12-31T00:00:00Z'],
      ['12345-12-31T00:00:00.5Z', 3, '+12345-12-31T00:00:00.500Z'],
      // More digits than declared, which no server sends, are kept.
      ['2024-02-29T12:34:56.789Z', 1, '2024-02-29T12:34:56.789Z'],
    ] as const) {
      expect(text('timestamptz', cell, scale)).toBe(`"${expected}"`);
    }
  });

  it('infinity', () => {
    expect(['infinity', '-infinity'].map((cell) => text('date', cell))).toEqual(['2147483647', '-2147483648']);
    expect(['infinity', '-infinity'].map((cell) => text('timestamp', cell))).toEqual(['9223372036825200000', '-9223372036832400000']);
    expect(['infinity', '-infinity'].map((cell) => text('timestamp', cell, 2))).toEqual(['9223372036825200', '-9223372036832400']);
    expect(['infinity', '-infinity'].map((cell) => text('timestamptz', cell, 0))).toEqual(['"infinity"', '"-infinity"']);
  });
});

describe('every logical type', () => {
  it('has null and unavailable, which differ (I11)', () => {
    for (const type of LOGICAL_TYPES) {
      expect(cellText(debezium, type, null, NULL)).toBe('null');
      const placeholder = JSON.parse(cellText(debezium, type, null, UNAVAILABLE)) as string;
      expect(type === 'bytes' ? Buffer.from(placeholder, 'base64').toString() : placeholder).toBe('__debezium_unavailable_value');
    }
  });

  it('64-bit integers keep their digits', () => {
    expect(text('int64', '-9223372036854775808')).toBe('-9223372036854775808');
    // Java has no unsigned ones: `bigint.unsigned.handling.mode`.
    expect(['0', '9223372036854775807', '9223372036854775808', '18446744073709551615'].map((cell) => text('uint64', cell))).toEqual([
      '0',
      '9223372036854775807',
      '-9223372036854775808',
      '-1',
    ]);
  });

  it('large cells fit what is reserved for them', () => {
    for (const size of [4000, 4097, 70_000]) {
      expect(JSON.parse(text('text', '"\u0001é😀'.repeat(size)))).toBe('"\u0001é😀'.repeat(size));
      expect(JSON.parse(text('other', '\u0000'.repeat(size)))).toBe('\u0000'.repeat(size));
      expect(Buffer.from(JSON.parse(text('bytes', Buffer.alloc(size, 7))) as string, 'base64').equals(Buffer.alloc(size, 7))).toBe(true);
      expect(unscaled(JSON.parse(text('decimal', '7'.repeat(size), 1000)) as string)).toBe(BigInt('7'.repeat(size)) * 10n ** 1000n);
    }
  });
});
