import type { ConnectorDefinition } from '../config/load.ts';
import type { DeadLetterPolicy } from '../dead-letters/dead-letters.ts';

/** What the connector's file says about messages that cannot be delivered. */
export function policyOf({ name, onError, deadLetter }: ConnectorDefinition): DeadLetterPolicy {
  const filled = (text: string): string => text.replaceAll('{connector}', name);
  return {
    onError,
    topic: deadLetter.topic === undefined ? null : filled(deadLetter.topic),
    routes: Object.fromEntries(Object.entries(deadLetter.routes).map(([code, route]) => [code, filled(route)])),
    maxPercent: deadLetter.maxPercent,
    windowMs: deadLetter.window,
  };
}
