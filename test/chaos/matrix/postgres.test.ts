/** Faults of the Postgres server and of its sessions (docs/guarantees.md): what ends comes back by itself, and the ledger is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, type StopMode, startKafka, startNats, startPostgres } from '../../servers/index.ts';
import { holder } from '../../support/fault-postgres.ts';
import { FaultRun, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { LONG } from '../../support/long-form.ts';

describe('faults of the Postgres server (I1, I2, I3, I4, I5, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let kafka: KafkaServer;
  let run: FaultRun | null = null;
  const sinks: Record<string, (name: string) => FaultSink> = {
    nats: (name) => natsFaultSink(nats, name.toUpperCase()),
    kafka: (name) => kafkaFaultSink(kafka, name),
  };

  beforeAll(async () => {
    [postgres, nats, kafka] = await Promise.all([
      startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s', max_prepared_transactions: 10 } }),
      startNats({ own: true }),
      startKafka({ own: true }),
    ]);
  });

  afterEach(async () => {
    if (!postgres.running) await postgres.start();
    await run?.dispose();
    run = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose(), kafka.dispose()]));

  const begin = async (name: string, sink = 'nats', more: Partial<Parameters<typeof FaultRun.begin>[0]> = {}): Promise<FaultRun> => {
    run = await FaultRun.begin({ name, postgres, sink: (sinks[sink] as (name: string) => FaultSink)(name), load: { pauseMs: 15 }, ...more });
    return run;
  };
  const answers = () => postgres.query('SELECT 1');

  it.each<[StopMode, string]>([
    ['fast', 'nats'],
    ['immediate', 'nats'],
    ['kill', 'nats'],
    ['kill', 'kafka'],
  ])('%s restart of Postgres under load, to %s: goes on by itself within 5 s', async (mode, sink) => {
    const fault = `Postgres restarted (${mode})`;
    const each = await begin(`restart-${mode}`, sink);
    for (let restart = 0; restart < (LONG ? 20 : 2); restart++) {
      await each.committed(100);
      await postgres.stop(mode);
      await sleep(Math.random() * 500);
      // The server answers again: from here the time counts.
      await postgres.start();
      await each.recovers(fault, answers);
    }
    await each.verify(fault);
  });

  it('Postgres away for longer than any back-off grows: within 5 s of its return', async () => {
    const each = await begin('away');
    await each.committed(50);
    await postgres.stop('immediate');
    await sleep(LONG ? 60_000 : 9_000);
    await postgres.start();
    await each.recovers('Postgres away for long', answers);
    await each.verify('Postgres away for long');
  });

  it('walsender terminated again and again under load: streams again each time', async () => {
    const each = await begin('terminated');
    for (let turn = 0; turn < (LONG ? 100 : 8); turn++) {
      await sleep(Math.random() * 300);
      await expect.poll(() => holder(postgres, 'terminated'), { timeout: 10_000, interval: 20 }).not.toBe(0);
      await postgres.query(`SELECT pg_terminate_backend(${await holder(postgres, 'terminated')})`);
    }
    await each.recovers('walsender terminated', answers);
    await each.verify('walsender terminated');
  });

  it('walsender killed with SIGKILL: the server restarts all its processes, and Sluice goes on', async () => {
    const each = await begin('walsender-killed');
    await each.committed(50);
    process.kill(await holder(postgres, 'walsender-killed'), 'SIGKILL');
    await sleep(100);
    await each.recovers('walsender killed', answers);
    await each.verify('walsender killed');
  });

  it('all sessions of the role terminated at once, the control connection with them', async () => {
    const each = await begin('all-terminated');
    for (let turn = 0; turn < (LONG ? 30 : 3); turn++) {
      await each.committed(30);
      await postgres.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sluice %'`);
    }
    await each.recovers('all sessions terminated', answers);
    await each.verify('all sessions terminated');
  });

  it('a transaction open for long over restarts of Postgres and of Sluice: whole or not at all', async () => {
    const each = await begin('long-open');
    await each.committed(20);
    const survivor = await open(each, 70_001);
    await each.kill();
    await each.committed(50);
    await survivor.query('COMMIT');
    await survivor.end();
    const victim = await open(each, 70_002);
    await each.committed(50);
    await postgres.restart('immediate');
    await victim.end().catch(() => undefined);
    await each.recovers('open transaction over a restart', answers);
    await each.verify('open transaction over a restart');
  });

  it('PREPARE TRANSACTION over a restart: its changes come with COMMIT PREPARED, and none with ROLLBACK PREPARED', async () => {
    const each = await begin('prepared');
    await each.committed(20);
    for (const [id, name] of [
      [71_001, 'kept'],
      [71_002, 'given_up'],
    ] as const) {
      const client = await open(each, id);
      await client.query(`PREPARE TRANSACTION '${name}'`);
      await client.end();
    }
    await postgres.restart('kill');
    await each.kill();
    await each.committed(50);
    await postgres.query(`ROLLBACK PREPARED 'given_up'`, each.database);
    await postgres.query(`COMMIT PREPARED 'kept'`, each.database);
    await each.kill();
    await each.recovers('prepared transactions over a restart', answers);
    const verdict = await each.verify('prepared transactions over a restart');
    expect(verdict.committed).toBeGreaterThan(0);
    const [row] = await postgres.query<{ n: string }>('SELECT count(*) AS n FROM ledger WHERE id IN (71001, 71002)', each.database);
    expect(row?.n).toBe('500');
  });

  it('subtransactions rolled back, large ones spilled, at the moment of a kill of either side', async () => {
    const each = await begin('savepoints', 'nats', { load: { writers: 2 } });
    for (let turn = 0; turn < (LONG ? 20 : 3); turn++) {
      const client = await postgres.connect(each.database);
      const done = client.query(nested(72_000 + turn)).catch(() => undefined);
      await sleep(Math.random() * 250);
      if (turn % 2 === 0) await each.kill();
      else await postgres.restart('kill');
      await done;
      await client.end().catch(() => undefined);
    }
    await each.streams();
    await each.verify('subtransactions at a kill');
  });

  /** A session with a transaction open that has written one item 500 times. */
  async function open(each: FaultRun, id: number) {
    const client = await postgres.connect(each.database);
    await client.query(`BEGIN; INSERT INTO item VALUES (${id}, 1, 'open'); INSERT INTO ledger VALUES (${id}, 1, 'c')`);
    await client.query(`DO $$ BEGIN FOR v IN 2..500 LOOP
      UPDATE item SET version = v WHERE id = ${id}; INSERT INTO ledger VALUES (${id}, v, 'u'); END LOOP; END $$`);
    return client;
  }

  /** Of 3,000 changes each second one is rolled back with its savepoint. */
  function nested(id: number): string {
    return `DO $$ BEGIN
      INSERT INTO item VALUES (${id}, 1, 'nested'); INSERT INTO ledger VALUES (${id}, 1, 'c');
      FOR v IN 2..1500 LOOP
        UPDATE item SET version = v, note = repeat('n', 200) WHERE id = ${id}; INSERT INTO ledger VALUES (${id}, v, 'u');
        BEGIN
          UPDATE item SET version = -1, note = 'phantom' WHERE id = ${id}; INSERT INTO item VALUES (-${id}, v, 'phantom');
          RAISE EXCEPTION 'back';
        EXCEPTION WHEN raise_exception THEN NULL; END;
      END LOOP; END $$`;
  }
});
