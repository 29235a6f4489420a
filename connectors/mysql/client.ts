import type { EventEmitter } from 'node:events';
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import mysql from 'mysql2/promise';
import { type Files, type Runtime, SluiceError } from '#plugin';
import { addressOf, type MysqlConfig, tlsMode } from './config.ts';
import { asSluiceError } from './connection-error.ts';
import { signScramble } from './ed25519.ts';
import { tlsFile } from './errors.ts';

/** What mysql2's connection has and its types do not say (`mysql2/lib/base/connection.js`). */
export interface Driver {
  packetParser: { execute(bytes: Buffer): void };
  readonly stream: EventEmitter & { pause(): void; resume(): void };
  write(bytes: Buffer): void;
  on(event: 'error', listener: (error: Error) => void): void;
  removeListener(event: 'error', listener: (error: Error) => void): void;
}

/** Where certificates and secrets come from, anew for each connection, so that renewed ones are used (security.md 26). */
export type Access = Pick<Runtime, 'files' | 'credentials'>;

/** A quick question: where no answer comes, the connection is dead although nobody said so. */
const QUERY_MS = 30_000;

/** What mysql2 connects with. Values come as text, and nothing that a server could ask of a client is given to it. */
export async function connectionOptions(config: MysqlConfig, { files, credentials }: Access, signal?: AbortSignal): Promise<mysql.ConnectionOptions> {
  const { host, port, user, password } = addressOf(config);
  const ssl = await tlsOptions(config, files);
  const secret = config.password === undefined ? (password ?? '') : await credentials.get(config.password, signal);
  return {
    host,
    port,
    user,
    password: secret,
    dateStrings: true,
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    jsonStrings: true,
    decimalNumbers: false,
    multipleStatements: false,
    disableEval: true,
    charset: 'utf8mb4_general_ci',
    connectTimeout: config.connectTimeout,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    // No files of this machine, whatever the server asks for; and the password in clear text, as RDS wants its tokens, only where it is known who asks.
    // Queries go without attributes: copies write theirs by themselves.
    flags: ['-LOCAL_FILES', '-CLIENT_QUERY_ATTRIBUTES'],
    enableCleartextPlugin: ssl?.rejectUnauthorized === true,
    authPlugins: { client_ed25519: () => (scramble) => signScramble(secret, scramble) },
    ...(ssl === null ? {} : { ssl }),
  };
}

async function tlsOptions(config: MysqlConfig, files: Files): Promise<mysql.SslOptions | null> {
  const mode = tlsMode(config);
  if (mode === 'disable') return null;
  const { ca } = config.tls;
  const options: mysql.SslOptions & TlsConnectionOptions = {
    rejectUnauthorized: mode !== 'require' || ca !== undefined,
    verifyIdentity: mode === 'verify-full',
    minVersion: 'TLSv1.2',
  };
  for (const option of ['ca', 'cert', 'key'] as const) {
    const value = config.tls[option];
    if (value !== undefined) options[option] = await pem(value, option, files);
  }
  return options as mysql.SslOptions;
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

/** A connection for questions, beside the log. */
export class Client {
  readonly #connection: mysql.Connection;
  readonly #config: MysqlConfig;

  private constructor(connection: mysql.Connection, config: MysqlConfig) {
    this.#connection = connection;
    this.#config = config;
  }

  /** Throws a SluiceError. */
  static async connect(config: MysqlConfig, access: Access, signal?: AbortSignal): Promise<Client> {
    signal?.throwIfAborted();
    const options = await connectionOptions(config, access, signal);
    let connection: mysql.Connection;
    try {
      connection = await mysql.createConnection(options);
    } catch (error) {
      signal?.throwIfAborted();
      throw asSluiceError(error, { config, doing: 'the request for a connection' });
    }
    // One that breaks while idle shows at the next question, it does not end the process.
    connection.on('error', () => undefined);
    return new Client(connection, config);
  }

  /** Rows as objects of text, by the names of their columns. Throws a SluiceError. */
  async rows<T extends object>(doing: string, sql: string, values: readonly (string | number)[] = []): Promise<T[]> {
    try {
      return await this.ask<T>(sql, values);
    } catch (error) {
      throw asSluiceError(error, { config: this.#config, doing });
    }
  }

  /** The same. Throws what the driver throws. */
  async ask<T extends object>(sql: string, values: readonly (string | number)[] = []): Promise<T[]> {
    const [rows] = await this.#connection.query({ sql, values: [...values], timeout: QUERY_MS });
    return rows as T[];
  }

  /** Below the promises: for who reads rows off the socket. Nothing may be asked meanwhile. */
  get driver(): Driver {
    return (this.#connection as unknown as { readonly connection: Driver }).connection;
  }

  close(): void {
    this.#connection.destroy();
  }
}
