/** What the commands `sluice schema …` ask for, with or without a daemon in between. */
import { SluiceError } from '../plugin/error.ts';
import type { Since, TableVersion } from '../record/table.ts';
import { SCHEMA_TABLE_UNKNOWN } from '../schema-history/errors.ts';
import type { StateStore } from '../state/state-store.ts';
import { waitingVersions } from './accept.ts';

/** One table of a connector's schema history. */
export interface SchemaSummary {
  readonly connector: string;
  readonly table: string;
  /** Number of the newest version; it stands in the header `sluice.schema` of the messages. */
  readonly version: number;
  /** Versions that are kept. */
  readonly versions: number;
  /** Of the newest version. */
  readonly columns: number;
  /** Where the log showed the newest version first; null: a copy did. */
  readonly since: Since | null;
  /** Versions whose rows may not go by the connector's "compatibility", or that none was seen of yet. */
  readonly waiting: readonly number[];
}

/** Tables as they were saved last, each with its newest version, by name. */
export async function schemaSummaries(store: StateStore, connector: string): Promise<readonly SchemaSummary[]> {
  const histories = new Map<string, TableVersion[]>();
  const stored = await store.inspect(connector);
  const notAccepted = waitingVersions(stored);
  for (const version of stored.tables.filter(isTable)) {
    const history = histories.get(version.label);
    if (history === undefined) histories.set(version.label, [version]);
    else history.push(version);
  }
  return [...histories].sort().map(([table, versions]) => {
    const newest = versions.at(-1) as TableVersion;
    const waiting = versions.filter((version) => notAccepted.includes(version)).map(({ version }) => version);
    const { version, columns, since = null } = newest;
    return { connector, table, version, versions: versions.length, columns: columns.length, since, waiting };
  });
}

/** All versions of a table that are kept, oldest first. Throws SLUICE_SCHEMA_TABLE_UNKNOWN. */
export async function schemaVersions(store: StateStore, connector: string, table: string): Promise<readonly TableVersion[]> {
  const versions = (await tablesOf(store, connector)).filter(({ label }) => label === table);
  if (versions.length === 0) throw new SluiceError(SCHEMA_TABLE_UNKNOWN, { connector, table });
  return versions;
}

async function tablesOf(store: StateStore, connector: string): Promise<readonly TableVersion[]> {
  return (await store.inspect(connector)).tables.filter(isTable);
}

function isTable({ kind }: TableVersion): boolean {
  return kind === 'table';
}
