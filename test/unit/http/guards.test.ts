import * as crypto from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { hasToken, isNestedTooDeep, isTrustedHost, RateGuard } from '../../../src/http/guards.ts';

vi.mock('node:crypto', { spy: true });

describe('the guard against DNS rebinding', () => {
  it.each([
    ['localhost:8085', undefined, true],
    ['LOCALHOST', undefined, true],
    ['127.0.0.1:8085', undefined, true],
    ['127.1.2.3', undefined, true],
    ['[::1]:8085', undefined, true],
    ['own.internal:8085', undefined, true],
    ['evil.example', undefined, false],
    ['evil.example:8085', undefined, false],
    ['127.0.0.1.evil.example', undefined, false],
    ['localhost@evil.example', undefined, false],
    ['', undefined, false],
    [undefined, undefined, false],
    ['localhost', 'http://localhost:3000', true],
    ['localhost', 'http://evil.example', false],
    ['localhost', 'null', false],
  ])('Host %s, Origin %s', (host, origin, expected) => {
    expect(isTrustedHost('own.internal', host, origin)).toBe(expected);
  });
});

describe('the token', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  it.each([
    ['Bearer secret', true],
    ['bearer secret', true],
    [basic('anybody:secret'), true],
    [basic(':secret'), true],
    ['Bearer secre', false],
    ['Bearer secret2', false],
    ['Bearer', false],
    ['secret', false],
    ['Digest secret', false],
    [basic('secret:'), false],
    [basic('a:b:secret'), false],
    [undefined, false],
  ])('%s', (authorization, expected) => {
    expect(hasToken('secret', authorization)).toBe(expected);
  });
});

it.each(['Bearer s', 'Bearer secret', `Bearer ${'x'.repeat(5_000)}`, undefined])(
  'is compared in constant time, whatever its length: %s',
  (authorization) => {
    const compared = vi.mocked(crypto.timingSafeEqual);
    compared.mockClear();
    hasToken('secret', authorization);
    expect(compared.mock.calls.map(([a, b]) => [a.byteLength, b.byteLength])).toEqual([[32, 32]]);
  },
);

describe('the rate guard', () => {
  it('lets a burst pass, then so many each second, and counts each address by itself', () => {
    let now = 0;
    const guard = new RateGuard(() => now);
    const taken = (address: string, asked: number): number => Array.from({ length: asked }, () => guard.take(address)).filter(Boolean).length;
    expect(taken('a', 3_000)).toBe(2_000);
    expect(taken('b', 10)).toBe(10);
    now += 100;
    expect(taken('a', 3_000)).toBe(50);
    now += 60_000;
    expect(taken('a', 3_000)).toBe(2_000);
  });
});

describe('bodies', () => {
  it('that are nested more deeply than any document are known without being read', () => {
    const nested = (depth: number): string => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`;
    expect(isNestedTooDeep(nested(64))).toBe(false);
    expect(isNestedTooDeep(nested(66))).toBe(true);
    expect(isNestedTooDeep(nested(400_000))).toBe(true);
    expect(isNestedTooDeep(JSON.stringify({ text: `${'['.repeat(100)}"\\` }))).toBe(false);
    expect(isNestedTooDeep(JSON.stringify(Array.from({ length: 10_000 }, () => [{}])))).toBe(false);
  });
});
