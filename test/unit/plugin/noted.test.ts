import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Noted } from '../../../src/plugin/noted.ts';

describe('what stands beyond the place (algorithms §2)', () => {
  it('skips by transaction and (ordinal, part), never by position', () => {
    const noted = new Noted('shop');
    expect(noted.note('', 'shop/7/B.2/3/1')).toBe(true);
    expect(noted.note('', 'bank/7/B.2/3/1')).toBe(false);
    // A position that is lower, of a transaction that was not noted: after a failover it may be another one.
    expect(noted.skips('', 'shop/7/A.1/0/0')).toBe(false);
    expect(noted.skips('', 'shop/7/B.2/0/0')).toBe(true);
    expect(noted.skips('', 'shop/7/B.2/3/0')).toBe(true);
    expect(noted.size).toBe(1);
    expect(noted.skips('', 'shop/7/B.2/3/1')).toBe(true);
    expect(noted.size).toBe(0);
  });

  it('a message beyond an entry drops it', () => {
    const noted = new Noted('shop');
    noted.note('', 'shop/7/A.1/5/0');
    noted.note('', 'shop/7/B.2/5/0');
    expect(noted.skips('', 'shop/7/B.2/6/0')).toBe(false);
    expect(noted.size).toBe(0);
  });

  it('an announced shape by its own id: behind it may stand rows of a record that is read again in another shape', () => {
    const noted = new Noted('shop');
    expect(noted.note('', 'shop/shape/3/7/A.1/0/0')).toBe(true);
    noted.note('', 'shop/7/A.1/0/0');
    noted.note('', 'shop/7/A.1/5/0');
    expect([noted.size, noted.has('', 'shop/shape/3/7/A.1/0/0'), noted.has('', 'shop/shape/4/7/A.1/3/0')]).toEqual([2, true, false]);
    expect(noted.skips('', 'shop/shape/3/7/A.1/0/0')).toBe(true);
    expect(noted.skips('', 'shop/7/A.1/3/0')).toBe(true);
    expect(noted.skips('', 'shop/shape/4/7/A.1/3/0')).toBe(false);
    expect(noted.skips('', 'shop/7/A.1/5/0')).toBe(true);
    expect([noted.size, noted.transactions()]).toEqual([0, []]);
  });

  it('begin and end of a transaction are recognised among its changes, and a heartbeat is noted as nothing (I4)', () => {
    const noted = new Noted('shop');
    expect(noted.note('', 'shop/heartbeat/1795467559506224/0/0')).toBe(true);
    expect(noted.size).toBe(0);
    noted.note('', 'shop/7/A.1/begin/0');
    expect([noted.has('', 'shop/7/A.1/begin/0'), noted.has('', 'shop/7/A.1/0/0')]).toEqual([true, false]);
    noted.note('', 'shop/7/A.1/5/0');
    noted.note('', 'shop/7/A.1/end/0');
    expect(noted.skips('', 'shop/heartbeat/2/0/0')).toBe(false);
    for (const id of ['shop/7/A.1/begin/0', 'shop/7/A.1/5/0', 'shop/7/A.1/end/0']) expect(noted.skips('', id)).toBe(true);
    expect(noted.size).toBe(0);
    expect(noted.transactions()).toEqual([]);
  });

  it('what was sent when a table was resumed is beside the log: it says nothing of it, nor of another table, and has no weight (I1, I4)', () => {
    const noted = new Noted('shop');
    noted.note('', 'shop/resumed/public.a/7/A.1/5/0');
    noted.note('', 'shop/resumed/public.b/7/A.1/9/0');
    noted.note('', 'shop/7/B.2/5/0');
    expect(noted.size).toBe(1);
    expect(noted.skips('', 'shop/7/A.1/3/0')).toBe(false);
    expect(noted.has('', 'shop/7/A.1/3/0')).toBe(false);
    expect(noted.skips('', 'shop/7/B.2/6/0')).toBe(false);
    expect(noted.size).toBe(0);
    expect(noted.has('', 'shop/resumed/public.a/7/A.1/5/0')).toBe(true);
    expect(noted.has('', 'shop/resumed/public.a/7/A.1/6/0')).toBe(false);
    expect(noted.skips('', 'shop/resumed/public.b/7/A.1/9/0')).toBe(true);
    expect(noted.transactions()).toEqual([]);
  });

  it('trap: dead letters stand in their topic in no order: one says nothing of another, and has no weight (I1)', () => {
    const noted = new Noted('shop');
    noted.note('', 'shop/dead-letter/7/A.1/9/0');
    noted.note('', 'shop/dead-letter/7/A.1/3/0');
    expect(noted.size).toBe(0);
    expect(noted.has('', 'shop/dead-letter/7/A.1/9/0')).toBe(true);
    expect(noted.skips('', 'shop/dead-letter/7/A.1/3/0')).toBe(true);
    expect(noted.has('', 'shop/dead-letter/7/A.1/5/0'), 'below the highest').toBe(false);
    expect(noted.has('', 'shop/7/A.1/3/0')).toBe(false);
    expect(noted.transactions()).toEqual([]);
    expect([noted.isBeside('shop/dead-letter/7/A.1/3/0'), noted.isBeside('shop/7/A.1/3/0')]).toEqual([true, false]);
  });

  it('lanes are apart', () => {
    const noted = new Noted('shop');
    noted.note('a', 'shop/7/A.1/5/0');
    expect(noted.skips('b', 'shop/7/A.1/4/0')).toBe(false);
    expect(noted.skips('a', 'shop/7/A.1/4/0')).toBe(true);
  });

  it('what never comes is forgotten in the end', () => {
    const noted = new Noted('shop');
    noted.note('', 'shop/7/A.1/5/0');
    for (let at = 0; at < 100_000; at++) noted.skips('', `shop/7/C.${at}/0/0`);
    expect(noted.size).toBe(0);
  });

  it('for any prefix that stands there, a replay from any transaction skips exactly that prefix, and then nothing is left', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lengths, fc.nat(), fc.nat(), (transactions, cut, start) => {
        const ids = transactions.flatMap((length, tx) => Array.from({ length }, (_, ordinal) => `shop/7/${tx}/${ordinal}/0`));
        const stored = ids.slice(0, cut % (ids.length + 1));
        const noted = new Noted('shop');
        for (const id of stored) noted.note('', id);
        const first = transactions.slice(0, start % transactions.length).reduce((sum, length) => sum + length, 0);
        const again = ids.slice(Math.min(first, stored.length - (stored.length % 1)));
        for (const id of again) expect(noted.skips('', id)).toBe(stored.includes(id));
        if (first < stored.length) expect(noted.size).toBe(0);
      }),
    );
  });
});
