import type { AddressInfo, Server } from 'node:net';
import type { DaemonConfig } from '../config/daemon.ts';
import type { ConnectorDefinition } from '../config/load.ts';
import type { HttpListener, RouteGroup } from '../http/listener.ts';
import { type MemoryNeed, type MemoryShare, shareMemory } from '../pipeline/memory.ts';
import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { CopyView } from '../snapshot/view.ts';
import { openLevel } from '../state/level.ts';
import type { StateStore } from '../state/state-store.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Connector } from './connector.ts';
import { controlRoutes } from './control-routes.ts';
import { startControlSocket } from './control-socket.ts';
import { startHealthServer } from './health-server.ts';
import { isFinal } from './lifecycle.ts';
import { openState } from './open-state.ts';
import { listenForShutdown, type Shutdown } from './signals.ts';

export interface DaemonOptions {
  readonly config: DaemonConfig;
  readonly connectors: readonly ConnectorDefinition[];
  readonly runtime: Runtime;
  readonly log: Logger & { child(bindings: Readonly<Record<string, string>>): Logger };
  /** Go to the log's end as it stands, then end. */
  readonly once: boolean;
  /** Shows people how far copies are, for as long as connectors run; returns what ends it. */
  readonly show?: (copies: () => readonly CopyView[]) => () => void;
}

const memoryNeed = ({ batch, maxInFlightBytes }: ConnectorDefinition): MemoryNeed => ({
  batchBytes: batch.maxBytes,
  inFlightBytes: maxInFlightBytes,
});

/** Opens the state and runs every connector until all have stopped for good. Returns the process's exit code. Throws a SluiceError if it cannot start. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { config, runtime, log } = options;
  const shutdown = listenForShutdown(runtime, log, config.shutdown.timeout);
  try {
    const store = await openState({ directory: config.dataDir, runtime, openEngine: openLevel }, log, shutdown.drain);
    return store === null ? 0 : await runConnectors(options, store, shutdown);
  } finally {
    shutdown.close();
  }
}

async function runConnectors(options: DaemonOptions, store: StateStore, shutdown: Shutdown): Promise<number> {
  const { config, runtime, log } = options;
  const closers: (() => Promise<void>)[] = [];
  try {
    const metrics = new Metrics();
    const shares = shareMemory(config.maxMemory, options.connectors.map(memoryNeed));
    metrics.memory(config.maxMemory, new Map(options.connectors.map(({ name }, index) => [name, shares[index] as MemoryShare])));
    const connectors = options.connectors.map(
      (definition, index) =>
        new Connector(definition, {
          store,
          runtime,
          metrics,
          memory: shares[index] as MemoryShare,
          once: options.once,
          dataDir: config.dataDir,
          showsCopies: options.show !== undefined,
          log: log.child({ connector: definition.name }),
        }),
    );
    const hide = options.show?.(() => connectors.flatMap((connector) => connector.copiesUnderWay()));
    if (hide !== undefined) closers.push(async () => hide());
    closers.push(await openListeners(options, store, metrics, connectors));
    await Promise.all(connectors.map((connector) => connector.run(shutdown.drain, shutdown.abort)));
    // One that had failed may have been made to go on while the others ran.
    while (connectors.some(({ state }) => !isFinal(state))) await Promise.all(connectors.map(({ ended }) => ended));
    const exits = connectors.map(({ error }) => error).filter((error): error is SluiceError => error !== null);
    return exits.length === 0 ? 0 : Math.max(...exits.map(({ kind }) => kind.exit));
  } finally {
    for (const close of closers) await close();
    await store.close();
  }
}

/** The control socket, and the health listener unless it is off. Returns what closes them. */
async function openListeners(
  { config, connectors: definitions, runtime, log }: DaemonOptions,
  store: StateStore,
  metrics: Metrics,
  connectors: readonly Connector[],
): Promise<() => Promise<void>> {
  const status = (): ReturnType<Connector['status']>[] => connectors.map((connector) => connector.status());
  const control = await startControlSocket({
    directory: config.dataDir,
    handlers: controlRoutes({ store, definitions, connectors, runtime, log }),
  });
  let server: Server;
  try {
    server = await startHealthServer({ ...config.health, metrics, status });
  } catch (error) {
    await control.close();
    throw error;
  }
  let http: HttpListener | null;
  try {
    http = await openHttp({ config, runtime, log }, store);
  } catch (error) {
    server.close();
    await control.close();
    throw error;
  }
  const { address, port } = server.address() as AddressInfo;
  log.info(`Health and metrics on http://${address.includes(':') ? `[${address}]` : address}:${port} (/livez, /readyz, /metrics).`);
  return async () => {
    await http?.close();
    server.close();
    (server as Server & { closeAllConnections?: () => void }).closeAllConnections?.();
    await control.close();
  };
}

/** Loaded only where it is asked for: a daemon without it starts sooner and is smaller. */
async function openHttp(
  { config, runtime, log }: Pick<DaemonOptions, 'config' | 'runtime' | 'log'>,
  store: StateStore,
): Promise<HttpListener | null> {
  if (config.http === null) return null;
  const { startHttp } = await import('../http/listener.ts');
  const groups: RouteGroup[] = [];
  if (config.registry.enabled) {
    const { Registry } = await import('../registry/registry.ts');
    const { registryRoutes } = await import('../http/registry-routes.ts');
    groups.push(registryRoutes(new Registry({ store, runtime, dataDir: config.dataDir })));
  }
  const listener = await startHttp({ ...config.http, groups, runtime, log });
  log.info(`HTTP API on ${listener.url}${config.registry.enabled ? ' (the schema registry at /registry)' : ''}.`);
  return listener;
}
