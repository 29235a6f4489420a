/** The `http` listener: what is offered on it comes as groups of routes, the guards are the same for all. */
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isLoopback } from '../config/listen.ts';
import type { Logger } from '../plugin/context.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { VERSION } from '../version.ts';
import { HTTP_LISTEN } from './errors.ts';
import { hasToken, isNestedTooDeep, isTrustedHost, RateGuard } from './guards.ts';

type SecureServerOptions = SecureContextOptions & TlsOptions;

/** A schema is the largest thing that is sent here. */
const BODY_BYTES = 2 ** 20;
/** The longest name of a subject, percent-encoded. */
const PARAMETER_LETTERS = 6_000;
/** A request must come within this. */
const SECONDS_10 = 10_000;
/** How often it is looked whether one has not: Node's own 30 s would let clients hold connections for four times as long. */
const WATCHED = { connectionsCheckingInterval: 1_000 } as const;
/** Longer than any answer may take (recovering an offset reads from both servers). */
const ANSWER_MS = 120_000;
const MAX_CONNECTIONS = 512;

/** What stands below one path. */
export interface RouteGroup {
  /** Such as `/registry`. */
  readonly prefix: string;
  readonly register: (app: FastifyInstance) => void;
}

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  /** Of who may do everything, and of who may look. Both null: none is asked for (checked with the configuration). */
  readonly token: string | null;
  readonly readToken: string | null;
  /** Null: without TLS. With `clientCa` a client must show a certificate of that authority. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly clientCa: Buffer | null } | null;
  readonly groups: readonly RouteGroup[];
  readonly runtime: Runtime;
  readonly log: Logger;
}

/** What a request of a route may do; left out: what changes nothing for `GET`, all for the others. */
export type Scope = 'read' | 'operate';

declare module 'fastify' {
  interface FastifyContextConfig {
    scope?: Scope;
  }
}

export interface HttpListener {
  readonly url: string;
  /** Answers what is under way, then stops listening. */
  close(): Promise<void>;
}

/** Throws SLUICE_HTTP_LISTEN. */
export async function startHttp(options: HttpOptions): Promise<HttpListener> {
  const { host, port, groups, tls } = options;
  const app = Fastify({
    ...(tls === null ? { http: WATCHED } : { https: { ...secured(tls), ...WATCHED, handshakeTimeout: SECONDS_10 } }),
    bodyLimit: BODY_BYTES,
    connectionTimeout: ANSWER_MS,
    requestTimeout: SECONDS_10,
    keepAliveTimeout: SECONDS_10,
    forceCloseConnections: true,
    routerOptions: {
      ignoreTrailingSlash: true,
      maxParamLength: PARAMETER_LETTERS,
    },
    frameworkErrors: (error, _request, reply) => void answerFailure(error, reply as FastifyReply, options.log),
  });
  app.server.headersTimeout = SECONDS_10;
  app.server.maxConnections = MAX_CONNECTIONS;
  guard(app, options);
  readBodies(app);
  app.setErrorHandler<FastifyError>((error, _request, reply) => answerFailure(error, reply, options.log));
  app.setNotFoundHandler((_request, reply) => fail(reply, 404, 'There is nothing at this path.'));
  app.get('/', async () => ({ name: 'sluice', version: VERSION, paths: groups.map(({ prefix }) => prefix) }));
  for (const { prefix, register } of groups) {
    app.register(
      (inner, _options, done) => {
        register(inner);
        done();
      },
      { prefix },
    );
  }
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw new SluiceError(HTTP_LISTEN, { address: `${host}:${port}`, reason: rootMessage(error) }, { cause: error });
  }
  const { address, port: bound } = app.server.address() as AddressInfo;
  return { url: `${tls === null ? 'http' : 'https'}://${address.includes(':') ? `[${address}]` : address}:${bound}`, close: () => app.close() };
}

function secured({ cert, key, clientCa }: NonNullable<HttpOptions['tls']>): SecureServerOptions {
  return { cert, key, minVersion: 'TLSv1.2', ...(clientCa === null ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }) };
}

function guard(app: FastifyInstance, { host, token, readToken, tls, runtime }: HttpOptions): void {
  const rate = new RateGuard(() => runtime.monotonicMs());
  app.addHook('onRequest', async (request: FastifyRequest, reply) => {
    const { host: named, origin, authorization } = request.headers;
    if (!rate.take(request.socket.remoteAddress ?? '')) return fail(reply.header('retry-after', '1'), 429, 'Too many requests.');
    if (isLoopback(host) && !isTrustedHost(host, named, origin))
      return fail(reply, 403, 'This listener is for programs on this machine: ask for it as localhost or 127.0.0.1.');
    if (token === null && readToken === null) return undefined;
    // Whoever has shown a certificate of the configured authority may do everything.
    if (authorization === undefined && tls !== null && tls.clientCa !== null) return undefined;
    if (token !== null && hasToken(token, authorization)) return undefined;
    if (readToken === null || !hasToken(readToken, authorization))
      return fail(reply.header('www-authenticate', 'Basic realm="sluice"'), 401, 'The token is missing or wrong.');
    return scopeOf(request) === 'read' ? undefined : fail(reply, 403, 'This token may only look: ask with the one of "http.token".');
  });
}

function scopeOf({ method, routeOptions }: FastifyRequest): Scope {
  return routeOptions.config.scope ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'operate');
}

/** JSON by its name only: a form of a web page cannot send that without being asked about it first. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/(?:[\w.+-]+\+)?json(?:;|$)/, { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    if (isNestedTooDeep(body as string)) return done(Object.assign(new Error('The body is nested too deeply.'), { statusCode: 400 }));
    try {
      return done(null, JSON.parse(body as string) as unknown);
    } catch {
      return done(Object.assign(new Error('The body is no JSON.'), { statusCode: 400 }));
    }
  });
}

/** An error that a group of routes answers with: its message is meant for the client. */
export interface AnswerableError {
  readonly status: number;
  readonly code: number;
  readonly message: string;
}

function isAnswerable(error: object): error is AnswerableError {
  return 'status' in error && typeof error.status === 'number' && 'code' in error && typeof error.code === 'number';
}

async function answerFailure(error: FastifyError | AnswerableError | Error, reply: FastifyReply, log: Logger): Promise<FastifyReply> {
  if (isAnswerable(error)) {
    if (error.status >= 500) log.error(`An HTTP request failed: ${rootMessage(error)}.`);
    return reply.status(error.status).send({ error_code: error.code, message: error.message });
  }
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  if (status < 500) return fail(reply, status, error.message);
  // I12: what went wrong inside is for the log.
  log.error(`An HTTP request failed: ${rootMessage(error)}.`);
  return fail(reply, 500, 'The request failed. The log of the daemon says why.');
}

function fail(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.status(status).send({ error_code: status, message });
}
