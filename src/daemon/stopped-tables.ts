import type { ConnectorDefinition } from '../config/load.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { tableAt } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import { isDamagedSegment } from '../segments/errors.ts';
import { writeError } from '../state/errors.ts';
import type { StateStore } from '../state/state-store.ts';
import { TABLE_NOT_STOPPED, TABLE_STOPPED } from '../stopped-tables/errors.ts';
import { spoolEntry } from '../stopped-tables/place.ts';
import { Spool, spoolDirectory, spoolsDirectory } from '../stopped-tables/spool.ts';
import { type StoppedTableView, type TableState, viewOf } from '../stopped-tables/state.ts';
import type { OpenSpool } from '../stopped-tables/stopped-tables.ts';

interface SpoolPorts {
  readonly definition: Pick<ConnectorDefinition, 'name' | 'spool'>;
  readonly store: StateStore;
  readonly runtime: Runtime;
  readonly dataDir: string;
}

export const spoolOf = ({ definition, dataDir }: Pick<SpoolPorts, 'definition' | 'dataDir'>, table: string): string =>
  spoolDirectory(dataDir, definition.name, table);

/**
 * The stopped tables of a connector with their spools. A spool that holds something and has no state (that was lost with a damaged store) makes its table a
 * stopped one: what it holds must not be forgotten (I1). Throws SLUICE_SEGMENTS_DAMAGED.
 */
export async function openStopped(ports: SpoolPorts, place: Place | null): Promise<readonly OpenSpool[]> {
  const { definition, store, runtime, dataDir } = ports;
  const states = (await store.getTableStates(definition.name)) as ReadonlyMap<string, TableState>;
  const open = (table: string, sent: TableState['sent']): Promise<Spool> => {
    const options = { connector: definition.name, table, dataDir, runtime, store, maxBytes: definition.spool.maxBytes };
    return Spool.open(options, place?.[spoolEntry(table)] ?? null, sent);
  };
  const found: OpenSpool[] = [];
  for (const [table, state] of states) found.push({ table, state, spool: await open(table, state.sent) });
  const known = new Set([...states.keys()].map((table) => spoolOf(ports, table)));
  for (const name of await directories(runtime, spoolsDirectory(dataDir, definition.name))) {
    if (known.has(`${spoolsDirectory(dataDir, definition.name)}/${name}`)) continue;
    // A long label is not told by the name of its directory: what stands there tells it.
    const called = decoded(name);
    const first = await open(called, null);
    const [entry] = first.next(1, 0);
    if (entry === undefined) continue;
    const table = tableAt(await first.read(entry), 0);
    // A copy that somebody has put beside it.
    if (spoolOf(ports, table) !== `${spoolsDirectory(dataDir, definition.name)}/${name}` || states.has(table)) continue;
    const spool = table === called ? first : await open(table, null);
    const state = lostState(runtime.nowMicros());
    await store.setTableState(definition.name, table, state);
    found.push({ table, state, spool });
  }
  return found;
}

/** While the connector has no life: from what is stored. */
export async function storedViews(connector: string, store: StateStore): Promise<readonly StoppedTableView[]> {
  const states = (await store.getTableStates(connector)) as ReadonlyMap<string, TableState>;
  return [...states].map(([table, state]) => viewOf(connector, table, state, null));
}

/** While the connector does not run, with what waits counted. Throws SLUICE_SEGMENTS_DAMAGED. */
export async function countedViews(ports: SpoolPorts): Promise<readonly StoppedTableView[]> {
  const { definition, store } = ports;
  const { place } = await store.inspect(definition.name);
  return (await openStopped(ports, place)).map(({ table, state, spool }) => viewOf(definition.name, table, state, spool));
}

/** While the connector does not run. Throws SLUICE_TABLE_NOT_STOPPED. */
export async function discardSpool(ports: SpoolPorts, table: string): Promise<StoppedTableView> {
  const { definition, store, runtime, dataDir } = ports;
  const { name, spool: bounds } = definition;
  const state = ((await store.getTableStates(name)) as ReadonlyMap<string, TableState>).get(table);
  if (state === undefined) throw new SluiceError(TABLE_NOT_STOPPED, { connector: name, table });
  const { place } = await store.inspect(name);
  const options = { connector: name, table, dataDir, runtime, store, maxBytes: bounds.maxBytes };
  try {
    const spool = await Spool.open(options, place?.[spoolEntry(table)] ?? null, state.sent);
    // As if all of it was sent: what comes once more after a crash is recognised.
    await store.setTableState(name, table, { ...state, state: 'resuming', sent: spool.last, already: [] });
    return viewOf(name, table, state, spool);
  } catch (error) {
    if (!isDamagedSegment(error)) throw error;
    // It cannot be read: there is nothing to keep.
    await Spool.forget(options);
    await store.setTableState(name, table, null);
    return viewOf(name, table, state, null);
  }
}

function lostState(nowMicros: number): TableState {
  return {
    state: 'stopped',
    code: TABLE_STOPPED.code,
    error: 'why it stopped was lost with the state of this data directory, and how much of what waits was sent already (at least once for it)',
    remedy: '`sluice tables resume`',
    messageId: '',
    sinceMicros: nowMicros,
    sent: null,
    already: [],
  };
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

async function directories(runtime: Runtime, directory: string): Promise<readonly string[]> {
  try {
    return (await runtime.files.list(directory)) ?? [];
  } catch (error) {
    throw writeError(directory, error);
  }
}
