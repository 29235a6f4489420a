import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { redacted } from '../http/redacted.ts';
import { defineError, rootMessage, SluiceError } from '../plugin/error.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ConnectorStatus } from './connector-ports.ts';

export const HEALTH_LISTEN = defineError({
  code: 'SLUICE_HEALTH_LISTEN',
  retry: 'manual',
  exit: 3,
  cause: 'The health listener cannot use {address}: {reason}.',
  remedy: 'Choose another address with health.listen in sluice.json or SLUICE_HEALTH (for example 127.0.0.1:9011).',
});

export interface HealthOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly status: () => readonly ConnectorStatus[];
  /** Hides secrets in a text (I12). */
  readonly redact: (text: string) => string;
}

/** `/livez`, `/readyz` and `/metrics` on a listener of their own, without a token: nothing on it is secret (design §10). */
export async function startHealthServer(options: HealthOptions): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`${rootMessage(error)}\n`);
    });
  });
  // A slow or hostile client must not hold anything: small time-outs, nothing but GET.
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.keepAliveTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new SluiceError(HEALTH_LISTEN, { address: `${options.host}:${options.port}`, reason: rootMessage(error) }, { cause: error }));
    });
    server.listen(options.port, options.host, resolve);
  });
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, { metrics, status, redact }: HealthOptions): Promise<void> {
  const path = (request.url ?? '/').split('?')[0];
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
  } else if (path === '/livez') {
    // An event loop that hangs does not answer at all. What waits for a server is alive: another process would wait as well.
    const stalled = status().filter(({ isStalled }) => isStalled);
    const names = stalled.map(({ name }) => name);
    json(response, names.length === 0 ? 200 : 503, names.length === 0 ? { status: 'live' } : { status: 'stalled', connectors: names });
  } else if (path === '/readyz') {
    const connectors = status();
    const ready = connectors.length > 0 && connectors.every(isReady);
    json(response, ready ? 200 : 503, redacted({ status: ready ? 'ready' : 'not ready', connectors }, redact));
  } else if (path === '/metrics') {
    response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(await metrics.text());
  } else {
    json(response, 404, { error: 'not found', paths: ['/livez', '/readyz', '/metrics'] });
  }
}

/** Ready = the stream is connected, or somebody wants it to rest. Before the first observation a running connector is believed. */
function isReady({ state, health }: ConnectorStatus): boolean {
  return state === 'paused' || (state === 'running' && health?.connected !== false);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
