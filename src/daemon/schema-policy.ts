/** Which shapes of its tables a connector lets through. Loaded only where its file says that they are judged. */

import { type CompatibilityLevel, checkCompatibility, type SchemaKind } from '../compatibility/levels.ts';
import type { ConnectorDefinition } from '../config/load.ts';
import type { Mapping } from '../mapping/mapping.ts';
import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import { parseColumnPattern } from '../plugin/patterns.ts';
import type { ColumnShape, TableShape } from '../record/table.ts';
import { type PolicyRules, SchemaPolicy } from '../schema-policy/policy.ts';
import { avroSchemas, jsonSchemas, type RowSchemas } from '../schema-policy/row-schemas.ts';
import type { Loaded, StateStore } from '../state/state-store.ts';
import { mappedVersion } from './mapped-version.ts';
import { actionOf, firstMatch, schemaOf } from './policy-choice.ts';

/** What is judged from now on is stored before. */
export async function openPolicy(
  definition: ConnectorDefinition,
  stored: Loaded,
  mapping: Mapping | null,
  store: StateStore,
  log: Logger,
): Promise<SchemaPolicy> {
  const { name } = definition;
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

/** What the connector's file says about changes of shapes. */
export function rulesOf({ name, compatibility }: Pick<ConnectorDefinition, 'name' | 'compatibility'>): PolicyRules {
  const { level, levels, rules, deprecated } = compatibility;
  const columns = deprecated.flatMap((text) => parseColumnPattern(text) ?? []);
  const isLeftOut = (table: TableShape): ((column: string) => boolean) => {
    const here = columns.filter((column) => column.table.matches(schemaOf(table), table.name));
    return (column) => here.some((pattern) => pattern.matches(column));
  };
  const compared = (table: TableShape): Compared => ({
    schemas: (rules === 'avro' ? avroSchemas : jsonSchemas)(table, isLeftOut(table)),
    key: table.key.map((index) => (table.columns[index] as ColumnShape).name).filter((name) => !isLeftOut(table)(name)),
  });
  return {
    connector: name,
    levelOf: firstMatch(levels, level),
    actionOf: actionOf(compatibility),
    judge: (asked, now, before) => reasonsOf(asked as CompatibilityLevel, rules === 'avro' ? 'avro' : 'json-schema', compared(now), compared(before)),
  };
}

/** Of a version. */
interface Compared {
  readonly schemas: RowSchemas;
  /** Names of the columns. */
  readonly key: readonly string[];
}

function reasonsOf(level: CompatibilityLevel, kind: SchemaKind, now: Compared, before: Compared): readonly string[] {
  return [...new Set([...now.schemas.keys(), ...before.schemas.keys()])].flatMap((name) => {
    const [schema, earlier] = [now.schemas.get(name), before.schemas.get(name)];
    if (schema === undefined) return ['it has no key any more'];
    if (earlier === undefined) return ['it has a key now, and had none'];
    // A reader of Avro may leave out a column; what was one row is several by a key of more columns all the same.
    if (name === 'key' && JSON.stringify(now.key.toSorted()) !== JSON.stringify(before.key.toSorted()))
      return [`the key is (${now.key.join(', ')}), and was (${before.key.join(', ')})`];
    return checkCompatibility(level, kind, schema, [earlier]).map(({ path, message }) => `${name}${path}: ${message.replace(/\.$/, '')}`);
  });
}
