/** The log source on every server: values, positions, definitions that change, large rows, and what comes again after a break. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql, startProxy } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { type EncodedMessage, encodeBatch, textsOf } from '../support/encoded.ts';
import { connected, openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

interface Row {
  readonly [column: string]: unknown;
}
interface Value {
  readonly op: string;
  readonly before: Row | null;
  readonly after: Row | null;
  readonly source: Row;
}

const values = (messages: readonly EncodedMessage[]): Value[] =>
  messages.flatMap(({ value }) => (value === null ? [] : [JSON.parse(value) as Value]));
const has = (text: string) => (message: EncodedMessage) => message.value?.includes(text) === true;

describe.each(mysqlVariants)('the log of $title', ({ title, options }) => {
  const { version } = options;
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ ...options, fsync: true });
  });
  afterAll(() => server.dispose());

  it('goes on at its position: nothing twice, nothing missing, and the same ids after a replay', async () => {
    const database = await server.createDatabase();
    await server.query(
      'CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); CREATE TABLE other (id int); INSERT INTO t VALUES (0, "before")',
      database,
    );
    const tables = [`${database}.t`];
    const first = await readMessages(openMysql(server, { tables }), null, has('"v":"two"'), async () => {
      await server.query(
        'BEGIN; INSERT INTO t VALUES (1, "one"); INSERT INTO other VALUES (1), (2); INSERT INTO t VALUES (2, "two"); COMMIT',
        database,
      );
    });
    expect(values(first.messages).map(({ after }) => after?.['v'])).toEqual(['one', 'two']);
    // Rows of tables that are not captured count in the ordinals.
    expect(first.messages.map(({ id }) => id.split('/').at(-2))).toEqual(['0', '3']);
    await server.query('UPDATE t SET v = "three" WHERE id = 2; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (9, "end")', database);
    const second = await readMessages(openMysql(server, { tables }), first.position, has('"v":"end"'));
    expect(values(second.messages).map(({ op, before, after }) => [op, before?.['v'], after?.['v']])).toEqual([
      ['u', 'two', 'three'],
      ['d', 'one', undefined],
      ['c', undefined, 'end'],
    ]);
    const again = await readMessages(openMysql(server, { tables }), first.position, has('"v":"end"'));
    const idsOf = (messages: readonly EncodedMessage[]) => messages.map(({ id, value }) => [id.slice(id.indexOf('/')), value]);
    expect(idsOf(again.messages)).toEqual(idsOf(second.messages));
  });

  it('tells rows of a table by the definition that they were written under, whatever it is today', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY, a varchar(10), b int)', database);
    const tables = [`${database}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query('INSERT INTO t VALUES (1, "x", 1)', database);
    await server.query(
      `INSERT INTO t VALUES (2, "y", 2); ALTER TABLE t DROP COLUMN a; INSERT INTO t VALUES (3, 3); ALTER TABLE t ADD COLUMN c varchar(10) FIRST;
       INSERT INTO t VALUES ("z", 4, 4); ALTER TABLE t RENAME COLUMN b TO a; INSERT INTO t VALUES ("w", 5, 5); RENAME TABLE t TO u; INSERT INTO u VALUES ("v", 6, 6);
       TRUNCATE TABLE u; CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (7); CREATE TABLE s AS SELECT id + 1 AS n FROM t; CREATE VIEW v AS SELECT * FROM s;
       DROP TABLE u; INSERT INTO t VALUES (8)`,
      database,
    );
    const { messages } = await readMessages(openMysql(server, { tables }), position, has('"id":8}'));
    expect(values(messages).map(({ op, after, source }) => [op, source['table'], after])).toEqual([
      ['c', 't', { id: 1, a: 'x', b: 1 }],
      ['c', 't', { id: 2, a: 'y', b: 2 }],
      ['c', 't', { id: 3, b: 3 }],
      ['c', 't', { c: 'z', id: 4, b: 4 }],
      ['c', 't', { c: 'w', id: 5, a: 5 }],
      ['c', 'u', { c: 'v', id: 6, a: 6 }],
      ['t', 'u', null],
      ['c', 't', { id: 7 }],
      ['c', 's', { n: 8 }],
      ['c', 't', { id: 8 }],
    ]);
  });

  it.runIf(title === 'mysql-9')('goes on behind transactions whose GTIDs have tags', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    const first = await readMessages(openMysql(server, { tables }), null, has('"id":2}'), async () => {
      await server.query("SET gtid_next = 'AUTOMATIC:nightly'; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", database);
    });
    expect(first.position?.['gtid']).toMatch(/:nightly:1-2$/);
    expect(values(first.messages).map(({ source }) => String(source['gtid']).split(':').slice(1))).toEqual([
      ['nightly', '1'],
      ['nightly', '2'],
    ]);
    await server.query("SET gtid_next = 'AUTOMATIC:nightly'; INSERT INTO t VALUES (3)", database);
    const second = await readMessages(openMysql(server, { tables }), first.position, has('"id":3}'));
    expect(values(second.messages).map(({ after }) => after?.['id'])).toEqual([3]);
  });

  it('reads every width and every order of columns, whatever their names', async () => {
    const database = await server.createDatabase();
    const labels = (count: number) => Array.from({ length: count }, (_, index) => `'l${index}'`).join(',');
    // MariaDB counts geometries among the columns that have a character set.
    await server.query(
      `CREATE TABLE w (id int PRIMARY KEY, g geometry, c char(255), l varchar(50) CHARACTER SET latin1, b binary(255), b16 binary(16), e enum(${labels(300)}),
         s set(${labels(64)}), \`__proto__\` int, \`1\` int, big varchar(16000), k text CHARACTER SET cp1251, u varchar(9) CHARACTER SET utf16, bits bit(64), ts timestamp(6) NULL)`,
      database,
    );
    const { messages } = await readMessages(openMysql(server, { tables: [`${database}.w`] }), null, has('"id":2'), async () => {
      await server.query(
        `SET time_zone = '+00:00'; INSERT INTO w VALUES (1, point(1, 2), repeat('€', 255), 'Ã¼ü€', 'b', 'sixteen', 'l299', 'l0,l31,l32,l63', 1, 2, repeat('x', 16000), 'Привет',
           '😀é', 0x8000000000000001, '${version === 'mariadb-11' ? '2100-01-01 00:00:00.000001' : '2038-01-19 03:14:07.999999'}'); INSERT INTO w(id) VALUES (2)`,
        database,
      );
    });
    const binary = (text: string, length: number) => Buffer.concat([Buffer.from(text), Buffer.alloc(length)], length).toString('base64');
    const row = messages[0]?.value ?? '';
    expect(row.slice(row.indexOf('"after":'), row.indexOf(',"source"'))).toBe(
      `"after":{"id":1,"g":{"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null},"c":"${'€'.repeat(255)}","l":"Ã¼ü€","b":"${binary('b', 255)}","b16":"${binary('sixteen', 16)}",` +
        `"e":"l299","s":"l0,l31,l32,l63","__proto__":1,"1":2,"big":"${'x'.repeat(16_000)}","k":"Привет","u":"\\uD83D\\uDE00é","bits":"AQAAAAAAAIA=",` +
        `"ts":"${version === 'mariadb-11' ? '2100-01-01T00:00:00.000001Z' : '2038-01-19T03:14:07.999999Z'}"}`,
    );
  });

  it('reads rows of 20 MB and transactions larger than its buffers, held by back-pressure', async () => {
    const database = await server.createDatabase();
    await server.query('SET GLOBAL max_allowed_packet = 67108864; CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v longtext)', database);
    const reading = openMysql(server, { tables: [`${database}.t`] }, {}, { maxBufferedBytes: 1024 * 1024 });
    const { messages } = await readMessages(reading, null, has('"v":"end"'), async () => {
      await server.query(
        `INSERT INTO t(v) VALUES (repeat('x', 20000000)); INSERT INTO t(v) VALUES ('a'), ('b');
         INSERT INTO t(v) SELECT a.v FROM t a JOIN t b JOIN t c JOIN t d JOIN t e JOIN t f JOIN t g WHERE a.id > 1; INSERT INTO t(v) VALUES ('end')`,
        database,
      );
    });
    const found = values(messages).map(({ after }) => after?.['v'] as string);
    expect(found.length).toBe(3 + 2 * 3 ** 6 + 1);
    expect(found[0]?.length).toBe(20_000_000);
  });

  it('waits for a slow reader, and gives it each row once, in order', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY, v varchar(100) CHARACTER SET latin1)', database);
    const { position } = await readMessages(openMysql(server, { tables: [`${database}.t`] }), null, null);
    const rows = (from: number) => Array.from({ length: 100 }, (_, index) => `(${from + index}, repeat('é', 100))`).join(',');
    const transactions = Array.from({ length: 150 }, (_, index) => `INSERT INTO t VALUES ${rows(100 * index)}`);
    await server.query(transactions.join(';'), database);
    const limits = { batch: { maxRecords: 70, maxBytes: 1024 * 1024 }, maxBufferedBytes: 64 * 1024 };
    const { source, format } = openMysql(server, { tables: [`${database}.t`] }, {}, limits);
    const ids: unknown[] = [];
    for await (const batch of source.read({ from: position, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(20_000))) {
      if (ids.length < 3000) await new Promise((resolve) => setTimeout(resolve, 10));
      for (const { after } of values(textsOf(encodeBatch(format, batch)))) ids.push(after?.['id']);
      batch.release();
      if (ids.length >= 15_000) break;
    }
    await source.close();
    expect(ids).toEqual(Array.from({ length: 15_000 }, (_, id) => id));
  });

  it('ends with an error that is tried again when the connection breaks or the server says nothing', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const proxy = await startProxy(server.url());
    const url = server.url().replace(String(server.port), String(proxy.port));
    const broken = openMysql(server, { url, tables: [`${database}.*`] });
    const cut = () => connected(broken).then(() => proxy.cut());
    expect((await rejection(readMessages(broken, null, () => false, cut))).kind.retry).toBe('auto');
    const silent = openMysql(server, { url, tables: [`${database}.*`], heartbeat: { interval: 100 } });
    const swallow = () => connected(silent).then(() => proxy.blackhole());
    const error = await rejection(readMessages(silent, null, () => false, swallow));
    expect(error.code).toBe('SLUICE_MYSQL_SILENT');
    await proxy.close();
  });

  it('goes on behind a restart and a kill -9 of the server', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    let { position } = await readMessages(openMysql(server, { tables }), null, has('"id":1}'), () =>
      server.query('INSERT INTO t VALUES (1)', database).then(() => undefined),
    );
    for (const [index, mode] of (['stop', 'kill'] as const).entries()) {
      const id = 10 * (index + 1);
      await server.query(`INSERT INTO t VALUES (${id})`, database);
      await server.restart(mode);
      await server.query(`FLUSH BINARY LOGS; INSERT INTO t VALUES (${id + 1})`, database);
      const read = await readMessages(openMysql(server, { tables }), position, has(`"id":${id + 1}}`));
      expect(values(read.messages).map(({ after }) => after?.['id'])).toEqual([id, id + 1]);
      position = read.position;
    }
  });

  it('keeps tables apart whose numbers a restart of the server gave anew', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `t${index}`);
    const [one, other] = [await server.createDatabase(), await server.createDatabase()];
    const create = names.map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, v varchar(40))`).join(';');
    for (const database of [one, other]) await server.query(create, database);
    const tables = [`${one}.*`, `${other}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    const insert = (id: number, databases: readonly string[], order: readonly string[]) =>
      server.query(databases.flatMap((d) => order.map((name) => `INSERT INTO ${d}.${name} VALUES (${id}, '${d}.${name}')`)).join(';'));
    await server.restart();
    await insert(1, [one, other], names);
    await server.restart();
    await insert(2, [other, one], [...names].reverse());
    await server.query(`INSERT INTO ${one}.t0 VALUES (3, 'end')`);
    const { messages } = await readMessages(openMysql(server, { tables }), position, has('"v":"end"'));
    const found = values(messages).slice(0, -1);
    expect(found).toHaveLength(4 * names.length);
    expect(found.filter(({ after, source }) => after?.['v'] !== `${source['db']}.${source['table']}`)).toEqual([]);
  });

  it('tells no truncation of a temporary table, which has the name of the one that it hides', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query(
      `SET SESSION binlog_format = STATEMENT; CREATE TEMPORARY TABLE t (id int PRIMARY KEY); TRUNCATE TABLE t; TRUNCATE t; DROP TEMPORARY TABLE t;
       SET SESSION binlog_format = ROW; INSERT INTO t VALUES (1); SET SESSION binlog_format = STATEMENT; TRUNCATE TABLE t; SET SESSION binlog_format = ROW; INSERT INTO t VALUES (2)`,
      database,
    );
    const { messages } = await readMessages(openMysql(server, { tables }), position, has('"id":2}'));
    expect(values(messages).map(({ op }) => op)).toEqual(['c', 't', 'c']);
  });

  it('reads a statement as the session meant it', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query(
      "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', SESSION binlog_format = STATEMENT; CREATE TABLE c (a varchar(9) DEFAULT '\\') SELECT 'x' AS v, id FROM t",
      database,
    );
    expect((await rejection(readMessages(openMysql(server, { tables }), position, () => false))).code).toBe('SLUICE_MYSQL_STATEMENT');
  });

  it.skipIf(options.version === 'mysql-9')('passes over sequences, and counts what it passes over', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.*`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query(
      'CREATE SEQUENCE s; SELECT NEXT VALUE FOR s; SELECT SETVAL(s, 2000); BEGIN; INSERT INTO t VALUES (NEXT VALUE FOR s); INSERT INTO t VALUES (1); COMMIT',
      database,
    );
    const { messages } = await readMessages(openMysql(server, { tables }), position, has('"id":1}'));
    expect(values(messages).map(({ op, after }) => [op, after])).toEqual([
      ['c', { id: 2001 }],
      ['c', { id: 1 }],
    ]);
  });

  it('begins no transaction in its middle', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query('INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2), (3); INSERT INTO t VALUES (4), (5), (6); COMMIT', database);
    const cut = openMysql(server, { tables }, {}, { batch: { maxRecords: 2, maxBytes: 1024 * 1024 } });
    let saved = position;
    for await (const batch of cut.source.read({ from: position, published: [], sinkHoldsOutput: false }, AbortSignal.timeout(10_000))) {
      saved = batch.checkpoint ?? saved;
      const isInside = batch.count > batch.checkpointRecords;
      batch.release();
      if (isInside) break;
    }
    await cut.source.close();
    const { messages } = await readMessages(openMysql(server, { tables }), saved, has('"id":6}'));
    expect(values(messages).map(({ after }) => after?.['id'])).toEqual([2, 3, 4, 5, 6]);
  });

  it('refuses a log that was reset, even where it has come to as many transactions again', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    const reset = server.system === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER';
    await server.query(`${reset}; FLUSH BINARY LOGS; INSERT INTO t VALUES (1)`, database);
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    await server.query(`${reset}; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)`, database);
    const error = await rejection(readMessages(openMysql(server, { tables }), position, has('"id":4}')));
    expect([error.code, error.kind.retry]).toEqual(['SLUICE_MYSQL_OTHER_HISTORY', 'manual']);
  });

  it('refuses a position that the server does not have, or whose log is gone', async () => {
    const database = await server.createDatabase();
    await server.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const tables = [`${database}.t`];
    const { position } = await readMessages(openMysql(server, { tables }), null, null);
    if (position === null) throw new Error('no position');
    const ahead =
      position['by'] === 'file'
        ? { ...position, pos: '999999999' }
        : { ...position, gtid: server.system === 'mysql' ? `${position['server']}:1-999999` : '0-1-999999' };
    const notThere = await rejection(readMessages(openMysql(server, { tables }), ahead, () => false));
    expect(notThere.code).toBe('SLUICE_MYSQL_OTHER_HISTORY');
    await server.query(
      'INSERT INTO t VALUES (1); FLUSH BINARY LOGS; INSERT INTO t VALUES (2); FLUSH BINARY LOGS; INSERT INTO t VALUES (3)',
      database,
    );
    const files = await server.query<{ Log_name: string }>('SHOW BINARY LOGS');
    await server.query(`PURGE BINARY LOGS TO '${files.at(-1)?.Log_name}'`);
    const purged = await rejection(readMessages(openMysql(server, { tables }), position, () => false));
    expect(purged.code).toBe('SLUICE_MYSQL_PURGED');
    expect(purged.kind.positionLost).toBe(true);
  });
});
