import type { Operation } from '../../http/operation.ts';
import { viewStored } from '../stored-view.ts';
import type { OperationPorts } from './ports.ts';

/** What `sluice doctor` asks a daemon for. It is no resource of the HTTP API: it answers to this command alone. */
export function doctorOperations({ store, fleet }: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'doctor/state',
      method: 'GET',
      paths: [],
      scope: 'read',
      summary: 'What is stored of connectors, and how they are.',
      arguments: { connectors: { kind: 'strings', about: 'Their names.' } },
      run: async (given) =>
        viewStored(
          store,
          given.list('connectors'),
          fleet.connectors.map((connector) => connector.status()),
        ),
    },
  ];
}
