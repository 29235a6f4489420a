/**
 * A data directory as a version of Sluice has written it, kept as one file: later versions must open it (or say what to do). One for each format of the state; made by
 * `npx tsx --conditions=source scripts/state-fixture.ts`, and never made again once a version with that format is out.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TableRegistry, type TableVersion } from '../../src/record/table.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { column, tableShape } from './encoded.ts';

export interface StateFixture {
  readonly format: number;
  readonly writtenBy: string;
  /** Path below the data directory → base64. */
  readonly files: Readonly<Record<string, string>>;
  /** What `heldBy` says of it. */
  readonly holds: unknown;
}

export function fixturePath(format: number): string {
  return fileURLToPath(new URL(`../fixtures/state-format-${format}.json`, import.meta.url));
}

export async function readFixture(format: number): Promise<StateFixture> {
  return JSON.parse(await readFile(fixturePath(format), 'utf8')) as StateFixture;
}

/** Something of all that the state keeps. */
export async function fillState(store: StateStore): Promise<void> {
  const tables = new TableRegistry();
  tables.version(tableShape([column('id', 'int32'), column('note', 'text')], [0], 'orders'));
  const orders = tables.takeChanges().put[0] as TableVersion;
  await store.saveHistory('shop', { put: [orders], drop: [] });
  await store.setJudged('shop', [orders]);
  const position = {
    lsn: '0/16B3748',
    lastCommit: '0/16B3700',
    lastCommitMicros: '1700000000000000',
    timeline: '1',
    systemId: '7300000000000000001',
  };
  const mark = { log: 'letters', mark: { segment: 1, offset: 12 } };
  await store.save('shop', { offset: { position, place: { sequence: '17' } }, progress: { 'public.orders': 'done' }, shapes: { orders: 1 }, mark });
  await store.setIntent('shop', { slot: 'sluice_shop' });
  await store.setPaused('shop', true);
  await store.setTableState('shop', 'public.orders', { stopped: true });
  await store.save('billing-2', { offset: { position: { gtid: '0-1-5', none: null }, place: null } });
  await store.saveRegistry(new Map([['id/1', { schema: '"string"' }]]));
}

/** All that the state keeps of these connectors, as JSON. */
export async function heldBy(store: StateStore): Promise<unknown> {
  const connectors = await Promise.all(
    (await store.connectors()).map(async (name) => ({
      name,
      ...(await store.inspect(name)),
      intent: await store.getIntent(name),
      isPaused: await store.isPaused(name),
      mark: await store.getMark(name, 'letters'),
      tableStates: [...(await store.getTableStates(name))],
    })),
  );
  return JSON.parse(JSON.stringify({ instance: store.instance, connectors, registry: [...(await store.readRegistry())] }));
}

export async function packDirectory(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  // LOCK holds nothing, and LOG is LevelDB's own diary.
  const kept = entries
    .filter((entry) => entry.isFile() && !/^(LOCK|LOG|LOG\.old)$/.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name));
  const packed = await Promise.all(
    kept.sort().map(async (path) => [path.slice(directory.length + 1), (await readFile(path)).toString('base64')] as const),
  );
  return Object.fromEntries(packed);
}

export async function unpackDirectory({ files }: StateFixture, directory: string): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true, mode: 0o700 });
    await writeFile(join(directory, path), Buffer.from(bytes, 'base64'), { mode: 0o600 });
  }
}
