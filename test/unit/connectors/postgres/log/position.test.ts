import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  commitLsnOf,
  formatHalves,
  formatLsn,
  hexHalves,
  parseLsn,
  readPosition,
  transactionId,
  writeDecimal,
} from '../../../../../connectors/postgres/log/position.ts';

const anyLsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const halves = (lsn: bigint): [number, number] => [Number(lsn >> 32n), Number(lsn & 0xffffffffn)];

describe('LSNs', () => {
  test('text and number, there and back', () => {
    fc.assert(
      fc.property(anyLsn, (lsn) => {
        expect(parseLsn(formatLsn(lsn))).toBe(lsn);
        expect(formatHalves(...halves(lsn))).toBe(formatLsn(lsn));
        expect(BigInt(`0x${hexHalves(...halves(lsn))}`)).toBe(lsn);
      }),
    );
  });

  test('the library pads its LSNs: as numbers they are equal', () => expect(parseLsn('00000000/0177FF88')).toBe(parseLsn('0/177ff88')));

  test.each(['', '0', '0/', '/1', '0/1/2', '123456789/0', 'x/y', '0x1/2'])('%j is no LSN', (text) => expect(parseLsn(text)).toBeNull());

  test('decimal digits are exact over all 64 bits', () => {
    const near = fc.oneof(
      anyLsn,
      fc.tuple(fc.nat({ max: 63 }), fc.integer({ min: -2, max: 2 })).map(([bit, by]) => BigInt.asUintN(64, (1n << BigInt(bit)) + BigInt(by))),
    );
    const tens = fc
      .tuple(fc.nat({ max: 19 }), fc.integer({ min: -1, max: 1 }))
      .map(([power, by]) => BigInt.asUintN(64, 10n ** BigInt(power) + BigInt(by)));
    fc.assert(
      fc.property(fc.oneof(near, tens), (lsn) => {
        const bytes = Buffer.alloc(24, '.');
        const end = writeDecimal(bytes, 2, ...halves(lsn));
        expect(bytes.toString('latin1', 2, end)).toBe(lsn.toString());
        expect(bytes[1]).toBe(0x2e);
        expect(end === 24 || bytes[end] === 0x2e).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('transaction ids', () => {
  test('system, commit LSN in sixteen digits, transaction number', () => {
    expect(transactionId('7000', 1, 0xff, 4_000_000_000)).toBe('7000/00000001000000FF.4000000000');
    expect(commitLsnOf('7000/00000001000000FF.4000000000')).toBe(0x1_0000_00ffn);
    expect(commitLsnOf('7000/FF.1')).toBeNull();
  });
});

describe('stored positions', () => {
  const good = { lsn: '0/10', lastCommit: '0/8', lastCommitMicros: '5', timeline: '1', systemId: '7' };
  test('are read back', () => expect(readPosition(good)).toEqual(good));
  test('may know of no commit', () =>
    expect(readPosition({ ...good, lastCommit: null, lastCommitMicros: null })).toMatchObject({ lastCommit: null }));
  test.each([{ lsn: null }, { lsn: '10' }, { lastCommit: 'x' }, { lastCommitMicros: '-1' }, { timeline: null }, { systemId: null }])(
    'with %j are none',
    (wrong) => expect(readPosition({ ...good, ...wrong })).toBeNull(),
  );
});
