import type { ConnectorDefinition } from '../config/load.ts';
import { actionsOf } from '../config/undelivered.ts';
import { type DeadLetterPolicy, isDeadLetterRoute } from '../dead-letters/dead-letters.ts';
import { SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';

type Config = Pick<ConnectorDefinition, 'name' | 'onError' | 'deadLetter' | 'compatibility'>;

/** What the connector's file says about messages that cannot be delivered. */
export function policyOf({ name, onError, deadLetter, compatibility }: Config): DeadLetterPolicy {
  const filled = (text: string): string => text.replaceAll('{connector}', name);
  const topic = deadLetter.topic === undefined ? null : filled(deadLetter.topic);
  return {
    onError,
    topic,
    routes: Object.fromEntries(Object.entries(deadLetter.routes).map(([code, route]) => [code, filled(route)])),
    always: actionsOf(compatibility).includes('deadLetter') ? { [SCHEMA_INCOMPATIBLE.code]: topic ?? 'file' } : {},
    maxPercent: deadLetter.maxPercent,
    windowMs: deadLetter.window,
  };
}

/** Whether there can be dead letters at all. */
export function makesLetters(config: Config): boolean {
  const { onError, routes, always } = policyOf(config);
  return onError === 'deadLetter' || Object.keys(always).length > 0 || (onError === 'stopTable' && Object.values(routes).some(isDeadLetterRoute));
}
