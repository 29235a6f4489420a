import type { ConnectorDefinition } from './definition.ts';
import { CONFIG_CHECK } from './errors.ts';
import type { JsonNode } from './json.ts';
import { nodeAt } from './problem.ts';
import { formatSize } from './units.ts';
import type { Validation } from './validate.ts';

const MIB = 2 ** 20;

/** Each connector has one batch between its socket and `read()`, and one that is encoded: a budget for less could never be kept (I9). */
export function checkMemory(
  maxMemory: number | null,
  connectors: readonly ConnectorDefinition[],
  { tree, validation }: { readonly tree: JsonNode; readonly validation: Validation },
): void {
  if (maxMemory === null || connectors.length === 0 || validation.unknown.has('maxMemory')) return;
  const least = connectors.reduce((bytes, { batch }) => bytes + 2 * batch.maxBytes, 0);
  if (maxMemory >= least) return;
  const largest = connectors.reduce((one, other) => (other.batch.maxBytes > one.batch.maxBytes ? other : one));
  const who = connectors.length === 1 ? 'the connector needs' : `the ${connectors.length} connectors need`;
  const statement = `"maxMemory" is ${formatSize(maxMemory)}, and ${who} at least ${formatSize(least)}: two batches each.`;
  const advice = `Write "maxMemory": "${formatSize(Math.ceil(least / MIB) * MIB)}" or more, or lower "batch.maxBytes" (${formatSize(largest.batch.maxBytes)} in "${largest.name}").`;
  validation.problems.add('maxMemory', nodeAt(tree, 'maxMemory'), CONFIG_CHECK, { statement, advice });
}
