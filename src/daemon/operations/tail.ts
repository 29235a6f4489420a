import type { Operation } from '../../http/operation.ts';
import { SluiceError } from '../../plugin/error.ts';
import { TAIL_FILTER } from '../../tail/errors.ts';
import { OPERATIONS, STAGES } from '../../tail/filter.ts';
import { CONNECTOR, connectorOf, type OperationPorts } from './ports.ts';

/** Rows themselves: for the user of the process alone, who owns the control socket, and never over HTTP (I12). */
export function tailOperations(ports: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'tail',
      method: 'GET',
      paths: [],
      scope: 'operate',
      summary: 'Changes as they pass, as lines of JSON.',
      arguments: {
        connector: CONNECTOR,
        stages: { kind: 'strings', choices: STAGES, isRequired: true, about: 'Behind which steps.' },
        tables: { kind: 'strings', about: 'Patterns of tables; left out: all.' },
        operations: { kind: 'strings', choices: OPERATIONS, about: 'Left out: all.' },
        where: { kind: 'strings', about: '`column=text`: only changes of rows that have it.' },
        limit: { kind: 'string', about: 'How many; left out: no end.' },
      },
      run: async (given) => {
        const point = ports.tails.of(connectorOf(ports, given).name);
        const wish = { stages: given.list('stages'), tables: given.list('tables'), operations: given.list('operations'), where: given.list('where') };
        return point.watch(wish, limitOf(given.given('limit')));
      },
    },
  ];
}

function limitOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new SluiceError(TAIL_FILTER, { reason: `"${text}" is no number of changes`, remedy: 'Write a number from 1 on' });
}
