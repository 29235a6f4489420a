import type { ConfigOf } from '../plugin/field.ts';
import { isPatternError, parsePattern } from '../plugin/patterns.ts';
import type { connectorFields } from './connector-fields.ts';
import { CONFIG_CHECK } from './errors.ts';
import type { ObjectNode } from './json.ts';
import { nodeAt } from './problem.ts';
import { parseDuration } from './units.ts';
import type { Validation } from './validate.ts';

type Common = ConfigOf<typeof connectorFields>;

/** Of other objectives, each must be one. */
export function checkFreshness({ freshness }: Common, tree: ObjectNode, validation: Validation): void {
  const wrong = (statement: string, advice: string): void =>
    validation.problems.add('freshness.tables', nodeAt(tree, 'freshness.tables'), CONFIG_CHECK, { statement, advice });
  for (const [pattern, text] of Object.entries(freshness?.tables ?? {})) {
    const parsed = parsePattern(pattern);
    if (isPatternError(parsed)) wrong(`${parsed.message}.`, `To mend it: ${parsed.remedy}.`);
    const duration = parseDuration(text);
    if (!duration.ok || duration.value < 10) wrong(`"${text}" is no objective.`, 'Write a duration with its unit, 10ms at the least: "30s".');
  }
}
