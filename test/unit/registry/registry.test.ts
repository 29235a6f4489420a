import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import type { RegistryError } from '../../../src/registry/errors.ts';
import { type GivenSchema, Registry } from '../../../src/registry/registry.ts';
import type { StateStore } from '../../../src/state/state-store.ts';
import type { StoreOptions } from '../../../src/state/store.ts';
import { copyOf, dataDirectory, withStore } from '../state/state-directory.ts';

const avro = (schema: unknown, normalize = false): GivenSchema => ({
  type: 'AVRO',
  text: typeof schema === 'string' ? schema : JSON.stringify(schema),
  normalize,
});
const json = (text: string, normalize = false): GivenSchema => ({ type: 'JSON', text, normalize });
const record = (...fields: readonly string[]): GivenSchema =>
  avro({ type: 'record', name: 'r', fields: fields.map((name) => ({ name, type: 'int', default: 0 })) });

function withRegistry<T>(options: StoreOptions, use: (registry: Registry, store: StateStore) => Promise<T>): Promise<T> {
  return withStore(options, (store) => use(new Registry({ store, runtime: options.runtime, dataDir: options.directory }), store));
}

async function codeOf(promise: Promise<unknown>): Promise<number | string> {
  return promise.then(
    () => 'no error',
    (error: RegistryError) => error.code,
  );
}

describe('the registry', () => {
  it('gives the same schema the same id under every subject, and another one the next', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      expect(await registry.register('a', record('x'))).toBe(1);
      expect(await registry.register('a', record('x', 'y'))).toBe(2);
      expect(await registry.register('b', record('x', 'y'))).toBe(2);
      expect(await registry.register('b', record('x', 'y'))).toBe(2);
      expect(await registry.versions('b', 'live')).toEqual([1]);
      expect(await registry.usages('2', 'live')).toEqual([
        { subject: 'a', version: 2 },
        { subject: 'b', version: 1 },
      ]);
    });
  });

  it('takes Avro schemas whose attributes stand in another order for the same, but not their defaults or notes', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      await registry.setLevel(null, 'none');
      const one = await registry.register('a', avro('{"type":"record","name":"r","fields":[{"name":"x","type":{"type":"int"}}]}'));
      expect(await registry.register('a', avro('{"name":"r", "fields":[{"type":"int","name":"x"}],"type":"record"}'))).toBe(one);
      const map = (value: string): GivenSchema =>
        avro(`{"type":"record","name":"r","fields":[{"name":"x","type":{"type":"map","values":"string"},"default":${value},"note":${value}}]}`);
      expect(await registry.register('a', map('{"type":"x"}'))).not.toBe(await registry.register('a', map('{"type":"y"}')));
      const noted = (note: string): GivenSchema => avro(`{"type":"int","note":${note}}`);
      const [first, second] = ['{"type":{"type":"x"},"a":1}', '{"type":"x","a":1}'].map(noted) as [GivenSchema, GivenSchema];
      expect(await registry.register('n', first)).not.toBe(await registry.register('n', second));
    });
  });

  it('takes JSON Schemas in another order for the same only if asked, and keeps the digits of numbers', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      await registry.setLevel(null, 'none');
      const big = '{"type": "integer", "maximum": 9223372036854775807, "minimum": 1.0}';
      const id = await registry.register('a', json(big));
      expect((await registry.schema(String(id))).text).toBe('{"type":"integer","maximum":9223372036854775807,"minimum":1.0}');
      const other = '{"maximum":9223372036854775807,"minimum":1.0,"type":"integer"}';
      expect(await registry.register('a', json(other, true))).toBe(id);
      expect(await registry.register('a', json(other))).toBe(id + 1);
      expect(await registry.register('a', json(big.replace('807', '806')))).toBe(id + 2);
      expect((await registry.lookUp('a', json(other, true), 'live')).version).toBe(2);
    });
  });

  it('has everything again when it is opened again: levels, soft deleted versions, the next id', async () => {
    const options = await dataDirectory();
    const seen = async (registry: Registry): Promise<unknown> => [
      await registry.subjects('all', ''),
      await registry.subjects('live', ''),
      await registry.versions('a/ü %', 'all'),
      await registry.globalLevel(),
      await registry.subjectLevel('a/ü %', false),
      await registry.version('a/ü %', 'latest', 'live'),
    ];
    const before = await withRegistry(options, async (registry) => {
      await registry.register('a/ü %', record('x'));
      await registry.register('a/ü %', record('x', 'y'));
      await registry.register('b', record());
      await registry.setLevel(null, 'full-transitive');
      await registry.setLevel('a/ü %', 'forward');
      await registry.deleteVersion('a/ü %', '1', false);
      await registry.deleteSubject('b', false);
      return seen(registry);
    });
    await withRegistry(options, async (registry) => {
      expect(await seen(registry)).toEqual(before);
      expect(await registry.register('c', record('z'))).toBe(4);
    });
  });

  it('never gives an id again: not after its schema is gone, not after a crash, not in a state that was made anew', async () => {
    const options = await dataDirectory();
    const crashed = await withRegistry(options, async (registry) => {
      expect(await registry.register('a', record('x'))).toBe(1);
      await registry.deleteSubject('a', false);
      expect(await registry.deleteSubject('a', true)).toEqual([1]);
      expect(await codeOf(registry.schema('1'))).toBe(40403);
      return copyOf(options);
    });
    await withRegistry(crashed, async (registry) => expect(await registry.register('a', record('x'))).toBe(2));
    const anew = await dataDirectory();
    await mkdir(join(anew.directory, 'state.damaged-1'));
    await mkdir(join(anew.directory, 'state.damaged-2'));
    const store = memoryStore();
    const registry = new Registry({ store, runtime: nodeRuntime(), dataDir: anew.directory });
    expect(await registry.register('a', record('x'))).toBe(2_000_001);
  });

  it('a schema that stands under another subject stays when the first goes', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      await registry.register('a', record('x'));
      await registry.register('b', record('x'));
      await registry.deleteSubject('a', false);
      await registry.deleteSubject('a', true);
      expect((await registry.schema('1')).type).toBe('AVRO');
      expect(await registry.usages('1', 'all')).toEqual([{ subject: 'b', version: 1 }]);
    });
  });

  it('changes one after the other, however many ask at once', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      const ids = await Promise.all(
        Array.from({ length: 20 }, (_, at) => registry.register('a', record(...Array.from({ length: at % 10 }, (_x, n) => `f${n}`)))),
      );
      expect(new Set(ids).size).toBe(10);
      expect(await registry.versions('a', 'live')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });
  });

  it('is asked about compatibility with the last version, or all of them', async () => {
    await withRegistry(await dataDirectory(), async (registry) => {
      const [text, whole, long] = ['"string"', '"int"', '"long"'].map((schema) => avro(schema)) as [GivenSchema, GivenSchema, GivenSchema];
      await registry.setLevel('a', 'none');
      await registry.register('a', text);
      await registry.register('a', whole);
      await registry.setLevel('a', 'backward');
      expect(await registry.check('a', null, long)).toEqual([]);
      expect(await registry.check('a', '1', long)).toEqual([expect.stringContaining('cannot read version 1')]);
      await registry.setLevel('a', 'backward-transitive');
      expect(await codeOf(registry.register('a', long))).toBe(409);
      expect(await registry.check('a', null, json('{}'))).toEqual(['Version 2 is of another schema type.', 'Version 1 is of another schema type.']);
      await registry.deleteVersion('a', '1', false);
      expect(await registry.register('a', long)).toBe(3);
      expect(await registry.check('new', 'latest', long)).toEqual([]);
    });
  });

  it('after a write that failed, what stands in the state counts, also if it was written all the same', async () => {
    const store = memoryStore();
    const registry = new Registry({ store, runtime: nodeRuntime(), dataDir: '/nowhere' });
    await registry.register('a', record('x'));
    store.fault = 'before';
    expect(await codeOf(registry.register('b', record('y')))).toBe(50001);
    expect(await registry.subjects('live', '')).toEqual(['a']);
    store.fault = 'after';
    expect(await codeOf(registry.register('b', record('y')))).toBe(50001);
    expect(await registry.subjects('live', '')).toEqual(['a', 'b']);
    expect(await registry.register('b', record('y'))).toBe(2);
  });

  it('is bounded (I9): schemas, versions and levels', async () => {
    const entries = new Map<string, unknown>();
    for (let id = 1; id <= 10_000; id++)
      entries.set(`schema/${String(id).padStart(10, '0')}`, { kind: 'json-schema', text: `{"title":"${id}"}`, normal: '' });
    const registry = new Registry({ store: memoryStore(entries), runtime: nodeRuntime(), dataDir: '/nowhere' });
    expect(await codeOf(registry.register('a', json('{"title":"new"}')))).toBe(42205);
    expect(await registry.register('a', json('{"title":"7"}'))).toBe(7);
    const large = new Map<string, unknown>(
      [1, 2].map((id) => [`schema/000000000${id}`, { kind: 'json-schema', text: `{"title":"${id}${'x'.repeat(2 ** 24 - 20)}"}`, normal: '' }]),
    );
    const heavy = new Registry({ store: memoryStore(large), runtime: nodeRuntime(), dataDir: '/nowhere' });
    expect(await codeOf(heavy.register('a', json('{"title":"new, and longer than what is left"}')))).toBe(42205);
    const levels = new Map<string, unknown>(Array.from({ length: 20_000 }, (_, at) => [`level/${at}`, 'none']));
    const full = new Registry({ store: memoryStore(levels), runtime: nodeRuntime(), dataDir: '/nowhere' });
    expect(await codeOf(full.setLevel('a', 'none'))).toBe(42205);
  });
});

/** A store that fails when it is told to: a real one does that only with a full disk. */
function memoryStore(entries = new Map<string, unknown>()): Pick<StateStore, 'readRegistry' | 'saveRegistry'> & { fault: 'before' | 'after' | null } {
  return {
    fault: null,
    async readRegistry() {
      return entries;
    },
    async saveRegistry(changes) {
      const fault = this.fault;
      this.fault = null;
      if (fault === 'before') throw new Error('the disk is full');
      for (const [key, value] of changes) value === null ? entries.delete(key) : entries.set(key, value);
      if (fault === 'after') throw new Error('the disk is full');
    },
  };
}
