/** Faults of time: the wall clock is set, and the process is stopped and goes on (a part of the fault matrix, docs/guarantees.md). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../../servers/index.ts';
import { libfaketime, SteppedClock } from '../../support/fault-clock.ts';
import { LIGHT } from '../../support/fault-load.ts';
import { FaultRun, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { LONG } from '../../support/long-form.ts';

const LIBFAKETIME = await libfaketime();
const HOUR_S = 3600;
/** Kafka's brokers refuse what is more than an hour ahead of their own clock (message.timestamp.after.max.ms). */
const KAFKA_HOUR_S = 3240;

describe('faults of time (I1–I5, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  /** Made by the first test that needs it. */
  let kafka: Promise<KafkaServer> | null = null;
  let run: FaultRun | null = null;
  let clock: SteppedClock | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
    await clock?.dispose();
    clock = null;
  });

  afterAll(async () => Promise.all([postgres?.dispose(), nats?.dispose(), (await kafka)?.dispose()]));

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const sink = async (to: string, name: string): Promise<FaultSink> => {
    if (to === 'nats') return natsFaultSink(nats, name);
    kafka ??= startKafka({ own: true });
    return kafkaFaultSink(await kafka, name, { driver: to });
  };

  const clocks = ['nats', 'platformatic', 'kafkajs'].flatMap((to) => [
    [to, 'Date', false] as const,
    ...(LIBFAKETIME === null ? [] : [[to, "the C library's clock", true] as const]),
  ]);

  it.each(
    LONG ? clocks : clocks.filter(([to, , machine]) => (to === 'nats' ? machine === (LIBFAKETIME !== null) : to === 'platformatic' && !machine)),
  )(
    'the clock is set hours ahead and back, and hours back, under load, to %s (%s): nothing stops, nothing is lost (I1–I5, I10)',
    async (to, _, machine) => {
      const stepped = await SteppedClock.create({ machine });
      clock = stepped;
      const name = `clock${to}${machine ? 'c' : 'd'}`;
      run = await FaultRun.begin({
        load: LIGHT,
        name,
        postgres,
        sink: await sink(to, name),
        start: async (of) => of.daemon.start([], { ...stepped.environment }),
      });
      const { daemon } = run;
      await run.committed(50);
      const said = daemon.log.length;
      const [far, second] = to === 'nats' ? [2, HOUR_S] : [1, KAFKA_HOUR_S];
      for (const hours of [far, 0, -far, 0]) {
        await stepped.set(hours * second);
        await pause(300);
        await run.committed(50);
        await run.recovers(`clock set to ${hours} h`, () => Promise.resolve());
      }
      expect(daemon.log.slice(said).filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
      expect(run.streamed).toBe(1);
      // The clock was followed, both ways, and is right again.
      const offsets = new Set((await (await sink(to, name)).messages()).map(({ value }) => hoursOff(value)));
      expect([...offsets].filter((hours) => hours !== null).sort((a, b) => a - b)).toEqual([-far, 0, far]);
      await run.verify('the clock is set');
    },
  );

  it('the clock is set two hours ahead, to Kafka: it waits until the clock is right, or writes what the broker takes (I10)', async () => {
    const stepped = await SteppedClock.create({ machine: false });
    clock = stepped;
    const start = async (of: FaultRun): Promise<unknown> => of.daemon.start([], { ...stepped.environment });
    run = await FaultRun.begin({ load: LIGHT, name: 'farahead', postgres, sink: await sink('platformatic', 'farahead'), start });
    await run.committed(50);
    await stepped.set(2 * HOUR_S);
    await run.committed(50);
    await pause(5_000);
    expect(run.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    await run.recovers('clock right again', () => stepped.set(0));
    await run.verify('the clock was too far ahead for Kafka');
  });

  /** How far the time of processing is from that of the commit, which is the server's. */
  function hoursOff(value: unknown): number | null {
    const { ts_ms: processed, source } = (value ?? { source: {} }) as { ts_ms?: number; source: { ts_ms?: number } };
    return processed === undefined || source.ts_ms === undefined ? null : Math.round((processed - source.ts_ms) / HOUR_S / 1000) + 0;
  }

  it('SIGSTOP for longer than wal_sender_timeout, then SIGCONT: it goes on by itself (I1–I5, I10)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'stopped', postgres, sink: await sink('nats', 'stopped') });
    const { daemon } = run;
    for (let round = 0; round < (LONG ? 5 : 1); round++) {
      await run.committed(50);
      daemon.signal('SIGSTOP');
      await slotIsFree('stopped');
      await run.recovers('SIGSTOP longer than wal_sender_timeout', async () => daemon.signal('SIGCONT'));
    }
    await daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SUSPENDED');
    await run.verify('SIGSTOP longer than wal_sender_timeout');
  });

  it('SIGSTOP, and another takes the slot meanwhile: nothing is written before it has the slot again (algorithms §5, I4)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'taken', postgres, sink: await sink('nats', 'taken') });
    const { daemon } = run;
    await run.committed(50);
    daemon.signal('SIGSTOP');
    await slotIsFree('taken');
    const other = await takeSlot('taken');
    try {
      // What it had given to the kernel has arrived.
      const before = (await run.standing()).messages;
      daemon.signal('SIGCONT');
      await daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SLOT_IN_USE');
      await run.committed(50);
      await pause(1_000);
      expect((await run.standing()).messages).toBe(before);
    } finally {
      await run.recovers('the slot was taken by another', () => other());
    }
    await run.verify('SIGSTOP, and another takes the slot');
  });

  async function slotIsFree(name: string): Promise<void> {
    const active = async (): Promise<boolean | undefined> => {
      const [row] = await postgres.query<{ active: boolean }>(`SELECT active FROM pg_replication_slots WHERE slot_name = 'sluice_${name}'`);
      return row?.active;
    };
    await expect.poll(active, { timeout: 30_000, interval: 100 }).toBe(false);
  }

  /** Holds the slot without reading from it; answers with what gives it back. */
  async function takeSlot(name: string): Promise<() => Promise<void>> {
    const { default: pg } = await import('pg');
    const { database } = run as FaultRun;
    const url = new URL(postgres.url(database));
    url.searchParams.set('replication', 'database');
    const client = new pg.Client({ connectionString: url.href, replication: 'database' } as ConstructorParameters<typeof pg.Client>[0]);
    client.on('error', () => undefined);
    await client.connect();
    await client.query('SET wal_sender_timeout = 0');
    // Never resolves: the connection is in copy mode then.
    void client
      .query(`START_REPLICATION SLOT sluice_${name} LOGICAL 0/0 (proto_version '1', publication_names 'sluice_${name}')`)
      .catch(() => undefined);
    const active = async (): Promise<boolean | undefined> =>
      (await postgres.query<{ active: boolean }>(`SELECT active FROM pg_replication_slots WHERE slot_name = 'sluice_${name}'`))[0]?.active;
    await expect.poll(active, { timeout: 10_000, interval: 50 }).toBe(true);
    return async () => {
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      await postgres.query(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'sluice_${name}' AND active_pid IS NOT NULL
         AND active_pid IN (SELECT pid FROM pg_stat_activity WHERE application_name NOT LIKE 'sluice%')`,
      );
      await slotIsFree(name);
    };
  }
});
