import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { describe, expect, it, vi } from 'vitest';
import { crc32c } from '../../../src/record/crc32c.ts';
import { frameJson } from '../../../src/state/frame.ts';
import { STATE_FORMAT } from '../../../src/state/integrity.ts';
import type { KeyValueStore } from '../../../src/state/key-value.ts';
import { openLevel } from '../../../src/state/level.ts';
import { readSideFiles, writeSideFile } from '../../../src/state/side-file.ts';
import { openStore, recreateStore, type StoreOptions } from '../../../src/state/store.ts';
import { copyOf, dataDirectory, errorOf, flip, levelFiles, offset, offsetOf, tableVersions, withStore } from './state-directory.ts';

const DAMAGE = ['SLUICE_STATE_CORRUPT', 'SLUICE_STATE_BEHIND', 'SLUICE_STATE_MISSING'];

/** Two connectors, n saves each, and then the machine stops: what a crash leaves of it. */
async function crashedAfter(saves: number): Promise<StoreOptions> {
  const options = await dataDirectory();
  return withStore(options, async (store) => {
    for (let n = 1; n <= saves; n++) {
      await Promise.all([
        store.saveHistory('shop', { put: tableVersions(`orders_${n}`), drop: [] }),
        store.save('shop', { offset: offset(n) }),
        store.saveHistory('stock', { put: tableVersions(`items_${n}`), drop: [] }),
        store.save('stock', { offset: offset(n) }),
      ]);
    }
    return copyOf(options);
  });
}

/** The same, its log turned into a table file. */
async function compactedAfter(saves: number, compression: boolean): Promise<StoreOptions> {
  const options = await crashedAfter(saves);
  // The types of `level` are those that it has in every environment; its Node engine has this too.
  const level = new Level(join(options.directory, 'state/level'), { compression }) as Level & {
    compactRange(start: string, end: string): Promise<void>;
  };
  await level.open();
  await level.compactRange('', '\uffff');
  await level.close();
  return options;
}

async function sidePath(options: StoreOptions, age: 'newer' | 'older'): Promise<string> {
  const found = await Promise.all(
    ['a', 'b'].map(async (name) => {
      const path = join(options.directory, `state/offset.${name}`);
      const generation = (JSON.parse((await readFile(path, 'utf8')).slice(9)) as { generation: number }).generation;
      return { path, generation };
    }),
  );
  found.sort((a, b) => b.generation - a.generation);
  return found[age === 'newer' ? 0 : 1]!.path;
}

describe('state that was left by a crash', () => {
  it('is opened as it was, said to be unclean', async () => {
    const options = await crashedAfter(5);
    await withStore(options, async (store) => {
      expect(store.previousShutdown).toBe('unclean');
      expect(await offsetOf(store, 'shop')).toEqual(offset(5));
      expect((await store.load('stock')).tables).toHaveLength(5);
    });
  });

  it('may have LevelDB one generation ahead of the side file: a crash between the two', async () => {
    const options = await crashedAfter(4);
    // The newer side file of the last batch was never written: what stood there before it is one generation behind the other one.
    const before = await crashedAfterPrevious(options);
    await withStore(before, async (store) => {
      expect(await offsetOf(store, 'shop')).toEqual(offset(5));
    });
    await withStore(before, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(5)));
  });

  it('may have the side file of that very moment torn', async () => {
    const options = await crashedAfter(5);
    const newer = await sidePath(options, 'newer');
    await writeFile(newer, (await readFile(newer)).subarray(0, 30));
    await withStore(options, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(5)));
    // Both are sound again, so that the next torn one does no harm either.
    await rm(await sidePath(options, 'newer'));
    await withStore(options, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(5)));
  });
});

/** One more save, of which only LevelDB's part is kept. */
async function crashedAfterPrevious(options: StoreOptions): Promise<StoreOptions> {
  const before = await copyOf(options);
  await withStore(before, (store) => store.close());
  const sides = await copyOf(before);
  const store = await openStore(before);
  const opened = await copyOf(before);
  await store.save('shop', { offset: offset(5) });
  const saved = await copyOf(before);
  await store.close();
  for (const name of ['offset.a', 'offset.b']) await cp(join(opened.directory, 'state', name), join(saved.directory, 'state', name));
  expect(await readdir(join(sides.directory, 'state'))).toContain('marker.json');
  return saved;
}

/** The side files as another format would have them: positions stand in a field that this one does not know. */
async function writeSideFilesAs(options: StoreOptions, format: number): Promise<void> {
  for (const name of ['offset.a', 'offset.b']) {
    const path = join(options.directory, 'state', name);
    const { positions: offsets, ...rest } = JSON.parse((await readFile(path, 'utf8')).slice(9)) as { positions: unknown };
    const json = JSON.stringify({ ...rest, format, offsets });
    await writeFile(path, `${crc32c(Buffer.from(json)).toString(16).padStart(8, '0')} ${json}\n`);
  }
}

describe('I8: state that lost something is a typed stop (traps of LevelDB 1.20 as classic-level ships it)', () => {
  it('WAL bit flip: LevelDB opens without an error and has forgotten synced writes', async () => {
    const options = await crashedAfter(20);
    const log = (await levelFiles(options, '.log')).at(-1)!;
    await flip(log, Math.floor((await readFile(log)).length / 2));
    // The trap itself: no error, and the offset silently back.
    const trap = await copyOf(options);
    const level = new Level<string, Buffer>(join(trap.directory, 'state/level'), { valueEncoding: 'buffer' });
    await level.open();
    expect((await level.get('connector/shop/offset'))?.toString()).not.toContain('0/14"');
    await level.close();

    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_BEHIND');
    expect(error.message).toMatch(/LevelDB holds position .*0\/.*, the side file position \{"lsn":"0\/14"\}/);
    expect(error.remedy).toContain('sluice offsets recover');
    // And it stays one: nothing was repaired or begun anew by looking.
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_BEHIND');
  });

  it('WAL damage in the middle that keeps the newest write: entries before it are missed', async () => {
    const options = await crashedAfter(200);
    const [log] = (await levelFiles(options, '.log')).slice(-1);
    // LevelDB drops the rest of one 32 KiB block and goes on with the next: the newest generation is there.
    await flip(log!, 33_000);
    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_CORRUPT');
    expect(error.message).toContain('lost or changed entries');
  });

  it('any bit of the log, a table file, the manifest, CURRENT, the marker or a side file: a typed stop, or everything is there', {
    timeout: 120_000,
  }, async () => {
    const logged = await crashedAfter(12);
    const compacted = await compactedAfter(12, true);
    const plain = await compactedAfter(12, false);
    const side = await sidePath(logged, 'older');
    const places: [StoreOptions, string][] = [
      [logged, (await levelFiles(logged, '.log')).at(-1)!],
      [compacted, (await levelFiles(compacted, '.ldb')).at(-1)!],
      [plain, (await levelFiles(plain, '.ldb')).at(-1)!],
      [
        compacted,
        (await readdir(join(compacted.directory, 'state/level')))
          .filter((name) => name.startsWith('MANIFEST'))
          .map((name) => join(compacted.directory, 'state/level', name))[0]!,
      ],
      [logged, join(logged.directory, 'state/level/CURRENT')],
      [logged, join(logged.directory, 'state/marker.json')],
      [logged, side],
      [logged, await sidePath(logged, 'newer')],
    ];
    for (const [options, path] of places) {
      const length = (await readFile(path)).length;
      const outcomes = new Set<string>();
      for (let n = 0; n < 10; n++) {
        const damaged = await copyOf(options);
        await flip(path.replace(options.directory, damaged.directory), Math.floor((length * (n + 0.5)) / 10), 1 << (n % 8));
        try {
          await withStore(damaged, async (store) => {
            for (const name of ['shop', 'stock']) {
              expect(await offsetOf(store, name)).toEqual(offset(12));
              expect((await store.load(name)).tables).toHaveLength(12);
            }
          });
          outcomes.add('all there');
        } catch (error) {
          const { code } = await errorOf(Promise.reject(error as Error));
          expect([...DAMAGE, 'SLUICE_STATE_VERSION']).toContain(code);
          outcomes.add(code);
        }
      }
      if (path.endsWith('.log')) expect([...outcomes]).toContain('SLUICE_STATE_BEHIND');
      if (path.endsWith('.ldb')) expect([...outcomes]).toContain('SLUICE_STATE_CORRUPT');
    }
  });

  it('SST bit flip in an uncompressed block: get returns wrong bytes, the frame does not', async () => {
    const options = await compactedAfter(3, false);
    const [table] = (await levelFiles(options, '.ldb')).slice(-1);
    const at = (await readFile(table!)).indexOf('"table","catalog":"shop"');
    expect(at).toBeGreaterThan(0);
    await flip(table!, at + 2);
    const level = new Level<string, Buffer>(join(options.directory, 'state/level'), { valueEncoding: 'buffer' });
    await level.open();
    const values: string[] = [];
    for await (const value of level.values()) values.push(value.toString());
    await level.close();
    expect(values.join()).toContain('"t`ble"');

    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_CORRUPT');
    expect(error.message).toContain('wrong checksum');
  });

  it('CURRENT missing: never a new, empty database', async () => {
    const options = await crashedAfter(3);
    await rm(join(options.directory, 'state/level/CURRENT'));
    for (let again = 0; again < 2; again++) {
      const error = await errorOf(openStore(options));
      expect(error.code).toBe('SLUICE_STATE_MISSING');
      expect(error.message).toContain('{"lsn":"0/3"}');
    }
  });

  it.each([
    ['the whole database', ['level']],
    ['both side files', ['offset.a', 'offset.b']],
    ['the marker', ['marker.json']],
    ['the marker and both side files', ['marker.json', 'offset.a', 'offset.b']],
    ['the marker, the side files and CURRENT', ['marker.json', 'offset.a', 'offset.b', 'level/CURRENT']],
    ['the marker and the database', ['marker.json', 'level']],
  ])('%s missing', async (_what, names) => {
    const options = await crashedAfter(3);
    for (const name of names) await rm(join(options.directory, 'state', name), { recursive: true });
    for (let again = 0; again < 2; again++) expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_MISSING');
  });

  it('an older backup of the database restored below newer side files', async () => {
    const options = await dataDirectory();
    const backup = await withStore(options, async (store) => {
      await store.save('shop', { offset: offset(1) });
      return copyOf(options);
    });
    await withStore(options, async (store) => {
      await store.save('shop', { offset: offset(2) });
    });
    await rm(join(options.directory, 'state/level'), { recursive: true });
    await cp(join(backup.directory, 'state/level'), join(options.directory, 'state/level'), { recursive: true });
    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_BEHIND');
    expect(error.message).toContain('LevelDB holds position {"lsn":"0/1"}');
    expect(error.message).toContain('the side file position {"lsn":"0/2"}');
  });

  it('older side files restored beside a newer database', async () => {
    const options = await crashedAfter(2);
    const old = await copyOf(options);
    await withStore(options, async (store) => store.save('shop', { offset: offset(3) }));
    for (const name of ['offset.a', 'offset.b']) await cp(join(old.directory, 'state', name), join(options.directory, 'state', name));
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_CORRUPT');
  });

  it('one side file lost while LevelDB is no newer than the other: the lost one may have known more', async () => {
    const gone = await crashedAfter(3);
    const older = await sidePath(gone, 'older');
    await rename(older, `${older}.away`);
    expect((await errorOf(openStore(gone))).code).toBe('SLUICE_STATE_MISSING');
    const torn = await crashedAfter(3);
    await flip(await sidePath(torn, 'older'), 40);
    expect((await errorOf(openStore(torn))).code).toBe('SLUICE_STATE_CORRUPT');
  });

  it('the database of another data directory', async () => {
    const [options, other] = [await crashedAfter(2), await crashedAfter(2)];
    await rm(join(options.directory, 'state/level'), { recursive: true });
    await cp(join(other.directory, 'state/level'), join(options.directory, 'state/level'), { recursive: true });
    expect((await errorOf(openStore(options))).message).toContain('different data directories');
  });

  it('a key that was written behind the back of the store', async () => {
    const options = await crashedAfter(2);
    const level = new Level<string, Buffer>(join(options.directory, 'state/level'), { valueEncoding: 'buffer' });
    await level.open();
    await level.put('connector/shop/offset', frameJson({ ...offset(1), savedMicros: 0, reason: null }), { sync: true });
    await level.close();
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_CORRUPT');
  });

  it('a value that was changed behind the back of the store, no offset among it', async () => {
    const options = await dataDirectory();
    await withStore(options, (store) => store.setIntent('shop', { slot: 'a' }));
    const level = new Level<string, Buffer>(join(options.directory, 'state/level'), { valueEncoding: 'buffer' });
    await level.open();
    await level.put('connector/shop/intent', frameJson({ slot: 'b' }), { sync: true });
    await level.close();
    expect((await errorOf(openStore(options))).message).toContain('lost or changed entries');
  });

  it('a side file of the same generation that holds another offset', async () => {
    const options = await crashedAfter(2);
    const { newest } = await readSideFiles(options.runtime.files, join(options.directory, 'state'));
    await writeSideFile(options.runtime.files, join(options.directory, 'state'), { ...newest!, positions: new Map([['shop', offset(1).position]]) });
    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_CORRUPT');
    expect(error.message).toContain('the side file position {"lsn":"0/1"}');
  });

  it('tables without CURRENT, marker and side files are no empty directory', async () => {
    const options = await compactedAfter(2, true);
    for (const name of await readdir(join(options.directory, 'state/level'))) {
      if (!name.endsWith('.ldb')) await rm(join(options.directory, 'state/level', name));
    }
    for (const name of ['marker.json', 'offset.a', 'offset.b']) await rm(join(options.directory, 'state', name));
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_MISSING');
    expect(await levelFiles(options, '.ldb')).not.toEqual([]);
  });

  it('a process that found the directory empty, and has it only after another one initialised it, begins nothing anew', async () => {
    const options = await dataDirectory();
    const openEngine = async (location: string, create: boolean): Promise<KeyValueStore> => {
      await withStore(options, (store) => store.save('shop', { offset: offset(3) }));
      return openLevel(location, create);
    };
    await withStore({ ...options, openEngine }, async (store) => {
      expect(store.previousShutdown).toBe('clean');
      expect(await offsetOf(store, 'shop')).toEqual(offset(3));
    });
  });

  it('a batch without `sync`, the default of LevelDB, is never written', async () => {
    const batch = vi.spyOn(Level.prototype, 'batch');
    const options = await dataDirectory();
    await withStore(options, (store) => store.save('shop', { offset: offset(1) }));
    expect(batch.mock.calls.length).toBeGreaterThanOrEqual(4);
    for (const call of batch.mock.calls as unknown[][]) expect(call[1]).toEqual({ sync: true });
    batch.mockRestore();
  });

  it('a second opener is told that it is locked, not that anything is damaged, and does no harm', async () => {
    const options = await dataDirectory();
    const store = await openStore(options);
    await store.save('shop', { offset: offset(1) });
    for (const attempt of [openStore, (again: StoreOptions) => recreateStore(again, [])]) {
      const error = await errorOf(attempt(options));
      expect(error.code).toBe('SLUICE_STATE_LOCKED');
      expect(error.message).toContain(options.directory);
    }
    await store.save('shop', { offset: offset(2) });
    await store.close();
    await withStore(options, async (again) => expect(await offsetOf(again, 'shop')).toEqual(offset(2)));
  });

  it('several that start at once on an empty directory: one has it, the others are locked, and it stays initialised', async () => {
    const options = await dataDirectory();
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => openStore(options)));
    const stores = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const codes = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : []));
    expect(stores).toHaveLength(1);
    expect(new Set(codes)).toEqual(new Set(['SLUICE_STATE_LOCKED']));
    await stores[0]!.save('shop', { offset: offset(7) });
    await stores[0]!.close();
    await withStore(options, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(7)));
  });

  it.each([1, STATE_FORMAT + 1])('another state format, %d: neither read nor made anew', async (format) => {
    const options = await crashedAfter(1);
    const state = join(options.directory, 'state');
    const marker = join(state, 'marker.json');
    await writeFile(marker, (await readFile(marker, 'utf8')).replace(`"format":${STATE_FORMAT}`, `"format":${format}`));
    await writeSideFilesAs(options, format);
    const error = await errorOf(openStore(options));
    expect(error.code).toBe('SLUICE_STATE_VERSION');
    expect(error.message).toContain(`format ${format}; this version of sluice reads format ${STATE_FORMAT}`);
    expect((await errorOf(recreateStore(options, ['shop']))).code).toBe('SLUICE_STATE_VERSION');
    // Also where only the side files can still say so: their positions stand in other fields, and no connector may be taken for a new one.
    await writeFile(marker, '{"form');
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_CORRUPT');
    expect((await errorOf(recreateStore(options, ['shop']))).code).toBe('SLUICE_STATE_VERSION');
    expect(await readdir(options.directory)).toEqual(['state']);
  });

  it('a data directory that is a file', async () => {
    const options = await dataDirectory();
    await writeFile(join(options.directory, 'file'), '');
    expect((await errorOf(openStore({ ...options, directory: join(options.directory, 'file') }))).code).toBe('SLUICE_STATE_ACCESS');
  });
});

describe('the first initialisation', () => {
  it('begins again after a crash at any file operation of it', async () => {
    for (let crashAt = 0; crashAt < 30; crashAt++) {
      const options = await dataDirectory();
      let left = crashAt;
      const { files } = options.runtime;
      const crashing = async <T>(operation: () => Promise<T>): Promise<T> => {
        if (left-- === 0) throw new Error('crash');
        return operation();
      };
      const runtime = {
        ...options.runtime,
        files: {
          ...files,
          replace: (path: string, bytes: Uint8Array) => crashing(() => files.replace(path, bytes)),
          makeDirectory: (path: string) => crashing(() => files.makeDirectory(path)),
        },
      };
      const crashed = await openStore({ ...options, runtime }).then(
        async (store) => {
          await store.close().catch(() => undefined);
          return left < 0;
        },
        () => true,
      );
      await withStore(options, async (store) => expect(await store.connectors()).toEqual([]));
      if (!crashed) {
        expect(crashAt).toBeGreaterThanOrEqual(5);
        return;
      }
    }
    expect.unreachable('it never got through');
  });

  it('makes only what its user may read', async () => {
    const options = await dataDirectory();
    await withStore(options, async (store) => store.save('shop', { offset: offset(1) }));
    expect((await stat(join(options.directory, 'state'))).mode & 0o777).toBe(0o700);
    for (const name of ['offset.a', 'offset.b', 'marker.json']) expect((await stat(join(options.directory, 'state', name))).mode & 0o777).toBe(0o600);
  });
});

describe('recreateStore', () => {
  it('moves the damage aside, keeps the instance, and starts no connector anew that had an offset', async () => {
    const options = await crashedAfter(4);
    const { instance } = await withStore(await copyOf(options), async (store) => ({ instance: store.instance }));
    await rm(join(options.directory, 'state/level/CURRENT'));
    const { store, damaged, known } = await recreateStore(options, ['other']);
    expect(damaged).toBe(join(options.directory, 'state.damaged-1'));
    expect(await readdir(join(damaged, 'level'))).toContain('LOCK');
    expect([...known]).toEqual([
      ['shop', offset(4).position],
      ['stock', offset(4).position],
    ]);
    expect(store.instance).toBe(instance);
    expect((await errorOf(store.load('shop'))).code).toBe('SLUICE_STATE_RECOVERING');
    expect(await store.inspect('shop')).toMatchObject({ lost: true, offset: null });
    expect((await store.load('other')).offset).toBeNull();
    await store.replaceOffset('shop', { ...offset(4), position: known.get('shop')! }, 'offsets recover');
    await store.close();
    await withStore(options, async (again) => {
      expect(await offsetOf(again, 'shop')).toEqual(offset(4));
      expect((await errorOf(again.load('stock'))).code).toBe('SLUICE_STATE_RECOVERING');
      await again.replaceOffset('stock', null, 'offsets reset');
      expect((await again.load('stock')).offset).toBeNull();
    });
  });

  it('holds every connector back if the side file is lost too', async () => {
    const options = await crashedAfter(2);
    for (const name of ['offset.a', 'offset.b']) await rm(join(options.directory, 'state', name));
    const { store, known } = await recreateStore(options, ['shop', 'new']);
    expect(known.size).toBe(0);
    for (const name of ['shop', 'new']) expect((await errorOf(store.load(name))).code).toBe('SLUICE_STATE_RECOVERING');
    await store.close();
  });

  it('refuses state that is sound', async () => {
    const options = await crashedAfter(2);
    expect((await errorOf(recreateStore(options, []))).code).toBe('SLUICE_STATE_SOUND');
    await withStore(options, async (store) => expect(await offsetOf(store, 'shop')).toEqual(offset(2)));
  });

  it('is no new start if it is interrupted anywhere: the next start stops, and recreating again still knows the offsets', async () => {
    const options = await crashedAfter(2);
    const { instance } = await withStore(await copyOf(options), async (store) => ({ instance: store.instance }));
    await flip((await levelFiles(options, '.log')).at(-1)!, 100);
    for (let crashAt = 0; crashAt < 5; crashAt++) {
      const { files } = options.runtime;
      let left = crashAt;
      const replace = async (path: string, bytes: Uint8Array): Promise<void> => {
        if (left-- === 0) throw new Error('crash');
        await files.replace(path, bytes);
      };
      const attempt = await copyOf(options);
      const interrupted = { ...attempt, runtime: { ...attempt.runtime, files: { ...files, replace } } };
      await expect(recreateStore(interrupted, [])).rejects.toThrow();
      const next = await openStore(attempt).then(
        async (store) => {
          // It got as far as the marker: everything is there but the first write of a run.
          expect((await errorOf(store.load('shop'))).code).toBe('SLUICE_STATE_RECOVERING');
          await store.close();
          return 'recreated';
        },
        (error: { code: string }) => error.code,
      );
      if (next === 'recreated') continue;
      expect(next).toBe('SLUICE_STATE_MISSING');
      const { store, known } = await recreateStore(attempt, []);
      expect(known.get('shop')).toEqual(offset(2).position);
      expect(store.instance).toBe(instance);
      expect((await errorOf(store.load('shop'))).code).toBe('SLUICE_STATE_RECOVERING');
      await store.close();
    }
  });

  it('interrupted twice it still knows, and damaged again before the offset is recovered too (I8)', async () => {
    const options = await crashedAfter(2);
    await flip((await levelFiles(options, '.log')).at(-1) as string, 100);
    const { files } = options.runtime;
    for (let twice = 0; twice < 2; twice++) {
      let left = 2;
      const replace = async (path: string, bytes: Uint8Array): Promise<void> => {
        if (left-- === 0) throw new Error('crash');
        await files.replace(path, bytes);
      };
      await expect(recreateStore({ ...options, runtime: { ...options.runtime, files: { ...files, replace } } }, [])).rejects.toThrow('crash');
    }
    for (let again = 0; again < 2; again++) {
      const { store } = await recreateStore(options, []);
      expect((await errorOf(store.load('shop'))).code).toBe('SLUICE_STATE_RECOVERING');
      await store.savePlace('other', { at: String(again) });
      await store.close();
      await rm(join(options.directory, 'state', 'level', 'CURRENT'));
    }
    const { store } = await recreateStore(options, []);
    await store.replaceOffset('shop', offset(2), 'test');
    await store.close();
    await withStore(options, async (sound) => expect(await offsetOf(sound, 'shop')).toEqual(offset(2)));
  });

  it('a lost state beside an earlier damaged one is no first start', async () => {
    const options = await dataDirectory();
    await mkdir(join(options.directory, 'state.damaged-1'));
    expect((await errorOf(openStore(options))).code).toBe('SLUICE_STATE_MISSING');
  });
});
