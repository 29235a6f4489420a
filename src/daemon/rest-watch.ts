import type { ConnectorDefinition } from '../config/load.ts';
import type { Logger } from '../plugin/context.ts';
import { aborted, sleep } from '../plugin/runtime.ts';
import type { ConnectorPorts } from './connector-ports.ts';
import { detachedPlugins } from './detached.ts';
import type { HealthWatch } from './health.ts';

const LOOK_EVERY_MS = 30_000;

const SILENT: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Looks at the source of a connector that is paused, until `signal` is aborted: its server keeps the log meanwhile, or deletes it, and whoever has paused it must see that.
 * What protects the source warns, and can do nothing else: nothing is read and nothing copied. Never throws.
 */
export async function watchAtRest(definition: ConnectorDefinition, ports: ConnectorPorts, watch: HealthWatch, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await look(definition, ports, watch, signal).catch(() => undefined);
    await sleep(ports.runtime, LOOK_EVERY_MS, signal).catch(() => undefined);
  }
}

async function look(definition: ConnectorDefinition, { store, runtime }: ConnectorPorts, watch: HealthWatch, signal: AbortSignal): Promise<void> {
  const { offset } = await store.inspect(definition.name);
  const nothing = (): Promise<never> => Promise.reject(new Error('nothing is saved here'));
  const detached = {
    runtime,
    log: SILENT,
    instance: store.instance,
    previousShutdown: store.previousShutdown,
    savePlace: nothing,
    intent: { get: () => store.getIntent(definition.name), set: nothing },
  };
  const { source, sink } = detachedPlugins(definition, detached, signal);
  try {
    const watched = { source, saved: () => offset?.position ?? null, hold: () => undefined, stop: () => undefined };
    // Who resumes it does not wait for a server.
    await Promise.race([watch.lookAtRest(watched), aborted(signal)]);
  } finally {
    await Promise.allSettled([source.close(), sink.close()]);
  }
}
