import type { Argument, Operation } from '../../http/operation.ts';
import { letterView } from '../dead-letters.ts';
import { CONNECTOR, connectorOf, connectorsOf, ONE_OR_ALL, type OperationPorts } from './ports.ts';

const TABLE = { kind: 'string', isRequired: true, about: 'The table, such as `public.orders`.' } as const satisfies Argument;
const ID = { kind: 'string', about: 'One of them; left out: all.' } as const satisfies Argument;

/** What did not go to the sink: dead letters, and tables that are stopped. */
export function undeliveredOperations(ports: OperationPorts): readonly Operation[] {
  return [...letterOperations(ports), ...tableOperations(ports)];
}

function letterOperations(ports: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'dlq/list',
      method: 'GET',
      paths: ['/dead-letters', '/connectors/:connector/dead-letters'],
      scope: 'read',
      summary: 'Dead letters, without their content.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) => (await Promise.all(connectorsOf(ports, given).map((connector) => connector.deadLetters()))).flat(),
    },
    {
      id: 'dlq/show',
      method: 'GET',
      paths: ['/connectors/:connector/dead-letters/:id'],
      scope: 'read',
      summary:
        'A dead letter: where it was to go and why it did not. Its content holds rows: `sluice dlq show` reads it from the file, and no answer of the API has it.',
      arguments: { connector: CONNECTOR, id: { ...ID, isRequired: true, about: 'Its id, percent-encoded in the path.' } },
      run: async (given) => {
        const connector = connectorOf(ports, given);
        return letterView(connector.name, await connector.deadLetters(), given.text('id'));
      },
    },
    {
      id: 'dlq/replay',
      method: 'POST',
      paths: ['/connectors/:connector/dead-letters/replay', '/connectors/:connector/dead-letters/:id/replay'],
      scope: 'operate',
      summary: 'Send dead letters again.',
      arguments: { connector: CONNECTOR, id: ID },
      run: (given) => connectorOf(ports, given).replayDeadLetters(given.given('id')),
    },
    {
      id: 'dlq/discard',
      method: 'DELETE',
      paths: ['/connectors/:connector/dead-letters', '/connectors/:connector/dead-letters/:id'],
      scope: 'operate',
      summary: 'Let dead letters go: they are never sent.',
      arguments: { connector: CONNECTOR, id: ID },
      run: (given) => connectorOf(ports, given).discardDeadLetters(given.given('id')),
    },
  ];
}

function tableOperations(ports: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'tables/list',
      method: 'GET',
      paths: ['/stopped-tables', '/connectors/:connector/stopped-tables'],
      scope: 'read',
      summary: 'Tables that are stopped while the others go on.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) => (await Promise.all(connectorsOf(ports, given).map((connector) => connector.stoppedTables()))).flat(),
    },
    {
      id: 'tables/resume',
      method: 'POST',
      paths: ['/connectors/:connector/stopped-tables/:table/resume'],
      scope: 'operate',
      summary: 'Send what was kept of a table, then let it take the direct way again.',
      arguments: { connector: CONNECTOR, table: TABLE },
      run: (given) => connectorOf(ports, given).resumeTable(given.text('table')),
    },
    {
      id: 'tables/discard',
      method: 'DELETE',
      paths: ['/connectors/:connector/stopped-tables/:table'],
      scope: 'operate',
      summary: 'Let go what was kept of a table: it is never sent.',
      arguments: { connector: CONNECTOR, table: TABLE },
      run: (given) => connectorOf(ports, given).discardTable(given.text('table')),
    },
  ];
}
