import type { Operation } from '../../http/operation.ts';
import { isFinal } from '../lifecycle.ts';
import { CONNECTOR, connectorOf, type OperationPorts } from './ports.ts';

/** Connectors as wholes. */
export function connectorOperations(ports: OperationPorts): readonly Operation[] {
  const { fleet, patienceMs } = ports;
  return [
    {
      id: 'connectors/list',
      method: 'GET',
      paths: ['/connectors'],
      scope: 'read',
      summary: 'State, lag and last trouble of all connectors.',
      arguments: {},
      run: async () => fleet.connectors.map((connector) => connector.status()),
    },
    {
      id: 'connectors/status',
      method: 'GET',
      paths: ['/connectors/:connector/status'],
      scope: 'read',
      summary: 'State, lag and last trouble of a connector.',
      arguments: { connector: CONNECTOR },
      run: async (given) => connectorOf(ports, given).status(),
    },
    {
      id: 'connectors/pause',
      method: 'PUT',
      paths: ['/connectors/:connector/pause'],
      scope: 'operate',
      summary: 'Read nothing more until it is resumed, over restarts of the daemon too. What is in flight is finished first.',
      arguments: { connector: CONNECTOR },
      run: (given) => connectorOf(ports, given).pause(patienceMs),
    },
    {
      id: 'connectors/resume',
      method: 'PUT',
      paths: ['/connectors/:connector/resume'],
      scope: 'operate',
      summary: 'Go on where it was paused.',
      arguments: { connector: CONNECTOR },
      run: (given) => connectorOf(ports, given).resume(),
    },
    {
      id: 'connectors/restart',
      method: 'POST',
      paths: ['/connectors/:connector/restart'],
      scope: 'operate',
      summary: 'Begin anew from the saved offset, at once; a connector that has failed too.',
      arguments: { connector: CONNECTOR },
      run: async (given) => connectorOf(ports, given).restart(patienceMs),
    },
  ];
}

/** Nothing of it reads or writes: its offset may be changed. */
export function isAtRest(state: Parameters<typeof isFinal>[0]): boolean {
  return isFinal(state) || state === 'paused';
}
