import { describe, expect, it } from 'vitest';
import type { KeyValueStore, Operation } from '../../../src/state/key-value.ts';
import { openLevel } from '../../../src/state/level.ts';
import { openStore, type StoreOptions } from '../../../src/state/store.ts';
import { dataDirectory, errorOf, offset, offsetOf, withStore } from './state-directory.ts';

/** Text as LevelDB and Node give it. */
const ENGINE_ERRORS = {
  broken: () => Object.assign(new Error('IO error: /data/state/level/000003.log: Input/output error'), { code: 'LEVEL_IO_ERROR' }),
  full: () => Object.assign(new Error('IO error: /data/state/level/000003.log: No space left on device'), { code: 'LEVEL_IO_ERROR' }),
};
const FILE_ERRORS = {
  broken: () => Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' }),
  full: () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
};

type Where = 'before LevelDB' | 'after LevelDB' | 'side file';

/** A disk that can be broken and mended: the batch fails before or after the data is there (nobody knows which, after a failed fsync). */
function failingDisk(options: StoreOptions): {
  options: StoreOptions;
  fail(where: Where | null, how: 'broken' | 'full'): void;
  writes: () => number;
} {
  let failing: { where: Where; how: 'broken' | 'full' } | null = null;
  let writes = 0;
  const { files } = options.runtime;
  const openEngine = async (location: string, create: boolean): Promise<KeyValueStore> => {
    const engine = await openLevel(location, create);
    return {
      get: (key) => engine.get(key),
      iterate: (prefix) => engine.iterate(prefix),
      close: () => engine.close(),
      batch: async (operations: readonly Operation[]) => {
        writes++;
        if (failing?.where === 'before LevelDB') throw ENGINE_ERRORS[failing.how]();
        await engine.batch(operations);
        if (failing?.where === 'after LevelDB') throw ENGINE_ERRORS[failing.how]();
      },
    };
  };
  const replace = async (path: string, bytes: Uint8Array): Promise<void> => {
    if (failing?.where === 'side file') throw FILE_ERRORS[failing.how]();
    await files.replace(path, bytes);
  };
  return {
    options: { ...options, openEngine, runtime: { ...options.runtime, files: { ...files, replace } } },
    fail: (where, how) => {
      failing = where === null ? null : { where, how };
    },
    writes: () => writes,
  };
}

describe.each<Where>(['before LevelDB', 'after LevelDB', 'side file'])('a write that fails (%s)', (where) => {
  it('a broken disk: every waiting save is rejected, nothing is written again although the disk would take it, the saved offset stands (I5)', async () => {
    const disk = failingDisk(await dataDirectory());
    const store = await openStore(disk.options);
    await store.save('shop', { offset: offset(1) });
    disk.fail(where, 'broken');
    const saves = [store.save('shop', { offset: offset(2) }), store.save('stock', { offset: offset(2) })];
    const settled = Promise.allSettled(saves);
    // One that comes while the batch is under way.
    await Promise.resolve();
    await Promise.resolve();
    const late = errorOf(store.save('shop', { offset: offset(3) }));
    for (const outcome of await settled) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SLUICE_STATE_WRITE' } });
    expect((await late).code).toBe('SLUICE_STATE_WRITE');
    disk.fail(null, 'broken');
    const writes = disk.writes();
    expect((await errorOf(store.save('shop', { offset: offset(4) }))).code).toBe('SLUICE_STATE_WRITE');
    expect((await errorOf(store.setIntent('shop', {}))).code).toBe('SLUICE_STATE_WRITE');
    expect((await errorOf(store.load('shop'))).code).toBe('SLUICE_STATE_WRITE');
    await store.close();
    expect(disk.writes()).toBe(writes);
    await withStore(disk.options, async (again) => {
      expect(again.previousShutdown).toBe('unclean');
      const found = await offsetOf(again, 'shop');
      // What was acknowledged, or what was on its way: never older, never half.
      expect([offset(1), offset(2)]).toContainEqual(found);
      expect(await offsetOf(again, 'stock')).toEqual(found?.position.lsn === '0/2' ? offset(2) : null);
    });
  });

  it('a full disk: goes on by itself after a load, once there is space (I10)', async () => {
    const disk = failingDisk(await dataDirectory());
    const store = await openStore(disk.options);
    await Promise.all([store.save('shop', { offset: offset(1) }), store.save('stock', { offset: offset(1) })]);
    disk.fail(where, 'full');
    const error = await errorOf(store.save('shop', { offset: offset(2) }));
    expect(error.code).toBe('SLUICE_STATE_FULL');
    expect(error.kind.retry).toBe('auto');
    // Still full: both connectors that start again are told so.
    const again = await Promise.all([errorOf(store.load('shop')), errorOf(store.load('stock'))]);
    expect(again.map(({ code }) => code)).toEqual(['SLUICE_STATE_FULL', 'SLUICE_STATE_FULL']);
    expect((await errorOf(store.save('shop', { offset: offset(2) }))).code).toBe('SLUICE_STATE_FULL');
    disk.fail(null, 'full');
    const [shop, stock] = await Promise.all([offsetOf(store, 'shop'), offsetOf(store, 'stock')]);
    expect([offset(1), offset(2)]).toContainEqual(shop);
    expect(stock).toEqual(offset(1));
    await store.save('shop', { offset: offset(3) });
    await store.close();
    await withStore(disk.options, async (next) => {
      expect(next.previousShutdown).toBe('clean');
      expect(await offsetOf(next, 'shop')).toEqual(offset(3));
    });
  });

  it('while opening: typed, and the directory is free again', async () => {
    const disk = failingDisk(await dataDirectory());
    await withStore(disk.options, (store) => store.save('shop', { offset: offset(1) }));
    disk.fail(where, 'broken');
    expect((await errorOf(openStore(disk.options))).code).toBe('SLUICE_STATE_WRITE');
    disk.fail(where, 'full');
    expect((await errorOf(openStore(disk.options))).code).toBe('SLUICE_STATE_FULL');
    disk.fail(null, 'full');
    await withStore(disk.options, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(1)));
  });
});

it('a failed note of the orderly end is said, and the directory is free all the same', async () => {
  const disk = failingDisk(await dataDirectory());
  const store = await openStore(disk.options);
  await store.save('shop', { offset: offset(1) });
  disk.fail('before LevelDB', 'broken');
  expect((await errorOf(store.close())).code).toBe('SLUICE_STATE_WRITE');
  disk.fail(null, 'broken');
  await withStore(disk.options, async (again) => {
    expect(again.previousShutdown).toBe('unclean');
    expect(await offsetOf(again, 'shop')).toEqual(offset(1));
  });
});
