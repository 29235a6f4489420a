import type { Argument, Operation } from '../../http/operation.ts';
import { CONNECTOR, connectorOf, connectorsOf, ONE_OR_ALL, type OperationPorts } from './ports.ts';

const TABLES = { kind: 'strings', about: 'Tables, or patterns of them; left out: all that are being copied.' } as const satisfies Argument;

/** Copies of tables. */
export function snapshotOperations(ports: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'snapshot/status',
      method: 'GET',
      paths: ['/snapshots', '/connectors/:connector/snapshots'],
      scope: 'read',
      summary: 'How far copies of tables are.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) => (await Promise.all(connectorsOf(ports, given).map((connector) => connector.copies()))).flat(),
    },
    {
      id: 'snapshot/start',
      method: 'POST',
      paths: ['/connectors/:connector/snapshots'],
      scope: 'operate',
      summary: 'Copy tables beside the log.',
      arguments: {
        connector: CONNECTOR,
        tables: { kind: 'strings', isRequired: true, about: 'Tables, or patterns of them.' },
        where: { kind: 'string', about: 'Only the rows for which this SQL condition holds.' },
        surrogateKey: { kind: 'string', about: 'A column of unique values to go by, where there is no key.' },
      },
      run: async (given) => {
        const [where, surrogateKey] = [given.given('where') ?? null, given.given('surrogateKey') ?? null];
        return connectorOf(ports, given).snapshots.start(given.list('tables').map((table) => ({ table, where, surrogateKey })));
      },
    },
    ...(['pause', 'resume', 'stop'] as const).map(
      (verb): Operation => ({
        id: `snapshot/${verb}`,
        method: 'PUT',
        paths: [`/connectors/:connector/snapshots/${verb}`],
        scope: 'operate',
        summary: `${verb[0]?.toUpperCase()}${verb.slice(1)} copies that are under way.`,
        arguments: { connector: CONNECTOR, tables: TABLES },
        run: async (given) => connectorOf(ports, given).snapshots[verb](given.list('tables')),
      }),
    ),
  ];
}
