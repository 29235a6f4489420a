/** What a connector's file says of single tables, by pattern. */
import type { ConnectorDefinition } from '../config/load.ts';
import { parsePatterns } from '../plugin/patterns.ts';
import type { TableIdentity, TableVersion } from '../record/table.ts';
import type { PolicyAction } from '../schema-policy/policy.ts';

/** What happens to rows of a shape that is not allowed. */
export function actionOf({ action, actions }: ConnectorDefinition['compatibility']): (table: TableVersion) => PolicyAction {
  return firstMatch(actions, action) as (table: TableVersion) => PolicyAction;
}

/** Of the first pattern that matches a table. */
export function firstMatch(map: Readonly<Record<string, string>>, otherwise: string): (table: TableIdentity) => string {
  const patterns = parsePatterns(Object.keys(map));
  return (table) => {
    const found = patterns.find((pattern) => pattern.matches(schemaOf(table), table.name));
    return found === undefined ? otherwise : (map[found.text] as string);
  };
}

/** As patterns have it. */
export function schemaOf({ schema, catalog }: TableIdentity): string {
  return schema === '' ? catalog : schema;
}
