/** Faults of the process of Sluice itself (the first part of the fault matrix, docs/guarantees.md). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../../servers/index.ts';
import { LIGHT } from '../../support/fault-load.ts';
import { FaultRun, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { KILL_STEPS, killedAt } from '../../support/kill-step.ts';
import { LONG } from '../../support/long-form.ts';

describe('faults of Sluice (I1, I2, I3, I4, I5, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  /** Made by the first test that needs it. */
  let kafka: Promise<KafkaServer> | null = null;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
  });

  afterAll(async () => Promise.all([postgres?.dispose(), nats?.dispose(), (await kafka)?.dispose()]));

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  /** NATS, and Kafka by its two drivers. */
  const SINKS = ['nats', 'platformatic', 'kafkajs'];
  const sink = async (to: string, name: string): Promise<FaultSink> => {
    if (to === 'nats') return natsFaultSink(nats, name);
    // After an unclean end kafkajs' driver waits for as long as a request may take.
    kafka ??= startKafka({ own: true });
    return kafkaFaultSink(await kafka, name, { driver: to, request: { timeout: to === 'kafkajs' ? '1s' : '5s' } });
  };

  it.each(LONG ? SINKS : ['nats'])('SIGKILL at random moments under load, to %s (I1–I5)', async (to) => {
    run = await FaultRun.begin({ load: LIGHT, name: `killed${to}`, postgres, sink: await sink(to, `killed${to}`) });
    for (let kill = 0; kill < (LONG ? 300 : 8); kill++) {
      await pause(300 + Math.random() * 700);
      await run.kill();
    }
    await run.verify('SIGKILL at random moments');
  });

  it('SIGTERM under load: ends with 0, and the next start goes on (I1, I4)', async () => {
    run = await FaultRun.begin({ load: LIGHT, name: 'terminated', postgres, sink: await sink('nats', 'TERMINATED') });
    await run.committed(100);
    expect(await run.daemon.stop('SIGTERM')).toBe(0);
    run.daemon.start();
    await run.committed(100);
    await run.verify('SIGTERM under load');
  });

  it.each(SINKS.slice(0, LONG ? 3 : 2))('SIGKILL at each step of the work, one after the other, to %s (I1–I6)', async (to) => {
    const name = `steps${to}`;
    run = await FaultRun.begin({
      load: LIGHT,
      name,
      postgres,
      sink: await sink(to, name),
      start: (of) => killedAt(of, 'after receive', 1).then(() => of.daemon.start()),
    });
    for (const step of KILL_STEPS) {
      await run.daemon.stop('SIGKILL');
      await killedAt(run, step, step === 'after the first place' ? 1 : 2);
      run.daemon.start();
      await run.caughtUp();
    }
    await run.verify('SIGKILL at each step');
  });

  it.runIf(LONG).each(SINKS.flatMap((to) => KILL_STEPS.map((step) => [step, to] as const)))(
    'SIGKILL %s, to %s: at the first start, at the next one, and later (I1–I6)',
    async (step, to) => {
      const name = `step${KILL_STEPS.indexOf(step)}${to}`;
      const start = async (of: FaultRun): Promise<void> => {
        // Before it is made, the slot captures nothing.
        for (const n of step === 'between LevelDB and the side file' ? [1, 2, 3, 4] : [1]) await killedAt(of, step, n);
        of.daemon.start();
      };
      run = await FaultRun.begin({ load: LIGHT, name, postgres, sink: await sink(to, name), start });
      for (const n of step === 'after the first place' ? [] : [1, 2, 9]) {
        await run.daemon.stop('SIGKILL');
        await killedAt(run, step, n);
        run.daemon.start();
        await run.committed(30);
      }
      await run.recovers(`SIGKILL ${step}`, () => Promise.resolve());
      await run.verify(`SIGKILL ${step}`);
    },
  );
});
