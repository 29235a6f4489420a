import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { type StoredView, viewStored } from '../daemon/stored-view.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import { openLevel } from '../state/level.ts';
import { openStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';

/** What there is of a data directory, and why that is not all; `missed` null: it is. */
export interface SeenState {
  readonly view: StoredView;
  readonly missed: { readonly detail: string; readonly remedy: string } | null;
}

const NOTHING: StoredView = { instance: '', connectors: {} };

/**
 * Asks the daemon of a data directory; where none runs, looks at a copy: opening the state itself writes to it, and whoever starts next would no more know how the process
 * before it ended. Throws nothing.
 */
export async function seeState(directory: string, names: readonly string[]): Promise<SeenState> {
  try {
    return { view: await askOrCopy(directory, names), missed: null };
  } catch (error) {
    const remedy = 'Run the command as the user that runs Sluice, on the same machine.';
    if (error instanceof SluiceError) return { view: NOTHING, missed: { detail: error.message, remedy: error.remedy } };
    return { view: NOTHING, missed: { detail: `${rootMessage(error)}.`, remedy } };
  }
}

async function askOrCopy(directory: string, names: readonly string[]): Promise<StoredView> {
  try {
    return (await controlRequest(directory, 'doctor/state', { connectors: names })) as StoredView;
  } catch (error) {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
  }
  if ((await nodeRuntime().files.list(join(directory, 'state'))) === null) return NOTHING;
  const copy = await mkdtemp(join(tmpdir(), 'sluice-doctor-'));
  try {
    await cp(join(directory, 'state'), join(copy, 'state'), { recursive: true });
    return await viewCopy(copy, names);
  } catch (error) {
    // What is wrong with the copy is wrong with what it is one of.
    if (!(error instanceof SluiceError)) throw error;
    const ofOriginal = (text: string): string => text.replaceAll(copy, directory);
    throw new SluiceError({ ...error.kind, cause: ofOriginal(error.message), remedy: ofOriginal(error.remedy) });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function viewCopy(directory: string, names: readonly string[]): Promise<StoredView> {
  const store = await openStore({ directory, runtime: nodeRuntime(), openEngine: openLevel });
  try {
    return await viewStored(store, names, []);
  } finally {
    await store.close();
  }
}
