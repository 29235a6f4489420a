import type { PreviousShutdown } from '../plugin/context.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import { type Files, type Runtime, sleep } from '../plugin/runtime.ts';
import { Committer } from './committer.ts';
import { Digest } from './digest.ts';
import { isDamage, STATE_ACCESS, STATE_CORRUPT, STATE_LOCKED, STATE_MISSING, STATE_SOUND, writeError } from './errors.ts';
import { frameJson } from './frame.ts';
import { checkFormat, checkIntegrity, type Root, STATE_FORMAT, scan } from './integrity.ts';
import { EngineError, type KeyValueStore, type OpenEngine, type Operation } from './key-value.ts';
import { connectorPrefix, LOST_KEY, ROOT_KEY } from './keys.ts';
import { describeBoth, type Positions } from './offset.ts';
import { readSideFiles, type SideRecord, writeBothSideFiles, writeSideFile } from './side-file.ts';
import { type Handle, StateStore } from './state-store.ts';

export type { Offset } from './offset.ts';
export { StateStore } from './state-store.ts';

export interface StoreOptions {
  /** The data directory. Everything of the state is below `state/` in it: `level/`, the side files and the marker. */
  readonly directory: string;
  readonly runtime: Runtime;
  readonly openEngine: OpenEngine;
}

/** How often a state that another process has is tried. */
const LOCKED_MS = 50;

/** `state/marker.json`: an empty database may be made only while `initialised` is false or the whole folder is new. */
interface Marker {
  readonly format: number;
  readonly instance: string;
  readonly initialised: boolean;
}

/**
 * Opens the state of a data directory, making it if there is none. Throws, and changes nothing that was saved (I8): SLUICE_STATE_LOCKED (another
 * process has it), SLUICE_STATE_BEHIND, SLUICE_STATE_MISSING, SLUICE_STATE_CORRUPT (it cannot be trusted: both offsets named), SLUICE_STATE_VERSION,
 * SLUICE_STATE_ACCESS, SLUICE_STATE_FULL.
 */
export async function openStore(options: StoreOptions): Promise<StateStore> {
  const { directory, runtime } = options;
  try {
    await runtime.files.makeDirectory(stateDirectory(directory));
    const fresh = await mayInitialise(directory, runtime.files);
    return await open(options, fresh ? { instance: null, lost: [] } : null);
  } catch (error) {
    throw await openingError(directory, runtime.files, error);
  }
}

/** As `openStore`, but waits for so long where another process has it. */
export async function openStoreWhenFree(options: StoreOptions, waitMs: number): Promise<StateStore> {
  const { runtime } = options;
  const until = runtime.monotonicMs() + waitMs;
  for (;;) {
    try {
      return await openStore(options);
    } catch (error) {
      if (!(error instanceof SluiceError) || error.kind !== STATE_LOCKED || runtime.monotonicMs() >= until) throw error;
      await sleep(runtime, LOCKED_MS);
    }
  }
}

export interface Recreated {
  readonly store: StateStore;
  /** Where the damaged state is now. */
  readonly damaged: string;
  /** The positions that the damaged state's side file held: each is one that may be resumed from. Empty if it was not readable. */
  readonly known: Positions;
}

/**
 * The operator's command for state that `openStore` refuses as damaged: moves it aside as `state.damaged-<n>`, never deletes it, and makes a new
 * one. Every connector that had an offset (by the side file; if that is not readable, all of `connectors`) stays stopped until its offset is set
 * by `replaceOffset`. Throws SLUICE_STATE_SOUND if there is no damage, else as `openStore`.
 */
export async function recreateStore(options: StoreOptions, connectors: readonly string[]): Promise<Recreated> {
  const { directory, runtime } = options;
  const { files } = runtime;
  try {
    const store = await openStore(options);
    await store.close();
  } catch (error) {
    if (!isDamage(error)) throw error;
    return await replaceDamaged(options, connectors).catch(async (failure: unknown) => {
      throw await openingError(directory, files, failure);
    });
  }
  throw new SluiceError(STATE_SOUND, { directory });
}

async function replaceDamaged(options: StoreOptions, connectors: readonly string[]): Promise<Recreated> {
  const { directory, runtime } = options;
  const { files } = runtime;
  const moved = await damagedNumbers(directory, files);
  const target = `${directory}/state.damaged-${(moved.at(-1) ?? 0) + 1}`;
  const marker = await readMarker(directory, files).catch(() => null);
  // A recovery that was itself interrupted left only a beginning: what is known stands in what it had moved aside.
  const interrupted = marker?.initialised !== true && moved.length > 0;
  const { newest } = await readSideFiles(files, interrupted ? await lastWhole(directory, moved, files) : stateDirectory(directory));
  // I8: the positions of another format are not known here, and a connector that is not known would begin anew.
  if (newest !== null) checkFormat(directory, newest.format);
  await files.rename(stateDirectory(directory), target);
  await files.makeDirectory(stateDirectory(directory));
  const known: Positions = newest?.positions ?? new Map();
  const lost = newest === null ? connectors : [...new Set([...known.keys(), ...newest.lost])];
  return { store: await open(options, { instance: newest?.instance ?? marker?.instance ?? null, lost }), damaged: target, known };
}

/** The newest of the states that were moved aside that is not itself the beginning of a recovery which was interrupted: such a one knows nothing. */
async function lastWhole(directory: string, moved: readonly number[], files: Files): Promise<string> {
  const paths = [...moved].reverse().map((number) => `${directory}/state.damaged-${number}`);
  for (const path of paths) if (!(await isBeginning(path, files))) return path;
  return paths.at(-1) as string;
}

async function isBeginning(path: string, files: Files): Promise<boolean> {
  const marker = await files.read(`${path}/marker.json`);
  if (marker === null) return (await readSideFiles(files, path)).present === 0;
  try {
    return (JSON.parse(marker.toString()) as Partial<Marker> | null)?.initialised === false;
  } catch {
    return false;
  }
}

interface Initial {
  /** Null: a new one. */
  readonly instance: string | null;
  /** Connectors whose offsets are to be recovered. */
  readonly lost: readonly string[];
}

async function open(options: StoreOptions, initial: Initial | null): Promise<StateStore> {
  const { directory, runtime } = options;
  const { handle, instance, previousShutdown } = await openHandle(options, initial);
  const reopen = async (): Promise<Handle> => {
    try {
      return (await openHandle(options, null)).handle;
    } catch (error) {
      throw await openingError(directory, runtime.files, error);
    }
  };
  return new StateStore({ directory, instance, previousShutdown }, runtime, handle, reopen);
}

async function openHandle(
  options: StoreOptions,
  initial: Initial | null,
): Promise<{ readonly handle: Handle; readonly instance: string; readonly previousShutdown: PreviousShutdown }> {
  const { directory, runtime } = options;
  const { files } = runtime;
  const state = stateDirectory(directory);
  const engine = await options.openEngine(`${state}/level`, initial !== null);
  try {
    // From here on nobody else has the directory. What was read before may have changed since: another process may just have initialised it.
    let marker = await readMarker(directory, files);
    let first = false;
    if (initial !== null && marker?.initialised !== true) {
      await initialise(options, engine, initial, marker);
      first = true;
      marker = await readMarker(directory, files);
    }
    if (marker === null) throw await missing(directory, files, 'its marker file is gone');
    const { instance } = marker;
    const found = await scan(engine);
    const sides = await readSideFiles(files, state);
    checkIntegrity(directory, instance, found, sides);
    const root = found.root as Root;
    if ((sides.newest as SideRecord).generation < root.generation) {
      await writeSideFile(files, state, {
        format: STATE_FORMAT,
        instance,
        generation: root.generation,
        positions: found.positions,
        lost: [...found.lost],
      });
    }
    const committer = new Committer(directory, state, runtime, engine, { ...found, instance, generation: root.generation });
    // Not clean until it is closed; and the first write of a run shows at once whether the disk takes any.
    await committer.commit({ operations: [] });
    return { handle: { engine, committer }, instance, previousShutdown: first ? 'first' : root.clean ? 'clean' : 'unclean' };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** A crash anywhere in here leaves `initialised: false`, and the next start begins again: nothing was saved for anybody yet. */
async function initialise(options: StoreOptions, engine: KeyValueStore, initial: Initial, marker: Marker | null): Promise<void> {
  const { directory, runtime } = options;
  const state = stateDirectory(directory);
  const operations: Operation[] = [];
  for await (const [key] of engine.iterate('')) operations.push({ type: 'del', key });
  if (marker === null && operations.length > 0) throw await missing(directory, runtime.files, 'its marker file is gone');
  const instance = initial.instance ?? randomInstance(runtime);
  await writeMarker(directory, runtime.files, { format: STATE_FORMAT, instance, initialised: false });
  const digest = new Digest();
  for (const connector of initial.lost) {
    const operation: Operation = { type: 'put', key: connectorPrefix(connector) + LOST_KEY, value: frameJson(true) };
    digest.apply(operation);
    operations.push(operation);
  }
  const root: Root = { format: STATE_FORMAT, instance, generation: 1, clean: true, digest: digest.sum };
  operations.push({ type: 'put', key: ROOT_KEY, value: frameJson(root) });
  await engine.batch(operations);
  await writeBothSideFiles(runtime.files, state, { format: STATE_FORMAT, instance, generation: 1, positions: new Map(), lost: initial.lost });
  await writeMarker(directory, runtime.files, { format: STATE_FORMAT, instance, initialised: true });
}

/** True if there is no state yet; false if there is one; throws if there must have been one. */
async function mayInitialise(directory: string, files: Files): Promise<boolean> {
  const marker = await readMarker(directory, files);
  if (marker?.initialised === true) return false;
  if ((await damagedNumbers(directory, files)).length > 0) throw await missing(directory, files, 'a recovery was interrupted, or the state is gone');
  if (marker !== null) return true;
  if ((await readSideFiles(files, stateDirectory(directory))).present > 0) throw await missing(directory, files, 'its marker file is gone');
  // LevelDB makes CURRENT before its first log: logs or tables without it are what is left of a database.
  const level = (await files.list(`${stateDirectory(directory)}/level`)) ?? [];
  if (!level.includes('CURRENT') && level.some((name) => /\.(log|ldb|sst)$/.test(name)))
    throw await missing(directory, files, 'LevelDB holds no CURRENT');
  return true;
}

function stateDirectory(directory: string): string {
  return `${directory}/state`;
}

async function damagedNumbers(directory: string, files: Files): Promise<number[]> {
  const names = (await files.list(directory)) ?? [];
  return names
    .flatMap((name) => /^state\.damaged-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

async function readMarker(directory: string, files: Files): Promise<Marker | null> {
  const bytes = await files.read(`${stateDirectory(directory)}/marker.json`);
  if (bytes === null) return null;
  let marker: Partial<Marker> | null = null;
  try {
    marker = JSON.parse(bytes.toString()) as Partial<Marker> | null;
  } catch {
    // Judged below with every other content that is not a marker.
  }
  if (typeof marker?.format === 'number') checkFormat(directory, marker.format);
  if (typeof marker?.format !== 'number' || typeof marker.instance !== 'string' || typeof marker.initialised !== 'boolean') {
    const offsets = await knownOffsets(directory, files);
    throw new SluiceError(STATE_CORRUPT, { directory, reason: 'its marker file (state/marker.json) is unreadable', offsets });
  }
  return marker as Marker;
}

async function writeMarker(directory: string, files: Files, marker: Marker): Promise<void> {
  await files.replace(`${stateDirectory(directory)}/marker.json`, Buffer.from(`${JSON.stringify(marker)}\n`));
}

/** 16 hexadecimal digits: short enough for a Postgres application name. */
function randomInstance(runtime: Runtime): string {
  return Array.from({ length: 16 }, () => Math.floor(runtime.random() * 16).toString(16)).join('');
}

async function missing(directory: string, files: Files, reason: string): Promise<SluiceError> {
  return new SluiceError(STATE_MISSING, { directory, reason, offsets: await knownOffsets(directory, files) });
}

/** LevelDB could not be read: what the side file holds is all that is known. */
async function knownOffsets(directory: string, files: Files): Promise<string> {
  return describeBoth(new Map(), (await readSideFiles(files, stateDirectory(directory))).newest?.positions ?? new Map());
}

async function openingError(directory: string, files: Files, error: unknown): Promise<unknown> {
  if (error instanceof EngineError) {
    if (error.problem === 'locked') return new SluiceError(STATE_LOCKED, { directory }, { cause: error });
    const kind = error.problem === 'missing' ? STATE_MISSING : STATE_CORRUPT;
    return new SluiceError(kind, { directory, reason: error.message, offsets: await knownOffsets(directory, files) }, { cause: error });
  }
  if (error instanceof SluiceError || typeof (error as { code?: unknown } | null)?.code !== 'string') return error;
  const write = writeError(directory, error);
  return write.kind.retry === 'auto' ? write : new SluiceError(STATE_ACCESS, { directory, reason: rootMessage(error) }, { cause: error });
}
