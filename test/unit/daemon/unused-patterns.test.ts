import { expect, it } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { unusedPatterns } from '../../../src/daemon/unused-patterns.ts';

const NOTHING = { compatibility: { levels: {}, actions: {}, deprecated: [] }, mapping: { rename: {}, cast: {}, defaults: {}, fixed: {} } };
const ORDERS = { kind: 'table', catalog: 'shop', schema: 'public', name: 'orders', columnNames: ['id', 'total'] } as const;

const found = (compatibility: object, mapping: object): readonly string[] =>
  unusedPatterns(
    {
      compatibility: { ...NOTHING.compatibility, ...compatibility },
      mapping: { ...NOTHING.mapping, ...mapping },
    } as unknown as ConnectorDefinition,
    [ORDERS],
  ).map(({ message }) => message);

it('names each pattern of tables and columns that no captured table has', () => {
  const compatibility = { levels: { 'public.ordrs': 'full' }, actions: { 'other.*': 'stop' }, deprecated: ['public.orders.tota'] };
  const mapping = {
    rename: { 'public.orders.totl': 'sum' },
    cast: { 'public.order.total': 'text' },
    fixed: { 'Public.orders': 'id' },
    defaults: { 'public.o.x': 'text=a' },
  };
  const messages = found(compatibility, mapping);
  expect(messages).toHaveLength(7);
  for (const text of ['public.ordrs', 'other.*', 'public.orders.tota ', 'public.orders.totl', 'public.order.total', 'Public.orders', 'public.o.x'])
    expect(messages.filter((message) => message.includes(text.trim()))).not.toHaveLength(0);
});

it('says nothing of those that fit, nor of a default for a column that is not there', () => {
  const compatibility = { levels: { 'public.*': 'full' }, actions: { '/public\\.o.*/': 'stop' }, deprecated: ['public.orders.*'] };
  const mapping = {
    rename: { 'public.orders.total': 'sum' },
    cast: { 'public.*.id': 'text' },
    fixed: { 'public.orders': 'gone' },
    defaults: { 'public.orders.gone': 'text=a' },
  };
  expect(found(compatibility, mapping)).toEqual([]);
});
