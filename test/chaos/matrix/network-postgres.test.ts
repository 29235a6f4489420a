/** Faults of the network between Sluice and Postgres: it goes on by itself within the promised time, and the ledger is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type FaultProxy,
  type KafkaServer,
  type NatsServer,
  type PostgresServer,
  startKafka,
  startNats,
  startPostgres,
  startProxy,
} from '../../servers/index.ts';
import { holder } from '../../support/fault-postgres.ts';
import { FaultRun, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { LONG } from '../../support/long-form.ts';
import { slotOf } from '../../support/postgres-fault-source.ts';

const WAL_SENDER_TIMEOUT_MS = 3_000;
const MEGABYTE = 1024 * 1024;

describe('the network between Sluice and Postgres (I1, I2, I3, I4, I5, I9, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let kafka: KafkaServer;
  let proxy: FaultProxy;
  let run: FaultRun | null = null;
  const sinks: Record<string, (name: string) => FaultSink> = {
    nats: (name) => natsFaultSink(nats, name.toUpperCase()),
    kafka: (name) => kafkaFaultSink(kafka, name),
  };

  beforeAll(async () => {
    [postgres, nats, kafka] = await Promise.all([
      startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: `${WAL_SENDER_TIMEOUT_MS}ms` } }),
      startNats({ own: true }),
      startKafka({ own: true }),
    ]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
    await proxy.close();
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka.dispose()]));

  const begin = async (name: string, more: Partial<Parameters<typeof FaultRun.begin>[0]> = {}, sink = 'nats'): Promise<FaultRun> => {
    proxy = await startProxy(postgres.url());
    const make = sinks[sink] as (name: string) => FaultSink;
    run = await FaultRun.begin({ name, postgres, sink: make(name), load: { pauseMs: 15 }, through: (url) => proxy.through(url), ...more });
    return run;
  };

  /** A raw client on Sluice's way to the server. */
  const answers = async (): Promise<void> => {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: proxy.through(postgres.url()), connectionTimeoutMillis: 1_000, query_timeout: 1_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
    } finally {
      await client.end().catch(() => undefined);
    }
  };

  it.each(['nats', 'kafka'])('reset under load, again and again, to %s', async (sink) => {
    const each = await begin(`reset-${sink}`, {}, sink);
    for (let turn = 0; turn < (LONG ? 100 : 6); turn++) {
      await sleep(200 + Math.random() * 800);
      proxy.cut();
    }
    await each.recovers('connection reset', answers);
    await each.verify('connection reset');
  });

  it('refused for a while, then reachable again', async () => {
    const each = await begin('refused');
    await each.committed(30);
    proxy.refuse();
    await sleep(LONG ? 30_000 : 5_000);
    proxy.heal();
    await each.recovers('connections refused', answers);
    await each.verify('connections refused');
  });

  it.each([
    ['shorter', 0.5],
    ['longer', 3],
  ])('black hole for %s than wal_sender_timeout', async (length, times) => {
    const each = await begin(`hole-${length}`);
    for (let turn = 0; turn < (LONG ? 10 : 1); turn++) {
      await each.committed(50);
      const sessions = each.streamed;
      proxy.blackhole();
      await sleep(WAL_SENDER_TIMEOUT_MS * times);
      proxy.heal();
      await each.recovers(`black hole, ${length} than wal_sender_timeout`, answers);
      if (length === 'shorter') expect(each.streamed, 'the same connection').toBe(sessions);
    }
    await each.verify(`black hole, ${length} than wal_sender_timeout`);
  });

  it('black holes at random moments, also while it connects', async () => {
    const each = await begin('hole-random');
    for (let turn = 0; turn < (LONG ? 40 : 4); turn++) {
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
    await each.verify('black holes at random moments');
  });

  it('latency of 2 s: the connection is kept', async () => {
    const each = await begin('latency', { load: { pauseMs: 50 } });
    await each.committed(20);
    await each.caughtUp();
    const sessions = each.streamed;
    proxy.delay(2_000);
    await each.committed(100);
    await sleep(WAL_SENDER_TIMEOUT_MS * (LONG ? 20 : 2));
    expect(each.streamed).toBe(sessions);
    proxy.heal();
    await each.recovers('latency of 2 s', answers);
    expect(each.streamed, 'the same connection').toBe(sessions);
    await each.verify('latency of 2 s');
  });

  it('100 kB/s under a load of more: the connection is kept and memory stays bounded (I9)', async () => {
    const each = await begin('throttle', { load: { pauseMs: 20, bytes: 4_000 }, top: { maxInFlightBytes: '16MB' } });
    await each.committed(50);
    await each.caughtUp();
    const [sessions, resident] = [each.streamed, await each.daemon.residentBytes()];
    proxy.throttle(100_000);
    await each.committed(300);
    await sleep(WAL_SENDER_TIMEOUT_MS * (LONG ? 20 : 3));
    expect(each.streamed, 'the same connection').toBe(sessions);
    expect((await each.daemon.residentBytes()) - resident).toBeLessThan(64 * MEGABYTE);
    await each.pause();
    proxy.heal();
    await each.caughtUp();
    expect(each.streamed, 'the same connection').toBe(sessions);
    await each.verify('100 kB/s');
  });

  it('half open, the server gone without a word: noticed within wal_sender_timeout and a quarter', async () => {
    const each = await begin('stranded');
    await each.committed(30);
    const sessions = each.streamed;
    proxy.strand('server');
    const line = await each.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SILENT', 2 * WAL_SENDER_TIMEOUT_MS);
    expect(line.level).toBe('warn');
    await each.streams(sessions);
    await each.recovers('half open towards Sluice', answers);
    await each.verify('half open towards Sluice');
  });

  it('half open, the slot still held by our own dead walsender: it is ended by our instance id', async () => {
    await postgres.query(`ALTER SYSTEM SET wal_sender_timeout = '60s'`);
    await postgres.query('SELECT pg_reload_conf()');
    try {
      const each = await begin('dead-own');
      for (let turn = 0; turn < (LONG ? 10 : 2); turn++) {
        await each.committed(30);
        const [pid, sessions] = [await holder(postgres, 'dead-own'), each.streamed];
        proxy.strand('client');
        await each.streams(sessions);
        const said = each.daemon.log.filter(({ msg }) => msg.startsWith('Ending a session that an earlier run'));
        expect(said.at(-1)).toMatchObject({ slot: slotOf('dead-own'), pid });
        await each.recovers('slot held by our own dead walsender', answers);
      }
      await each.verify('slot held by our own dead walsender');
    } finally {
      await postgres.query('ALTER SYSTEM RESET wal_sender_timeout');
      await postgres.query('SELECT pg_reload_conf()');
    }
  });

  it('killed while its walsender lives on: the next start ends that one and goes on', async () => {
    const each = await begin('dead-killed');
    await each.committed(30);
    proxy.blackhole();
    await each.daemon.stop('SIGKILL');
    proxy.strand('client');
    proxy.heal();
    each.daemon.start();
    await each.recovers('killed, its walsender lives on', answers);
    await each.verify('killed, its walsender lives on');
  });

  it('cut in the middle of a large transaction: it comes whole, and once', async () => {
    const each = await begin('cut');
    await each.committed(30);
    for (let turn = 0; turn < (LONG ? 30 : 3); turn++) {
      const id = 80_000 + turn;
      proxy.cutAfter(100_000 + Math.floor(Math.random() * 1_500_000));
      await postgres.query(
        `BEGIN; INSERT INTO item SELECT ${id}0000 + g, 1, repeat('l', 500) FROM generate_series(1, 5000) g;
         INSERT INTO ledger SELECT ${id}0000 + g, 1, 'c' FROM generate_series(1, 5000) g; COMMIT`,
        each.database,
      );
      await sleep(500);
    }
    proxy.heal();
    await each.streams(1);
    await each.caughtUp();
    await each.verify('cut in the middle of a large transaction');
  });

  it('only the control connection is stranded: the stream goes on, and heartbeats come again', async () => {
    const each = await begin('control', { source: { heartbeat: { interval: '500ms' } } });
    await each.committed(30);
    await each.pause();
    await each.caughtUp();
    const [sessions, pid] = [each.streamed, await holder(postgres, 'control')];
    const [row] = await postgres.query<{ port: number }>(`SELECT client_port AS port FROM pg_stat_activity WHERE pid = ${pid}`);
    proxy.strand('server', row?.port);
    each.resume();
    await each.committed(50);
    await each.recovers('control connection stranded', answers);
    expect(each.streamed, 'the same stream').toBe(sessions);
    await each.verify('control connection stranded');
  });
});
