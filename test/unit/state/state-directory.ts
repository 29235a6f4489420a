import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { nodeRuntime } from '../../../src/daemon/node-runtime.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import { TableRegistry, type TableVersion } from '../../../src/record/table.ts';
import { openLevel } from '../../../src/state/level.ts';
import { type Offset, openStore, type StateStore, type StoreOptions } from '../../../src/state/store.ts';

/** A data directory of its own for each test, with the real engine. */
export async function dataDirectory(): Promise<StoreOptions> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-state-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return { directory, runtime: nodeRuntime(), openEngine: openLevel };
}

/** A second data directory that holds what the first holds at this moment, as a crash would leave it: the first may still be open. */
export async function copyOf(options: StoreOptions): Promise<StoreOptions> {
  const copy = await dataDirectory();
  await rm(copy.directory, { recursive: true });
  await cp(options.directory, copy.directory, { recursive: true });
  return copy;
}

export async function withStore<T>(options: StoreOptions, use: (store: StateStore) => Promise<T>): Promise<T> {
  const store = await openStore(options);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

export function offset(n: number, place: number | null = n): Offset {
  return { position: { lsn: `0/${n.toString(16)}` }, place: place === null ? null : { sequence: String(place) } };
}

/** What is loaded, in the form in which it was saved. */
export async function offsetOf(store: StateStore, connector: string): Promise<Offset | null> {
  const { offset: found, place } = await store.load(connector);
  return found === null ? null : { ...found, place };
}

export function tableVersions(...names: string[]): readonly TableVersion[] {
  const registry = new TableRegistry();
  for (const name of names) registry.version({ kind: 'table', catalog: 'shop', schema: 'public', name, columns: [], key: [] });
  return registry.takeChanges().put;
}

/** The SluiceError that the promise is rejected with; fails for any other outcome. */
export async function errorOf(promise: Promise<unknown>): Promise<SluiceError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('it was not rejected');
}

/** Files of the database that end so, newest last. */
export async function levelFiles(options: StoreOptions, extension: string): Promise<string[]> {
  const directory = join(options.directory, 'state/level');
  return (await readdir(directory))
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(directory, name));
}

export async function flip(path: string, at: number, mask = 1): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ mask, at);
  await writeFile(path, bytes);
}
