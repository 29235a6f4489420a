import type { ConnectorDefinition } from '../../config/load.ts';
import type { Argument, Arguments, Operation } from '../../http/operation.ts';
import { SluiceError } from '../../plugin/error.ts';
import { type ChangeOptions, type ChangePorts, resetOffset, setOffset } from '../offset-changes.ts';
import { exportOffsets, importOffset } from '../offset-documents.ts';
import { CONNECTOR_RUNNING, recoverOffset, showOffsets } from '../offsets.ts';
import { isAtRest } from './connectors.ts';
import { CONNECTOR, connectorOf, connectorsOf, ONE_OR_ALL, type OperationPorts } from './ports.ts';

const RECOVER_MS = 60_000;
const DRY_RUN = {
  kind: 'string',
  choices: ['true', 'false'],
  about: '`true`: say what would come of it, and change nothing.',
} as const satisfies Argument;

function optionsOf(given: Arguments): ChangeOptions {
  return { isDryRun: given.given('dryRun') === 'true' };
}

/** Throws SLUICE_CONNECTOR_RUNNING. */
function atRest(ports: OperationPorts, given: Arguments): ConnectorDefinition {
  const { definition, name, state } = connectorOf(ports, given);
  if (!isAtRest(state)) throw new SluiceError(CONNECTOR_RUNNING, { connector: name, state });
  return definition;
}

function changing(ports: OperationPorts, given: Arguments): ChangePorts {
  return { ...ports, demandAtRest: () => void atRest(ports, given) };
}

/** Where connectors go on. */
export function offsetOperations(ports: OperationPorts): readonly Operation[] {
  const { store, fleet, runtime, log } = ports;
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
      summary: 'Move a connector that is paused, or has failed, to another position. It is checked against what the source still has.',
      arguments: {
        connector: CONNECTOR,
        position: { kind: 'string', isRequired: true, about: 'Where to go on, for Postgres an LSN.' },
        dryRun: DRY_RUN,
      },
      run: async (given) => setOffset(atRest(ports, given), given.text('position'), changing(ports, given), optionsOf(given)),
    },
    {
      id: 'offsets/reset',
      method: 'DELETE',
      paths: ['/connectors/:connector/offsets'],
      scope: 'operate',
      summary: 'Forget the offset, the schema history and what is known of copies: the next start is a first start.',
      arguments: { connector: CONNECTOR, dryRun: DRY_RUN },
      run: async (given) => resetOffset(atRest(ports, given).name, ports, optionsOf(given)),
    },
    ...documentOperations(ports),
    {
      id: 'offsets/recover',
      method: 'POST',
      paths: ['/connectors/:connector/offsets/recover'],
      scope: 'operate',
      summary: 'Find the place to go on in the sink, or in the slot.',
      arguments: { connector: CONNECTOR, from: { kind: 'string', isRequired: true, choices: ['sink', 'slot'], about: 'Where it is looked for.' } },
      run: async (given) => {
        const from = given.text('from') === 'sink' ? 'sink' : 'slot';
        return recoverOffset(store, atRest(ports, given), from, { runtime, log }, AbortSignal.timeout(RECOVER_MS));
      },
    },
  ];
}

function documentOperations(ports: OperationPorts): readonly Operation[] {
  const { store, runtime } = ports;
  return [
    {
      id: 'offsets/export',
      method: 'GET',
      paths: ['/offsets/export', '/connectors/:connector/offsets/export'],
      scope: 'read',
      summary: 'The stored offsets as a document that `import` takes.',
      arguments: { connector: ONE_OR_ALL },
      run: async (given) =>
        exportOffsets(
          store,
          connectorsOf(ports, given).map(({ definition }) => definition),
          runtime.nowMicros(),
        ),
    },
    {
      id: 'offsets/import',
      method: 'POST',
      paths: ['/connectors/:connector/offsets/import'],
      scope: 'operate',
      body: 'document',
      summary: 'Take the offset of a connector that is paused, or has failed, from such a document. It is checked against what the source still has.',
      arguments: { connector: CONNECTOR, document: { kind: 'object', isRequired: true, about: 'What `export` answers.' }, dryRun: DRY_RUN },
      run: async (given) => importOffset(atRest(ports, given), given.object('document'), changing(ports, given), optionsOf(given)),
    },
  ];
}
