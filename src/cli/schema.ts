import type { Configuration, ConnectorDefinition } from '../config/load.ts';
import { type AcceptedView, acceptVersions } from '../daemon/accept.ts';
import { CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { nodeRuntime } from '../daemon/node-runtime.ts';
import { findConnector } from '../daemon/offsets.ts';
import { type SchemaSummary, schemaSummaries, schemaVersions } from '../daemon/schemas.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Registry } from '../plugin/registry.ts';
import type { ColumnShape, Since, TableVersion } from '../record/table.ts';
import { type SchemaChange, schemaChanges } from '../schema-history/changes.ts';
import { SCHEMA_NO_JSON_SCHEMA, SCHEMA_TABLE_UNKNOWN, SCHEMA_VERSION_UNKNOWN } from '../schema-history/errors.ts';
import { openLevel } from '../state/level.ts';
import type { StateStore } from '../state/state-store.ts';
import { openStore } from '../state/store.ts';
import { controlRequest } from './control-client.ts';
import { type Output, print, table } from './output.ts';
import { setUp } from './setup.ts';

/** What a command asks for. `connector` left out: the only one; for `list` all. */
export type SchemaAction =
  | { readonly verb: 'list'; readonly connector?: string }
  | {
      readonly verb: 'show';
      readonly connector?: string;
      readonly table: string;
      readonly version?: number;
      readonly all?: boolean;
      readonly jsonSchema?: boolean;
    }
  | { readonly verb: 'accept'; readonly connector?: string; readonly table: string }
  | { readonly verb: 'diff'; readonly connector?: string; readonly table: string; readonly from?: number; readonly to?: number };

/** `sluice schema …`: asks the daemon that owns the data directory, or opens the state itself when none runs. Throws a SluiceError. */
export async function schemaCommand(paths: readonly string[], action: SchemaAction, output: Output, registry: Registry): Promise<number> {
  const { configuration } = await setUp(paths, registry);
  if (action.verb === 'list') {
    const summaries = await listed(configuration, action.connector);
    print(output, summaries, listText(summaries));
    return 0;
  }
  const { name } = findConnector(configuration.connectors, action.connector);
  if (action.verb === 'accept') {
    const view = await accepted(configuration, name, action.table);
    print(output, view, acceptedText(view));
    return 0;
  }
  const versions = await versionsOf(configuration, name, action.table);
  const numbered = (number: number | undefined, otherwise: TableVersion): TableVersion => {
    if (number === undefined) return otherwise;
    const found = versions.find(({ version }) => version === number);
    if (found !== undefined) return found;
    const known = versions.map(({ version }) => version).join(', ');
    throw new SluiceError(SCHEMA_VERSION_UNKNOWN, { connector: name, table: action.table, version: number, known });
  };
  const newest = versions.at(-1) as TableVersion;
  if (action.verb === 'show' && action.all === true) {
    print(output, { connector: name, table: action.table, versions }, versions.map(showText).join('\n'));
    return 0;
  }
  if (action.verb === 'show') {
    const shown = numbered(action.version, newest);
    if (action.jsonSchema === true) {
      output.out(`${JSON.stringify(jsonSchemasOf(findConnector(configuration.connectors, name), shown), null, 2)}\n`);
      return 0;
    }
    print(output, { connector: name, ...shown }, showText(shown));
    return 0;
  }
  const to = numbered(action.to, newest);
  const from = numbered(action.from, versions[Math.max(0, versions.indexOf(to) - 1)] as TableVersion);
  const changes = schemaChanges(from, to);
  print(output, { connector: name, table: action.table, from: from.version, to: to.version, changes }, diffText(from, to, changes));
  return 0;
}

/** Throws SLUICE_SCHEMA_NO_JSON_SCHEMA. */
function jsonSchemasOf({ name, format, source }: ConnectorDefinition, table: TableVersion): object {
  const schemas = format.plugin.jsonSchemas?.(table, source.plugin.origin);
  if (schemas === undefined) throw new SluiceError(SCHEMA_NO_JSON_SCHEMA, { connector: name, format: format.plugin.type });
  return { table: table.label, version: table.version, ...schemas };
}

async function listed(configuration: Configuration, connector: string | undefined): Promise<readonly SchemaSummary[]> {
  const { connectors, daemon } = configuration;
  const asked = connector === undefined ? connectors : [findConnector(connectors, connector)];
  return daemonOr(
    () => controlRequest(daemon.dataDir, 'schema/list', { connector }) as Promise<readonly SchemaSummary[]>,
    async () => {
      const found = await withStore(configuration, (store) => Promise.all(asked.map(({ name }) => schemaSummaries(store, name))));
      return found?.flat() ?? [];
    },
  );
}

async function versionsOf(configuration: Configuration, connector: string, name: string): Promise<readonly TableVersion[]> {
  return daemonOr(
    () => controlRequest(configuration.daemon.dataDir, 'schema/versions', { connector, table: name }) as Promise<readonly TableVersion[]>,
    async () => {
      const found = await withStore(configuration, (store) => schemaVersions(store, connector, name));
      if (found === null) throw new SluiceError(SCHEMA_TABLE_UNKNOWN, { connector, table: name });
      return found;
    },
  );
}

async function accepted(configuration: Configuration, connector: string, name: string): Promise<AcceptedView> {
  return daemonOr(
    () => controlRequest(configuration.daemon.dataDir, 'schema/accept', { connector, table: name }) as Promise<AcceptedView>,
    async () => {
      const view = await withStore(configuration, (store) => acceptVersions(store, connector, name));
      if (view === null) throw new SluiceError(SCHEMA_TABLE_UNKNOWN, { connector, table: name });
      return view;
    },
  );
}

async function daemonOr<T>(ask: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
  return ask().catch((error: unknown) => {
    if (!(error instanceof SluiceError) || error.kind !== CONTROL_NO_DAEMON) throw error;
    return otherwise();
  });
}

/** Null: nothing was ever stored. Looking makes no data directory. */
async function withStore<T>({ daemon }: Configuration, use: (store: StateStore) => Promise<T>): Promise<T | null> {
  const runtime = nodeRuntime();
  if ((await runtime.files.list(daemon.dataDir)) === null) return null;
  const store = await openStore({ directory: daemon.dataDir, runtime, openEngine: openLevel });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

function listText(summaries: readonly SchemaSummary[]): string {
  if (summaries.length === 0) return 'No table is known yet.\n';
  const lines = summaries.map(({ connector, table: name, version, versions, columns, since, waiting }) => [
    connector,
    name,
    String(version),
    String(versions),
    String(columns),
    sinceText(since),
    waiting.join(', '),
  ]);
  return table([['CONNECTOR', 'TABLE', 'VERSION', 'KEPT', 'COLUMNS', 'SINCE', 'NOT ACCEPTED'], ...lines]);
}

function acceptedText({ table: name, accepted: versions, isResumed }: AcceptedView): string {
  const waits = isResumed ? ' What waits of it is sent: `sluice tables list` shows how far that is.' : '';
  return `${name}: version ${versions.join(', ')} may go from now on.${waits}\n`;
}

function showText({ label, version, columns, key, facts, since }: TableVersion): string {
  const lines = columns.map((column, index) => [column.name, column.typeName, key.includes(index) ? 'key' : '', factsText(column)]);
  const identity = facts === undefined ? '' : `, replica identity ${facts.replicaIdentity}`;
  return `${label}, version ${version}, since ${sinceText(since ?? null)}${identity}\n\n${table([['COLUMN', 'TYPE', 'KEY', ''], ...lines])}`;
}

function factsText({ facts }: ColumnShape): string {
  if (facts === undefined) return '';
  const value = facts.computed ? 'default computed' : facts.default === null ? '' : `default ${facts.default}`;
  return [facts.required ? 'not null' : '', value].filter((part) => part !== '').join(', ');
}

function diffText(from: TableVersion, to: TableVersion, changes: readonly SchemaChange[]): string {
  const head = `${to.label}, version ${from.version} to ${to.version}\n\n`;
  if (changes.length === 0) return `${head}No difference.\n`;
  const lines = changes.map(({ kind, column, before, after, uncertain }) => [
    kind,
    column ?? '',
    before ?? '',
    after ?? '',
    uncertain === true ? 'uncertain: may be half of a rename' : '',
  ]);
  return head + table([['CHANGE', 'COLUMN', 'BEFORE', 'AFTER', ''], ...lines]);
}

function sinceText(since: Since | null): string {
  return since === null ? 'a copy' : `${since.position} (${new Date(since.micros / 1000).toISOString()})`;
}
