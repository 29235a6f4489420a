import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Connector } from './connector.ts';
import type { ControlHandlers } from './control-socket.ts';
import { isFinal } from './lifecycle.ts';
import { CONNECTOR_RUNNING, findConnector, recoverOffset, resetOffset, setOffset, showOffsets } from './offsets.ts';
import { schemaSummaries, schemaVersions } from './schemas.ts';
import { viewStored } from './stored-view.ts';

interface ControlPorts {
  readonly store: StateStore;
  readonly definitions: readonly ConnectorDefinition[];
  readonly connectors: readonly Connector[];
  readonly runtime: Runtime;
  readonly log: Logger;
}

/** What the command line asks of a running daemon, over the control socket. */
export function controlRoutes(ports: ControlPorts): ControlHandlers {
  const { store, definitions, connectors, runtime, log } = ports;
  const stopped = (body: unknown): { definition: ConnectorDefinition; body: Readonly<Record<string, unknown>> } => {
    const request = body as Readonly<Record<string, unknown>>;
    const definition = findConnector(definitions, request['connector'] as string | undefined);
    const state = connectors.find(({ name }) => name === definition.name)?.state ?? 'stopped';
    if (!isFinal(state)) throw new SluiceError(CONNECTOR_RUNNING, { connector: definition.name, state });
    return { definition, body: request };
  };
  const running = (body: unknown): Connector => {
    const { name } = findConnector(definitions, (body as { connector?: string }).connector);
    return connectors.find((connector) => connector.name === name) as Connector;
  };
  const id = (body: unknown): string | undefined => (body as { id?: string }).id;
  const tables = (body: unknown): readonly string[] => ((body as { tables?: unknown[] }).tables ?? []).map(String);
  const table = (body: unknown): string => String((body as { table?: unknown }).table);
  return {
    'POST /dlq/list': async (body) => {
      const asked = (body as { connector?: string }).connector === undefined ? connectors : [running(body)];
      return (await Promise.all(asked.map((connector) => connector.deadLetters()))).flat();
    },
    'POST /dlq/replay': (body) => running(body).replayDeadLetters(id(body)),
    'POST /dlq/discard': (body) => running(body).discardDeadLetters(id(body)),
    'POST /tables/list': async (body) => {
      const asked = (body as { connector?: string }).connector === undefined ? connectors : [running(body)];
      return (await Promise.all(asked.map((connector) => connector.stoppedTables()))).flat();
    },
    'POST /tables/resume': (body) => running(body).resumeTable(table(body)),
    'POST /tables/discard': (body) => running(body).discardTable(table(body)),
    'POST /snapshot/status': async (body) => {
      const asked = (body as { connector?: string }).connector === undefined ? connectors : [running(body)];
      return (await Promise.all(asked.map((connector) => connector.copies()))).flat();
    },
    'POST /snapshot/start': async (body) => {
      const { where = null, surrogateKey = null } = body as { where?: string; surrogateKey?: string };
      return running(body).snapshots.start(tables(body).map((name) => ({ table: name, where, surrogateKey })));
    },
    'POST /snapshot/pause': async (body) => running(body).snapshots.pause(tables(body)),
    'POST /snapshot/resume': async (body) => running(body).snapshots.resume(tables(body)),
    'POST /snapshot/stop': async (body) => running(body).snapshots.stop(tables(body)),
    'POST /schema/list': async (body) => {
      const { connector } = body as { connector?: string };
      const asked = connector === undefined ? definitions : [findConnector(definitions, connector)];
      return (await Promise.all(asked.map(({ name }) => schemaSummaries(store, name)))).flat();
    },
    'POST /schema/versions': async (body) =>
      schemaVersions(store, findConnector(definitions, (body as { connector?: string }).connector).name, table(body)),
    'POST /schema/accept': (body) => running(body).acceptVersions(table(body)),
    'POST /doctor/state': (body) =>
      viewStored(
        store,
        ((body as { connectors?: unknown[] }).connectors ?? []).map(String),
        connectors.map((connector) => connector.status()),
      ),
    'GET /offsets': () =>
      showOffsets(
        store,
        definitions.map(({ name }) => name),
      ),
    'POST /offsets/set': async (request) => {
      const { definition, body } = stopped(request);
      return setOffset(store, definition, String(body['position']));
    },
    'POST /offsets/reset': async (request) => resetOffset(store, stopped(request).definition.name),
    'POST /offsets/recover': async (request) => {
      const { definition, body } = stopped(request);
      return recoverOffset(store, definition, body['from'] === 'sink' ? 'sink' : 'slot', { runtime, log }, AbortSignal.timeout(60_000));
    },
  };
}
