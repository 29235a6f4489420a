/** The log source on every server: values, positions, definitions that change, large rows, and what comes again after a break. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql, startProxy } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import type { EncodedMessage } from '../support/encoded.ts';
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

describe.each(availableMysqls)('the log of %s', (version) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ version, fsync: true });
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
       TRUNCATE TABLE u; CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t VALUES (7); DROP TABLE u; INSERT INTO t VALUES (8)`,
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
      ['c', 't', { id: 8 }],
    ]);
  });

  it.runIf(version === 'mysql-9')('goes on behind transactions whose GTIDs have tags', async () => {
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
    const ahead = { ...position, gtid: server.system === 'mysql' ? `${position['server']}:1-999999` : '0-1-999999' };
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
