/** Logs and servers of MySQL and MariaDB that are no longer what they were, and their limits on connections: it goes on where the log is a continuation, else a typed stop. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type MysqlServer, type NatsServer, startMysql, startNats, startProxy } from '../../servers/index.ts';
import { sluice } from '../../support/cli.ts';
import { killDump, startReplica, stopped } from '../../support/fault-mysql.ts';
import { FaultRun, type FaultRunOptions, natsFaultSink } from '../../support/fault-run.ts';
import { endRun, MODEST, natsWorks, startAgain } from '../../support/fault-sinks.ts';
import { EDGE_MYSQL_VARIANTS, LONG } from '../../support/long-form.ts';
import { mysqlFaultSource, savedPosition } from '../../support/mysql-fault-source.ts';

const MEGABYTE = 1024 * 1024;

describe.each(EDGE_MYSQL_VARIANTS)('logs and servers of $title that change (I1, I2, I3, I4, I5, I8, I10)', ({ title, options }) => {
  const servers: MysqlServer[] = [];
  let server: MysqlServer;
  let nats: NatsServer;
  let proxy: FaultProxy | null = null;
  let run: FaultRun | null = null;
  const hasGtids = options.settings === undefined;
  const isMysql = options.version === 'mysql-9';

  beforeAll(async () => {
    nats = await startNats({ own: true });
  });

  afterEach(async () => {
    nats.signal('SIGCONT');
    await endRun(run);
    run = null;
    await proxy?.close();
    proxy = null;
    for (const each of servers.splice(0)) await each.dispose();
  });

  afterAll(() => nats.dispose());

  /** A server of its own: what happens here to a server happens to its log for good. */
  const startServer = async (settings: Record<string, string | number> = {}): Promise<MysqlServer> => {
    const each = await startMysql({ version: options.version, own: true, settings: { ...options.settings, ...settings } });
    servers.push(each);
    return each;
  };
  const begin = async (name: string, more: Partial<FaultRunOptions> = {}): Promise<FaultRun> => {
    run = await FaultRun.on(mysqlFaultSource(server), { name, sink: natsFaultSink(nats, name.toUpperCase()), load: MODEST, ...more });
    return run;
  };
  const answers = () => server.query('SELECT 1');
  const named = (fault: string): string => `${title}: ${fault}`;

  it.each(['while it reads', 'while it does not'])(
    'the log reset %s: a typed stop, nothing of the new log is taken for the old one',
    async (when) => {
      server = await startServer();
      const each = await begin(when === 'while it reads' ? 'reset' : 'reset-down');
      await each.committed(100);
      await each.pause();
      await each.caughtUp();
      const before = await savedPosition(each.name, each.daemon);
      if (when !== 'while it reads') await each.daemon.stop('SIGKILL');
      await server.query(isMysql ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER');
      each.resume();
      if (when === 'while it reads') await killDump(server).catch(() => undefined);
      else {
        // As long as the old one, and longer.
        await each.committed(200);
        each.daemon.start();
      }
      const remedy = await stopped(each, 'SLUICE_MYSQL_OTHER_HISTORY');
      expect(remedy).toContain('sluice offsets set');
      expect(before).not.toBeNull();
      // An operator who knows that nothing was written in between goes on where the new log stands. What was written between is lost, and known to be.
      await each.pause();
      const [row] = await server.query<{ position: string }>(
        hasGtids ? `SELECT @@GLOBAL.${isMysql ? 'gtid_executed' : 'gtid_binlog_pos'} AS position` : 'SELECT 1',
      );
      const [status] = hasGtids ? [] : await server.query<{ File: string; Position: string }>('SHOW BINARY LOG STATUS');
      const position = status === undefined ? (row?.position ?? '').replace(/\s/g, '') : `${status.File}:${status.Position}`;
      const set = await sluice(['offsets', 'set', '--connector', each.name, '--position', position, '--yes', each.daemon.directory]);
      expect(set, set.stderr).toMatchObject({ exit: 0 });
      await startAgain(each);
      const { messages } = await each.standing();
      each.resume();
      await each.committed(50);
      await each.pause();
      await each.caughtUp();
      // With GTIDs the new log counts from one again: ids of messages come twice, for other changes, which is why this is the operator's choice.
      expect(await each.verdict()).toMatchObject({ phantoms: 0, disordered: 0 });
      expect((await each.standing()).messages).toBeGreaterThan(messages + 50);
    },
  );

  it('the server has another identity after a restart: by GTIDs it goes on, by file and position it stops', async () => {
    server = await startServer();
    const each = await begin('identity');
    await each.committed(50);
    await server.stop('kill');
    if (isMysql) await rm(join(server.dataDir, 'auto.cnf'));
    await server.start(isMysql ? {} : { 'server-id': server.serverId + 50_000 });
    if (hasGtids) {
      await each.recovers(named('another server uuid, or server id'), answers);
      await each.verify(named('another server uuid, or server id'));
    } else expect(await stopped(each, 'SLUICE_MYSQL_PLACE_SERVER')).toContain('gtid_mode = ON');
  });

  it('failover to a replica that has all: by GTIDs it goes on there, by file and position it stops', async () => {
    server = await startServer();
    const replica = await startServer(isMysql ? {} : { 'log-slave-updates': 'ON' });
    await startReplica(replica, server, hasGtids);
    const way = await startProxy(server.url());
    proxy = way;
    const each = await begin('failover', { through: (url) => way.through(url) });
    for (let turn = 0; turn < (LONG ? 3 : 1); turn++) await each.committed(100);
    await each.pause();
    const count = async (of: MysqlServer): Promise<number> =>
      Number((await of.query<{ n: string }>('SELECT COUNT(*) AS n FROM ledger', each.database).catch(() => []))[0]?.n ?? -1);
    const all = await count(server);
    await expect.poll(() => count(replica), { timeout: 30_000 }).toBe(all);
    await server.stop('kill');
    await replica.query(isMysql ? 'STOP REPLICA; RESET REPLICA ALL' : 'STOP SLAVE; RESET SLAVE ALL');
    way.retarget(replica.url());
    way.cut();
    if (!hasGtids) {
      await stopped(each, 'SLUICE_MYSQL_PLACE_SERVER');
      return;
    }
    each.moveTo(mysqlFaultSource(replica));
    each.resume();
    await each.recovers(named('failover'), () => replica.query('SELECT 1'));
    await each.committed(50);
    await each.verify(named('failover'));
  });

  it.runIf(hasGtids)('failover to a replica that lacks what was read: a typed stop, and on it goes when that comes', async () => {
    server = await startServer();
    const replica = await startServer(isMysql ? {} : { 'log-slave-updates': 'ON' });
    await startReplica(replica, server, hasGtids);
    const way = await startProxy(server.url());
    proxy = way;
    const each = await begin('behind', { through: (url) => way.through(url) });
    await each.committed(30);
    await replica.query(isMysql ? 'STOP REPLICA' : 'STOP SLAVE');
    await each.committed(50);
    await each.caughtUp();
    way.retarget(replica.url());
    way.cut();
    await stopped(each, 'SLUICE_MYSQL_OTHER_HISTORY');
    await each.pause();
    await replica.query(isMysql ? 'START REPLICA' : 'START SLAVE');
    const ledger = (of: MysqlServer) => of.query('SELECT COUNT(*) AS n, SUM(version) AS sum FROM ledger', each.database);
    const all = await ledger(server);
    await expect.poll(() => ledger(replica), { timeout: 30_000 }).toEqual(all);
    await startAgain(each);
    await each.verify(named('failover to a replica that is behind'));
  });

  it('rows larger than max_allowed_packet, and than a packet can be: the log is read all the same', async () => {
    server = await startServer({ 'max-allowed-packet': '64M' });
    const each = await begin('packet');
    await each.committed(20);
    await server.query('CREATE TABLE large (id int PRIMARY KEY, value longtext)', each.database);
    for (let turn = 0; turn < (LONG ? 6 : 2); turn++) {
      await server.query(`SET GLOBAL max_allowed_packet = ${64 * MEGABYTE}`);
      // Not captured: 16 MB is what a packet of the protocol can hold, and its multiples are where the next one is empty.
      const length = 16 * MEGABYTE + (turn % 2 === 0 ? 1_000_000 : 0);
      await server.query(`INSERT INTO large VALUES (${turn}, REPEAT('l', ${length}))`, each.database);
      const id = 90_000 + turn;
      await server.query(
        `BEGIN; INSERT INTO item VALUES (${id}, 1, REPEAT('c', 700000)); INSERT INTO ledger VALUES (${id}, 1, 'c'); COMMIT`,
        each.database,
      );
      await server.query('SET GLOBAL max_allowed_packet = 16384');
      await killDump(server);
      await each.recovers(named('max_allowed_packet'), answers);
      await each.committed(30);
    }
    await each.verify(named('max_allowed_packet'));
  });

  it('a sink that stands still for longer than net_write_timeout: the server ends the connection, and it goes on', async () => {
    server = await startServer({ 'net-write-timeout': 2, 'max-binlog-size': '8M' });
    const each = await begin('slow', { load: { pauseMs: 5, bytes: 20_000 }, top: { maxInFlightBytes: '16MB' } });
    await each.committed(50);
    await each.caughtUp();
    const sessions = each.streamed;
    nats.signal('SIGSTOP');
    await each.committed(LONG ? 600 : 300);
    await sleep(3_000);
    await each.pause();
    nats.signal('SIGCONT');
    await natsWorks(nats.url, 'SLOW');
    await each.caughtUp(180_000);
    expect(each.streamed, 'the connection was ended').toBeGreaterThan(sessions);
    expect(each.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    each.resume();
    await each.committed(30);
    await each.verify(named('net_write_timeout'));
  });
});
