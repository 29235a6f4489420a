/** What cannot be read stops the reading with an error that says why, and nothing behind it is taken for read (I8). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mariadb, mysql } from '../../connectors/mysql/index.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { connected, openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

/** Statements, by the error that they end the reading with. */
const EVERYWHERE: readonly (readonly [code: string, sql: string])[] = [
  ['SLUICE_MYSQL_PARTIAL_ROWS', 'SET SESSION binlog_row_image = MINIMAL; UPDATE t SET v = 2'],
  ['SLUICE_MYSQL_PARTIAL_ROWS', 'SET SESSION binlog_row_image = NOBLOB; UPDATE t SET v = 3'],
  ['SLUICE_MYSQL_STATEMENT', 'SET SESSION binlog_format = STATEMENT; CREATE TABLE made (id int PRIMARY KEY) SELECT id FROM t'],
  ['SLUICE_MYSQL_XA', "XA START 'x'; INSERT INTO t(id) VALUES (70); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'"],
];
const MYSQL: typeof EVERYWHERE = [
  ['SLUICE_MYSQL_COMPRESSED', 'SET SESSION binlog_transaction_compression = ON; INSERT INTO t(id) VALUES (71)'],
  ['SLUICE_MYSQL_PARTIAL_ROWS', "SET SESSION binlog_row_value_options = PARTIAL_JSON; UPDATE t SET j = JSON_SET(j, '$.a', 2)"],
  ['SLUICE_MYSQL_STATEMENT', 'SET SESSION binlog_format = STATEMENT; INSERT INTO t(id) VALUES (72)'],
  ['SLUICE_MYSQL_COLUMN', 'CREATE TABLE w (id int PRIMARY KEY, e vector(3)); INSERT INTO w(id) VALUES (1)'],
];
const MARIADB: typeof EVERYWHERE = [
  ['SLUICE_MYSQL_STATEMENT', 'SET SESSION binlog_format = STATEMENT; SET STATEMENT max_statement_time = 10 FOR INSERT INTO t(id) VALUES (72)'],
  ['SLUICE_MYSQL_STATEMENT', 'SET SESSION binlog_format = STATEMENT; ANALYZE UPDATE t SET v = 2'],
  ['SLUICE_MYSQL_STATEMENT', 'SET SESSION binlog_format = STATEMENT; INSERT INTO t(id) VALUES (72)'],
  [
    'SLUICE_MYSQL_COMPRESSED',
    "SET GLOBAL log_bin_compress = ON; SET GLOBAL log_bin_compress_min_len = 10; INSERT INTO w(id, e) VALUES (1, repeat('x', 2000)); SET GLOBAL log_bin_compress = OFF",
  ],
  ['SLUICE_MYSQL_TYPE', 'CREATE TABLE u (id uuid PRIMARY KEY); INSERT INTO u VALUES (uuid())'],
  ['SLUICE_MYSQL_TYPE', "CREATE TABLE u (id int PRIMARY KEY, a inet6); INSERT INTO u VALUES (1, '::1')"],
  ['SLUICE_MYSQL_COLUMN', 'CREATE TABLE c (id int PRIMARY KEY, e text COMPRESSED); INSERT INTO c(id) VALUES (1)'],
];

describe.each(availableMysqls)('what %s may write and is not read', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version });
  });
  afterAll(() => server.dispose());

  const cases = [...EVERYWHERE, ...(version === 'mysql-9' ? MYSQL : MARIADB)];

  it.each(cases)('%s: %s', async (code, sql) => {
    const database = await server.createDatabase();
    await server.query(
      `CREATE TABLE t (id int PRIMARY KEY, v int, b text, j json); INSERT INTO t VALUES (1, 1, 'b', '{"a":1,"b":"${'x'.repeat(100)}"}')
       ${version === 'mysql-9' ? '' : '; CREATE TABLE w (id int PRIMARY KEY, e text)'}`,
      database,
    );
    const tables = [`${database}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query(sql, database);
    const error = await rejection(readMessages(openMysql(server, { tables }), position, () => false));
    expect(error.code).toBe(code);
    expect(error.kind.retry).toBe('manual');
    expect(`${error.message} ${error.remedy}`).not.toMatch(/\{\w+\}/);
  });

  it('says the position behind what is not read, and goes on there', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v int, w int); INSERT INTO t VALUES (1, 1, 1)', database);
    const reading = () => openMysql(server, { tables: [`${database}.*`] });
    const { position } = await readMessages(reading(), null, null);
    await server.query('INSERT INTO t VALUES (2, 2, 2); SET SESSION binlog_row_image = MINIMAL; UPDATE t SET v = 2', database);
    await server.query('INSERT INTO t VALUES (3, 3, 3)', database);
    const { remedy } = await rejection(readMessages(reading(), position, () => false));
    const plugin = server.system === 'mysql' ? mysql : mariadb;
    const behind = plugin.parsePosition(/--position (\S+)\)/.exec(remedy)?.[1] ?? '', position);
    const { messages } = await readMessages(reading(), behind, ({ key }) => key === '{"id":3}');
    expect(messages.map(({ key }) => key)).toEqual(['{"id":3}']);
  });

  it('says at the start what settings are wrong, all at once', async () => {
    const settings = [
      ['binlog_row_metadata', "'MINIMAL'", "'FULL'"],
      ['binlog_row_image', "'MINIMAL'", "'FULL'"],
      ...(server.system === 'mysql' ? [['binlog_transaction_compression', 'ON', 'OFF']] : [['log_bin_compress', 'ON', 'OFF']]),
    ];
    await server.query(settings.map(([name, wrong]) => `SET GLOBAL ${name} = ${wrong}`).join(';'));
    const { findings } = await openMysql(server, { tables: ['nothing.here'] }).source.preflight(AbortSignal.timeout(5000));
    expect((await rejection(readMessages(openMysql(server), null, null))).code).toBe('SLUICE_MYSQL_SETTING');
    await server.query(settings.map(([name, , right]) => `SET GLOBAL ${name} = ${right}`).join(';'));
    const wrong = findings.filter(({ code }) => code === 'SLUICE_MYSQL_SETTING').map(({ message }) => /has (\w+) =/.exec(message)?.[1]);
    expect(wrong.sort()).toEqual(settings.map(([name]) => name).sort());
    expect(findings.map(({ code }) => code)).toContain('SLUICE_MYSQL_PATTERN_MATCHES_NOTHING');
  });

  it('stops at rows whose columns the log does not name', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const { position } = await readMessages(openMysql(server, { tables: [`${database}.*`] }), null, null);
    await server.query("SET GLOBAL binlog_row_metadata = 'MINIMAL'; INSERT INTO t VALUES (1); SET GLOBAL binlog_row_metadata = 'FULL'", database);
    const error = await rejection(readMessages(openMysql(server, { tables: [`${database}.*`] }), position, () => false));
    expect([error.code, error.table]).toEqual(['SLUICE_MYSQL_ROW_METADATA', `${database}.t`]);
  });

  it('tells who may not read the log, and whose password is wrong', async () => {
    const database = await server.createDatabase();
    await server.query(`CREATE TABLE t (id int PRIMARY KEY)`, database);
    await server.query(`CREATE USER 'weak_${database}'@'%' IDENTIFIED BY 'pw'; GRANT SELECT ON ${database}.* TO 'weak_${database}'@'%'`);
    const url = server.url({ user: `weak_${database}`, password: 'pw' });
    // Without TLS the password is sent encrypted all the same: by the server's key.
    const { findings } = await openMysql(server, { url, tables: [`${database}.*`] }).source.preflight(AbortSignal.timeout(5000));
    const lacking = findings.filter(({ severity }) => severity === 'error');
    expect(lacking.map(({ code }) => code)).toEqual(['SLUICE_MYSQL_PRIVILEGE']);
    // The remedy, as it is printed.
    await server.query(lacking[0]?.remedy.replace('Run as an administrator: ', '') ?? '');
    const mended = await openMysql(server, { url, tables: [`${database}.*`] }).source.preflight(AbortSignal.timeout(5000));
    expect(mended.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const wrong = await rejection(
      openMysql(server, { url: server.url({ user: 'nobody', password: 'x' }) }).source.preflight(AbortSignal.timeout(5000)),
    );
    expect(wrong.code).toBe('SLUICE_MYSQL_AUTHENTICATION');
  });

  it.skipIf(version === 'mysql-9').each([
    ['SLUICE_MYSQL_TYPE', 'CREATE TABLE u (id uuid PRIMARY KEY); INSERT INTO u VALUES (uuid())'],
    ['SLUICE_MYSQL_TYPE', 'ALTER TABLE t ADD COLUMN a inet6; INSERT INTO t VALUES (2, "::1")'],
    ['SLUICE_MYSQL_UNLOGGED_CASCADE', 'ALTER TABLE child ADD FOREIGN KEY (p) REFERENCES t(id) ON DELETE CASCADE; DELETE FROM t'],
  ])('stops at a definition that comes while it reads: %s: %s', async (code, sql) => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int); INSERT INTO t VALUES (1)', database);
    const seen: string[] = [];
    const reading = readMessages(
      openMysql(server, { tables: [`${database}.*`] }),
      null,
      ({ value }) => {
        seen.push(String(value));
        return false;
      },
      () => server.query(`INSERT INTO child VALUES (1, 1); ${sql}`, database).then(() => undefined),
    );
    expect((await rejection(reading)).code).toBe(code);
    expect(seen.filter((value) => !value.includes('"table":"child"'))).toEqual([]);
  });

  it('names the foreign keys whose changes the server does not write', async () => {
    const database = await server.createDatabase();
    await server.query(
      'CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES parent(id) ON DELETE CASCADE)',
      database,
    );
    const codes = async (acceptUnloggedCascades: boolean) =>
      (await openMysql(server, { tables: [`${database}.*`], acceptUnloggedCascades }).source.preflight(AbortSignal.timeout(5000))).findings
        .filter(({ severity }) => severity === 'error')
        .map(({ code, table }) => [code, table]);
    expect(await codes(false)).toEqual(server.system === 'mysql' ? [] : [['SLUICE_MYSQL_UNLOGGED_CASCADE', `${database}.child`]]);
    expect(await codes(true)).toEqual([]);
  });

  it('ends the older of two readers under one server id', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const config = { tables: [`${database}.*`], serverId: 4711 };
    const older = openMysql(server, config);
    const newer = openMysql(server, config);
    const ended = rejection(readMessages(older, null, () => false));
    await connected(older);
    const going = readMessages(newer, null, ({ key }) => key === '{"id":1}');
    expect((await ended).code).toBe('SLUICE_MYSQL_SERVER_ID');
    await server.query('INSERT INTO t VALUES (1)', database);
    expect((await going).messages).toHaveLength(1);
  });

  it.runIf(version === 'mysql-9')('encrypts, and makes sure of the server', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const ca = `${server.dataDir}/ca.pem`;
    const verified = openMysql(server, { tables: [`${database}.*`], tls: { mode: 'verify-ca', ca } });
    const { messages } = await readMessages(
      verified,
      null,
      ({ key }) => key === '{"id":1}',
      async () => {
        await server.query('INSERT INTO t VALUES (1)', database);
      },
    );
    expect(messages).toHaveLength(1);
    for (const tls of [{ mode: 'verify-full' as const, ca }, { mode: 'verify-full' as const }]) {
      const { source } = openMysql(server, { tables: [`${database}.*`], tls });
      expect((await rejection(source.preflight(AbortSignal.timeout(5000)))).code).toBe('SLUICE_MYSQL_TLS');
    }
    const administrator = await server.connect(database);
    await administrator.query('SET GLOBAL require_secure_transport = ON');
    try {
      const plain = openMysql(server, { tables: [`${database}.*`] }).source.preflight(AbortSignal.timeout(5000));
      expect((await rejection(plain)).code).toBe('SLUICE_MYSQL_TLS_REQUIRED');
    } finally {
      await administrator.query('SET GLOBAL require_secure_transport = OFF');
      await administrator.end();
    }
  });

  it.runIf(version === 'mariadb-10.11')('says that the server does not encrypt', async () => {
    const { source } = openMysql(server, { tls: { mode: 'require' } });
    expect((await rejection(source.preflight(AbortSignal.timeout(5000)))).code).toBe('SLUICE_MYSQL_NO_TLS');
  });

  it.runIf(version === 'mysql-9')('refuses a VECTOR at the start, before its first row comes', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v vector(3))', database);
    const error = await rejection(readMessages(openMysql(server, { tables: [`${database}.*`] }), null, null));
    expect([error.code, error.table]).toEqual(['SLUICE_MYSQL_COLUMN', `${database}.t`]);
  });
});
