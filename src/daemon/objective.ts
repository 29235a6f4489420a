import type { ConnectorDefinition } from '../config/load.ts';
import { parseDuration } from '../config/units.ts';
import type { Objective } from '../telemetry/freshness.ts';
import { firstMatch } from './policy-choice.ts';

/** What `freshness` says of single tables. */
export function objectiveOf({ objective, share, tables }: NonNullable<ConnectorDefinition['freshness']>): Objective {
  const other = firstMatch(tables, '');
  return {
    share: Number(share.slice(0, -1)) / 100,
    objectiveMs: (table) => {
      const parsed = parseDuration(other(table));
      return parsed.ok ? parsed.value : objective;
    },
  };
}
