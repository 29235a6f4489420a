/**
 * What the libraries that read the log and ask the server (@vlasky/zongji, mysql2) get wrong, on every server: each trap that no other test names. The others: columns by today's
 * catalogue, numbers of tables after a restart, shifted character sets, back-pressure, silence (`mysql-log`); minimal metadata, partial rows and JSON, compressed transactions,
 * statements, one server id twice (`mysql-refusals`); values, rounded FLOATs, dropped fractions (`mysql-snapshot-rows`, `golden-mysql`); connections that end in the midst of rows, a
 * reader that pauses for longer than the server waits (`mysql-snapshot-seam`).
 */
import { connect, createServer, type Server } from 'node:net';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import type { EncodedMessage } from '../support/encoded.ts';
import { openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

interface Value {
  readonly op: string;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly source: Readonly<Record<string, unknown>>;
}
const values = (messages: readonly EncodedMessage[]): Value[] =>
  messages.flatMap(({ value }) => (value === null ? [] : [JSON.parse(value) as Value]));
const has = (text: string) => (message: EncodedMessage) => message.value?.includes(text) === true;
/** Truncates are left out unless this is said (Debezium). */
const ALL_OPERATIONS = { skippedOperations: [] };

describe.each(availableMysqls)('%s', (version) => {
  let server: MysqlServer;
  let listener: Server | null = null;

  beforeAll(async () => {
    server = await startMysql({ version, own: true });
  });
  afterEach(() => {
    listener?.close();
    listener = null;
  });
  afterAll(() => server.dispose());

  /** A database with these tables, and a place in the log behind them. */
  async function begin(create: string) {
    const database = await server.createDatabase();
    await server.query(create, database);
    const tables = [`${database}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    const read = (isLast: (message: EncodedMessage) => boolean, from = position) =>
      readMessages(openMysql(server, { tables }, ALL_OPERATIONS), from, isLast);
    return { database, tables, read, sql: (text: string) => server.query(text, database) };
  }

  it.skipIf(version === 'mysql-9')('trap: zongji guesses dates and times in the storage form of servers before 5.6 by the catalogue', async () => {
    const { tables, read, sql } = await begin(
      'SET GLOBAL mysql56_temporal_format = OFF; CREATE TABLE t (id int PRIMARY KEY, ts timestamp(3) NULL, dt datetime(6), v int)',
    );
    await sql('SET GLOBAL mysql56_temporal_format = ON; INSERT INTO t VALUES (1, NOW(), NOW(), 1)');
    const error = await rejection(read(() => false));
    expect([error.code, error.table?.split('.')[1]]).toEqual(['SLUICE_MYSQL_COLUMN', 't']);
    // The remedy that it names.
    await sql('ALTER TABLE t FORCE');
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await sql('INSERT INTO t VALUES (2, NOW(), NOW(), 2)');
    expect(values((await read(has('"id":2,'), position)).messages)).toHaveLength(1);
  });

  it.each(['CRC32', 'NONE'])(
    'trap: zongji asks once how the log is checked: what it was before, or will be, is read all the same (%s)',
    async (last) => {
      const { read, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY, v varchar(20))');
      for (const [id, checksum] of ['CRC32', 'NONE', 'CRC32', 'NONE', last].entries())
        await sql(`SET GLOBAL binlog_checksum = ${checksum}; INSERT INTO t VALUES (${id}, 'v${id}')`);
      const { messages, position } = await read(has('"id":4,'));
      expect(values(messages).map(({ after }) => after)).toEqual([0, 1, 2, 3, 4].map((id) => ({ id, v: `v${id}` })));
      const [end] = await server.query<{ File: string }>(server.system === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
      expect([values(messages)[4]?.source['file'], position?.['file']]).toEqual([end?.File, end?.File]);
      await sql("SET GLOBAL binlog_checksum = CRC32; INSERT INTO t VALUES (5, 'v5')");
      expect(values((await read(has('"id":5,'), position)).messages)).toHaveLength(1);
    },
  );

  it.each(['INSERT INTO t VALUES (1, RAND() * 100)', 'SET @v = 7; INSERT INTO t VALUES (1, @v)', 'INSERT INTO a(v) VALUES (LAST_INSERT_ID())'])(
    'trap: zongji knows no events for what a statement takes from its session: %s',
    async (statement) => {
      const { read, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, v int)');
      await sql(`SET SESSION binlog_format = STATEMENT; ${statement}`);
      expect((await rejection(read(() => false))).code).toBe('SLUICE_MYSQL_STATEMENT');
    },
  );

  it('trap: zongji counts a definition as read only with the next transaction: it comes once all the same', async () => {
    const { read, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY)');
    await sql('INSERT INTO t VALUES (1); TRUNCATE TABLE t');
    const first = await read(({ value }) => value?.includes('"op":"t"') === true);
    expect(values(first.messages).map(({ op }) => op)).toEqual(['c', 't']);
    await sql('INSERT INTO t VALUES (2)');
    const second = await read(has('"id":2}'), first.position);
    expect(values(second.messages).map(({ op }) => op)).toEqual(['c']);
  });

  it("trap: zongji takes every statement for UTF-8: it is in its session's character set", async () => {
    const { database, read } = await begin('CREATE TABLE `größe` (id int PRIMARY KEY)');
    const client = await mysql.createConnection({ uri: server.url(), database, charset: 'latin1_swedish_ci' });
    await client.query('INSERT INTO `größe` VALUES (1)');
    await client.query('TRUNCATE TABLE `größe`');
    await client.query('INSERT INTO `größe` VALUES (2)');
    await client.end();
    const { messages } = await read(has('"id":2}'));
    expect(values(messages).map(({ op, source }) => [op, source['table']])).toEqual([
      ['c', 'größe'],
      ['t', 'größe'],
      ['c', 'größe'],
    ]);
  });

  it.runIf(version === 'mariadb-11')(
    'trap: zongji takes a VECTOR of MariaDB for bytes: it is refused, also one that comes while it reads',
    async () => {
      const { database, tables, read, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY)');
      await sql("CREATE TABLE v (id int PRIMARY KEY, e vector(3) NOT NULL); INSERT INTO v VALUES (1, VEC_FromText('[1,2,3]'))");
      const error = await rejection(read(() => false));
      expect([error.code, error.table]).toEqual(['SLUICE_MYSQL_TYPE', `${database}.v`]);
      await sql('DROP TABLE v');
      const alter = () => sql("ALTER TABLE t ADD e vector(2); INSERT INTO t VALUES (1, VEC_FromText('[1,2]'))").then(() => undefined);
      expect((await rejection(readMessages(openMysql(server, { tables }), null, () => false, alter))).code).toBe('SLUICE_MYSQL_TYPE');
    },
  );

  it('trap: zongji tells whole seconds of a commit: MySQL has microseconds of it, MariaDB has not', async () => {
    const { read, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY)');
    await sql('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)');
    const { messages } = await read(has('"id":3}'));
    const whole = values(messages).filter(({ source }) => Number(source['ts_us']) % 1_000_000 === 0);
    expect(whole.length === messages.length).toBe(server.system === 'mariadb');
    expect(Math.abs(Number(values(messages)[0]?.source['ts_ms']) - Date.now())).toBeLessThan(60_000);
  });

  it('trap: mysql2 offers every server to send it files of this machine (LOCAL INFILE)', async () => {
    const greetings: number[] = [];
    const proxy = createServer((client) => {
      const upstream = connect(server.port, server.host);
      client.once('data', (bytes: Buffer) => greetings.push(bytes.readUInt32LE(4)));
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('error', () => undefined).once('close', () => other.destroy());
        one.pipe(other);
      }
    });
    listener = proxy;
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    const { database, sql } = await begin('CREATE TABLE t (id int PRIMARY KEY)');
    const url = server.url().replace(String(server.port), String(port));
    await readMessages(openMysql(server, { url, tables: [`${database}.*`] }), null, has('"id":1}'), () =>
      sql('INSERT INTO t VALUES (1)').then(() => undefined),
    );
    // The connection that asks, and the one that reads.
    expect(greetings.length).toBeGreaterThan(1);
    const LOCAL_FILES = 0x80;
    expect(greetings.filter((flags) => (flags & LOCAL_FILES) !== 0)).toEqual([]);
  });
});
