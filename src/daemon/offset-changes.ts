/** `offsets set`, `reset` and `import`: looked at before anything is changed, against what the source still has. */
import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Finding } from '../plugin/finding.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { StoredPosition } from '../plugin/source.ts';
import type { Place, Position } from '../record/position.ts';
import type { StateStore } from '../state/state-store.ts';
import { detachedPlugins } from './detached.ts';
import { asSluiceError } from './failure.ts';
import { COPIES_UNKNOWN, currentOffset, type StoredOffset } from './offsets.ts';

/** How long servers are asked. */
const CHECK_MS = 30_000;

/** What a change comes to: of what is stored after it, or would be. */
export interface OffsetChange extends StoredOffset {
  /** False: it was only looked at. */
  readonly isApplied: boolean;
  /** Null: there was none. */
  readonly before: Position | null;
  /** What is sent again, and what is left out. */
  readonly effects: readonly string[];
}

export interface ChangePorts {
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Asked just before anything is written: servers were asked meanwhile, which takes its time. Throws where the connector runs again. Left out: nothing can run. */
  readonly demandAtRest?: () => void;
}

export interface ChangeOptions {
  /** Look, and change nothing. */
  readonly isDryRun: boolean;
}

/** Throws the source's error for a text that is no position of it, and for one from which it cannot go on. */
export async function setOffset(definition: ConnectorDefinition, text: string, ports: ChangePorts, options: ChangeOptions): Promise<OffsetChange> {
  const { offset, place } = await ports.store.inspect(definition.name);
  const position = definition.source.plugin.parsePosition(text, offset?.position ?? null);
  return moveTo(definition, { position, place }, 'offsets set', ports, options);
}

/** Forgets the offset and the schema history: the next start is a first start. No server is asked. */
export async function resetOffset(connector: string, { store }: ChangePorts, { isDryRun }: ChangeOptions): Promise<OffsetChange> {
  const { offset, tables } = await store.inspect(connector);
  if (!isDryRun) await store.replaceOffset(connector, null, 'offsets reset');
  const effects = [
    'The next start is a first start: what was committed meanwhile is not sent as changes, and tables are copied as "snapshot" says. It is refused while the sink still holds output of the connector.',
    `The schema history (${tables.length} versions of tables) and what is known of copies are forgotten.`,
  ];
  return { connector, offset: null, place: null, tables: 0, isApplied: !isDryRun, before: offset?.position ?? null, effects };
}

/** Stores a position, with the place of the same moment, unless the source could not go on from it: that is thrown. */
export async function moveTo(
  definition: ConnectorDefinition,
  to: { readonly position: Position; readonly place: Place | null },
  reason: string,
  ports: ChangePorts,
  { isDryRun }: ChangeOptions,
): Promise<OffsetChange> {
  const { store } = ports;
  const { name } = definition;
  const { offset, tables, progress } = await store.inspect(name);
  const checked = await problemsOf(definition, to.position, ports);
  const [problem] = checked.problems;
  if (problem !== undefined) throw refusalOf(definition, problem);
  if (!isDryRun) {
    ports.demandAtRest?.();
    await store.replaceOffset(name, to, reason);
  }
  const stored = isDryRun
    ? { connector: name, offset: { position: to.position }, place: to.place, tables: tables.length }
    : await currentOffset(store, name);
  const isCopying = definition.source.plugin.snapshot !== undefined && Object.keys(progress).length === 0 && reason === 'offsets import';
  const warnings = [...checked.warnings, ...(isCopying ? [COPIES_UNKNOWN] : [])];
  const change = { isApplied: !isDryRun, before: offset?.position ?? null, effects: effectsOf(definition, offset?.position ?? null, to.position) };
  return { ...stored, ...change, ...(warnings.length === 0 ? {} : { warnings }) };
}

/** In words of the one who has named that position: those of the finding are for a connector that was left behind. */
function refusalOf({ name }: ConnectorDefinition, { code, message }: Finding): SluiceError {
  const cause = `Nothing was changed, because the connector could not go on from that position: ${message}`;
  const remedy = `Name a position from the one that the source has confirmed for this connector (sluice offsets recover --connector ${name} --from slot finds it) up to the end of its log: what lies before it, the source does not have any more.`;
  return new SluiceError({ code, retry: 'never', exit: 3, cause, remedy });
}

function effectsOf({ source }: ConnectorDefinition, before: Position | null, after: Position): readonly string[] {
  if (before === null) return ['There is no offset yet: reading begins there, and nothing before it is sent.'];
  const distance = source.plugin.distance?.(before, after) ?? null;
  if (distance === null) return ['How far it is from the stored offset cannot be told: what lies between is sent again, or never sent.'];
  const { back, forward } = distance;
  if (back === null && forward === null) return ['It is where the connector stands already.'];
  return [
    ...(back === null
      ? []
      : [`${back} are read again; what of them stands in a sink that can be read back behind the stored place is not sent twice.`]),
    ...(forward === null ? [] : [`${forward} are left out: changes in them that were not sent yet are never sent.`]),
  ];
}

interface Checked {
  readonly problems: readonly Finding[];
  readonly warnings: readonly { readonly message: string; readonly remedy: string }[];
}

/** What the source says of that position alone: its preflight with it, without what it finds in any case. */
async function problemsOf(definition: ConnectorDefinition, position: Position, ports: ChangePorts): Promise<Checked> {
  const stored = { position, isRead: false, savedMicros: ports.runtime.nowMicros() };
  try {
    const always = new Set((await look(definition, ports)).map(({ code }) => code));
    return { problems: (await look(definition, ports, stored)).filter(({ code }) => !always.has(code)), warnings: [] };
  } catch (error) {
    const { message, remedy } = asSluiceError(error);
    return { problems: [], warnings: [{ message: `Whether the source still has what comes after it could not be seen: ${message}`, remedy }] };
  }
}

async function look(definition: ConnectorDefinition, { store, runtime, log }: ChangePorts, stored?: StoredPosition): Promise<readonly Finding[]> {
  const signal = AbortSignal.timeout(CHECK_MS);
  const nothing = (): Promise<void> => Promise.resolve();
  const intent = { get: () => store.getIntent(definition.name), set: nothing };
  // What a plug-in says of its life is of no interest to who only asks.
  const quiet: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: (text, more) => log.warn(text, more),
    error: (text, more) => log.error(text, more),
  };
  const detached = { runtime, log: quiet, instance: store.instance, previousShutdown: store.previousShutdown, savePlace: nothing, intent };
  const { source, sink } = detachedPlugins(definition, detached, signal);
  try {
    const { findings } = await source.preflight(signal, stored);
    return findings.filter(({ severity }) => severity === 'error');
  } finally {
    await Promise.allSettled([source.close(), sink.close()]);
  }
}
