import { once } from 'node:events';
import { chmod, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { ConfigurationError } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';
import { CONTROL_IN_USE, CONTROL_INTERNAL, CONTROL_LISTEN, CONTROL_REQUEST, CONTROL_ROUTE } from './control-errors.ts';
import { controlPath } from './control-path.ts';

const LIMIT_BYTES = 1024 * 1024;

/**
 * By the operation's id. Takes the request's JSON (undefined: no body), gives the answer's, or what is to be sent as it comes, lines of JSON. A SluiceError is handed to the
 * client as it is.
 */
export type ControlHandlers = Readonly<Record<string, (body: unknown) => Promise<unknown>>>;

export interface ControlSocket {
  /** Answers what is under way, then stops listening. */
  close(): Promise<void>;
}

/** An error on its way to the client. */
export interface ControlFailure {
  readonly code: string;
  readonly retry: 'auto' | 'manual' | 'never';
  readonly exit: 1 | 2 | 3;
  readonly message: string;
  readonly remedy: string;
  /** Of a configuration that is refused. */
  readonly problems?: readonly Problem[];
}

/**
 * HTTP on the Unix socket `control.sock` in the data directory, for the user of the process only (mode 0600). Call it with the state open: that
 * lock makes a socket found here one of a dead process, and it is removed. Throws SLUICE_CONTROL_IN_USE if one answers all the same,
 * SLUICE_CONTROL_PATH, SLUICE_CONTROL_LISTEN.
 */
export async function startControlSocket(options: { readonly directory: string; readonly handlers: ControlHandlers }): Promise<ControlSocket> {
  const path = controlPath(options.directory);
  const running = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const answering = answer(options.handlers, request, response).finally(() => running.delete(answering));
    running.add(answering);
  });
  try {
    await removeStale(path);
    await listen(server, path);
  } catch (error) {
    throw error instanceof SluiceError ? error : new SluiceError(CONTROL_LISTEN, { path, reason: rootMessage(error) }, { cause: error });
  }
  return {
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      await Promise.all(running);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function removeStale(path: string): Promise<void> {
  if (await answers(path)) throw new SluiceError(CONTROL_IN_USE, { path });
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** A socket whose process is dead refuses connections. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT' || error.code === 'ENOTSOCK') resolve(false);
      else reject(error);
    });
  });
}

async function listen(server: Server, path: string): Promise<void> {
  // The socket is made inside listen(): with this mask it is never open to anybody else, not even until the chmod.
  const mask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(mask);
  }
  await once(server, 'listening');
  await chmod(path, 0o600);
}

async function answer(handlers: ControlHandlers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = request.method === 'POST' ? (request.url ?? '').slice(1) : '';
  let status = 200;
  let body: string;
  try {
    const handler = Object.hasOwn(handlers, route) ? handlers[route] : undefined;
    if (handler === undefined) throw new SluiceError(CONTROL_ROUTE, { route });
    const answered = await handler(await readJson(request, route));
    if (isLines(answered)) {
      // Not waited for where the socket is closed: it ends with it.
      void sendLines(answered, response);
      return;
    }
    body = JSON.stringify(answered ?? null);
  } catch (error) {
    const failure = error instanceof SluiceError ? error : new SluiceError(CONTROL_INTERNAL, { route, reason: rootMessage(error) }, { cause: error });
    status = failure.kind === CONTROL_ROUTE ? 404 : failure.kind === CONTROL_INTERNAL ? 500 : failure.kind === CONTROL_REQUEST ? 400 : 409;
    const { code, message, remedy, kind } = failure;
    const problems = failure instanceof ConfigurationError ? { problems: failure.problems } : {};
    body = JSON.stringify({ code, retry: kind.retry, exit: kind.exit, message, remedy, ...problems } satisfies ControlFailure);
  }
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), connection: 'close' });
  response.end(body);
  // `close` also comes if the client went away before.
  if (!response.closed) await once(response, 'close');
}

function isLines(answered: unknown): answered is AsyncIterableIterator<string> {
  return typeof answered === 'object' && answered !== null && Symbol.asyncIterator in answered;
}

/** As they come, as fast as the client takes them, until they end or it goes away. */
async function sendLines(lines: AsyncIterableIterator<string>, response: ServerResponse): Promise<void> {
  response.once('close', () => void lines.return?.());
  // Of a client that is gone; `close` follows.
  response.on('error', () => undefined);
  response.writeHead(200, { 'content-type': 'application/x-ndjson', connection: 'close' });
  response.flushHeaders();
  for await (const text of lines) {
    if (!response.write(text)) await taken(response);
  }
  response.end();
}

/** What was written is on its way, or its client is gone. Leaves no listener behind: one who looks on for days makes it wait often. */
function taken(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
    if (response.closed) done();
  });
}

async function readJson(request: IncomingMessage, route: string): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LIMIT_BYTES) throw new SluiceError(CONTROL_REQUEST, { route, reason: 'it is too large', limitBytes: LIMIT_BYTES });
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown;
  } catch (error) {
    throw new SluiceError(CONTROL_REQUEST, { route, reason: 'it is not JSON', limitBytes: LIMIT_BYTES }, { cause: error });
  }
}
