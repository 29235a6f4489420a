import type { Argument, Operation } from '../../http/operation.ts';
import { schemaSummaries, schemaVersions } from '../schemas.ts';
import { CONNECTOR, connectorOf, connectorsOf, ONE_OR_ALL, type OperationPorts } from './ports.ts';

const TABLE = { kind: 'string', isRequired: true, about: 'The table, such as `public.orders`.' } as const satisfies Argument;

/** The schema history. */
export function schemaOperations(ports: OperationPorts): readonly Operation[] {
  const { store } = ports;
  return [
    {
      id: 'schema/list',
      method: 'GET',
      paths: ['/schemas', '/connectors/:connector/schemas'],
      scope: 'read',
      summary: 'Tables of the schema history, with their newest versions.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) => (await Promise.all(connectorsOf(ports, given).map(({ name }) => schemaSummaries(store, name)))).flat(),
    },
    {
      id: 'schema/versions',
      method: 'GET',
      paths: ['/connectors/:connector/schemas/:table'],
      scope: 'read',
      summary: 'All versions of a table.',
      arguments: { connector: CONNECTOR, table: TABLE },
      run: async (given) => schemaVersions(store, connectorOf(ports, given).name, given.text('table')),
    },
    {
      id: 'schema/accept',
      method: 'POST',
      paths: ['/connectors/:connector/schemas/:table/accept'],
      scope: 'operate',
      summary: 'Let all known versions of a table through, whatever the compatibility policy says of them.',
      arguments: { connector: CONNECTOR, table: TABLE },
      run: (given) => connectorOf(ports, given).acceptVersions(given.text('table')),
    },
  ];
}
