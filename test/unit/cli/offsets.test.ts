import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { offsetsCommand } from '../../../src/cli/offsets.ts';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { Place } from '../../../src/record/position.ts';
import { openLevel } from '../../../src/state/level.ts';
import { openStore, type StateStore } from '../../../src/state/store.ts';
import { connector, registry } from '../config/plugins.ts';

/** `offsets show` without a daemon, over what `fill` saves. */
async function show(fill: (store: StateStore) => Promise<void>, json = false): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-offsets-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const dataDir = join(directory, 'data');
  await mkdir(join(directory, 'connectors'));
  await writeFile(join(directory, 'sluice.json'), JSON.stringify({ dataDir, log: { level: 'error' } }));
  await writeFile(join(directory, 'connectors', 'shop.json'), JSON.stringify(connector()));
  const store = await openStore({ directory: dataDir, runtime: nodeRuntime(), openEngine: openLevel });
  await fill(store).finally(() => store.close());
  let printed = '';
  const write = (text: string): void => {
    printed += text;
  };
  expect(await offsetsCommand([directory], { verb: 'show' }, { json, out: write, err: write }, registry)).toBe(0);
  return printed;
}

const entries = (count: number): Place => Object.fromEntries(Array.from({ length: count }, (_, n) => [`shop.orders/${n}`, String(n)]));
const position = { lsn: '0/5', a: '1', b: '2', c: '3', d: '4', e: '5', f: null };

test('shows the place: a few entries of many, all of few, and the position whole', async () => {
  const text = await show(async (store) => {
    await store.save('shop', { offset: { position, place: entries(12_000) } });
    await store.save('small', { offset: { position, place: entries(5) } });
    await store.save('stdout', { offset: { position, place: null } });
  });
  const [header, shop, small, stdout, ...more] = text.split('\n');
  expect(header).toMatch(/^CONNECTOR +POSITION +PLACE IN THE SINK +TABLE VERSIONS$/);
  expect(shop).toMatch(
    /^shop +lsn=0\/5 a=1 b=2 c=3 d=4 e=5 +shop\.orders\/0=0 shop\.orders\/1=1 shop\.orders\/10=10 shop\.orders\/100=100 … and 11996 more +0$/,
  );
  expect(small).toMatch(/^small .* shop\.orders\/0=0 .* shop\.orders\/4=4 +0$/);
  expect(stdout).toMatch(/^stdout +lsn=0\/5 a=1 b=2 c=3 d=4 e=5 +0$/);
  expect(more).toEqual(['']);
});

test('--json has every entry', async () => {
  const text = await show((store) => store.save('shop', { offset: { position, place: entries(12_000) } }), true);
  expect(JSON.parse(text)).toEqual([{ connector: 'shop', offset: { position }, place: entries(12_000), tables: 0 }]);
});

test('shows a place that was saved before the first offset', async () => {
  const fill = (store: StateStore): Promise<void> => store.savePlace('shop', { 't/0': '7' });
  expect(await show(fill)).toMatch(/\nshop +none +t\/0=7 +0\n$/);
  expect(JSON.parse(await show(fill, true))).toEqual([{ connector: 'shop', offset: null, place: { 't/0': '7' }, tables: 0 }]);
});
