import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeyValueStore } from '../../../src/state/key-value.ts';
import { openLevel } from '../../../src/state/level.ts';
import { type Offset, openStore, type StateStore } from '../../../src/state/store.ts';
import { dataDirectory, errorOf, offset, tableVersions, withStore } from './state-directory.ts';

describe('the state store', () => {
  it('has nothing at first, and after that what was saved, also when it is opened again', async () => {
    const options = await dataDirectory();
    const [orders, items] = tableVersions('orders', 'items/ü"\u2028');
    await withStore(options, async (store) => {
      expect(await store.load('shop')).toEqual({ offset: null, tables: [] });
      expect(await store.connectors()).toEqual([]);
      await store.save('shop', { offset: offset(1), put: [orders!] });
      await store.save('shop', { offset: offset(2, null), put: [items!] });
      await store.save('a/b', { offset: offset(9) });
    });
    await withStore(options, async (store) => {
      const { offset: found, tables } = await store.load('shop');
      // A checkpoint that moved nothing in the sink leaves its place as it was.
      expect(found).toEqual({ ...offset(2), place: offset(1).place });
      expect([...tables].sort((a, b) => (a.name < b.name ? 1 : -1))).toEqual([orders, items]);
      expect((await store.load('a/b')).offset).toEqual(offset(9));
      expect((await store.load('a')).offset).toBeNull();
      expect(await store.connectors()).toEqual(['a/b', 'shop']);
    });
  });

  it('gives the versions of a table in order, the tenth after the ninth', async () => {
    const options = await dataDirectory();
    const versions = Array.from({ length: 12 }, (_, i) => ({ ...tableVersions('t')[0]!, version: i + 1 }));
    await withStore(options, async (store) => {
      await store.save('shop', { offset: offset(1), put: versions });
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
      await store.save('shop', { offset: offset(5), put: tableVersions('orders') });
      expect(await store.inspect('shop')).toMatchObject({ reason: null, savedMicros: expect.any(Number) });
      await store.replaceOffset('shop', offset(3), 'offsets set');
      expect(await store.inspect('shop')).toMatchObject({ offset: offset(3), reason: 'offsets set', lost: false });
      expect((await store.load('shop')).tables).toHaveLength(1);
      await store.replaceOffset('shop', null, 'offsets reset');
    });
    await withStore(options, async (store) => {
      expect(await store.load('shop')).toEqual({ offset: null, tables: [] });
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

  it('keeps each entry of a place under a key of its own: only those that moved are written, null removes one', async () => {
    const options = await dataDirectory();
    const position = { lsn: '0/1' };
    await withStore(options, async (store) => {
      await store.savePlace('shop', { 'a.b/0': '1 x', 'a.b/1': '2', gone: '3' });
      expect((await store.load('shop')).offset).toBeNull();
      await store.save('shop', { offset: { position, place: { 'a.b/1': '5', gone: null } } });
      await store.save('shop', { offset: { position, place: null } });
      await store.save('stock', { offset: { position, place: { 'a.b/0': '9' } } });
    });
    await withStore(options, async (store) => {
      expect((await store.load('shop')).offset?.place).toEqual({ 'a.b/0': '1 x', 'a.b/1': '5' });
      // An operator's command: the whole place, not more of it.
      await store.replaceOffset('shop', { position, place: { other: '1' } }, 'offsets recover');
      expect((await store.load('shop')).offset?.place).toEqual({ other: '1' });
      await store.replaceOffset('shop', null, 'offsets reset');
      await store.save('shop', { offset: { position, place: null } });
      expect((await store.load('shop')).offset?.place).toBeNull();
      expect((await store.load('stock')).offset?.place).toEqual({ 'a.b/0': '9' });
    });
  });

  it('groups the saves that wait into one synced batch, and keeps the order of each connector', async () => {
    const options = await dataDirectory();
    let batches = 0;
    const openEngine = async (location: string, create: boolean): Promise<KeyValueStore> => {
      const engine = await openLevel(location, create);
      return {
        get: (key) => engine.get(key),
        iterate: (prefix) => engine.iterate(prefix),
        close: () => engine.close(),
        batch: (operations) => {
          batches++;
          return engine.batch(operations);
        },
      };
    };
    await withStore({ ...options, openEngine }, async (store) => {
      batches = 0;
      await Promise.all(Array.from({ length: 300 }, (_, n) => store.save(`c${n % 3}`, { offset: offset(n) })));
      expect(batches).toBe(1);
      const [running, ...waiting] = [
        store.save('c0', { offset: offset(1000) }),
        Promise.resolve().then(() => Promise.resolve().then(() => store.save('c0', { offset: offset(1001) }))),
        Promise.resolve().then(() => Promise.resolve().then(() => store.save('c1', { offset: offset(1002) }))),
      ];
      await Promise.all([running, ...waiting]);
      expect(batches).toBeLessThanOrEqual(3);
    });
    await withStore(options, async (store) => {
      expect((await store.load('c0')).offset).toEqual(offset(1001));
      expect((await store.load('c1')).offset).toEqual(offset(1002));
      expect((await store.load('c2')).offset).toEqual(offset(299));
    });
  });

  it('refuses a save after close with a typed error, and finishes the ones that came before', async () => {
    const options = await dataDirectory();
    const store = await openStore(options);
    const before = store.save('shop', { offset: offset(1) });
    const closing = store.close();
    expect((await errorOf(store.save('shop', { offset: offset(2) }))).code).toBe('SLUICE_STATE_CLOSED');
    await Promise.all([before, closing, store.close()]);
    await withStore(options, async (again) => expect((await again.load('shop')).offset).toEqual(offset(1)));
  });

  it('holds what a map would hold, through any sequence of commands and reopenings', { timeout: 60_000 }, async () => {
    const command = fc.record({
      what: fc.constantFrom('save', 'save', 'save', 'reset', 'replace', 'intent', 'reopen'),
      connector: fc.constantFrom('a', 'b', 'ü/%', '__proto__'),
      n: fc.nat(1000),
      tables: fc.subarray(['x', 'y', 'z']),
    });
    const options = await dataDirectory();
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 15 }), async (commands) => {
        const model = new Map<string, { offset: Offset | null; tables: Set<string>; intent: unknown }>();
        let store: StateStore = await openStore(options);
        for (const name of await store.connectors()) {
          await store.replaceOffset(name, null, 'test');
          await store.setIntent(name, null);
        }
        for (const { what, connector, n, tables } of commands) {
          const expected = model.get(connector) ?? { offset: null, tables: new Set<string>(), intent: null };
          model.set(connector, expected);
          if (what === 'save') {
            await store.save(connector, { offset: offset(n), put: tableVersions(...tables) });
            expected.offset = offset(n);
            for (const table of tables) expected.tables.add(table);
          } else if (what === 'reset') {
            await store.replaceOffset(connector, null, 'test');
            expected.offset = null;
            expected.tables.clear();
          } else if (what === 'replace') {
            await store.replaceOffset(connector, offset(n), 'test');
            expected.offset = offset(n);
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
          const { offset: found, tables } = await store.load(connector);
          expect(found).toEqual(expected.offset);
          expect(tables.map(({ name }) => name).sort()).toEqual([...expected.tables].sort());
          expect(await store.getIntent(connector)).toEqual(expected.intent);
        }
        await store.close();
      }),
      { numRuns: 20 },
    );
  });
});
