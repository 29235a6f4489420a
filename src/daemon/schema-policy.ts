/** Which shapes of its tables a connector lets through: what its file says, and what is stored of it. */

import { type CompatibilityLevel, checkCompatibility, type SchemaKind } from '../compatibility/levels.ts';
import type { ConnectorDefinition } from '../config/load.ts';
import { judgesShapes } from '../config/undelivered.ts';
import type { Mapping } from '../mapping/mapping.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { parseColumnPattern, parsePatterns } from '../plugin/patterns.ts';
import { showsRows, type TableShape, type TableVersion, tableId } from '../record/table.ts';
import { SCHEMA_ACCEPT_NOTHING, SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';
import { type PolicyAction, type PolicyRules, SchemaPolicy } from '../schema-policy/policy.ts';
import { avroSchemas, jsonSchemas, type RowSchemas } from '../schema-policy/row-schemas.ts';
import type { Loaded, StateStore } from '../state/state-store.ts';
import type { TableState } from '../stopped-tables/state.ts';
import { mappedVersion } from './mapping.ts';

/** Null: no version is judged. What is judged from now on, and what no longer is, is stored before. */
export async function openPolicy(
  definition: ConnectorDefinition,
  stored: Loaded,
  mapping: Mapping | null,
  store: StateStore,
  log: Logger,
): Promise<SchemaPolicy | null> {
  const { name, compatibility } = definition;
  if (!judgesShapes(compatibility)) {
    if (stored.accepted !== null) await store.setJudged(name, null);
    return null;
  }
  if (stored.accepted === null) await store.setJudged(name, stored.tables);
  const accepted = stored.accepted ?? (await store.load(name)).accepted ?? {};
  const say = (error: SluiceError): void => log.warn(`${error.message} It goes all the same ("action": "continue").`, { code: error.code });
  return new SchemaPolicy(
    rulesOf(definition),
    accepted,
    stored.tables.map((table) => mappedVersion(table, mapping)),
    say,
  );
}

/** What `sluice schema accept` answers. */
export interface AcceptedView {
  readonly connector: string;
  readonly table: string;
  /** Versions that may go from now on. */
  readonly accepted: readonly number[];
  /** It was stopped for one of them: what waits is sent, by the next run where none is under way. */
  readonly isResumed: boolean;
}

/** Lets through all versions of a table that are known. Throws SLUICE_SCHEMA_ACCEPT_NOTHING. */
export async function acceptVersions(store: StateStore, connector: string, table: string): Promise<AcceptedView> {
  const waiting = waitingVersions(await store.inspect(connector)).filter(({ label }) => label === table);
  if (waiting.length === 0) throw new SluiceError(SCHEMA_ACCEPT_NOTHING, { connector, table });
  await store.saveHistory(
    connector,
    { put: [], drop: [] },
    waiting.map((version) => ({ table: version, isAnew: true })),
  );
  const state = (await store.getTableStates(connector)).get(table) as TableState | undefined;
  const isResumed = state?.state === 'stopped' && state.code === SCHEMA_INCOMPATIBLE.code;
  if (isResumed) await store.setTableState(connector, table, { ...state, state: 'resuming' });
  return { connector, table, accepted: waiting.map(({ version }) => version), isResumed };
}

/** Versions whose rows may not go, or that no row was seen of. */
export function waitingVersions({ tables, accepted }: Pick<Loaded, 'tables' | 'accepted'>): readonly TableVersion[] {
  if (accepted === null) return [];
  return tables.filter((table) => showsRows(table) && accepted[tableId(table)]?.versions.includes(table.version) !== true);
}

/** What the connector's file says about changes of shapes. */
export function rulesOf({ name, compatibility }: Pick<ConnectorDefinition, 'name' | 'compatibility'>): PolicyRules {
  const { level, levels, rules, action, actions, deprecated } = compatibility;
  const columns = deprecated.flatMap((text) => parseColumnPattern(text) ?? []);
  const schemasOf = (table: TableShape): RowSchemas => {
    const here = columns.filter((column) => column.table.matches(schemaOf(table), table.name));
    return (rules === 'avro' ? avroSchemas : jsonSchemas)(table, (column) => here.some((pattern) => pattern.matches(column)));
  };
  return {
    connector: name,
    levelOf: firstMatch(levels, level),
    actionOf: firstMatch(actions, action) as (table: TableVersion) => PolicyAction,
    judge: (asked, now, before) =>
      reasonsOf(asked as CompatibilityLevel, rules === 'avro' ? 'avro' : 'json-schema', schemasOf(now), schemasOf(before)),
  };
}

function reasonsOf(level: CompatibilityLevel, kind: SchemaKind, now: RowSchemas, before: RowSchemas): readonly string[] {
  return [...new Set([...now.keys(), ...before.keys()])].flatMap((name) => {
    const [schema, earlier] = [now.get(name), before.get(name)];
    if (schema === undefined) return ['it has no key any more'];
    if (earlier === undefined) return ['it has a key now, and had none'];
    return checkCompatibility(level, kind, schema, [earlier]).map(({ path, message }) => `${name}${path}: ${message.replace(/\.$/, '')}`);
  });
}

/** Of the first pattern that matches a table. */
function firstMatch(map: Readonly<Record<string, string>>, otherwise: string): (table: TableVersion) => string {
  const patterns = parsePatterns(Object.keys(map));
  return (table) => {
    const found = patterns.find((pattern) => pattern.matches(schemaOf(table), table.name));
    return found === undefined ? otherwise : (map[found.text] as string);
  };
}

/** As patterns have it. */
function schemaOf({ schema, catalog }: TableShape): string {
  return schema === '' ? catalog : schema;
}
