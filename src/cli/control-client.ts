import { type IncomingMessage, request } from 'node:http';
import { ConfigurationError } from '../config/load.ts';
import { CONTROL_DENIED, CONTROL_FAILED, CONTROL_NO_DAEMON } from '../daemon/control-errors.ts';
import { controlPath } from '../daemon/control-path.ts';
import type { ControlFailure } from '../daemon/control-socket.ts';
import { rootMessage, SluiceError } from '../plugin/error.ts';

/** Longer than anything that a handler may take (recovering reads from both servers). */
const TIMEOUT_MS = 120_000;

/**
 * Asks the daemon of a data directory for an operation, by its id. Returns the answer's JSON. Throws the daemon's own SluiceError; SLUICE_CONTROL_NO_DAEMON if none runs there
 * (the caller may then open the state itself); SLUICE_CONTROL_DENIED; SLUICE_CONTROL_FAILED if it does not answer.
 */
export async function controlRequest(directory: string, route: string, body?: unknown): Promise<unknown> {
  let answer: { readonly status: number; readonly body: unknown };
  try {
    answer = await exchange(controlPath(directory), `/${route}`, body);
  } catch (error) {
    throw controlError(error, directory, route);
  }
  if (answer.status === 200) return answer.body;
  throw failureOf(answer.body as ControlFailure);
}

/** The daemon's own error. */
function failureOf({ code, retry, exit, message, remedy, problems }: ControlFailure): SluiceError {
  if (problems !== undefined) return new ConfigurationError(problems);
  return new SluiceError({ code, retry, exit, cause: message, remedy });
}

/** Why no answer came. */
function controlError(error: unknown, directory: string, route: string): SluiceError {
  // The path was no path of a socket.
  if (error instanceof SluiceError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return new SluiceError(CONTROL_NO_DAEMON, { directory });
  if (code === 'EACCES' || code === 'EPERM') return new SluiceError(CONTROL_DENIED, { path: controlPath(directory) });
  return new SluiceError(CONTROL_FAILED, { route, reason: rootMessage(error) }, { cause: error });
}

/**
 * Asks the daemon of a data directory for an operation that answers as long as it is listened to: gives its text as it comes, after `onOpen` once it answers. Ends with the daemon, or when `signal` is aborted.
 * Throws as `controlRequest`.
 */
export async function* controlStream(
  directory: string,
  route: string,
  body: unknown,
  { signal, onOpen }: { readonly signal: AbortSignal; readonly onOpen: () => void },
): AsyncGenerator<string> {
  let incoming: IncomingMessage;
  try {
    incoming = await open(controlPath(directory), `/${route}`, body, signal);
  } catch (error) {
    throw controlError(error, directory, route);
  }
  if (incoming.statusCode !== 200) throw failureOf(JSON.parse(await readAll(incoming)) as ControlFailure);
  incoming.setEncoding('utf8');
  onOpen();
  try {
    yield* incoming as AsyncIterable<string>;
  } catch (error) {
    // The daemon has ended, or was told to.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET' && !signal.aborted) throw controlError(error, directory, route);
  }
}

function open(socketPath: string, path: string, body: unknown, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const outgoing = request({ socketPath, method: 'POST', path, headers, agent: false, signal }, resolve);
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

function exchange(socketPath: string, path: string, body: unknown): Promise<{ readonly status: number; readonly body: unknown }> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const outgoing = request({ socketPath, method: 'POST', path, headers, agent: false, timeout: TIMEOUT_MS }, (incoming) => {
      readAll(incoming)
        .then((received) => resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(received) as unknown }), reject)
        .catch(reject);
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    outgoing.once('error', reject);
    outgoing.end(text);
  });
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
