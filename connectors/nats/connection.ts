import { connect as connectSocket, isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  nkeyAuthenticator,
  nkeys,
  type ServerInfo,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { type Files, type PluginContext, type Runtime, rootMessage, SluiceError } from '#plugin';
import { type Address, addressText, type NatsConfig, parseAddress } from './config.ts';
import { authentication, credentialsInvalid, tlsFailed, tlsFile, unreachable } from './errors.ts';

/** A server that listens greets within this time; the client takes the same time for its own part of the handshake. */
const DIAL_TIMEOUT_MS = 4_000;
const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL|EPROTO)/;

/** What a server says first (NATS client protocol, INFO). */
interface Greeting {
  /** The address that answered, of those that the name stands for. */
  readonly ip: string;
  readonly tlsRequired: boolean;
  readonly tlsAvailable: boolean;
  /** It asks clients for a certificate. */
  readonly tlsVerify: boolean;
}

/**
 * Connects to the first server that answers, beginning at `first`. The connection never redials by itself: what the client holds while it is not
 * connected is partly thrown away and partly sent at the next dial (each dial resets its buffer, what is written after the reset survives), so that
 * m1 would be lost and m2 stored. A lost connection ends its object, with all that it holds, and the publisher makes a new one and finds out from the stream what arrived.
 *
 * Each server is greeted over a socket of our own before the client dials it: the client leaves a socket open that accepts and then says nothing (a
 * frozen server), one for each attempt, and cannot be told to stop. Throws SluiceError, or the signal's reason.
 */
export async function openConnection(config: NatsConfig, context: PluginContext, first: number, signal: AbortSignal): Promise<NatsConnection> {
  const addresses = config.servers.map((server) => parseAddress(server) as Address);
  const failures: string[] = [];
  const authenticator = await authenticatorOf(config, context.runtime, signal);
  for (let index = 0; index < addresses.length; index++) {
    const address = addresses[(first + index) % addresses.length] as Address;
    try {
      const greeting = await greet(address, signal);
      const tls = await tlsOptions(config, address, greeting, context.runtime.files);
      const options: ConnectionOptions = {
        servers: [isIP(greeting.ip) === 6 ? `[${greeting.ip}]:${address.port}` : `${greeting.ip}:${address.port}`],
        name: `sluice ${context.connector}`,
        reconnect: false,
        timeout: DIAL_TIMEOUT_MS,
        pingInterval: 10_000,
        maxPingOut: 2,
        noAsyncTraces: true,
        ignoreClusterUpdates: true,
        ...(authenticator === null ? {} : { authenticator }),
        ...(tls === null ? {} : { tls }),
      };
      return await dial(options, signal);
    } catch (error) {
      signal.throwIfAborted();
      const typed = typedConnectError(error, address);
      if (typed !== null) throw typed;
      failures.push(`${addressText(address)}: ${describe(error)}`);
    }
  }
  throw new SluiceError(unreachable, { detail: failures.join(', ') });
}

/** The client's dial cannot be aborted: when it is late it is closed as soon as it is there. */
async function dial(options: ConnectionOptions, signal: AbortSignal): Promise<NatsConnection> {
  const connection = await connect(options);
  if (signal.aborted) {
    await connection.close();
    throw signal.reason as Error;
  }
  return connection;
}

/** Waits for the INFO line, then leaves again. */
function greet(address: Address, signal: AbortSignal): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connectSocket({ host: address.host, port: address.port });
    let text = '';
    const end = (): void => {
      signal.removeEventListener('abort', aborted);
      socket.destroy();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const aborted = (): void => fail(signal.reason as Error);
    signal.addEventListener('abort', aborted, { once: true });
    socket.setTimeout(DIAL_TIMEOUT_MS, () => fail(new Error('no answer')));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the connection was closed')));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const lineEnd = text.indexOf('\r\n');
      if (lineEnd < 0) return;
      try {
        if (!text.startsWith('INFO ')) throw new Error('this is no NATS server');
        const info = JSON.parse(text.slice(5, lineEnd)) as Partial<ServerInfo>;
        const ip = socket.remoteAddress as string;
        end();
        resolve({ ip, tlsRequired: info.tls_required === true, tlsAvailable: info.tls_available === true, tlsVerify: info.tls_verify === true });
      } catch (error) {
        fail(error as Error);
      }
    });
  });
}

type TlsOptions = NonNullable<ConnectionOptions['tls']>;

/** Options for TLS, null without it. */
async function tlsOptions(config: NatsConfig, address: Address, greeting: Greeting, files: Files): Promise<TlsOptions | null> {
  const offered = greeting.tlsRequired || greeting.tlsAvailable;
  if (!offered && (config.tls !== undefined || address.tls)) {
    throw new SluiceError(tlsFailed, { address: addressText(address), detail: 'the server does not offer it' });
  }
  if (!offered) return null;
  const { ca, cert, key } = config.tls ?? {};
  // Said here: with TLS 1.3 the refusal comes after the handshake, and often as a reset without a reason.
  if (greeting.tlsVerify && cert === undefined) {
    throw new SluiceError(tlsFailed, { address: addressText(address), detail: 'the server asks for a client certificate' });
  }
  return {
    ...(ca === undefined ? {} : { ca: await readPem(files, 'ca', ca) }),
    ...(cert === undefined ? {} : { cert: await readPem(files, 'cert', cert) }),
    ...(key === undefined ? {} : { key: await readPem(files, 'key', key) }),
    ...identity(config.tls?.serverName ?? address.host),
  } as TlsOptions;
}

/**
 * Which name or address the certificate must carry. The client dials the address that it resolved and gives TLS no name for it; Node then checks
 * the certificate against "localhost" (tls.connect: `servername`, then `host`), which accepts the wrong one and refuses the right one.
 */
export function identity(expected: string): object {
  const check = (_: string, certificate: PeerCertificate): Error | undefined => checkServerIdentity(expected, certificate);
  // RFC 6066 section 3: an address is no server name.
  return { servername: isIP(expected) === 0 ? expected : '', checkServerIdentity: check };
}

async function readPem(files: Files, option: string, path: string): Promise<string> {
  let bytes: Buffer | null;
  try {
    bytes = await files.read(path);
  } catch (error) {
    throw new SluiceError(tlsFile, { path, option, detail: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` });
  }
  if (bytes === null) throw new SluiceError(tlsFile, { path, option, detail: 'does not exist' });
  const text = bytes.toString('utf8');
  if (!text.includes('-----BEGIN ')) throw new SluiceError(tlsFile, { path, option, detail: 'is not PEM' });
  return text;
}

/** Who we are, got anew for each connection (security.md 26). Nkey and credentials are checked here, because the client throws in the middle of its handshake. */
async function authenticatorOf({ auth }: NatsConfig, { files, credentials: secrets }: Runtime, signal: AbortSignal): Promise<Authenticator | null> {
  const { user, password, token, nkey, credentials } = auth ?? {};
  if (user !== undefined) return usernamePasswordAuthenticator(user, await secrets.get(password ?? '', signal));
  if (token !== undefined) return tokenAuthenticator(await secrets.get(token, signal));
  if (nkey !== undefined) {
    const seed = new TextEncoder().encode(nkey.trim());
    return checked('nkey', 'it is no seed of a user', () => {
      nkeys.fromSeed(seed);
      return nkeyAuthenticator(seed);
    });
  }
  if (credentials === undefined) return null;
  let bytes: Buffer | null = null;
  try {
    bytes = await files.read(credentials);
  } catch (error) {
    throw new SluiceError(credentialsInvalid, {
      option: 'credentials',
      detail: `the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
    });
  }
  if (bytes === null) throw new SluiceError(credentialsInvalid, { option: 'credentials', detail: `there is no file ${credentials}` });
  const contents = bytes;
  return checked('credentials', 'the file does not hold a JWT and a seed', () => {
    const authenticator = credsAuthenticator(contents);
    authenticator('probe');
    return authenticator;
  });
}

/** The reason is left out: it could quote the secret (I12). */
function checked(option: string, detail: string, make: () => Authenticator): Authenticator {
  try {
    return make();
  } catch {
    throw new SluiceError(credentialsInvalid, { option, detail });
  }
}

/** What another server would not answer better; null = try the next. */
function typedConnectError(error: unknown, address: Address): SluiceError | null {
  if (error instanceof SluiceError) return error;
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new SluiceError(authentication, { address: addressText(address), detail: error.message }, { cause: error });
  }
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && TLS_CODES.test(code)) {
      return new SluiceError(tlsFailed, { address: addressText(address), detail: at.message }, { cause: error });
    }
  }
  return null;
}

function describe(error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOTFOUND') return 'the host name is not known';
  if (error instanceof errors.TimeoutError) return 'no answer';
  return rootMessage(error) || 'the connection was closed';
}
