/** `sluice schema accept`: versions of a table that may go although its connector's "compatibility" does not let them. */
import { SluiceError } from '../plugin/error.ts';
import { showsRows, type TableVersion, tableId } from '../record/table.ts';
import { SCHEMA_TABLE_UNKNOWN } from '../schema-history/errors.ts';
import { SCHEMA_ACCEPT_NOTHING, SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';
import type { Loaded, StateStore } from '../state/state-store.ts';
import type { TableState } from '../stopped-tables/state.ts';

/** What `sluice schema accept` answers. */
export interface AcceptedView {
  readonly connector: string;
  readonly table: string;
  /** Versions that may go from now on. */
  readonly accepted: readonly number[];
  /** It was stopped for one of them: what waits is sent, by the next run where none is under way. */
  readonly isResumed: boolean;
}

/** Lets through all versions of a table that are known. Throws SLUICE_SCHEMA_TABLE_UNKNOWN, SLUICE_SCHEMA_ACCEPT_NOTHING. */
export async function acceptVersions(store: StateStore, connector: string, table: string): Promise<AcceptedView> {
  const known = await store.inspect(connector);
  if (!known.tables.some(({ label }) => label === table)) throw new SluiceError(SCHEMA_TABLE_UNKNOWN, { connector, table });
  const waiting = waitingVersions(known).filter(({ label }) => label === table);
  if (waiting.length === 0) throw new SluiceError(SCHEMA_ACCEPT_NOTHING, { connector, table });
  const state = (await store.getTableStates(connector)).get(table) as TableState | undefined;
  const isResumed = state?.state === 'stopped' && state.code === SCHEMA_INCOMPATIBLE.code;
  await store.accept(
    connector,
    waiting.map((version) => ({ table: version, isAnew: true })),
    isResumed ? { table, state: { ...state, state: 'resuming' } } : null,
  );
  return { connector, table, accepted: waiting.map(({ version }) => version), isResumed };
}

/** Versions whose rows may not go, or that no row was seen of. */
export function waitingVersions({ tables, accepted }: Pick<Loaded, 'tables' | 'accepted'>): readonly TableVersion[] {
  if (accepted === null) return [];
  return tables.filter((table) => showsRows(table) && accepted[tableId(table)]?.versions.includes(table.version) !== true);
}
