import type { ConnectorDefinition } from '../config/load.ts';
import { DEAD_LETTER_UNKNOWN } from '../dead-letters/errors.ts';
import { DeadLetterFile, deadLetterDirectory } from '../dead-letters/file.ts';
import type { OpenLetter } from '../dead-letters/letter.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { isDamagedSegment } from '../segments/errors.ts';
import { writeError } from '../state/errors.ts';
import type { StateStore } from '../state/state-store.ts';
import { makesLetters } from './dead-letter-policy.ts';

/** A dead letter as commands show it: nothing of its content (I12). */
export interface DeadLetterView {
  readonly connector: string;
  readonly id: string;
  readonly destination: string;
  readonly code: string;
  readonly error: string;
  readonly remedy: string;
  /** ISO 8601. */
  readonly time: string;
  readonly bytes: number;
  /** Newer messages of its key, or of its table, came since: it can only be discarded. */
  readonly superseded: boolean;
  /** In the file. */
  readonly segment: number;
  readonly offset: number;
}

export interface DeadLetterPorts {
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly dataDir: string;
}

/** The file of a connector; null: it writes none and has none. Throws SLUICE_SEGMENTS_DAMAGED. */
export async function openDeadLetters(
  definition: Pick<ConnectorDefinition, 'name' | 'onError' | 'deadLetter' | 'compatibility'>,
  { store, runtime, dataDir }: DeadLetterPorts,
): Promise<DeadLetterFile | null> {
  const { name, deadLetter } = definition;
  if (!makesLetters(definition) && !(await hasDirectory(runtime, deadLetterDirectory(dataDir, name)))) return null;
  return DeadLetterFile.open({ connector: name, dataDir, runtime, store, maxBytes: deadLetter.maxBytes });
}

/** To let letters go. Those of a file that cannot be read are gone at once where all are meant. */
export async function openToDiscard(
  definition: Pick<ConnectorDefinition, 'name' | 'onError' | 'deadLetter' | 'compatibility'>,
  ports: DeadLetterPorts,
  id: string | undefined,
): Promise<DeadLetterFile | null> {
  try {
    return await openDeadLetters(definition, ports);
  } catch (error) {
    if (id !== undefined || !isDamagedSegment(error)) throw error;
    await DeadLetterFile.forget({ connector: definition.name, ...ports, maxBytes: definition.deadLetter.maxBytes });
    return null;
  }
}

async function hasDirectory(runtime: Runtime, directory: string): Promise<boolean> {
  try {
    return (await runtime.files.list(directory)) !== null;
  } catch (error) {
    throw writeError(directory, error);
  }
}

export function viewsOf(connector: string, file: DeadLetterFile | null): readonly DeadLetterView[] {
  return (file?.letters() ?? []).map(({ head, address, superseded }) => ({
    connector,
    id: head.id,
    destination: head.destination,
    code: head.code,
    error: head.error,
    remedy: head.remedy,
    time: new Date(head.timeMicros / 1000).toISOString(),
    bytes: Math.max(0, head.key) + Math.max(0, head.value) + Math.max(0, head.headers),
    superseded,
    segment: address.segment,
    offset: address.offset,
  }));
}

/** One of them. Throws SLUICE_DEAD_LETTER_UNKNOWN. */
export function letterView(connector: string, views: readonly DeadLetterView[], id: string): DeadLetterView {
  const view = views.find((each) => each.id === id);
  if (view === undefined) throw new SluiceError(DEAD_LETTER_UNKNOWN, { connector, id });
  return view;
}

/** The letters that a command is about: the named one, or all. */
export function chosenLetters(connector: string, file: DeadLetterFile | null, id: string | undefined): readonly OpenLetter[] {
  if (id === undefined) return file?.letters() ?? [];
  const letter = file?.get(id);
  if (letter === undefined) throw new SluiceError(DEAD_LETTER_UNKNOWN, { connector, id });
  return [letter];
}

/** Lets them go: they are never sent. Answers with what they were. */
export async function discardLetters(connector: string, file: DeadLetterFile | null, id: string | undefined): Promise<readonly DeadLetterView[]> {
  const letters = chosenLetters(connector, file, id);
  const ids = new Set(letters.map(({ head }) => head.id));
  const views = viewsOf(connector, file).filter((view) => ids.has(view.id));
  try {
    await file?.happened('discarded', [...ids]);
    // Nothing that could not be read again may be left, or the next start would stop for it.
    if (id === undefined) await file?.verify();
  } catch (error) {
    if (id !== undefined || !isDamagedSegment(error)) throw error;
    // Somebody else has changed it since it was opened.
    await file?.empty();
  }
  return views;
}
