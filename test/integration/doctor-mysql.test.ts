/** What `sluice doctor` finds on MySQL and MariaDB: each finding on a real server that has the fault, and gone once the printed remedy was carried out word for word. */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlConfig } from '../../connectors/mysql/config.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Finding } from '../../src/plugin/finding.ts';
import type { StoredPosition } from '../../src/plugin/source.ts';
import type { Position } from '../../src/record/position.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { openMysql, readMessages } from '../support/mysql-source.ts';
import { statementsOf } from '../support/remedy.ts';

const signal = new AbortController().signal;
const named = (found: readonly Finding[], code: string): Finding | undefined => found.find((each) => each.code === `SLUICE_MYSQL_${code}`);

async function findingsOf(server: MysqlServer, config: Partial<MysqlConfig>, stored?: StoredPosition, ahead = 0): Promise<readonly Finding[]> {
  const real = nodeRuntime();
  const runtime = { ...real, nowMicros: () => real.nowMicros() + ahead * 1e6 };
  const { source } = openMysql(server, config, {}, ahead === 0 ? {} : { runtime });
  const { findings } = await source.preflight(signal, stored);
  await source.close();
  for (const { message, why = '', remedy } of findings) expect(`${message} ${why} ${remedy}`).not.toMatch(/\{\w+\}|undefined|NaN|\[object/);
  return findings;
}

describe.each(availableMysqls.filter((version) => version !== 'mariadb-10.11'))('%s', (version) => {
  let server: MysqlServer;
  let database: string;

  beforeAll(async () => {
    server = await startMysql({ version, own: true });
    database = await server.createDatabase();
    await server.query(
      `CREATE TABLE ${database}.orders (id int PRIMARY KEY);
       CREATE USER 'reader'@'%' IDENTIFIED BY 'pw'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'reader'@'%'; GRANT SELECT ON ${database}.* TO 'reader'@'%'`,
    );
  });

  afterAll(() => server?.dispose());

  const config = (overrides: Partial<MysqlConfig> = {}, user = 'reader'): Partial<MysqlConfig> => ({
    url: server.url({ user, password: 'pw' }),
    tables: [`${database}.*`],
    ...overrides,
  });

  /** Shows the finding, carries its remedy out one statement after the other, and shows that it is gone. Returns it as it was. */
  async function mended(code: string, overrides: Partial<MysqlConfig> = {}, user?: string, choose = statementsOf): Promise<Finding> {
    const found = named(await findingsOf(server, config(overrides, user)), code);
    expect(found, `${code} is found`).toBeDefined();
    for (const statement of choose(found?.remedy ?? '')) await server.query(statement);
    expect(named(await findingsOf(server, config(overrides, user)), code), `${code} is gone after: ${found?.remedy}`).toBeUndefined();
    return found as Finding;
  }

  it('of a server with nothing wrong nothing but notes is said', async () => {
    await server.query('SET GLOBAL binlog_expire_logs_seconds = 604800');
    expect((await findingsOf(server, config())).map(({ severity, code }) => [severity, code])).toEqual([['info', 'SLUICE_MYSQL_GRANTS']]);
  });

  it('settings of the log', async () => {
    const upToComma = (remedy: string): string[] => [remedy.split(', and')[0] as string];
    for (const [name, value] of [
      ['binlog_row_metadata', "'MINIMAL'"],
      ['binlog_row_image', "'MINIMAL'"],
      ['binlog_format', "'STATEMENT'"],
      ...(server.system === 'mysql'
        ? [
            ['binlog_row_value_options', "'PARTIAL_JSON'"],
            ['binlog_transaction_compression', 'ON'],
          ]
        : [['log_bin_compress', 'ON']]),
    ] as const) {
      await server.query(`SET GLOBAL ${name} = ${value}`);
      const found = await mended('SETTING', {}, undefined, upToComma);
      expect([found.severity, found.message]).toEqual(['error', expect.stringContaining(`has ${name} =`)]);
      expect(found.fix !== undefined).toBe(name === 'binlog_row_metadata');
    }
  });

  it('--fix of the one that is harmless, for an account that may', async () => {
    await server.query("SET GLOBAL binlog_row_metadata = 'MINIMAL'");
    const mayNot = named(await findingsOf(server, config()), 'SETTING');
    expect(mayNot?.remedy).toContain(mayNot?.fix?.statement);
    await expect(mayNot?.fix?.apply(signal)).rejects.toThrow(/privilege/i);
    const root = { url: server.url(), tables: [`${database}.*`] };
    await named(await findingsOf(server, root), 'SETTING')?.fix?.apply(signal);
    expect(named(await findingsOf(server, root), 'SETTING')).toBeUndefined();
  });

  it('how long the log is kept', async () => {
    await server.query('SET GLOBAL binlog_expire_logs_seconds = 600');
    await mended('SHORT_LOG');
    await server.query('SET GLOBAL binlog_expire_logs_seconds = 0');
    await mended('ENDLESS_LOG');
    if (server.system === 'mysql') {
      await server.query('SET GLOBAL binlog_expire_logs_auto_purge = OFF');
      await mended('ENDLESS_LOG');
    }
  });

  it('other settings of the server', async () => {
    const query = server.system === 'mysql' ? 'binlog_rows_query_log_events' : 'binlog_annotate_row_events';
    await server.query(`SET GLOBAL ${query} = OFF`);
    await mended('NO_QUERY', { includeQuery: true }, undefined, (remedy) => [remedy.split(', or')[0] as string]);
    await server.query(`SET GLOBAL ${query} = OFF`);
  });

  it('a pattern that matches nothing', async () => {
    const misspelt = config({ tables: [`${database}.orders`, `${database}.odrers_*`] });
    const found = named(await findingsOf(server, misspelt), 'PATTERN_MATCHES_NOTHING');
    expect([found?.severity, found?.message]).toEqual(['warning', expect.stringContaining('odrers_*')]);
    expect(named(await findingsOf(server, config()), 'PATTERN_MATCHES_NOTHING')).toBeUndefined();
    await server.query(`CREATE TABLE ${database}.odrers_1 (id int PRIMARY KEY)`);
    expect(named(await findingsOf(server, misspelt), 'PATTERN_MATCHES_NOTHING')).toBeUndefined();
    await server.query(`DROP TABLE ${database}.odrers_1`);
  });

  it('grants: too few, and too many', async () => {
    await server.query(`CREATE USER 'poor'@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON ${database}.* TO 'poor'@'%'`);
    expect((await mended('PRIVILEGE', {}, 'poor')).remedy).toContain(`GRANT SELECT ON ${database}.* TO 'poor'@'%'`);
    await server.query(`GRANT INSERT, UPDATE ON ${database}.* TO 'reader'@'%' WITH GRANT OPTION; GRANT CREATE USER, PROCESS ON *.* TO 'reader'@'%'`);
    const { message } = await mended('EXCESS_GRANTS');
    for (const right of ['INSERT, UPDATE', 'CREATE USER', 'PROCESS', 'GRANT OPTION', `\`${database}\`.*`]) expect(message).toContain(right);
    await server.query(`CREATE USER 'boss'@'%' IDENTIFIED BY 'pw'; GRANT ALL PRIVILEGES ON *.* TO 'boss'@'%' WITH GRANT OPTION`);
    await mended('EXCESS_GRANTS', {}, 'boss');
    expect((await findingsOf(server, config({}, 'boss'))).filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('an offset that is stored: whether the log goes on there, and for how long', async () => {
    const { position } = await readMessages(openMysql(server, config()), null, null);
    const now = nodeRuntime().nowMicros();
    const stored = (at: Position, more: Partial<StoredPosition> = {}): StoredPosition => ({ position: at, isRead: false, savedMicros: now, ...more });
    const codes = async (each: StoredPosition): Promise<string[]> =>
      (await findingsOf(server, config(), each)).filter(({ severity }) => severity !== 'info').map(({ code }) => code);
    const from = position as Position;
    expect(await codes(stored(from))).toEqual([]);
    await server.query('SET GLOBAL binlog_expire_logs_seconds = 86400');
    await server.query(`INSERT INTO ${database}.orders VALUES (1)`);
    expect(await codes(stored(from))).toEqual([]);
    const old = stored(from, { savedMicros: now - 50_000e6, isRead: true });
    const near = named(await findingsOf(server, config(), old), 'NEAR_PURGE');
    expect(near?.message).toMatch(/is [\d.]+ (bytes|KiB) behind and saved its offset 5000\d s ago, and the server deletes its log after 86400 s/);
    for (const statement of statementsOf(near?.remedy ?? '')) await server.query(statement);
    expect(await codes(old)).toEqual([]);
    // What was deleted, for who does not read it.
    await server.query('FLUSH LOGS');
    const [{ Log_name: last }] = (await server.query('SHOW BINARY LOGS')).slice(-1) as [{ Log_name: string }];
    await server.query(`PURGE BINARY LOGS TO '${last}'`);
    if (server.system === 'mysql') expect(await codes(stored(from))).toEqual(['SLUICE_MYSQL_PURGED']);
    expect(await codes(stored(from, { isRead: true }))).toEqual([]);
    expect(await codes(stored({ system: 'other' }))).toEqual(['SLUICE_MYSQL_OFFSET']);
  });

  it('a connection that leaves this machine unprotected', async () => {
    // Another name of this machine, which is not known for one.
    const away = server.url({ user: 'reader', password: 'pw' }).replace('127.0.0.1', '127.1');
    expect(named(await findingsOf(server, config({ url: away, tls: { mode: 'disable' } })), 'NOT_ENCRYPTED')?.severity).toBe('warning');
    // Both systems make a certificate for themselves.
    expect(named(await findingsOf(server, config({ url: away, tls: { mode: 'require' } })), 'NOT_VERIFIED')?.message).toContain('who answers');
  });

  it('clocks that are apart, and a server id that is taken', async () => {
    expect(named(await findingsOf(server, config(), undefined, 60), 'CLOCK')?.message).toContain('the server is behind');
    expect(named(await findingsOf(server, config(), undefined, -60), 'CLOCK')?.message).toContain('the server is ahead');
    expect(named(await findingsOf(server, config(), undefined, 2), 'CLOCK')).toBeUndefined();
    expect(named(await findingsOf(server, config({ serverId: server.serverId })), 'SERVER_ID_OWN')?.severity).toBe('error');
  });
});

describe.runIf(availableMysqls.includes('mysql-9'))('a server without GTIDs', () => {
  it.each(['OFF', 'OFF_PERMISSIVE', 'ON_PERMISSIVE'])('gtid_mode = %s: turned on by what is printed, step by step', async (mode) => {
    const server = await startMysql({ version: 'mysql-9', settings: { 'gtid-mode': mode, 'enforce-gtid-consistency': 'OFF' } });
    try {
      const database = await server.createDatabase();
      await server.query(`CREATE TABLE ${database}.orders (id int PRIMARY KEY)`);
      const look = async (): Promise<Finding | undefined> =>
        named(await findingsOf(server, { url: server.url(), tables: [`${database}.*`] }), 'PLACES');
      const found = await look();
      expect([found?.severity, found?.message]).toEqual(['warning', expect.stringContaining(`gtid_mode = ${mode})`)]);
      for (const statement of statementsOf((found?.remedy ?? '').replace(/^.*: /, ''))) await server.query(statement);
      expect(await look()).toBeUndefined();
    } finally {
      await server.dispose();
    }
  });
});

describe.runIf(availableMysqls.includes('mariadb-11'))('two servers', () => {
  let one: MysqlServer;
  let two: MysqlServer;

  beforeAll(async () => {
    [one, two] = await Promise.all([startMysql({ version: 'mariadb-11', own: true }), startMysql({ version: 'mariadb-11', own: true })]);
  });

  afterAll(() => Promise.all([one?.dispose(), two?.dispose()]));

  it('behind one address', async () => {
    const balancer = await spread(one.port, two.port);
    const { port } = balancer.address() as { port: number };
    const url = one.url().replace(`:${one.port}`, `:${port}`);
    expect(named(await findingsOf(one, { url }), 'BALANCED')?.message).toMatch(/server id \d+ on .* and server id \d+ on/);
    balancer.close();
    expect(named(await findingsOf(one, {}), 'BALANCED')).toBeUndefined();
  });

  it('one of which replicates the other: it does not log what it is sent, and has its server id', async () => {
    await two.query(
      `CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${one.port}, MASTER_USER = 'root', MASTER_SSL = 0, MASTER_USE_GTID = slave_pos; START SLAVE`,
    );
    await expect.poll(async () => named(await findingsOf(two, {}), 'REPLICA_UNLOGGED')?.severity, { timeout: 10_000 }).toBe('warning');
    await expect
      .poll(async () => named(await findingsOf(one, { serverId: two.serverId }), 'SERVER_ID_REPLICA')?.severity, { timeout: 10_000 })
      .toBe('warning');
    expect(named(await findingsOf(one, { serverId: two.serverId + 1 }), 'SERVER_ID_REPLICA')).toBeUndefined();
    await two.restart('stop', { 'log-slave-updates': 'ON' });
    await expect.poll(async () => (await two.query<{ Value: string }>("SHOW STATUS LIKE 'Slaves_running'"))[0]?.Value, { timeout: 10_000 }).toBe('1');
    expect(named(await findingsOf(two, {}), 'REPLICA_UNLOGGED')).toBeUndefined();
  });
});

/** Hands each connection to the next of the ports. */
async function spread(...ports: readonly number[]): Promise<Server> {
  let turn = 0;
  const relay = createServer((client: Socket) => {
    const upstream = dial(ports[turn++ % ports.length] as number, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return relay;
}
