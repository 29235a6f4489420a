import { MAPPED_TYPES, parseConstant } from '../mapping/types.ts';
import type { ConfigOf } from '../plugin/field.ts';
import { isPatternError, parseColumnPattern, parsePattern } from '../plugin/patterns.ts';
import type { connectorFields } from './connector-fields.ts';
import { CONFIG_CHECK } from './errors.ts';
import type { ObjectNode } from './json.ts';
import { nodeAt } from './problem.ts';
import type { Validation } from './validate.ts';

const TYPES = Object.keys(MAPPED_TYPES).join(', ');

/** Checks of what a connector's file says of other shapes of its tables. */
export function checkMapping({ mapping }: ConfigOf<typeof connectorFields>, tree: ObjectNode, validation: Validation): void {
  const { rename, cast, defaults, fixed } = mapping;
  const wrong = (path: string, statement: string, advice: string): void =>
    validation.problems.add(`mapping.${path}`, nodeAt(tree, `mapping.${path}`), CONFIG_CHECK, { statement, advice });
  for (const [option, map] of Object.entries({ rename, cast, defaults })) {
    for (const column of Object.keys(map))
      if (parseColumnPattern(column) === null) wrong(option, `"${column}" is no column.`, 'Write schema.table.column, with * for any characters.');
  }
  for (const [column, name] of Object.entries(rename))
    if (name.trim() === '') wrong('rename', `"${column}" gets no name.`, 'Write the name that readers know it by.');
  for (const type of Object.values(cast))
    if (!Object.hasOwn(MAPPED_TYPES, type)) wrong('cast', `"${type}" is none of its types.`, `Possible: ${TYPES}.`);
  for (const [column, constant] of Object.entries(defaults)) {
    if (parseColumnPattern(column)?.name === null) wrong('defaults', `"${column}" names no single column.`, 'Write its name without *.');
    if (parseConstant(constant) === null)
      wrong(
        'defaults',
        `"${column}" has no type and constant that fit.`,
        `Write "type" or "type=constant", with one of the types ${TYPES}; times as 2024-01-31T12:00:00 (with a zone: Z behind).`,
      );
  }
  for (const [table, columns] of Object.entries(fixed)) {
    const parsed = parsePattern(table);
    if (isPatternError(parsed)) wrong('fixed', `${parsed.message}.`, `To mend it: ${parsed.remedy}.`);
    if (namesOf(columns).length === 0) wrong('fixed', `"${table}" has no columns.`, 'Write their names, with commas between.');
  }
  if (
    tree.members.get('mapping')?.value.kind === 'object' &&
    nodeAt(tree, 'mapping.rest') !== nodeAt(tree, 'mapping') &&
    Object.keys(fixed).length === 0
  )
    wrong('rest', '"rest" is the column in which "fixed" gathers others, and there is no "fixed".', 'Add it, or leave "rest" out.');
}

/** Whether any table is something else to readers. */
export function mapsTables({ rename, cast, defaults, fixed }: ConfigOf<typeof connectorFields>['mapping']): boolean {
  return [rename, cast, defaults, fixed].some((map) => Object.keys(map).length > 0);
}

/** Names with commas between. */
export function namesOf(columns: string): readonly string[] {
  return columns
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
