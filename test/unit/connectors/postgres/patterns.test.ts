import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPatternError, parsePattern, type TablePattern } from '../../../../connectors/postgres/patterns.ts';

function pattern(text: string): TablePattern {
  const parsed = parsePattern(text);
  if (isPatternError(parsed)) throw new Error(parsed.message);
  return parsed;
}

describe('table patterns', () => {
  it.each([
    ['public.orders', 'public', 'orders', true],
    ['public.orders', 'public', 'orders2', false],
    ['public.orders', 'xpublic', 'orders', false],
    ['public.Orders', 'public', 'orders', false],
    ['public.customer_*', 'public', 'customer_', true],
    ['public.customer_*', 'public', 'customer_eu', true],
    ['public.customer_*', 'public', 'my_customer_eu', false],
    ['public.*_log', 'public', 'audit_log', true],
    ['*.orders', 'sales', 'orders', true],
    ['p*.orders', 'sales', 'orders', false],
    // The first dot parts schema and table.
    ['public.a.b', 'public', 'a.b', true],
    ['"My.Schema".*', 'My.Schema', 'T', true],
    ['public."a*"', 'public', 'a*', true],
    ['public."a*"', 'public', 'ab', false],
    ['public."say ""hi"""', 'public', 'say "hi"', true],
    ['public.a+b', 'public', 'a+b', true],
    ['public.a+b', 'public', 'aab', false],
    ['/public\\.(orders|items)/', 'public', 'items', true],
    // Whole names only: an expression that forgets its anchors must not capture more than it names (I2).
    ['/public\\.orders/', 'public', 'orders_archive', false],
    ['/public\\.orders/', 'my_public', 'orders', false],
    ['/public\\.a|public\\.b/', 'public', 'bc', false],
  ])('%s on %s.%s: %s', (text, schema, name, expected) => {
    expect(pattern(text).matches(schema, name)).toBe(expected);
  });

  it.each(['orders', '', '.', 'public.', '.orders', '/', '//', '/unclosed', '/(/', '"public.orders', 'public."orders'])(
    'rejects %j with a remedy',
    (text) => {
      const parsed = parsePattern(text);
      expect(isPatternError(parsed)).toBe(true);
      if (isPatternError(parsed)) expect(parsed.remedy).not.toBe('');
    },
  );

  it('knows which patterns name one table, which must then exist', () => {
    expect(pattern('public.orders').exact).toBe(true);
    expect(pattern('public."*"').exact).toBe(true);
    expect(pattern('public.*').exact).toBe(false);
    expect(pattern('/public\\.orders/').exact).toBe(false);
  });

  it('any name is matched by its own quoted form and by nothing else', () => {
    const name = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !text.includes('\0'));
    const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(name, name, name, (schema, table, other) => {
        const parsed = pattern(`${quoted(schema)}.${quoted(table)}`);
        return parsed.matches(schema, table) && parsed.matches(schema, other) === (other === table);
      }),
    );
  });
});
