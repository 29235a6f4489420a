import type { ConnectorDefinition } from '../../config/load.ts';
import type { Arguments, Operation } from '../../http/operation.ts';
import { SluiceError } from '../../plugin/error.ts';
import { CONNECTOR_RUNNING, recoverOffset, resetOffset, setOffset, showOffsets } from '../offsets.ts';
import { isAtRest } from './connectors.ts';
import { CONNECTOR, connectorOf, connectorsOf, ONE_OR_ALL, type OperationPorts } from './ports.ts';

const RECOVER_MS = 60_000;

/** Where connectors go on. */
export function offsetOperations(ports: OperationPorts): readonly Operation[] {
  const { store, fleet, runtime, log } = ports;
  const atRest = (given: Arguments): ConnectorDefinition => {
    const { definition, name, state } = connectorOf(ports, given);
    if (!isAtRest(state)) throw new SluiceError(CONNECTOR_RUNNING, { connector: name, state });
    return definition;
  };
  return [
    {
      id: 'offsets/show',
      method: 'GET',
      paths: ['/offsets', '/connectors/:connector/offsets'],
      scope: 'read',
      summary: 'The stored offsets, also of connectors that are not configured any more.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) => {
        const shown = await showOffsets(
          store,
          fleet.connectors.map(({ name }) => name),
        );
        const asked = new Set(connectorsOf(ports, given).map(({ name }) => name));
        return given.given('connector') === undefined ? shown : shown.filter(({ connector }) => asked.has(connector));
      },
    },
    {
      id: 'offsets/set',
      method: 'PUT',
      paths: ['/connectors/:connector/offsets'],
      scope: 'operate',
      summary: 'Move a connector that is paused, or has failed, to another position.',
      arguments: { connector: CONNECTOR, position: { kind: 'string', isRequired: true, about: 'Where to go on, for Postgres an LSN.' } },
      run: async (given) => setOffset(store, atRest(given), given.text('position')),
    },
    {
      id: 'offsets/reset',
      method: 'DELETE',
      paths: ['/connectors/:connector/offsets'],
      scope: 'operate',
      summary: 'Forget the offset, the schema history and what is known of copies: the next start is a first start.',
      arguments: { connector: CONNECTOR },
      run: async (given) => resetOffset(store, atRest(given).name),
    },
    {
      id: 'offsets/recover',
      method: 'POST',
      paths: ['/connectors/:connector/offsets/recover'],
      scope: 'operate',
      summary: 'Find the place to go on in the sink, or in the slot.',
      arguments: { connector: CONNECTOR, from: { kind: 'string', isRequired: true, choices: ['sink', 'slot'], about: 'Where it is looked for.' } },
      run: async (given) => {
        const from = given.text('from') === 'sink' ? 'sink' : 'slot';
        return recoverOffset(store, atRest(given), from, { runtime, log }, AbortSignal.timeout(RECOVER_MS));
      },
    },
  ];
}
