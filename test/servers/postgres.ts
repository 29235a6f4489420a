/** PostgreSQL servers for the tests. */
import { createHash, randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { findCached, provideCached } from './cache.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { run } from './command.ts';
import { freePort, reachable, ServerProcess, serverUser, temporaryDirectory, waitUntilReady } from './process.ts';
import { resolvePostgres, type ServerBinary } from './resolve.ts';
import type { PostgresMajor } from './versions.ts';

export interface PostgresOptions {
  major: PostgresMajor;
  /** Server settings beside and over the harness' own (`wal_level=logical`, 20 slots and senders, TCP on 127.0.0.1 only). */
  settings?: Record<string, string | number>;
  /** Real fsync, for tests of what survives; off otherwise. `kill -9` of the server alone loses nothing without it. */
  fsync?: boolean;
  /** Of the server's process, beside the harness' own (`LOCPATH`, to give it locales that the machine does not have). */
  env?: Readonly<Record<string, string>>;
  /** TLS with a certificate for localhost and 127.0.0.1, signed by an authority of its own. */
  tls?: boolean;
  /** Every role but `postgres` needs its password, by SCRAM-SHA-256. Off: every role is trusted. */
  password?: boolean;
  /** Lines of pg_hba.conf, after those that let the harness (role `postgres`) in and instead of what `password` would write. */
  hba?: readonly string[];
  /** A process of its own even where the environment names a server; implied by each of the options above. */
  own?: boolean;
}

export type StopMode = 'fast' | 'immediate' | 'kill';

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** A PostgreSQL server that answers. Its superuser is `postgres`, without a password. */
export class PostgresServer {
  readonly major: PostgresMajor;
  readonly host: string;
  readonly port: number;
  /** As `SHOW server_version` gives it. */
  version = '';
  /** Named by the environment: it cannot be stopped, signalled or configured. */
  readonly external: boolean;
  /** The server's own directory (data, log, certificates); empty when external. */
  readonly directory: string;
  readonly certificates: Certificates | null;
  private readonly base: URL;
  private readonly binary: ServerBinary | null;
  private readonly settings: Record<string, string | number>;
  private readonly env: Readonly<Record<string, string>>;
  private process: ServerProcess | null = null;

  constructor(options: PostgresOptions, base: URL, own?: { binary: ServerBinary; directory: string; certificates: Certificates | null }) {
    this.major = options.major;
    this.base = base;
    this.host = base.hostname;
    this.port = Number(base.port || 5432);
    this.external = own === undefined;
    this.binary = own?.binary ?? null;
    this.directory = own?.directory ?? '';
    this.certificates = own?.certificates ?? null;
    this.env = options.env ?? {};
    this.settings = own === undefined ? {} : serverSettings(options, own.certificates, this.port);
  }

  get dataDir(): string {
    return join(this.directory, 'data');
  }

  /** Of the postmaster; 0 when external or stopped. */
  get pid(): number {
    return this.process?.alive ? this.process.pid : 0;
  }

  get running(): boolean {
    return this.external || this.pid !== 0;
  }

  /** A connection URL, of role `postgres` unless another is given. */
  url(database = this.base.pathname.slice(1) || 'postgres', role?: { user: string; password?: string }): string {
    const url = new URL(this.base);
    url.pathname = `/${encodeURIComponent(database)}`;
    if (role !== undefined) {
      url.username = encodeURIComponent(role.user);
      url.password = encodeURIComponent(role.password ?? '');
    }
    return url.href;
  }

  /** Runs SQL as the superuser over a connection of its own; answers with the rows (of the last statement, where there are several). */
  async query<T = Record<string, unknown>>(sql: string, database?: string): Promise<T[]> {
    const client = await this.connect(database);
    try {
      const result = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[];
      return (Array.isArray(result) ? result.at(-1) : result)?.rows as T[];
    } finally {
      await client.end();
    }
  }

  /** A connection of the superuser; the caller ends it. */
  async connect(database?: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 10_000 });
    client.on('error', () => undefined); // A server that is stopped ends its connections: the next query says so.
    await client.connect();
    return client;
  }

  /** Creates an empty database under a name that no other test has, and answers with the name. */
  async createDatabase(prefix = 'test'): Promise<string> {
    const name = `${prefix}_${randomBytes(4).toString('hex')}`;
    await this.query(`CREATE DATABASE "${name}" TEMPLATE template0`);
    return name;
  }

  async start(settings: Record<string, string | number> = {}): Promise<void> {
    const binary = this.ownBinary();
    if (this.running) throw new Error(`PostgreSQL ${this.major} runs already`);
    Object.assign(this.settings, settings);
    const args = ['-D', this.dataDir, ...Object.entries(this.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const server = new ServerProcess(join(binary.path, 'postgres'), args, { logFile: join(this.directory, 'postgres.log'), env: this.env });
    this.process = server;
    // A foreign server on our port would answer too: ours is the one with our data directory.
    await waitUntilReady(server, `PostgreSQL ${this.major}`, async () => {
      const [row] = await this.query<{ directory: string; version: string }>(
        `SELECT current_setting('data_directory') AS directory, current_setting('server_version') AS version`,
        'postgres',
      );
      if (row?.directory !== this.dataDir) throw new Error(`port ${this.port} belongs to another server`);
      this.version = row.version.split(' ')[0] as string;
    });
  }

  /**
   * Stops the server; nothing when it is external or stopped already. `fast` waits for every walsender's client to confirm; `immediate`
   * and `kill` are crashes, with and without goodbye.
   */
  async stop(mode: StopMode = 'immediate'): Promise<void> {
    const server = this.process;
    if (server === null) return;
    this.process = null;
    if (mode === 'kill') return server.killAndWait();
    server.killTree('SIGCONT');
    server.kill(SIGNALS[mode]);
    await server.waitForExit(mode === 'fast' ? 90_000 : 10_000);
  }

  /** Stops it and starts it again on the same port and data. */
  async restart(mode: StopMode = 'fast', settings: Record<string, string | number> = {}): Promise<void> {
    this.ownBinary();
    await this.stop(mode);
    await this.start(settings);
  }

  /** Sends a signal to the server and all its processes (SIGSTOP freezes it, SIGCONT wakes it). */
  signal(signal: NodeJS.Signals): void {
    this.ownBinary();
    this.process?.killTree(signal);
  }

  /** The end of the server's log. */
  log(bytes = 4000): string {
    return this.process?.logTail(bytes) ?? '';
  }

  /** Stops it and removes its files. */
  async dispose(): Promise<void> {
    if (this.external) return;
    await this.stop('immediate');
    await rm(this.directory, { recursive: true, force: true });
  }

  private ownBinary(): ServerBinary {
    if (this.binary === null) throw new Error('this server is named by the environment: it cannot be controlled (start it with `own: true`)');
    return this.binary;
  }
}

/** Starts a PostgreSQL server on a random port with its own temporary files, or takes the one that the environment names. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const configured = options.settings ?? options.hba ?? options.env ?? (options.fsync || options.tls || options.password);
  const found = await resolvePostgres(options.major, options.own || Boolean(configured));
  if (found.kind === 'external') return takeExternal(options, found.url, found.origin);
  const binary = { ...found, path: join(await reachable(dirname(found.path)), basename(found.path)) };
  for (let attempt = 1; ; attempt++) {
    const directory = await temporaryDirectory(`postgres-${options.major}`);
    try {
      await run('cp', ['-a', join(await template(binary, found.path), 'data'), directory]);
      const certificates = options.tls ? await makeCertificates(directory) : null;
      await writeFile(join(directory, 'data', 'pg_hba.conf'), hostBasedAuthentication(options));
      const server = new PostgresServer(options, new URL(`postgres://postgres@127.0.0.1:${await freePort()}/postgres`), {
        binary,
        directory,
        certificates,
      });
      await server.start();
      return server;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another process took the port meanwhile.
      if (attempt === 3 || !/could not bind|belongs to another server/.test((error as Error).message)) throw error;
    }
  }
}

async function takeExternal(options: PostgresOptions, url: string, origin: string): Promise<PostgresServer> {
  const server = new PostgresServer(options, new URL(url));
  const [row] = await server.query<{ version: string; number: string }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number`,
  );
  if (Math.floor(Number(row?.number) / 10_000) !== options.major) throw new Error(`${origin} names PostgreSQL ${row?.version}`);
  server.version = row?.version.split(' ')[0] as string;
  return server;
}

function serverSettings(options: PostgresOptions, certificates: Certificates | null, port: number): Record<string, string | number> {
  return {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    wal_level: 'logical',
    max_wal_senders: 20,
    max_replication_slots: 20,
    timezone: 'UTC',
    // Files in the data directory, not in /dev/shm: nothing is left there by a killed server.
    dynamic_shared_memory_type: 'mmap',
    ...(options.fsync ? {} : { fsync: 'off', full_page_writes: 'off' }),
    ...(certificates === null ? {} : { ssl: 'on', ssl_cert_file: certificates.cert, ssl_key_file: certificates.key, ssl_ca_file: certificates.ca }),
    ...options.settings,
  };
}

function hostBasedAuthentication(options: PostgresOptions): string {
  const method = options.password ? 'scram-sha-256' : 'trust';
  const lines = options.hba ?? [`host all all 127.0.0.1/32 ${method}`, `host replication all 127.0.0.1/32 ${method}`, `local all all ${method}`];
  return ['host all postgres 127.0.0.1/32 trust', 'host replication postgres 127.0.0.1/32 trust', ...lines, ''].join('\n');
}

/** The directory of a freshly initialised cluster's `data`, made once per binary (`origin`, not a copy of it) and user: copying it is four times faster than initdb. */
async function template(binary: ServerBinary, origin: string): Promise<string> {
  const identity = createHash('sha256').update(`${origin}\n${process.getuid?.()}\n2`).digest('hex').slice(0, 12);
  const name = `template-postgres-${identity}`;
  const find = async () => (await findCached(name)).find((cached) => cached.version === binary.version) ?? null;
  const cached = await provideCached(name, name, find, async (building) => {
    const work = await temporaryDirectory('initdb');
    try {
      const where = ['-D', join(work, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
      await run(join(binary.path, 'initdb'), where, { cwd: '/', env: { PATH: process.env.PATH, HOME: tmpdir(), TZ: 'UTC' }, ...serverUser });
      await run('cp', ['-a', join(work, 'data'), building]);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return binary.version;
  });
  return cached.directory;
}
