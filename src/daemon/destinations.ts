import type { ConnectorDefinition } from '../config/load.ts';
import { isDeadLetterRoute } from '../dead-letters/dead-letters.ts';
import { policyOf } from './dead-letter-policy.ts';

/** Topics or subjects beside those of the tables: of dead letters, of schema changes, and what the format says of transactions and of itself. */
export function extraDestinations(definition: ConnectorDefinition): readonly string[] {
  const { name, format } = definition;
  const told = [schemaChangesDestination(definition), definitionsDestination(definition)];
  return [
    ...new Set([
      ...deadLetterDestinations(definition),
      ...(format.plugin.destinations?.(format.config, name) ?? []),
      ...told.filter((destination) => destination !== null),
    ]),
  ];
}

/** Where changes of a table's shape are announced; null: nowhere. */
export function schemaChangesDestination({ name, schemaChanges }: ConnectorDefinition): string | null {
  return schemaChanges.topic?.replaceAll('{connector}', name) ?? null;
}

/** Where statements that change the definition of tables are told; null: nowhere, or the source tells none. */
export function definitionsDestination({ name, source, format }: ConnectorDefinition): string | null {
  return source.plugin.hasDefinitions === true ? (format.plugin.definitions?.(format.config, name) ?? null) : null;
}

function deadLetterDestinations(definition: ConnectorDefinition): readonly string[] {
  if (definition.onError === 'stop') return [];
  const { topic, routes } = policyOf(definition);
  return [topic, ...Object.values(routes)].filter((name): name is string => name !== null && name !== 'file' && isDeadLetterRoute(name));
}
