import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { type Files, type Runtime, SluiceError } from '#plugin';
import { addressOf, isLocal, type PostgresConfig, type TlsMode, tlsMode } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { passwordMissing, tlsFile, weakAuthentication } from './errors.ts';
import { SESSION_SETTINGS } from './types.ts';

export interface ConnectOptions {
  /** What pg_stat_activity shows: `applicationName(…)`. */
  readonly applicationName: string;
  /** Where certificates and secrets come from, anew for each connection, so that renewed ones are used (security.md 26). */
  readonly runtime: Pick<Runtime, 'files' | 'credentials'>;
  /** A walsender of the database (`replication=database`), which takes simple queries only. */
  readonly replication?: boolean;
  /** `lc_monetary` stays what the database says: to ask for it. No values may be read over it. */
  readonly ownMoney?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The name of a session: `sluice <connector> <instance>`, at most 63 bytes, ASCII (the server cuts it and replaces the rest). The instance
 * stays whole: by it a session that a killed process left behind is told from another daemon's (algorithms §5).
 */
export function applicationName(connector: string, instance: string): string {
  const room = 63 - 'sluice  '.length - instance.length;
  return `sluice ${connector.replace(/[^!-~]/g, '_').slice(0, Math.max(0, room))} ${instance}`;
}

/**
 * Quotes an identifier: the one place where names get into SQL text. Throws on what no identifier can hold.
 */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0')) throw new TypeError('not an identifier');
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

/** Quotes a string constant for the replication protocol, which takes no parameters; backslashes are plain there and in SQL (standard_conforming_strings). */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new TypeError('a string constant cannot hold a zero byte');
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Connects. The client's 'error' event is listened to: a connection that breaks while idle shows at the next query, it does not end the process.
 * Throws a SluiceError.
 */
export async function connectClient(config: PostgresConfig, options: ConnectOptions): Promise<pg.Client> {
  options.signal?.throwIfAborted();
  const doing = options.replication === true ? 'the request for a replication connection' : 'the request for a connection';
  const client = new pg.Client(await clientConfig(config, options));
  client.on('error', () => {});
  const abort = (): void => destroyClient(client);
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
  } catch (error) {
    destroyClient(client);
    options.signal?.throwIfAborted();
    throw asSluiceError(error, { config, doing, replication: options.replication === true });
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
  return client;
}

/** Ends a session without a farewell: for one that may hang. */
export function destroyClient(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void }; _ending: boolean } };
  connection._ending = true;
  connection.stream.destroy();
}

/** Ends a session in order: says farewell and closes, without waiting for the server to do the same. */
export async function endClient(client: pg.Client): Promise<void> {
  const { connection } = client as unknown as { connection: { stream: { destroySoon(): void } } };
  const ended = client.end().catch(() => {});
  connection.stream.destroySoon();
  await ended;
}

/** What `pg.Client` is made with for the replication stream. For one connection: make another for the next. */
export function replicationClientConfig(
  config: PostgresConfig,
  options: Pick<ConnectOptions, 'applicationName' | 'runtime'>,
): Promise<pg.ClientConfig> {
  return clientConfig(config, { ...options, replication: true });
}

async function clientConfig(config: PostgresConfig, options: ConnectOptions): Promise<pg.ClientConfig> {
  const address = addressOf(config);
  const mode = tlsMode(config);
  const ssl = await tlsOptions(config, mode, options.runtime.files);
  const password = config.password === undefined ? address.password : await options.runtime.credentials.get(config.password, options.signal);
  const made: pg.ClientConfig & { replication?: string; connection: pg.Connection } = {
    host: address.host,
    port: address.port,
    user: address.user,
    database: address.database,
    // A function, so that neither PGPASSWORD nor ~/.pgpass is read, and so that it stands in no object that could be printed (I12).
    password: () => {
      if (password === null || password === '')
        throw new SluiceError(passwordMissing, { address: `${address.host}:${address.port}`, user: address.user });
      return password;
    },
    ssl,
    // SCRAM-SHA-256-PLUS where the server offers it; over plain TCP it never does.
    enableChannelBinding: ssl !== false,
    application_name: options.applicationName,
    options: startupOptions(options),
    connectionTimeoutMillis: config.connectTimeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connection: new GuardedConnection(config, ssl),
  };
  // The server gives a statement up after 30 s; where no answer comes even then, the connection is dead, although nobody said so.
  if (options.replication === true) made.replication = 'database';
  else made.query_timeout = 35_000;
  return made;
}

/**
 * Settings of every session, in the start-up packet: it ranks above what the role, the database and the server set (manual, 20.1.3).
 * `row_security=off` makes a policy that would hide rows an error (security.md 4). A dead synchronous standby must not hang heartbeats:
 * `synchronous_commit=local`.
 */
function startupOptions({ replication = false, ownMoney = false }: Pick<ConnectOptions, 'replication' | 'ownMoney'>): string {
  const settings: Record<string, string> = {
    ...SESSION_SETTINGS,
    row_security: 'off',
    synchronous_commit: 'local',
    lock_timeout: '0',
    idle_session_timeout: '0',
    idle_in_transaction_session_timeout: '0',
    client_min_messages: 'warning',
    statement_timeout: replication ? '0' : '30s',
    // Catalog queries must find the catalog's own functions and operators whatever the role's search_path says; and names that are values (regclass) must
    // come out alike by every road: with the schema (I11).
    search_path: 'pg_catalog',
  };
  return Object.entries(settings)
    .filter(([name]) => !(ownMoney && name === 'lc_monetary'))
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ');
}

/**
 * TLS as libpq's modes mean it (manual, 34.19.1): `require` encrypts and, with a CA file, is `verify-ca`; `verify-ca` checks the chain;
 * `verify-full` the name too. No mode falls back to plain text.
 */
async function tlsOptions(config: PostgresConfig, mode: TlsMode, files: Files): Promise<ConnectionOptions | false> {
  if (mode === 'disable') return false;
  const options: ConnectionOptions = { rejectUnauthorized: verifies(config, mode), minVersion: 'TLSv1.2' };
  if (mode !== 'verify-full') options.checkServerIdentity = () => undefined;
  for (const option of ['ca', 'cert', 'key'] as const) {
    const value = config.tls[option];
    if (value !== undefined) options[option] = await pem(value, option, files);
  }
  return options;
}

function verifies(config: PostgresConfig, mode: TlsMode): boolean {
  return mode === 'verify-full' || mode === 'verify-ca' || (mode === 'require' && config.tls.ca !== undefined);
}

async function pem(value: string, option: string, files: Files): Promise<string> {
  if (value.includes('-----BEGIN ')) return value;
  let bytes: Buffer | null;
  try {
    bytes = await files.read(value);
  } catch (error) {
    throw new SluiceError(tlsFile, { path: value, option, detail: `cannot be read (${(error as { code?: string }).code ?? 'unknown error'})` });
  }
  if (bytes === null) throw new SluiceError(tlsFile, { path: value, option, detail: 'does not exist' });
  const text = bytes.toString('latin1');
  if (!text.includes('-----BEGIN ')) throw new SluiceError(tlsFile, { path: value, option, detail: 'is not PEM' });
  return text;
}

/** What `pg.Connection` has and its types do not say. */
interface ConnectionInternals {
  password(password: string): void;
  upgradeToSSL(host: string, reportStreamError: (error: Error) => void): void;
}
const Base = pg.Connection as unknown as new (config: {
  ssl: ConnectionOptions | false;
  keepAlive: boolean;
  keepAliveInitialDelayMillis: number;
}) => ConnectionInternals & pg.Connection;

/**
 * The driver's connection with two guards. A password is sent in clear text or as MD5 only where the other end is verified or on this machine:
 * a server in the middle could else ask for it that way (security.md 5). And the certificate is checked against `tls.serverName`, which the
 * driver overwrites with the host.
 */
class GuardedConnection extends Base {
  readonly #config: PostgresConfig;

  constructor(config: PostgresConfig, ssl: ConnectionOptions | false) {
    super({ ssl, keepAlive: true, keepAliveInitialDelayMillis: 10_000 });
    this.#config = config;
  }

  override password(password: string): void {
    const { host, port, user } = addressOf(this.#config);
    if (isLocal(host) || verifies(this.#config, tlsMode(this.#config))) {
      super.password(password);
      return;
    }
    const how = password.startsWith('md5') ? 'as MD5' : 'in clear text';
    this.emit('error', new SluiceError(weakAuthentication, { address: `${host}:${port}`, user, how }));
  }

  override upgradeToSSL(host: string, reportStreamError: (error: Error) => void): void {
    super.upgradeToSSL(this.#config.tls.serverName ?? host, reportStreamError);
  }
}

/**
 * One query connection, opened when it is first needed and again after it broke. Queries run one after the other. For what runs beside the
 * stream: heartbeats, the look at the slot, the catalog.
 */
export class ControlConnection {
  readonly #config: PostgresConfig;
  readonly #options: ConnectOptions;
  #client: pg.Client | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(config: PostgresConfig, options: ConnectOptions) {
    this.#config = config;
    this.#options = { ...options, signal: this.#closing.signal };
  }

  /** Runs `use` with the connection, after those before it. A connection on which it failed is not used again. Throws SluiceErrors. */
  run<T>(doing: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#run(doing, use));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run<T>(doing: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = await this.#connected();
    try {
      return await use(client);
    } catch (error) {
      this.#client = null;
      destroyClient(client);
      throw asSluiceError(error, { config: this.#config, doing });
    }
  }

  async #connected(): Promise<pg.Client> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    if (this.#client !== null) return this.#client;
    const client = await connectClient(this.#config, this.#options);
    // Closed in the moment when it was there: nobody else knows of it, and it would keep the process alive.
    if (signal.aborted) destroyClient(client);
    signal.throwIfAborted();
    this.#client = client;
    return client;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('closed'));
    const client = this.#client;
    this.#client = null;
    if (client !== null) await endClient(client);
  }
}
