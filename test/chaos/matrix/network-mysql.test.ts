/** Faults of the network between Sluice and MySQL or MariaDB: it goes on by itself within the promised time, and the ledger is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type MysqlServer, type NatsServer, startMysql, startNats, startProxy } from '../../servers/index.ts';
import { waitsFor } from '../../support/fault-mysql.ts';
import { FaultRun, type FaultRunOptions, natsFaultSink } from '../../support/fault-run.ts';
import { endRun, MODEST } from '../../support/fault-sinks.ts';
import { EDGE_MYSQL_VARIANTS, LONG } from '../../support/long-form.ts';
import { mysqlFaultSource } from '../../support/mysql-fault-source.ts';

/** Three times the interval of the heartbeats that Sluice asks for in a run. */
const WATCHDOG_MS = 3_000;
const MEGABYTE = 1024 * 1024;

describe.each(EDGE_MYSQL_VARIANTS)('the network between Sluice and $title (I1, I2, I3, I4, I9, I10)', ({ title, options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let proxy: FaultProxy;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
    await proxy.close();
  });

  afterAll(() => Promise.all([server.dispose(), nats.dispose()]));

  const begin = async (name: string, more: Partial<FaultRunOptions> = {}): Promise<FaultRun> => {
    proxy = await startProxy(server.url());
    const sink = natsFaultSink(nats, name.toUpperCase());
    run = await FaultRun.on(mysqlFaultSource(server), { name, sink, load: MODEST, through: (url) => proxy.through(url), ...more });
    return run;
  };

  /** A raw client on Sluice's way to the server. */
  const answers = async (): Promise<void> => {
    const { default: mysql } = await import('mysql2/promise');
    const client = await mysql.createConnection({ host: proxy.host, port: proxy.port, user: 'root', connectTimeout: 1_000 });
    client.on('error', () => undefined);
    try {
      await client.query({ sql: 'SELECT 1', timeout: 1_000 });
    } finally {
      client.destroy();
    }
  };
  const named = (fault: string): string => `${title}: ${fault}`;

  it('reset again and again, between events and in the middle of them', async () => {
    const each = await begin('reset');
    const turns = LONG ? 50 : 8;
    for (let turn = 0; turn < turns; turn++) {
      const sessions = each.streamed;
      if (turn % 2 === 0) proxy.cut();
      else proxy.cutAfter(1 + Math.floor(Math.random() * 5_000));
      await sleep(200 + Math.random() * 600);
      // Every other time it streams again before the next one comes, else that may find it while it connects.
      if (turn % 4 > 1) await each.streams(sessions);
    }
    await sleep(300);
    proxy.heal();
    await each.recovers(named('connection reset'), answers);
    expect(each.streamed).toBeGreaterThan(turns / 4);
    await each.verify(named('connection reset'));
  });

  it('refused for a while: says so, then reachable again', async () => {
    const each = await begin('refused');
    await each.committed(30);
    const said = each.daemon.log.length;
    proxy.refuse();
    await waitsFor(each, 'SLUICE_MYSQL_CONNECTION_LOST', said);
    await sleep(LONG ? 30_000 : 5_000);
    proxy.heal();
    await each.recovers(named('connections refused'), answers);
    await each.verify(named('connections refused'));
  });

  it.each([
    ['shorter', 0.4],
    ['longer', 3],
  ])('black hole for %s than the heartbeats may stay away', async (length, times) => {
    const each = await begin(`hole-${length}`);
    for (let turn = 0; turn < (LONG ? 4 : 1); turn++) {
      await each.committed(50);
      const [sessions, said] = [each.streamed, each.daemon.log.length];
      proxy.blackhole();
      await sleep(WATCHDOG_MS * times);
      if (length === 'longer') await waitsFor(each, 'SLUICE_MYSQL_SILENT', said);
      proxy.heal();
      await each.recovers(named(`black hole, ${length} than the watchdog`), answers);
      if (length === 'shorter') expect(each.streamed, 'the same connection').toBe(sessions);
    }
    await each.verify(named(`black hole, ${length} than the watchdog`));
  });

  it('black hole for what the server sends alone: noticed by the heartbeats that stay away', async () => {
    const each = await begin('hole-server');
    await each.committed(50);
    const said = each.daemon.log.length;
    proxy.blackhole('server');
    await waitsFor(each, 'SLUICE_MYSQL_SILENT', said, 2 * WATCHDOG_MS + 5_000);
    await each.committed(50);
    proxy.heal();
    await each.recovers(named('black hole from the server'), answers);
    await each.verify(named('black hole from the server'));
  });

  it('black hole for what Sluice sends alone: the log goes on, over the same connection', async () => {
    const each = await begin('hole-client');
    await each.committed(50);
    proxy.blackhole('client');
    await each.committed(100);
    await sleep(WATCHDOG_MS * (LONG ? 10 : 2));
    await each.caughtUp();
    expect(each.streamed, 'the same connection').toBe(1);
    proxy.heal();
    await each.recovers(named('black hole towards the server'), answers);
    await each.verify(named('black hole towards the server'));
  });

  it('black holes at random moments, also while it connects', async () => {
    const each = await begin('hole-random');
    for (let turn = 0; turn < (LONG ? 20 : 4); turn++) {
      await sleep(Math.random() * 1_500);
      proxy.cut();
      await sleep(Math.random() * 1_500);
      proxy.blackhole();
      await sleep(Math.random() * 1_000);
      // What was under way is lost for good, as with a firewall that forgot it.
      proxy.strand('server');
      proxy.heal();
    }
    await each.streams();
    await each.caughtUp(90_000);
    await each.verify(named('black holes at random moments'));
  });

  it('half open, the server gone without a word: noticed by the heartbeats that stay away', async () => {
    const each = await begin('stranded');
    await each.committed(30);
    const [sessions, said] = [each.streamed, each.daemon.log.length];
    proxy.strand('server');
    await waitsFor(each, 'SLUICE_MYSQL_SILENT', said, 2 * WATCHDOG_MS + 5_000);
    await each.streams(sessions);
    await each.recovers(named('half open towards Sluice'), answers);
    await each.verify(named('half open towards Sluice'));
  });

  it('half open, the server still sends to a connection that is gone: the next one takes its place', async () => {
    const each = await begin('stranded-client');
    for (let turn = 0; turn < (LONG ? 10 : 2); turn++) {
      await each.committed(30);
      const sessions = each.streamed;
      proxy.strand('client');
      await each.streams(sessions);
      await each.recovers(named('half open towards the server'), answers);
    }
    await each.verify(named('half open towards the server'));
  });

  it('latency of 2 s: the connection is kept', async () => {
    const each = await begin('latency', { load: { pauseMs: 50 } });
    await each.committed(20);
    await each.caughtUp();
    const sessions = each.streamed;
    proxy.delay(2_000);
    await each.committed(100);
    await sleep(WATCHDOG_MS * (LONG ? 10 : 2));
    expect(each.streamed).toBe(sessions);
    proxy.heal();
    await each.recovers(named('latency of 2 s'), answers);
    expect(each.streamed, 'the same connection').toBe(sessions);
    await each.verify(named('latency of 2 s'));
  });

  it('100 kB/s under a load of more: the connection is kept and memory stays bounded (I9)', async () => {
    const each = await begin('throttle', { load: { pauseMs: 20, bytes: 4_000 }, top: { maxInFlightBytes: '16MB' } });
    await each.committed(50);
    await each.caughtUp();
    const [sessions, resident] = [each.streamed, await each.daemon.residentBytes()];
    proxy.throttle(100_000);
    await each.committed(300);
    await sleep(WATCHDOG_MS * (LONG ? 10 : 3));
    expect(each.streamed, 'the same connection').toBe(sessions);
    expect((await each.daemon.residentBytes()) - resident).toBeLessThan(64 * MEGABYTE);
    await each.pause();
    proxy.heal();
    await each.caughtUp();
    expect(each.streamed, 'the same connection').toBe(sessions);
    await each.verify(named('100 kB/s'));
  });

  it('all that the server sends comes in single bytes, from the first one on: nothing is taken for something else', async () => {
    const each = await begin('split', {
      load: { writers: 2, pauseMs: 150 },
      start: async (of) => {
        proxy.split();
        of.daemon.start();
      },
    });
    await each.committed(LONG ? 500 : 60, 180_000);
    await each.caughtUp();
    expect(each.streamed, 'the same connection').toBe(1);
    await each.verify(named('single bytes'));
  });

  it('cut in the middle of a large transaction: it comes whole, and once', async () => {
    const each = await begin('cut');
    await each.committed(30);
    for (let turn = 0; turn < (LONG ? 15 : 3); turn++) {
      const ids = Array.from({ length: 5_000 }, (_, index) => (80_000 + turn) * 10_000 + index);
      proxy.cutAfter(100_000 + Math.floor(Math.random() * 1_500_000));
      await server.query(
        `BEGIN; INSERT INTO item VALUES ${ids.map((id) => `(${id}, 1, REPEAT('l', 500))`).join(', ')};
         INSERT INTO ledger VALUES ${ids.map((id) => `(${id}, 1, 'c')`).join(', ')}; COMMIT`,
        each.database,
      );
      await sleep(500);
    }
    proxy.heal();
    await each.streams(1);
    await each.caughtUp();
    await each.verify(named('cut in the middle of a large transaction'));
  });

  it('killed while the server still sends to it: the next start goes on', async () => {
    const each = await begin('dead');
    await each.committed(30);
    proxy.blackhole();
    await each.daemon.stop('SIGKILL');
    proxy.strand('client');
    proxy.heal();
    each.daemon.start();
    await each.recovers(named('killed, its connection lives on'), answers);
    await each.verify(named('killed, its connection lives on'));
  });
});
