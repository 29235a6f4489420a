import type { Argument, Operation } from '../../http/operation.ts';
import { isFinal } from '../lifecycle.ts';
import { CONNECTOR, connectorOf, type OperationPorts } from './ports.ts';

/** Connectors as wholes. */
export function connectorOperations(ports: OperationPorts): readonly Operation[] {
  const { fleet, stored, patienceMs } = ports;
  return [
    ...fileOperations(ports),
    {
      id: 'connectors/list',
      method: 'GET',
      paths: ['/connectors'],
      scope: 'read',
      summary: 'State, lag and last trouble of all connectors.',
      arguments: {},
      run: async () => fleet.connectors.map((connector) => stored.statusOf(connector)),
    },
    {
      id: 'connectors/status',
      method: 'GET',
      paths: ['/connectors/:connector/status'],
      scope: 'read',
      summary: 'State, lag and last trouble of a connector.',
      arguments: { connector: CONNECTOR },
      run: async (given) => stored.statusOf(connectorOf(ports, given)),
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

const NAMED = { kind: 'string', isRequired: true, about: 'Name of the connector.' } as const satisfies Argument;
const CONFIG = {
  kind: 'object',
  isRequired: true,
  about: 'What a connector file holds (`docs/configuration.md`), without `name`.',
} as const satisfies Argument;

/** Connectors that are created and removed while the daemon runs. */
function fileOperations({ stored }: OperationPorts): readonly Operation[] {
  return [
    {
      id: 'connectors/create',
      method: 'POST',
      paths: ['/connectors'],
      scope: 'operate',
      summary: 'Create a connector: it is stored in the data directory, and runs from now on, over restarts of the daemon too.',
      arguments: { name: NAMED, config: CONFIG },
      creates: true,
      run: (given) => stored.create(given.text('name'), given.object('config')),
    },
    {
      id: 'connectors/show',
      method: 'GET',
      paths: ['/connectors/:connector'],
      scope: 'read',
      summary: 'A connector: its file, its configuration without secrets, its status, and what is wrong with it.',
      arguments: { connector: NAMED },
      run: (given) => stored.view(given.text('connector')),
    },
    {
      id: 'connectors/config',
      method: 'GET',
      paths: ['/connectors/:connector/config'],
      scope: 'read',
      summary: 'The configuration of a connector. Secrets are `***`; references stand as they are written.',
      arguments: { connector: NAMED },
      run: async (given) => (await stored.view(given.text('connector'))).config,
    },
    {
      id: 'connectors/configure',
      method: 'PUT',
      paths: ['/connectors/:connector/config'],
      scope: 'operate',
      summary: 'Change a connector that was created through the API or a command, or create it. It goes on where it was.',
      arguments: { connector: NAMED, config: CONFIG },
      body: 'config',
      run: (given) => stored.configure(given.text('connector'), given.object('config')),
    },
    {
      id: 'connectors/validate',
      method: 'PUT',
      paths: ['/connectors/:connector/config/validate'],
      scope: 'operate',
      summary: 'Check a configuration as creating or changing would, and change nothing. No server is asked.',
      arguments: { connector: NAMED, config: CONFIG },
      body: 'config',
      run: (given) => stored.validate(given.text('connector'), given.object('config')),
    },
    {
      id: 'connectors/delete',
      method: 'DELETE',
      paths: ['/connectors/:connector'],
      scope: 'operate',
      summary: 'End a connector that was created through the API or a command, and remove it. The answer says what stays, on the server too.',
      arguments: {
        connector: NAMED,
        offsets: { kind: 'string', choices: ['keep', 'forget'], about: 'What becomes of the place where it was; left out: it is kept.' },
      },
      run: (given) => stored.remove(given.text('connector'), given.given('offsets') === 'forget' ? 'forget' : 'keep'),
    },
  ];
}

/** Nothing of it reads or writes: its offset may be changed. */
export function isAtRest(state: Parameters<typeof isFinal>[0]): boolean {
  return isFinal(state) || state === 'paused';
}
