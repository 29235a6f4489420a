import fc from 'fast-check';
import { expect, test } from 'vitest';
import { maskUrl, redactor, urlSecrets } from '../../../src/config/redact.ts';

test('I12: a secret goes in every form in which it may be written', () => {
  const redact = redactor(['p@ss/w"rd', 'short']);
  expect(redact('as it is: p@ss/w"rd, twice: p@ss/w"rd')).toBe('as it is: ***, twice: ***');
  expect(redact('postgres://u:p%40ss%2Fw%22rd@db')).toBe('postgres://u:***@db');
  expect(redact('{"password":"p@ss/w\\"rd"}')).toBe('{"password":"***"}');
  expect(redact('short')).toBe('***');
});

test('I12: no secret survives, whatever signs it is made of', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 4 }), { minLength: 1, maxLength: 4 }), fc.string(), fc.string(), (secrets, before, after) => {
      const redact = redactor(secrets);
      for (const secret of secrets) expect(redact(`${before}\u0001${secret}\u0001${after}`)).toContain('\u0001***\u0001');
    }),
  );
});

test('a secret that contains another one goes as a whole', () => {
  expect(redactor(['abc', 'abcdef'])('abcdef abc')).toBe('*** ***');
});

test('of a key file each line goes too, but not its frame', () => {
  const redact = redactor(['-----BEGIN NKEY-----\nSUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY\n-----END NKEY-----']);
  expect(redact('bad seed SUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY in -----BEGIN NKEY-----')).toBe(
    'bad seed *** in -----BEGIN NKEY-----',
  );
});

test('without secrets a text stays what it is', () => {
  expect(redactor([])('text')).toBe('text');
  expect(redactor([''])('text')).toBe('text');
});

test('finds the secrets in a URL, written and decoded', () => {
  expect(urlSecrets('postgres://u:p%40ss@db/shop')).toEqual(['p%40ss', 'p@ss']);
  expect(urlSecrets('nats://h:4222?token=abc&x=1')).toEqual(['abc']);
  expect(urlSecrets('postgres://u@db:5432/shop')).toEqual([]);
  expect(urlSecrets('public.orders')).toEqual([]);
  expect(urlSecrets('postgres://u:100%@db')).toEqual(['100%']);
});

test('a URL is shown without them', () => {
  expect(maskUrl('postgres://u:p@db/shop?sslpassword=x&a=b')).toBe('postgres://u:***@db/shop?sslpassword=***&a=b');
  expect(maskUrl('postgres://u@db:5432')).toBe('postgres://u@db:5432');
});
