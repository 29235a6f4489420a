/** A connector that is pointed at a replica which took the place of the server that it has read (I1, I4, I8). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Position } from '../../src/record/position.ts';
import { type MysqlServer, startMysql } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import type { EncodedMessage } from '../support/encoded.ts';
import { openMysql, readMessages } from '../support/mysql-source.ts';
import { rejection } from '../support/postgres-source.ts';

const hasId = (id: number) => (message: EncodedMessage) => message.value?.includes(`"id":${id}}`) === true;
/** Without the connector's name. */
const idOf = ({ id }: EncodedMessage) => id.slice(id.indexOf('/'));
const rowsOf = (messages: readonly EncodedMessage[]) =>
  messages.map(({ value }) => (JSON.parse(value as string) as { after: { id: number } }).after.id);

describe.each(availableMysqls.filter((version) => version !== 'mariadb-10.11'))('failover of %s', (version) => {
  let source: MysqlServer;
  let replica: MysqlServer;
  const isMysql = version === 'mysql-9';

  beforeAll(async () => {
    const settings = isMysql ? {} : { 'log-slave-updates': 'ON', 'gtid-strict-mode': 'OFF' };
    [source, replica] = await Promise.all([startMysql({ version, settings, own: true }), startMysql({ version, settings, own: true })]);
    const at = `${isMysql ? 'SOURCE' : 'MASTER'}_HOST = '127.0.0.1'`;
    await replica.query(
      isMysql
        ? `CHANGE REPLICATION SOURCE TO ${at}, SOURCE_PORT = ${source.port}, SOURCE_USER = 'root', SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1`
        : `CHANGE MASTER TO ${at}, MASTER_PORT = ${source.port}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 0`,
    );
    await start();
  });
  afterAll(() => Promise.all([source.dispose(), replica.dispose()]));

  const start = () => replica.query(isMysql ? 'START REPLICA' : 'START SLAVE');
  const stop = () => replica.query(isMysql ? 'STOP REPLICA' : 'STOP SLAVE');

  async function caughtUp(database: string, id: number): Promise<void> {
    const isThere = () =>
      replica.query(`SELECT id FROM ${database}.t WHERE id = ${id}`).then(
        ({ length }) => length === 1,
        () => false,
      );
    await expect.poll(isThere, { timeout: 15_000 }).toBe(true);
  }

  async function begin() {
    const database = await source.createDatabase();
    await source.query('CREATE TABLE t (id int PRIMARY KEY)', database);
    const read = (server: MysqlServer, from: Position | null, lastId: number, begun?: () => Promise<void>) =>
      readMessages(openMysql(server, { tables: [`${database}.t`] }), from, hasId(lastId), begun);
    const insert = (server: MysqlServer, ...ids: number[]) => server.query(ids.map((id) => `INSERT INTO t VALUES (${id})`).join(';'), database);
    const first = await read(source, null, 2, async () => void (await insert(source, 1, 2)));
    return { database, read, insert, from: first.position as Position };
  }

  it('stops where the replica lacks what was read', async () => {
    const { database, read, insert, from } = await begin();
    await caughtUp(database, 2);
    await stop();
    await insert(source, 3);
    const { position } = await read(source, from, 3);
    const error = await rejection(read(replica, position, 4));
    expect([error.code, error.kind.retry]).toEqual(['SLUICE_MYSQL_OTHER_HISTORY', 'manual']);
    await start();
    await caughtUp(database, 3);
    await insert(source, 4);
    expect(rowsOf((await read(replica, position, 4)).messages)).toEqual([4]);
  });

  it('goes on behind what it has read, with the ids that the transactions have everywhere', async () => {
    const { database, read, insert, from } = await begin();
    await insert(source, 3, 4);
    await caughtUp(database, 4);
    await stop();
    await insert(replica, 5);
    const { messages, position } = await read(replica, from, 5);
    expect(rowsOf(messages)).toEqual([3, 4, 5]);
    const before = await read(source, from, 4);
    expect(messages.slice(0, 2).map(idOf)).toEqual(before.messages.map(idOf));
    // What stands before a transaction is known here too, of whatever server it is.
    for (const [at, rest] of [
      [0, [3, 4, 5]],
      [1, [4, 5]],
      [2, [5]],
    ] as const) {
      const lastTransaction = idOf(messages[at] as EncodedMessage)
        .split('/')
        .slice(1, -2)
        .join('/');
      const found = await openMysql(replica, { tables: [`${database}.t`] }).source.recover(
        { from: 'sink', lastTransaction },
        AbortSignal.timeout(10_000),
      );
      expect(rowsOf((await read(replica, found, 5)).messages)).toEqual(rest);
    }
    // It is the one that is followed from now on.
    await insert(replica, 6);
    expect(rowsOf((await read(replica, position, 6)).messages)).toEqual([6]);
    // The other one lacks what was read here.
    const back = await rejection(read(source, position, 6));
    expect([back.code, back.kind.retry]).toEqual(['SLUICE_MYSQL_OTHER_HISTORY', 'manual']);
    await replica.query(`DELETE FROM t WHERE id > 4`, database);
    await start();
  });

  it('stops where the replica has transactions of its own before others that were read', async () => {
    const { database, read, insert, from } = await begin();
    await caughtUp(database, 2);
    if (isMysql) {
      await insert(replica, 100);
      await insert(source, 3);
      const { position } = await read(source, from, 3);
      await caughtUp(database, 3);
      const refused = async () => (await rejection(read(replica, position, 1000))).code;
      expect(await refused()).toBe('SLUICE_MYSQL_ERRANT');
      await replica.query('FLUSH BINARY LOGS');
      await insert(source, 4);
      const { position: later } = await read(source, position, 4);
      await caughtUp(database, 4);
      expect((await rejection(read(replica, later, 1000))).code).toBe('SLUICE_MYSQL_ERRANT');
      // Those that were read already may stand where they like.
      const [{ uuid }] = (await replica.query('SELECT @@server_uuid AS uuid')) as [{ uuid: string }];
      const [{ own }] = (await replica.query(`SELECT GTID_SUBTRACT(@@gtid_executed, '${String(later?.['gtid'])}') AS own`)) as [{ own: string }];
      expect(own).toContain(uuid);
      const known = { ...(later as Position), gtid: `${String(later?.['gtid'])},${own.replace(/\s/g, '')}` };
      await insert(source, 5);
      await caughtUp(database, 5);
      expect(rowsOf((await read(replica, known, 5)).messages)).toEqual([5]);
    } else {
      // Under the number that the next one has on the source.
      await stop();
      await insert(replica, 100);
      await insert(source, 3);
      const { position } = await read(source, from, 3);
      await insert(replica, 101);
      const error = await rejection(read(replica, position, 1000));
      expect([error.code, error.kind.retry]).toEqual(['SLUICE_MYSQL_OTHER_HISTORY', 'manual']);
    }
  });
});
