import { expect, test } from 'vitest';
import { connectorChanges, describeChange } from '../../../src/config/changes.ts';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { connector, loadOne, valid } from './plugins.ts';

async function definition(file: object): Promise<ConnectorDefinition> {
  return valid(await loadOne(file)).connectors[0] as ConnectorDefinition;
}

const described = (before: readonly ConnectorDefinition[], after: readonly ConnectorDefinition[]): readonly string[] =>
  connectorChanges(before, after).map(describeChange);

test('the same configuration, read again, is no change', async () => {
  expect(described([await definition(connector())], [await definition(connector())])).toEqual([]);
});

test('connectors come and go', async () => {
  const shop = await definition(connector());
  const other = { ...shop, name: 'other' };
  expect(described([shop], [shop, other])).toEqual(['other: started']);
  expect(described([shop, other], [shop])).toEqual(['other: ended, its state and what it made on the servers stay']);
});

test('what differs is named by its paths, and no value of it (I12)', async () => {
  const before = await definition(connector({ source: { heartbeat: { interval: '5s' } } }));
  const after = await definition(connector({ source: { heartbeat: { interval: '6s' } }, batch: { maxRecords: 7 } }));
  expect(described([before], [after])).toEqual(['shop: restarted with other source.heartbeat.interval, batch.maxRecords']);
});

test('tables that are new are named', async () => {
  const before = await definition(connector());
  const tables = (list: string[]): ConnectorDefinition => ({
    ...before,
    source: { ...before.source, config: { ...before.source.config, tables: list } },
  });
  expect(described([tables(['public.a'])], [tables(['public.a', 'public.b'])])).toEqual([
    'shop: restarted with other source.tables (public.b is new)',
  ]);
});
