import type { ConnectorDefinition } from '../config/load.ts';
import { isDeadLetterRoute } from '../dead-letters/dead-letters.ts';
import { policyOf } from './dead-letter-policy.ts';

/** Topics or subjects beside those of the tables: of dead letters, and what the format says of transactions and of itself. */
export function extraDestinations(definition: ConnectorDefinition): readonly string[] {
  const { name, format } = definition;
  return [...new Set([...deadLetterDestinations(definition), ...(format.plugin.destinations?.(format.config, name) ?? [])])];
}

function deadLetterDestinations(definition: ConnectorDefinition): readonly string[] {
  if (definition.onError === 'stop') return [];
  const { topic, routes } = policyOf(definition);
  return [topic, ...Object.values(routes)].filter((name): name is string => name !== null && name !== 'file' && isDeadLetterRoute(name));
}
