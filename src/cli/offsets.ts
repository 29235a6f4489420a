import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Configuration } from '../config/load.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { type OffsetChange, resetOffset, setOffset } from '../daemon/offset-changes.ts';
import { exportOffsets, importOffset, OFFSETS_DOCUMENT, type OffsetsDocument } from '../daemon/offset-documents.ts';
import { findConnector, recoverOffset, type StoredOffset, showOffsets } from '../daemon/offsets.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import type { Place, Position } from '../record/position.ts';
import { isDamage } from '../state/errors.ts';
import { openLevel } from '../state/level.ts';
import type { StateStore } from '../state/state-store.ts';
import { openStore, recreateStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { setUp } from './setup.ts';

/** What a command asks for, in the words of the control socket's routes. */
export type OffsetsAction =
  | { readonly verb: 'show'; readonly connector?: string }
  | { readonly verb: 'set'; readonly connector?: string; readonly position: string; readonly isDryRun: boolean }
  | { readonly verb: 'reset'; readonly connector?: string; readonly isDryRun: boolean }
  | { readonly verb: 'export'; readonly connector?: string }
  | { readonly verb: 'import'; readonly connector?: string; readonly document: unknown; readonly isDryRun: boolean }
  | { readonly verb: 'recover'; readonly connector?: string; readonly from: 'sink' | 'slot' };

type Answer = StoredOffset | readonly StoredOffset[] | OffsetsDocument;

/**
 * `sluice offsets …`: asks the daemon that owns the data directory, or opens the state itself when none runs. Throws a SluiceError.
 */
export async function offsetsCommand(paths: readonly string[], action: OffsetsAction, output: Output, registry: Registry): Promise<number> {
  const { configuration, log, runtime } = await setUp(paths, registry);
  const { dataDir } = configuration.daemon;
  const answer = await askDaemon(dataDir, action).catch(async (error: unknown): Promise<Answer> => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
    if (action.verb === 'show' && (await hasNoState(dataDir)))
      return chosen(configuration.connectors, action.connector).map(({ name }) => ({ connector: name, offset: null, place: null, tables: 0 }));
    const work = (directory: string): Promise<Answer> =>
      withStore(configuration, directory, action, (store) => act(store, configuration, action, { runtime, log }));
    return 'isDryRun' in action && action.isDryRun && (await hasNoState(dataDir)) ? inPassing(work) : work(dataDir);
  });
  if (action.verb === 'export') {
    output.out(`${JSON.stringify(answer, null, 2)}\n`);
    return 0;
  }
  const rows = Array.isArray(answer) ? (answer as readonly StoredOffset[]) : [answer as StoredOffset];
  const note = action.verb === 'show' ? '' : changeText(answer as Partial<OffsetChange>);
  const warnings = rows.flatMap(({ warnings: all = [] }) => all).map(({ message, remedy }) => `warning: ${message}\n  remedy: ${remedy}\n`);
  print(output, answer, offsetsText(rows) + note + warnings.join(''));
  return 0;
}

/** `recover` is no change of which it is said before what it comes to: it finds the place. */
function changeText({ isApplied = true, effects = [] }: Partial<OffsetChange>): string {
  const note = isApplied ? 'It takes effect when the connector starts again.' : 'Nothing was changed: add --yes to do it.';
  return `${[...effects, note].join('\n')}\n`;
}

async function askDaemon(dataDir: string, action: OffsetsAction): Promise<Answer> {
  const { verb, ...given } = action;
  const { isDryRun, ...rest } = given as { isDryRun?: boolean };
  return (await controlRequest(dataDir, `offsets/${verb}`, isDryRun === undefined ? rest : { ...rest, dryRun: String(isDryRun) })) as Answer;
}

function chosen(connectors: Configuration['connectors'], name: string | undefined): Configuration['connectors'] {
  return name === undefined ? connectors : [findConnector(connectors, name)];
}

async function act(
  store: StateStore,
  { connectors }: Configuration,
  action: OffsetsAction,
  { runtime, log }: Parameters<typeof recoverOffset>[3],
): Promise<Answer> {
  if (action.verb === 'show') {
    const shown = await showOffsets(
      store,
      connectors.map(({ name }) => name),
    );
    const asked = new Set(chosen(connectors, action.connector).map(({ name }) => name));
    return action.connector === undefined ? shown : shown.filter(({ connector }) => asked.has(connector));
  }
  if (action.verb === 'export') {
    const asked = action.connector === undefined ? connectors : [findConnector(connectors, action.connector)];
    return exportOffsets(store, asked, runtime.nowMicros());
  }
  const definition = findConnector(connectors, action.connector);
  const ports = { store, runtime, log };
  if (action.verb === 'set') return setOffset(definition, action.position, ports, action);
  if (action.verb === 'reset') return resetOffset(definition.name, ports, action);
  if (action.verb === 'import') return importOffset(definition, action.document, ports, action);
  return recoverOffset(store, definition, action.from, { runtime, log }, AbortSignal.timeout(60_000));
}

/** Looking makes no data directory: it would belong to whoever looked, and the daemon could not use it. */
async function hasNoState(directory: string): Promise<boolean> {
  try {
    return (await nodeRuntime().files.list(join(directory, 'state'))) === null;
  } catch {
    // Opening it says what is wrong.
    return false;
  }
}

/** In a directory that is gone again, where there is no state to look at. */
async function inPassing<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Only recovering may set damaged state aside and begin anew: it is what its errors name as the remedy. */
async function withStore<T>(
  { connectors }: Configuration,
  directory: string,
  action: OffsetsAction,
  use: (store: StateStore) => Promise<T>,
): Promise<T> {
  const options = { directory, runtime: nodeRuntime(), openEngine: openLevel };
  const store = await openStore(options).catch(async (error: unknown) => {
    if (action.verb !== 'recover' || !isDamage(error)) throw error;
    return (
      await recreateStore(
        options,
        connectors.map(({ name }) => name),
      )
    ).store;
  });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function offsetsText(rows: readonly StoredOffset[]): string {
  const cells = rows.map(({ connector, offset, place, tables }) => [
    connector,
    offset === null ? 'none' : pairs(offset.position).join(' '),
    place === null ? '' : shortened(pairs(place)).join(' '),
    String(tables),
  ]);
  return table([['CONNECTOR', 'POSITION', 'PLACE IN THE SINK', 'TABLE VERSIONS'], ...cells]);
}

/** Entries that are shown of a place that may have thousands; `--json` has all. */
const SHOWN_ENTRIES = 4;

/** Never "and 1 more": that one takes no more room. */
function shortened(parts: readonly string[]): readonly string[] {
  return parts.length <= SHOWN_ENTRIES + 1 ? parts : [...parts.slice(0, SHOWN_ENTRIES), `… and ${parts.length - SHOWN_ENTRIES} more`];
}

function pairs(value: Position | Place): readonly string[] {
  return Object.entries(value).flatMap(([name, part]) => (part === null ? [] : [`${name}=${part}`]));
}

/** What `offsets export` has written. Throws SLUICE_OFFSETS_DOCUMENT. */
export async function readOffsets(file: string): Promise<unknown> {
  const bytes = await nodeRuntime()
    .files.read(file)
    .catch(() => null);
  if (bytes === null) throw new SluiceError(OFFSETS_DOCUMENT, { reason: `${file} cannot be read` });
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw new SluiceError(OFFSETS_DOCUMENT, { reason: `${file} holds no JSON` });
  }
}
