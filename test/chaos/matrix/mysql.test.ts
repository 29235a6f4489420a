/** Faults of MySQL and MariaDB servers and of their sessions (docs/guarantees.md): what ends comes back by itself or stops typed, and the ledger is whole. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../../servers/index.ts';
import { SteppedClock } from '../../support/fault-clock.ts';
import { dumps, killDump, logFiles, purgeRead, stopped, waitsFor } from '../../support/fault-mysql.ts';
import { FaultRun, type FaultRunOptions, type FaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { endRun, MODEST, startAgain } from '../../support/fault-sinks.ts';
import { EDGE_MYSQL_VARIANTS, LONG } from '../../support/long-form.ts';
import { ACCOUNT, mysqlFaultSource } from '../../support/mysql-fault-source.ts';
import { openMysql, readMessages } from '../../support/mysql-source.ts';
import { StreamLedger } from '../../support/stream-ledger.ts';

const WATCHDOG_MS = 3_000;
const HOUR_S = 3600;
/** No fewer can be set (MariaDB). */
const FEW = 10;
const MAX_CONNECTIONS = 151;

describe.each(EDGE_MYSQL_VARIANTS)('faults of $title (I1, I2, I3, I4, I5, I8, I10)', ({ title, options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let run: FaultRun | null = null;
  let sink: FaultSink;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    if (!server.running) await server.start();
    server.signal('SIGCONT');
    await endRun(run);
    run = null;
  });

  afterAll(() => Promise.all([server.dispose(), nats.dispose()]));

  const begin = async (name: string, more: Partial<FaultRunOptions> = {}): Promise<FaultRun> => {
    sink = natsFaultSink(nats, name.toUpperCase());
    run = await FaultRun.on(mysqlFaultSource(server), { name, sink, load: MODEST, ...more });
    return run;
  };
  const answers = () => server.query('SELECT 1');
  const named = (fault: string): string => `${title}: ${fault}`;

  it.each(['stop', 'kill'] as const)('restart (%s) of the server under load: goes on by itself within 5 s', async (mode) => {
    const fault = named(`server restarted (${mode})`);
    const each = await begin(`restart-${mode}`);
    for (let restart = 0; restart < (LONG ? 10 : 2); restart++) {
      await each.committed(100);
      await server.stop(mode);
      await sleep(Math.random() * 500);
      await server.start();
      await each.recovers(fault, answers);
    }
    await each.verify(fault);
  });

  it('away for longer than any back-off grows: says that it cannot be reached, and goes on within 5 s of its return', async () => {
    const each = await begin('away');
    await each.committed(50);
    const said = each.daemon.log.length;
    await server.stop('kill');
    await sleep(LONG ? 60_000 : 9_000);
    expect(await waitsFor(each, 'SLUICE_MYSQL_UNREACHABLE', said)).toContain('"url"');
    await server.start();
    await each.recovers(named('server away for long'), answers);
    await each.verify(named('server away for long'));
  });

  it('frozen for longer than its heartbeats may stay away, and woken: says so, and goes on', async () => {
    const each = await begin('frozen');
    for (let turn = 0; turn < (LONG ? 3 : 1); turn++) {
      await each.committed(50);
      const said = each.daemon.log.length;
      server.signal('SIGSTOP');
      await waitsFor(each, 'SLUICE_MYSQL_SILENT', said, 2 * WATCHDOG_MS + 5_000);
      await sleep(LONG ? 10_000 : 2_000);
      server.signal('SIGCONT');
      await each.recovers(named('server frozen'), answers);
    }
    await each.verify(named('server frozen'));
  });

  it('frozen for a moment: the connection is kept', async () => {
    const each = await begin('moment');
    for (let turn = 0; turn < (LONG ? 10 : 2); turn++) {
      await each.committed(50);
      server.signal('SIGSTOP');
      await sleep(WATCHDOG_MS / 3);
      server.signal('SIGCONT');
      await each.recovers(named('server frozen for a moment'), answers);
    }
    expect(each.streamed, 'the same connection').toBe(1);
    await each.verify(named('server frozen for a moment'));
  });

  it('the connection that the log comes over killed again and again under load: streams again each time', async () => {
    const each = await begin('killed');
    for (let turn = 0; turn < (LONG ? 50 : 8); turn++) {
      await sleep(Math.random() * 300);
      await killDump(server);
    }
    await each.recovers(named('dump connection killed'), answers);
    expect(each.streamed).toBeGreaterThan(1);
    await each.verify(named('dump connection killed'));
  });

  it('a new file of the log again and again, and files purged that were just read', async () => {
    const each = await begin('rotated');
    const [first] = await logFiles(server);
    for (let turn = 0; turn < (LONG ? 10 : 3); turn++) {
      for (let file = 0; file < 4; file++) {
        await each.committed(10);
        await server.query('FLUSH BINARY LOGS');
      }
      await purgeRead(each, server);
      // It must find its place although all before it is gone.
      if (turn % 2 === 0) await killDump(server);
    }
    expect(await logFiles(server)).not.toContain(first);
    await each.recovers(named('log rotated and purged'), answers);
    await each.verify(named('log rotated and purged'));
  });

  it('the part of the log purged that comes next: a stop, and the remedy begins anew with copies', async () => {
    const each = await begin('purged');
    await each.committed(30);
    await each.caughtUp();
    await each.daemon.stop();
    await each.committed(30);
    await server.query('FLUSH BINARY LOGS');
    await each.pause();
    // A file that somebody reads is kept, without an error, and the server may not know yet that its reader has gone.
    const left = async (): Promise<number> => {
      await server.query(`PURGE BINARY LOGS TO '${(await logFiles(server)).at(-1)}'`);
      return (await logFiles(server)).length;
    };
    await expect.poll(left, { timeout: 60_000, interval: 200 }).toBe(1);
    each.daemon.start();
    expect(await stopped(each, 'SLUICE_MYSQL_PURGED')).toContain('"snapshot": {"mode": "when_needed"}');
    const connector = JSON.parse(await readFile(join(each.daemon.directory, 'connectors', 'purged.json'), 'utf8'));
    await each.daemon.rewrite({ ...connector, source: { ...connector.source, snapshot: { mode: 'when_needed' } } });
    await startAgain(each);
    each.resume();
    await each.committed(30);
    await each.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await each.pause();
    await each.caughtUp();
    // What was purged is lost, and known to be; nothing else is wrong.
    expect(await each.verdict()).toMatchObject({ phantoms: 0, disordered: 0, duplicates: 0 });
    const ledger = new StreamLedger();
    for (const message of await sink.messages()) ledger.take(message);
    const arrived = new Map([...ledger.rows('item').values()].map((row) => [String(row['id']), String(row['version'])]));
    // But for rows that were deleted in the gap every one stands there as it is.
    const rows = await server.query<{ id: string; version: string }>('SELECT id, version FROM item', each.database);
    expect(rows.filter(({ id, version: is }) => arrived.get(id) !== is)).toEqual([]);
    expect(rows.length).toBeGreaterThan(0);
  });

  it('max_connections reached: says so, and goes on when there is room again', async () => {
    const each = await begin('crowded');
    await each.committed(30);
    const crowd = await Promise.all(Array.from({ length: FEW }, () => server.connect()));
    const admin = { query: async <T>(sql: string) => (await crowd[0]?.query(sql))?.[0] as unknown as T[] };
    try {
      await admin.query(`SET GLOBAL max_connections = ${FEW}`);
      const said = each.daemon.log.length;
      await killDump(admin);
      expect(await waitsFor(each, 'SLUICE_MYSQL_TOO_MANY_CONNECTIONS', said)).toContain('max_connections');
      await each.committed(50);
      expect(await dumps(admin)).toEqual([]);
    } finally {
      await admin.query(`SET GLOBAL max_connections = ${MAX_CONNECTIONS}`);
      for (const connection of crowd) connection.destroy();
    }
    await each.recovers(named('max_connections reached'), answers);
    await each.verify(named('max_connections reached'));
  });

  it("the account's password changed and back: the log goes on over what is open, and the next connection is said and waited for", async () => {
    const each = await begin('password');
    const identify = (password: string) => server.query(`ALTER USER '${ACCOUNT.user}'@'%' IDENTIFIED BY '${password}'`);
    try {
      await each.committed(30);
      await identify('another');
      await each.committed(30);
      await each.caughtUp();
      expect(each.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
      await killDump(server);
      // What was right before is taken for being exchanged.
      const { remedy } = await each.daemon.waitForLog(({ code }) => code === 'SLUICE_MYSQL_AUTHENTICATION', 60_000);
      expect(remedy).toContain(`ALTER USER '${ACCOUNT.user}'@'%' IDENTIFIED BY`);
      expect(each.daemon.stderr).not.toContain(ACCOUNT.password);
      await each.committed(30);
    } finally {
      await identify(ACCOUNT.password);
    }
    await each.recovers(named('password changed and back'), answers);
    await each.verify(named('password changed and back'));
  });

  it('the right to read the log taken and given back: a typed stop whose remedy works', async () => {
    const each = await begin('right');
    await each.committed(30);
    await server.query(`REVOKE REPLICATION SLAVE ON *.* FROM '${ACCOUNT.user}'@'%'`);
    await each.committed(30);
    await killDump(server);
    const remedy = await stopped(each, 'SLUICE_MYSQL_PRIVILEGE');
    await each.committed(30);
    const grant = /GRANT REPLICATION [^;]*/.exec(remedy)?.[0] ?? '';
    await server.query(grant);
    await startAgain(each);
    await each.verify(named('right to read the log taken and given back'));
  });

  it('another reader takes the server id: a typed stop, and it goes on when that one is gone', async () => {
    const serverId = 4_711;
    const each = await begin('taken', { source: { serverId } });
    await each.committed(30);
    const other = openMysql(server, { tables: [`${each.database}.item`], serverId });
    await readMessages(other, null, () => true);
    expect(await stopped(each, 'SLUICE_MYSQL_SERVER_ID')).toContain('"serverId"');
    await startAgain(each);
    await each.verify(named('server id taken by another reader'));
  });

  it('the server made read-only and back: its log is read all the same, over a new connection too', async () => {
    const each = await begin('readonly');
    const variable = server.system === 'mysql' ? 'super_read_only' : 'read_only';
    await each.committed(30);
    await each.pause();
    await server.query(`SET GLOBAL ${variable} = ON`);
    try {
      await killDump(server);
      await each.streams(1);
      await each.caughtUp();
      each.resume();
      await sleep(500);
      // On MariaDB the superuser writes all the same.
      if (server.system === 'mysql') expect(each.transactions).toBe(0);
    } finally {
      await server.query(`SET GLOBAL ${variable} = OFF${server.system === 'mysql' ? '; SET GLOBAL read_only = OFF' : ''}`);
    }
    await each.committed(30);
    await each.recovers(named('server read-only'), answers);
    await each.verify(named('server read-only'));
  });

  it('a transaction open for long over restarts of the server and of Sluice: whole or not at all', async () => {
    const each = await begin('long-open');
    await each.committed(20);
    const survivor = await open(each, 70_001);
    await each.kill();
    await each.committed(50);
    await survivor.query('COMMIT');
    await survivor.end();
    const victim = await open(each, 70_002);
    await each.committed(50);
    await server.restart('kill');
    victim.destroy();
    await each.recovers(named('open transaction over a restart'), answers);
    await each.verify(named('open transaction over a restart'));
    const rows = await server.query<{ id: string; n: string }>(
      'SELECT id, COUNT(*) AS n FROM ledger WHERE id IN (70001, 70002) GROUP BY id',
      each.database,
    );
    expect(rows.map(({ id, n }) => [id, n])).toEqual([['70001', '500']]);
  });

  it('Sluice killed at random moments, and the server with it now and then', async () => {
    const each = await begin('both');
    for (let kill = 0; kill < (LONG ? 40 : 6); kill++) {
      await sleep(300 + Math.random() * 700);
      const sessions = each.streamed;
      await each.kill();
      if (kill % 3 === 2) await server.restart('kill');
      // On a slow machine it would never come to anything else.
      if (kill % 2 === 1) await each.streams(sessions, 60_000);
    }
    await each.verify(named('SIGKILL of both sides at random moments'));
  });

  it('Sluice stopped for longer than the heartbeats may stay away, then woken: it goes on by itself', async () => {
    const each = await begin('stopped');
    for (let turn = 0; turn < (LONG ? 5 : 1); turn++) {
      await each.committed(50);
      each.daemon.signal('SIGSTOP');
      await sleep(WATCHDOG_MS * 2);
      await each.recovers(named('SIGSTOP of Sluice'), async () => each.daemon.signal('SIGCONT'));
    }
    await each.verify(named('SIGSTOP of Sluice'));
  });

  it('the clock of Sluice is set hours ahead and back, and hours back: nothing stops, nothing is lost', async () => {
    const clock = await SteppedClock.create({ machine: false });
    try {
      const each = await begin('clock', { start: async (of) => of.daemon.start([], { ...clock.environment }) });
      await each.committed(50);
      const said = each.daemon.log.length;
      for (const hours of [2, 0, -2, 0]) {
        await clock.set(hours * HOUR_S);
        await sleep(300);
        await each.committed(50);
        await each.caughtUp();
      }
      expect(each.daemon.log.slice(said).filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
      expect(each.streamed).toBe(1);
      await each.verify(named('the clock is set'));
    } finally {
      await endRun(run);
      run = null;
      await clock.dispose();
    }
  });

  /** A session with a transaction open that has written one item 500 times. */
  async function open(each: FaultRun, id: number) {
    const client = await server.connect(each.database);
    await client.query(`BEGIN; INSERT INTO item VALUES (${id}, 1, 'open'); INSERT INTO ledger VALUES (${id}, 1, 'c')`);
    const versions = Array.from({ length: 499 }, (_, index) => index + 2);
    await client.query(
      versions.map((v) => `UPDATE item SET version = ${v} WHERE id = ${id}; INSERT INTO ledger VALUES (${id}, ${v}, 'u')`).join(';'),
    );
    return client;
  }
});
