import { resolve } from 'node:path';
import type { DaemonConfig, HttpConfig } from '../config/daemon.ts';
import { fileTrouble } from '../config/files.ts';
import { HTTP_TLS } from '../http/errors.ts';
import type { HttpListener, HttpOptions, RouteGroup } from '../http/listener.ts';
import type { Operation } from '../http/operation.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';

export interface HttpPorts {
  readonly config: DaemonConfig;
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly store: StateStore;
  readonly operations: readonly Operation[];
  /** Hides secrets in a text (I12). */
  readonly redact: (text: string) => string;
}

/** Null: it is not asked for. Loaded only where it is: a daemon without it starts sooner and is smaller. Throws SLUICE_HTTP_LISTEN, SLUICE_HTTP_TLS. */
export async function openHttp({ config, runtime, log, store, operations, redact }: HttpPorts): Promise<HttpListener | null> {
  if (config.http === null) return null;
  const { API_PREFIX, apiRoutes } = await import('../http/api-routes.ts');
  const { startHttp } = await import('../http/listener.ts');
  const groups: RouteGroup[] = [apiRoutes({ operations, redact })];
  if (config.registry.enabled) {
    const { Registry } = await import('../registry/registry.ts');
    const { registryRoutes } = await import('../http/registry-routes.ts');
    groups.push(registryRoutes(new Registry({ store, runtime, dataDir: config.dataDir })));
  }
  const tls = await tlsOf(config.http, runtime);
  const listener = await startHttp({ ...config.http, tls, groups, runtime, log });
  log.info(`HTTP API on ${listener.url}${API_PREFIX}${config.registry.enabled ? ', the schema registry at /registry' : ''}.`);
  return listener;
}

async function tlsOf({ tls }: HttpConfig, { files }: Runtime): Promise<HttpOptions['tls']> {
  if (tls === null) return null;
  const read = async (path: string): Promise<Buffer> => {
    const bytes = await files.read(resolve(path)).catch((error: unknown) => {
      throw new SluiceError(HTTP_TLS, { path, reason: fileTrouble(error) }, { cause: error });
    });
    if (bytes === null) throw new SluiceError(HTTP_TLS, { path, reason: 'it does not exist' });
    return bytes;
  };
  return { cert: await read(tls.cert), key: await read(tls.key), clientCa: tls.clientCa === null ? null : await read(tls.clientCa) };
}
