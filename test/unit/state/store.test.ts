import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Place } from '../../../src/record/position.ts';
import { TableRegistry, type TableVersion, tableId } from '../../../src/record/table.ts';
import type { KeyValueStore, OpenEngine, Operation } from '../../../src/state/key-value.ts';
import { openLevel } from '../../../src/state/level.ts';
import { openStore, openStoreWhenFree, type StateStore } from '../../../src/state/store.ts';
import { column, tableShape } from '../../support/encoded.ts';
import { dataDirectory, errorOf, offset, offsetOf, tableVersions, withStore } from './state-directory.ts';

/** The real engine, with what is written to it. */
function recordingEngine(): { readonly openEngine: OpenEngine; readonly batches: (readonly Operation[])[] } {
  const batches: (readonly Operation[])[] = [];
  const openEngine = async (location: string, create: boolean): Promise<KeyValueStore> => {
    const engine = await openLevel(location, create);
    return {
      get: (key) => engine.get(key),
      iterate: (prefix) => engine.iterate(prefix),
      close: () => engine.close(),
      batch: (operations) => {
        batches.push(operations);
        return engine.batch(operations);
      },
    };
  };
  return { openEngine, batches };
}

describe('the state store', () => {
  it('has nothing at first, and after that what was saved, also when it is opened again', async () => {
    const options = await dataDirectory();
    const [orders, items] = tableVersions('orders', 'items/ü"\u2028');
    await withStore(options, async (store) => {
      expect(await store.load('shop')).toEqual({ offset: null, place: null, progress: {}, shapes: {}, accepted: null, tables: [] });
      expect(await store.connectors()).toEqual([]);
      await store.saveHistory('shop', { put: [orders!], drop: [] });
      await store.save('shop', { offset: offset(1) });
      await store.saveHistory('shop', { put: [items!], drop: [] });
      await store.save('shop', { offset: offset(2, null) });
      await store.save('a/b', { offset: offset(9) });
    });
    await withStore(options, async (store) => {
      const { offset: found, place, tables } = await store.load('shop');
      // A checkpoint that moved nothing in the sink leaves its place as it was.
      expect([found, place]).toEqual([{ position: offset(2).position }, offset(1).place]);
      expect([...tables].sort((a, b) => (a.name < b.name ? 1 : -1))).toEqual([orders, items]);
      expect(await offsetOf(store, 'a/b')).toEqual(offset(9));
      expect((await store.load('a')).offset).toBeNull();
      expect(await store.connectors()).toEqual(['a/b', 'shop']);
    });
  });

  it('waits for another process that only looks, and not for one that stays', async () => {
    const options = await dataDirectory();
    const first = await openStore(options);
    const waiting = openStoreWhenFree(options, 20_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await first.close();
    const second = await waiting;
    expect((await errorOf(openStoreWhenFree(options, 100))).code).toBe('SLUICE_STATE_LOCKED');
    await second.close();
  });

  it('gives the versions of a table in order, the tenth after the ninth', async () => {
    const options = await dataDirectory();
    const versions = Array.from({ length: 12 }, (_, i) => ({ ...tableVersions('t')[0]!, version: i + 1 }));
    await withStore(options, async (store) => {
      await store.saveHistory('shop', { put: versions, drop: [] });
      await store.save('shop', { offset: offset(1) });
      expect((await store.load('shop')).tables.map(({ version }) => version)).toEqual(versions.map(({ version }) => version));
    });
  });

  it('keeps its instance, unlike any other directory, and knows how the run before ended', async () => {
    const [first, second] = [await dataDirectory(), await dataDirectory()];
    const instances: string[] = [];
    const ends: string[] = [];
    for (const options of [first, first, second]) {
      await withStore(options, async (store) => {
        instances.push(store.instance);
        ends.push(store.previousShutdown);
      });
    }
    expect(instances[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(instances[1]).toBe(instances[0]);
    expect(instances[2]).not.toBe(instances[0]);
    expect(ends).toEqual(['first', 'clean', 'first']);
  });

  it('keeps an intent until it is forgotten', async () => {
    const options = await dataDirectory();
    await withStore(options, async (store) => {
      expect(await store.getIntent('shop')).toBeNull();
      await store.setIntent('shop', { slot: 'sluice_shop', created: ['publication'] });
    });
    await withStore(options, async (store) => {
      expect(await store.getIntent('shop')).toEqual({ slot: 'sluice_shop', created: ['publication'] });
      expect((await store.load('shop')).offset).toBeNull();
      await store.setIntent('shop', null);
      expect(await store.getIntent('shop')).toBeNull();
    });
  });

  it('lets an operator replace an offset, with the reason, and forget it with the schema history but not the intent', async () => {
    const options = await dataDirectory();
    await withStore(options, async (store) => {
      await store.setIntent('shop', { slot: 's' });
      await store.saveHistory('shop', { put: tableVersions('orders'), drop: [] });
      await store.save('shop', { offset: offset(5) });
      expect(await store.inspect('shop')).toMatchObject({ reason: null, savedMicros: expect.any(Number) });
      await store.replaceOffset('shop', offset(3), 'offsets set');
      expect(await store.inspect('shop')).toMatchObject({ reason: 'offsets set', lost: false });
      expect(await offsetOf(store, 'shop')).toEqual(offset(3));
      expect((await store.load('shop')).tables).toHaveLength(1);
      await store.replaceOffset('shop', null, 'offsets reset');
    });
    await withStore(options, async (store) => {
      expect(await store.load('shop')).toEqual({ offset: null, place: null, progress: {}, shapes: {}, accepted: null, tables: [] });
      expect(await store.getIntent('shop')).toEqual({ slot: 's' });
    });
  });

  it('writes every position to the side file before a save resolves (I5)', async () => {
    const options = await dataDirectory();
    await withStore(options, async (store) => {
      for (let n = 1; n <= 4; n++) {
        await store.save('shop', { offset: offset(n) });
        const both = await Promise.all(['a', 'b'].map((name) => readFile(join(options.directory, `state/offset.${name}`), 'utf8')));
        expect(both.some((text) => text.includes(`["shop",${JSON.stringify(offset(n).position)}]`))).toBe(true);
      }
    });
  });

  it('keeps what is known of copies beside the offset, entry by entry (I5), and forgets it with the offset', async () => {
    await withStore(await dataDirectory(), async (store) => {
      await store.save('snapshot', { offset: offset(1), progress: { 'table/public.a b': '{"x":1}', 'table/c': 'd' } });
      await store.save('snapshot', { offset: offset(1), progress: { 'table/c': null } });
      expect((await store.load('snapshot')).progress).toEqual({ 'table/public.a b': '{"x":1}' });
      await store.replaceOffset('snapshot', null, 'test');
      expect((await store.load('snapshot')).progress).toEqual({});
    });
  });

  it('keeps which versions may go, from when they are judged on, and forgets them with what they are of', async () => {
    const options = await dataDirectory();
    const registry = new TableRegistry();
    const [one, two] = [['id'], ['id', 'a/b é']].map((names) => registry.version(tableShape(names.map((name) => column(name, 'text'))))) as [
      TableVersion,
      TableVersion,
    ];
    const accepted = async (): Promise<unknown> => withStore(options, async (store) => (await store.load('shop')).accepted);
    await withStore(options, (store) => store.saveHistory('shop', { put: [one, two], drop: [] }, [{ table: one, isAnew: false }]));
    expect(await accepted(), 'none is judged yet').toBeNull();
    await withStore(options, (store) => store.setJudged('shop', [one]));
    expect(await accepted()).toEqual({ [tableId(one)]: { versions: [1], anew: 1 } });
    await withStore(options, (store) => store.saveHistory('shop', { put: [], drop: [one] }, [{ table: two, isAnew: false }]));
    expect(await accepted()).toEqual({ [tableId(one)]: { versions: [2], anew: 0 } });
    await withStore(options, (store) => store.accept('shop', [{ table: two, isAnew: true }], { table: 'public.t', state: { state: 'resuming' } }));
    expect(await accepted()).toEqual({ [tableId(two)]: { versions: [2], anew: 2 } });
    await withStore(options, async (store) => expect(await store.getTableStates('shop')).toEqual(new Map([['public.t', { state: 'resuming' }]])));
    await withStore(options, (store) => store.setJudged('shop', null));
    expect(await accepted()).toBeNull();
    await withStore(options, (store) => store.setJudged('shop', []));
    expect(await accepted(), 'they are forgotten').toEqual({});
    await withStore(options, (store) => store.replaceOffset('shop', null, 'offsets reset'));
    expect(await accepted()).toBeNull();
  });

  it('keeps each entry of a place under a key of its own: only those that moved are written, null removes one', async () => {
    const options = await dataDirectory();
    const position = { lsn: '0/1' };
    await withStore(options, async (store) => {
      await store.savePlace('shop', { 'a.b/0': '1 x', 'a.b/1': '2', gone: '3' });
      // Before the first checkpoint: the place is there, and it is still the first start.
      expect(await store.load('shop')).toEqual({
        offset: null,
        place: { 'a.b/0': '1 x', 'a.b/1': '2', gone: '3' },
        progress: {},
        shapes: {},
        accepted: null,
        tables: [],
      });
      await store.save('shop', { offset: { position, place: { 'a.b/1': '5', gone: null } } });
      await store.save('shop', { offset: { position, place: null } });
      await store.save('stock', { offset: { position, place: { 'a.b/0': '9' } } });
    });
    await withStore(options, async (store) => {
      expect((await store.load('shop')).place).toEqual({ 'a.b/0': '1 x', 'a.b/1': '5' });
      // An operator's command: the whole place, not more of it.
      await store.replaceOffset('shop', { position, place: { other: '1' } }, 'offsets recover');
      expect((await store.load('shop')).place).toEqual({ other: '1' });
      await store.replaceOffset('shop', null, 'offsets reset');
      expect(await store.load('shop')).toEqual({ offset: null, place: null, progress: {}, shapes: {}, accepted: null, tables: [] });
      await store.save('shop', { offset: { position, place: null } });
      expect((await store.load('shop')).place).toBeNull();
      expect((await store.load('stock')).place).toEqual({ 'a.b/0': '9' });
    });
  });

  it('writes the entries that moved, in the batch of the offset (I5), and none of the others', async () => {
    const options = await dataDirectory();
    const { openEngine, batches } = recordingEngine();
    const keys = () => batches.splice(0).map((operations) => operations.map(({ type, key }) => `${type} ${key}`).sort());
    await withStore({ ...options, openEngine }, async (store) => {
      const entries = Object.fromEntries(Array.from({ length: 12_000 }, (_, n) => [`t/${n}`, '0']));
      await store.save('shop', { offset: { position: { lsn: '0/1' }, place: entries } });
      keys();
      await store.save('shop', { offset: { position: { lsn: '0/2' }, place: { 't/7': '1', 't/8': null } } });
      expect(keys()).toEqual([['del connector/shop/place/t%2F8', 'put connector/shop/offset', 'put connector/shop/place/t%2F7', 'put root']]);
      await store.savePlace('shop', { 't/9': '2' });
      expect(keys()).toEqual([['put connector/shop/place/t%2F9', 'put root']]);
      const side = await Promise.all(['a', 'b'].map((name) => readFile(join(options.directory, `state/offset.${name}`), 'utf8')));
      expect(side.join('')).not.toContain('t/');
    });
  });

  it('groups the saves that wait into one synced batch, and keeps the order of each connector', async () => {
    const options = await dataDirectory();
    const { openEngine, batches } = recordingEngine();
    await withStore({ ...options, openEngine }, async (store) => {
      batches.length = 0;
      await Promise.all(Array.from({ length: 300 }, (_, n) => store.save(`c${n % 3}`, { offset: offset(n) })));
      expect(batches).toHaveLength(1);
      const [running, ...waiting] = [
        store.save('c0', { offset: offset(1000) }),
        Promise.resolve().then(() => Promise.resolve().then(() => store.save('c0', { offset: offset(1001) }))),
        Promise.resolve().then(() => Promise.resolve().then(() => store.save('c1', { offset: offset(1002) }))),
      ];
      await Promise.all([running, ...waiting]);
      expect(batches.length).toBeLessThanOrEqual(3);
    });
    await withStore(options, async (store) => {
      expect(await offsetOf(store, 'c0')).toEqual(offset(1001));
      expect(await offsetOf(store, 'c1')).toEqual(offset(1002));
      expect(await offsetOf(store, 'c2')).toEqual(offset(299));
    });
  });

  it('refuses a save after close with a typed error, and finishes the ones that came before', async () => {
    const options = await dataDirectory();
    const store = await openStore(options);
    const before = store.save('shop', { offset: offset(1) });
    const closing = store.close();
    expect((await errorOf(store.save('shop', { offset: offset(2) }))).code).toBe('SLUICE_STATE_CLOSED');
    await Promise.all([before, closing, store.close()]);
    await withStore(options, async (again) => expect(await offsetOf(again, 'shop')).toEqual(offset(1)));
  });

  it('holds what a map would hold, through any sequence of commands and reopenings', { timeout: 60_000 }, async () => {
    const command = fc.record({
      what: fc.constantFrom('save', 'save', 'save', 'place', 'reset', 'replace', 'intent', 'reopen'),
      connector: fc.constantFrom('a', 'b', 'ü/%', '__proto__'),
      n: fc.nat(1000),
      tables: fc.subarray(['x', 'y', 'z']),
      moved: fc.dictionary(fc.constantFrom('a/0', 'a/1', 'ü%'), fc.option(fc.nat(9).map(String))),
    });
    const without = (place: Place): Place => Object.fromEntries(Object.entries(place).filter(([, value]) => value !== null));
    const options = await dataDirectory();
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 15 }), async (commands) => {
        const model = new Map<string, { offset: object | null; place: Place; tables: Set<string>; intent: unknown }>();
        let store: StateStore = await openStore(options);
        for (const name of await store.connectors()) {
          await store.replaceOffset(name, null, 'test');
          await store.setIntent(name, null);
        }
        for (const { what, connector, n, tables, moved } of commands) {
          const expected = model.get(connector) ?? { offset: null, place: {}, tables: new Set<string>(), intent: null };
          model.set(connector, expected);
          const position = { n: String(n) };
          if (what === 'save') {
            await store.saveHistory(connector, { put: tableVersions(...tables), drop: [] });
            await store.save(connector, { offset: { position, place: moved } });
            Object.assign(expected, { offset: { position }, place: without({ ...expected.place, ...moved }) });
            for (const table of tables) expected.tables.add(table);
          } else if (what === 'place') {
            await store.savePlace(connector, moved);
            expected.place = without({ ...expected.place, ...moved });
          } else if (what === 'reset') {
            await store.replaceOffset(connector, null, 'test');
            Object.assign(expected, { offset: null, place: {} });
            expected.tables.clear();
          } else if (what === 'replace') {
            await store.replaceOffset(connector, { position, place: moved }, 'test');
            Object.assign(expected, { offset: { position }, place: without(moved) });
          } else if (what === 'intent') {
            await store.setIntent(connector, n % 2 ? { n } : null);
            expected.intent = n % 2 ? { n } : null;
          } else {
            await store.close();
            store = await openStore(options);
          }
        }
        await store.close();
        store = await openStore(options);
        for (const [connector, expected] of model) {
          const { offset: found, place, tables } = await store.load(connector);
          expect(found).toEqual(expected.offset);
          expect(place ?? {}).toEqual(expected.place);
          expect(tables.map(({ name }) => name).sort()).toEqual([...expected.tables].sort());
          expect(await store.getIntent(connector)).toEqual(expected.intent);
        }
        await store.close();
      }),
      { numRuns: 20 },
    );
  });
});
