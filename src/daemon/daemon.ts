import type { AddressInfo, Server } from 'node:net';
import type { Configuration } from '../config/load.ts';
import type { Redaction } from '../config/redact.ts';
import type { HttpListener } from '../http/listener.ts';
import { readArguments } from '../http/operation.ts';
import { MemoryBudget } from '../pipeline/memory.ts';
import type { Logger } from '../plugin/context.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { CopyView } from '../snapshot/view.ts';
import { openLevel } from '../state/level.ts';
import type { StateStore } from '../state/state-store.ts';
import { TailPoints } from '../tail/tail.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { startControlSocket } from './control-socket.ts';
import { Fleet } from './fleet.ts';
import { startHealthServer } from './health-server.ts';
import { LiveConfiguration, type ReadConfiguration } from './live-configuration.ts';
import { openHttp } from './open-http.ts';
import { openState } from './open-state.ts';
import { daemonOperations } from './operations/index.ts';
import type { OperationPorts } from './operations/ports.ts';
import { listenForShutdown, type Shutdown } from './signals.ts';
import { type ConnectorReader, StoredConnectors } from './stored-connectors.ts';

export interface DaemonOptions {
  readonly configuration: Configuration;
  /** The files that it was read from, and how it is read again. */
  readonly watched: { readonly first: Pick<ReadConfiguration, 'haveChanged'>; readonly read: () => Promise<ReadConfiguration> };
  readonly reader: ConnectorReader;
  readonly runtime: Runtime;
  readonly log: Logger & { child(bindings: Readonly<Record<string, string>>): Logger };
  /** Go to the log's end as it stands, then end. */
  readonly once: boolean;
  /** What hides secrets in the log and in answers (I12). */
  readonly redaction: Redaction;
  /** Shows people how far copies are, for as long as connectors run; returns what ends it. */
  readonly show?: (copies: () => readonly CopyView[]) => () => void;
}

/** Opens the state and runs every connector until all have stopped for good. Returns the process's exit code. Throws a SluiceError if it cannot start. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { runtime, log } = options;
  const { dataDir, shutdown: limits } = options.configuration.daemon;
  const shutdown = listenForShutdown(runtime, log, limits.timeout);
  try {
    const store = await openState({ directory: dataDir, runtime, openEngine: openLevel }, log, shutdown.drain);
    return store === null ? 0 : await runConnectors(options, store, shutdown);
  } finally {
    shutdown.close();
  }
}

async function runConnectors(options: DaemonOptions, store: StateStore, shutdown: Shutdown): Promise<number> {
  const { runtime, log, once, show, configuration } = options;
  const { dataDir, maxMemory } = configuration.daemon;
  const closers: (() => Promise<void>)[] = [];
  try {
    const metrics = new Metrics(() => runtime.monotonicMs());
    metrics.memory(maxMemory);
    const memory = new MemoryBudget(maxMemory);
    const tails = new TailPoints();
    const fleet = new Fleet({ tails, store, runtime, metrics, memory, shutdown, log, once, dataDir, showsCopies: show !== undefined });
    const copies = (): readonly CopyView[] => fleet.connectors.flatMap((connector) => connector.copiesUnderWay());
    metrics.copies(copies);
    const hide = show?.(copies);
    if (hide !== undefined) closers.push(async () => hide());
    const live = liveConfiguration(options, fleet);
    const stored = new StoredConnectors({ dataDir, runtime, store, fleet, reader: options.reader, configuration, live });
    closers.push(await openListeners(options, store, metrics, { fleet, stored, tails }));
    await fleet.start(configuration.connectors);
    if (live !== null) closers.push(follow(live, options.watched.first));
    await fleet.ended();
    const { exit } = fleet;
    if (exit !== 0) log.info(`No connector is left that runs: the daemon ends, with exit code ${exit}.`);
    return exit;
  } finally {
    for (const close of closers) await close();
    await store.close();
  }
}

function liveConfiguration({ configuration, watched, runtime, log, redaction, once }: DaemonOptions, fleet: Fleet): LiveConfiguration | null {
  if (once) return null;
  return new LiveConfiguration({ fleet, runtime, log, read: watched.read, configuration, hide: (secrets) => redaction.hide(secrets) });
}

/** Returns what ends it. */
function follow(live: LiveConfiguration, first: Pick<ReadConfiguration, 'haveChanged'>): () => Promise<void> {
  const ending = new AbortController();
  const following = live.follow(first, ending.signal);
  return async () => {
    ending.abort();
    await following;
  };
}

/** The control socket, the health listener, and the HTTP API if it is asked for. Returns what closes them. */
async function openListeners(
  { configuration, runtime, log, redaction }: DaemonOptions,
  store: StateStore,
  metrics: Metrics,
  { fleet, stored, tails }: Pick<OperationPorts, 'fleet' | 'stored' | 'tails'>,
): Promise<() => Promise<void>> {
  const config = configuration.daemon;
  const redact = (text: string): string => redaction.redact(text);
  const operations = daemonOperations({ store, fleet, stored, tails, runtime, log, patienceMs: config.shutdown.timeout });
  const handlers = operations.map((operation) => [operation.id, (body: unknown) => operation.run(readArguments(operation, body))] as const);
  const control = await startControlSocket({ directory: config.dataDir, handlers: Object.fromEntries(handlers) });
  let server: Server;
  try {
    server = await startHealthServer({ ...config.health, metrics, status: () => fleet.connectors.map((connector) => connector.status()), redact });
  } catch (error) {
    await control.close();
    throw error;
  }
  let http: HttpListener | null;
  try {
    http = await openHttp({ config, runtime, log, store, operations, redact });
  } catch (error) {
    server.close();
    await control.close();
    throw error;
  }
  const { address, port } = server.address() as AddressInfo;
  log.info(`Health and metrics on http://${address.includes(':') ? `[${address}]` : address}:${port} (/livez, /readyz, /metrics).`);
  return async () => {
    tails.keep([]);
    await http?.close();
    server.close();
    (server as Server & { closeAllConnections?: () => void }).closeAllConnections?.();
    await control.close();
  };
}
