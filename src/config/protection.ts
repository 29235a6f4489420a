/** Checks of `protect`: a bound that nothing is compared with would be read and ignored. */
import type { SourcePlugin } from '../plugin/source.ts';
import { CONFIG_CHECK } from './errors.ts';
import type { ObjectNode } from './json.ts';
import { nodeAt } from './problem.ts';
import type { Validation } from './validate.ts';

export function checkProtection({ type, protection }: SourcePlugin, tree: ObjectNode, validation: Validation): void {
  const given = tree.members.get('protect')?.value;
  if (given?.kind !== 'object') return;
  const wrong = (path: string, statement: string, advice: string): void =>
    validation.problems.add(path, nodeAt(tree, path), CONFIG_CHECK, { statement, advice });
  const known: readonly string[] = protection?.figures ?? [];
  if (given.members.has('stop') && given.members.has('dropSlot')) {
    wrong(
      'protect.dropSlot',
      'Once "protect.stop" has stopped the connector nothing is looked at any more: the slot would never be dropped.',
      'Leave "stop" out, or "dropSlot".',
    );
  }
  for (const [action, { value: bounds }] of given.members) {
    if (bounds.kind !== 'object') continue;
    const path = `protect.${action}`;
    if (action === 'dropSlot' && protection?.givesUp !== true) {
      wrong(path, `The server of a source of type "${type}" keeps nothing for the connector that could be dropped.`, 'Leave it out.');
      continue;
    }
    for (const figure of bounds.members.keys()) {
      if (!known.includes(figure))
        wrong(`${path}.${figure}`, `A source of type "${type}" does not tell "${figure}".`, `Possible: ${known.join(', ') || 'none'}.`);
    }
    if (bounds.members.size === 0 && (action === 'stop' || action === 'dropSlot'))
      wrong(path, `"${path}" has no bound.`, `Add one of ${known.join(', ')}, or leave it out.`);
  }
}
