import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { defineError, SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Place } from '../record/position.ts';
import type { Loaded, StateStore } from '../state/state-store.ts';
import { type DetachedPorts, detachedPlugins } from './detached.ts';

export const CONNECTOR_UNKNOWN = defineError({
  code: 'SLUICE_CONNECTOR_UNKNOWN',
  retry: 'never',
  exit: 2,
  cause: 'There is no connector "{connector}" in this configuration.',
  remedy: 'Use --connector with one of: {known}.',
});

export const CONNECTOR_UNNAMED = defineError({
  code: 'SLUICE_CONNECTOR_UNNAMED',
  retry: 'never',
  exit: 2,
  cause: 'There are several connectors, and none is named.',
  remedy: 'Name one of them (--connector NAME): {known}.',
});

export const CONNECTOR_RUNNING = defineError({
  code: 'SLUICE_CONNECTOR_RUNNING',
  retry: 'never',
  exit: 2,
  cause: 'The connector "{connector}" is running ({state}); its offset changes under it.',
  remedy: 'Pause it (sluice pause --connector {connector}), change the offset, and resume it.',
});

export interface StoredOffset {
  readonly connector: string;
  /** Null: never saved. */
  readonly offset: Loaded['offset'];
  readonly place: Place | null;
  /** Versions of tables in the schema history. */
  readonly tables: number;
  /** What whoever changed it must know; left out: nothing. */
  readonly warnings?: readonly { readonly message: string; readonly remedy: string }[];
}

/** The connector that a command is about: the named one, or the only one. */
export function findConnector(definitions: readonly ConnectorDefinition[], name: string | undefined): ConnectorDefinition {
  const found = name === undefined && definitions.length === 1 ? definitions[0] : definitions.find((definition) => definition.name === name);
  if (found !== undefined) return found;
  const known = definitions.map((definition) => definition.name).join(', ');
  if (name === undefined && definitions.length > 1) throw new SluiceError(CONNECTOR_UNNAMED, { known });
  throw new SluiceError(CONNECTOR_UNKNOWN, { connector: name ?? '', known: known === '' ? 'there is none yet' : known });
}

/** What the commands `sluice offsets …` do, with or without a daemon in between. */
export async function showOffsets(store: StateStore, connectors: readonly string[]): Promise<readonly StoredOffset[]> {
  const names = [...new Set([...connectors, ...(await store.connectors())])].sort();
  return Promise.all(
    names.map(async (connector) => {
      const { offset, place, tables } = await store.inspect(connector);
      return { connector, offset, place, tables: tables.length };
    }),
  );
}

/**
 * Finds a place to resume from, when the state was lost or does not fit the servers any more, in the sink or in the slot (design §9), and stores it in
 * place of what is stored. Changes nothing on either server.
 */
export async function recoverOffset(
  store: StateStore,
  definition: ConnectorDefinition,
  from: 'sink' | 'slot',
  ports: { readonly runtime: Runtime; readonly log: Logger },
  signal: AbortSignal,
): Promise<StoredOffset> {
  const { name } = definition;
  const detached: DetachedPorts = {
    ...ports,
    instance: store.instance,
    previousShutdown: store.previousShutdown,
    savePlace: (entries) => store.savePlace(name, entries),
    intent: { get: () => store.getIntent(name), set: (intent) => store.setIntent(name, intent) },
  };
  const { source, sink } = detachedPlugins(definition, detached, signal);
  try {
    const { place, lastTransaction } = await sink.recover(signal);
    const position = await source.recover({ from, lastTransaction }, signal);
    await store.replaceOffset(name, { position, place }, `offsets recover --from ${from}`);
  } finally {
    await Promise.allSettled([sink.close(), source.close()]);
  }
  if (definition.onError !== 'stop') {
    ports.log.warn(
      'What stopped tables and dead letters have kept stands in the data directory and nowhere else. If that was lost whole, those changes are lost with it: they are neither in the sink nor read again.',
      { remedy: 'Look at `sluice tables list` and `sluice dlq list`. If what was there before is missing, copy the rows of those tables anew.' },
    );
  }
  const recovered = await currentOffset(store, name);
  const knowsCopies = Object.keys((await store.inspect(name)).progress).length > 0;
  return definition.source.plugin.snapshot === undefined || knowsCopies ? recovered : { ...recovered, warnings: [COPIES_UNKNOWN] };
}

/** They were lost with the state: the next start takes every table for one that is not to be copied. */
export const COPIES_UNKNOWN = {
  message:
    'How far copies of tables had come is not known (any more). A copy that was not finished, the first one too, does not go on by itself: its rows are missing in the sink.',
  remedy: 'If one was under way, or may have been, copy those tables anew once the connector runs: sluice snapshot start --table <schema.table>',
} as const;

export async function currentOffset(store: StateStore, connector: string): Promise<StoredOffset> {
  const { offset, place, tables } = await store.load(connector);
  return { connector, offset, place, tables: tables.length };
}
