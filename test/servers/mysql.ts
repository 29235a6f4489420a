/** MySQL and MariaDB servers for the tests. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { run } from './command.ts';
import { type MysqlProgram, mysqlProgram, mysqlTemplate } from './mysql-provision.ts';
import { freePort, reachable, ServerProcess, temporaryDirectory, waitUntilReady } from './process.ts';
import { resolveMysql } from './resolve.ts';
import { MYSQL_RELEASES, type MysqlVersion } from './versions.ts';

let lastServerId = 100 + (process.pid % 10_000) * 100;

export interface MysqlOptions {
  version: MysqlVersion;
  /** Server settings beside and over the harness' own (a binlog of full rows with full metadata, GTIDs); null takes one of these away. */
  settings?: Record<string, string | number | null>;
  /** Synced at each commit, for tests of what survives the machine; off otherwise. `kill -9` of the server alone loses nothing without it. */
  fsync?: boolean;
  /** A process of its own even where the environment names a server; implied by each of the options above. */
  own?: boolean;
}

/** A server that answers. Its superuser is `root`, without a password. */
export class MysqlServer {
  readonly version: MysqlVersion;
  readonly host: string;
  readonly port: number;
  /** As the server calls itself, `9.7.4`. */
  release = '';
  /** Named by the environment: it cannot be stopped, signalled or configured. */
  readonly external: boolean;
  /** The server's own directory; empty when external. */
  readonly directory: string;
  private readonly base: URL;
  private readonly program: MysqlProgram | null;
  private readonly options: MysqlOptions;
  private process: ServerProcess | null = null;
  /** The same after a restart: MariaDB is known by it. */
  readonly serverId = ++lastServerId;

  constructor(options: MysqlOptions, base: URL, own?: { program: MysqlProgram; directory: string }) {
    this.version = options.version;
    this.options = options;
    this.base = base;
    this.host = base.hostname;
    this.port = Number(base.port || 3306);
    this.external = own === undefined;
    this.program = own?.program ?? null;
    this.directory = own?.directory ?? '';
  }

  get system(): 'mysql' | 'mariadb' {
    return MYSQL_RELEASES[this.version].system;
  }

  get dataDir(): string {
    return join(this.directory, 'data');
  }

  /** 0 when external or stopped. */
  get pid(): number {
    return this.process?.alive ? this.process.pid : 0;
  }

  get running(): boolean {
    return this.external || this.pid !== 0;
  }

  /** `mysql://root@127.0.0.1:port`, of `root` unless another account is given. */
  url(role?: { user: string; password?: string }): string {
    const url = new URL(this.base);
    if (role !== undefined) {
      url.username = encodeURIComponent(role.user);
      url.password = encodeURIComponent(role.password ?? '');
    }
    return url.href;
  }

  /** Runs SQL, several statements too, over a connection of its own; answers with the rows of the last statement. */
  async query<T = Record<string, unknown>>(sql: string, database?: string): Promise<T[]> {
    const client = await this.connect(database);
    try {
      const [rows] = await client.query(sql);
      const last = Array.isArray(rows) && Array.isArray(rows[0]) ? rows.at(-1) : rows;
      return last as T[];
    } finally {
      await client.end();
    }
  }

  /** A connection of the superuser; the caller ends it. `collation`: of what it writes in. */
  async connect(database?: string, collation?: string): Promise<mysql.Connection> {
    const client = await mysql.createConnection({
      host: this.host,
      port: this.port,
      user: decodeURIComponent(this.base.username) || 'root',
      password: decodeURIComponent(this.base.password),
      multipleStatements: true,
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      connectTimeout: 10_000,
      ...(database === undefined ? {} : { database }),
      ...(collation === undefined ? {} : { charset: collation.toUpperCase() }),
    });
    client.on('error', () => undefined); // A server that is stopped ends its connections: the next query says so.
    return client;
  }

  /** Creates an empty database under a name that no other test has, and answers with the name. */
  async createDatabase(prefix = 'test'): Promise<string> {
    const name = `${prefix}_${randomBytes(4).toString('hex')}`;
    await this.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
    return name;
  }

  async start(settings: Record<string, string | number | null> = {}): Promise<void> {
    if (this.program === null) throw new Error('this server is named by the environment: it cannot be controlled (start it with `own: true`)');
    if (this.running) throw new Error(`${this.version} runs already`);
    this.options.settings = { ...this.options.settings, ...settings };
    const { command, args, paths } = this.program;
    const all = [...args, ...paths, ...serverArguments(this, this.options)];
    const server = new ServerProcess(command, all, { logFile: join(this.directory, 'process.log'), env: { TZ: 'UTC' } });
    this.process = server;
    // A foreign server on our port would answer too: ours is the one with our data directory.
    await waitUntilReady(server, this.version, async () => {
      const [row] = await this.query<{ directory: string; release: string }>('SELECT @@datadir AS directory, VERSION() AS `release`');
      if (row?.directory !== `${this.dataDir}/`) throw new Error(`port ${this.port} belongs to another server`);
      this.release = row.release.split('-')[0] as string;
    });
  }

  /** SIGTERM: the server closes in order. `kill` is a crash. */
  async stop(mode: 'stop' | 'kill' = 'stop'): Promise<void> {
    const server = this.process;
    if (server === null) return;
    this.process = null;
    if (mode === 'kill') return server.killAndWait();
    server.kill('SIGCONT');
    server.kill('SIGTERM');
    await server.waitForExit();
  }

  /** Stops (or kills) it and starts it again on the same port and data. */
  async restart(mode: 'stop' | 'kill' = 'stop', settings: Record<string, string | number | null> = {}): Promise<void> {
    await this.stop(mode);
    await this.start(settings);
  }

  /** SIGSTOP freezes it, SIGCONT wakes it. */
  signal(signal: NodeJS.Signals): void {
    this.process?.kill(signal);
  }

  /** The end of the server's log. */
  log(bytes = 4000): string {
    return this.process?.logTail(bytes) ?? '';
  }

  /** Kills it and removes its files; nothing when external. */
  async dispose(): Promise<void> {
    if (this.external) return;
    await this.stop('kill');
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Starts a server on a random port with its own temporary files, or takes the one that the environment names. */
export async function startMysql(options: MysqlOptions): Promise<MysqlServer> {
  const found = await resolveMysql(options.version, options.own || options.fsync || options.settings !== undefined);
  if (found.kind === 'external') {
    const server = new MysqlServer({ ...options }, new URL(found.url));
    const [row] = await server.query<{ release: string }>('SELECT VERSION() AS `release`');
    server.release = row?.release.split('-')[0] as string;
    return server;
  }
  const program = await mysqlProgram(options.version, await reachable(found.path));
  for (let attempt = 1; ; attempt++) {
    const directory = await temporaryDirectory(options.version);
    try {
      await run('cp', ['-a', '--reflink=auto', await mysqlTemplate(options.version, found.version, program), directory]);
      const server = new MysqlServer({ ...options }, new URL(`mysql://root@127.0.0.1:${await freePort()}`), { program, directory });
      await server.start();
      return server;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another process took the port meanwhile.
      if (attempt === 3 || !/Address already in use|belongs to another server/i.test((error as Error).message)) throw error;
    }
  }
}

function serverArguments(server: MysqlServer, { version, settings, fsync }: MysqlOptions): string[] {
  const isMysql = MYSQL_RELEASES[version].system === 'mysql';
  const all: Record<string, string | number | null> = {
    datadir: server.dataDir,
    port: server.port,
    'bind-address': '127.0.0.1',
    socket: join(server.directory, 's'),
    'pid-file': join(server.directory, 'pid'),
    // MariaDB clears it when it starts, of what other servers use too.
    tmpdir: server.directory,
    'server-id': server.serverId,
    'log-bin': 'binlog',
    'binlog-row-metadata': 'FULL',
    'binlog-row-image': 'FULL',
    'default-time-zone': '+00:00',
    'innodb-buffer-pool-size': '64M',
    ...(fsync ? {} : { 'innodb-flush-log-at-trx-commit': 2, 'sync-binlog': 0 }),
    ...(isMysql
      ? {
          'gtid-mode': 'ON',
          'enforce-gtid-consistency': 'ON',
          'performance-schema': 'OFF',
          'innodb-redo-log-capacity': '16M',
          'secure-file-priv': 'NULL',
          mysqlx: 'OFF',
        }
      : { 'binlog-format': 'ROW', 'gtid-strict-mode': 'ON', 'skip-name-resolve': 'ON' }),
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`--${name}=${value}`]));
}
