/** Checks of what a connector's file says about messages that do not go to the sink. Options that would be read and ignored are errors. */
import type { ConfigOf } from '../plugin/field.ts';
import { isPatternError, parseColumnPattern, parsePattern } from '../plugin/patterns.ts';
import type { SinkPlugin } from '../plugin/sink.ts';
import { ACTIONS, type connectorFields, LEVELS } from './connector-fields.ts';
import { CONFIG_CHECK } from './errors.ts';
import type { ObjectNode } from './json.ts';
import { nodeAt } from './problem.ts';
import type { Validation } from './validate.ts';

type Common = ConfigOf<typeof connectorFields>;

/** Whether shapes are judged at all. */
export function judgesShapes({ level, levels }: Common['compatibility']): boolean {
  return level !== 'none' || Object.values(levels).some((each) => each !== 'none');
}

/** What may happen to rows of a shape that is not allowed; empty: all are. */
export function actionsOf(compatibility: Common['compatibility']): readonly string[] {
  return judgesShapes(compatibility) ? [compatibility.action, ...Object.values(compatibility.actions)] : [];
}

export function checkDeadLetters({ onError, deadLetter, compatibility }: Common, sink: SinkPlugin, tree: ObjectNode, validation: Validation): void {
  const { problems } = validation;
  const known = (sink.undeliverable ?? []).map(({ code }) => code);
  const wrong = (path: string, statement: string, advice: string): void =>
    problems.add(path, nodeAt(tree, path), CONFIG_CHECK, { statement, advice });
  const given = tree.members.get('deadLetter')?.value;
  const actions = actionsOf(compatibility);
  const shapesDie = actions.includes('deadLetter');
  if (onError === 'stop' && !shapesDie && given?.kind === 'object' && given.members.size > 0)
    wrong(
      'deadLetter',
      '"deadLetter" says where messages go, and "onError" says that there are none.',
      'Add "onError": "deadLetter", or leave it out.',
    );
  if (onError !== 'stop' && known.length === 0)
    wrong('onError', `The sink "${sink.type}" takes every message: there is nothing to be done with others.`, 'Leave "onError" out.');
  if (
    onError === 'stopTable' &&
    !shapesDie &&
    given?.kind === 'object' &&
    given.members.size > 0 &&
    Object.values(deadLetter.routes).every((route) => route === 'stop' || route === 'stopTable')
  )
    wrong('deadLetter', '"onError": "stopTable" makes no dead letters, unless "routes" sends some errors there.', 'Leave it out, or add "routes".');
  const stopsTables =
    actions.includes('stopTable') || onError === 'stopTable' || (onError === 'deadLetter' && Object.values(deadLetter.routes).includes('stopTable'));
  const spool = tree.members.get('spool')?.value;
  if (!stopsTables && spool?.kind === 'object' && spool.members.size > 0)
    wrong(
      'spool',
      '"spool" is for stopped tables, and neither "onError" nor "compatibility" stops any.',
      'Add "onError": "stopTable", or leave it out.',
    );
  for (const code of Object.keys(deadLetter.routes)) {
    if (known.length > 0 && !known.includes(code))
      wrong(
        `deadLetter.routes.${code}`,
        `${code} is no error with which the sink "${sink.type}" refuses a message.`,
        `Possible: ${known.join(', ')}.`,
      );
  }
}

/** `hasRegistry`: schemas may be refused elsewhere too. */
export function checkCompatibility({ compatibility }: Common, hasRegistry: boolean, tree: ObjectNode, validation: Validation): void {
  const { levels, actions, deprecated } = compatibility;
  const wrong = (path: string, statement: string, advice: string): void =>
    validation.problems.add(`compatibility.${path}`, nodeAt(tree, `compatibility.${path}`), CONFIG_CHECK, { statement, advice });
  const checkMap = (option: string, map: Readonly<Record<string, string>>, choices: readonly string[]): void => {
    for (const [pattern, choice] of Object.entries(map)) {
      const parsed = parsePattern(pattern);
      if (isPatternError(parsed)) wrong(option, `${parsed.message}.`, `To mend it: ${parsed.remedy}.`);
      if (!choices.includes(choice)) wrong(option, `"${choice}" is none of its values.`, `Possible: ${choices.join(', ')}.`);
    }
  };
  checkMap('levels', levels, LEVELS);
  checkMap('actions', actions, ACTIONS);
  for (const column of deprecated)
    if (parseColumnPattern(column) === null)
      wrong('deprecated', `"${column}" is no column.`, 'Write schema.table.column, with * for any characters.');
  const given = tree.members.get('compatibility')?.value;
  if (
    !judgesShapes(compatibility) &&
    given?.kind === 'object' &&
    [...given.members.keys()].some((name) => name !== 'level' && !(hasRegistry && name.startsWith('action')))
  )
    wrong('level', '"compatibility" allows every change.', 'Add "level" or "levels", or leave the section out.');
}
