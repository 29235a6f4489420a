import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { ledgerOfTopics } from '../support/kafka-ledger.ts';
import { KAFKA_DRIVERS } from '../support/kafka-sinks.ts';
import { TPCB_TABLES } from '../support/tpcb.ts';
import { TpcbRun } from '../support/tpcb-run.ts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.runIf(availableKafkas.length > 0)('Postgres to Kafka, the TPC-B-like load (I1, I2, I3, I4, I7)', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let run: TpcbRun | null = null;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([startPostgres({ major: 17, own: true, fsync: true }), startKafka({ own: true })]);
  }, 240_000);

  afterAll(async () => {
    await run?.dispose();
    await Promise.all([postgres.dispose(), kafka.dispose()]);
  }, 60_000);

  async function begin(name: string, driver: string): Promise<TpcbRun> {
    run = await TpcbRun.begin({
      postgres,
      name,
      sink: { type: 'kafka', brokers: kafka.brokers, driver, partitions: 6 },
      scale: 2,
      accounts: 2000,
      ledger: () =>
        ledgerOfTopics(
          kafka,
          TPCB_TABLES.map((table) => `${name}.public.${table}`),
        ),
    });
    return run;
  }

  it.each(KAFKA_DRIVERS)(
    '%s: under kill -9 of the daemon at random moments and of the broker: nothing lost, disordered or doubled',
    async (driver) => {
      const crash = await begin(`crash${driver}`, driver);
      const load = crash.load();
      for (let kill = 0; kill < 5; kill++) {
        await sleep(500 + Math.random() * 2000);
        await crash.daemon.stop('SIGKILL');
        crash.daemon.start();
        if (kill === 2) await kafka.restart('kill');
      }
      await load.stop();
      await crash.caughtUp(60_000);
      expect(await crash.daemon.stop('SIGTERM')).toBe(0);
      await crash.check();
      await crash.dispose();
    },
    180_000,
  );

  it('the broker frozen for longer than the request time-out under load: the same records once, in order', async () => {
    const frozen = await begin('frozen', 'platformatic');
    const load = frozen.load();
    await sleep(1500);
    kafka.signal('SIGSTOP');
    await sleep(8000);
    kafka.signal('SIGCONT');
    await sleep(1000);
    await load.stop();
    await frozen.caughtUp(40_000);
    expect(await frozen.daemon.stop('SIGTERM')).toBe(0);
    await frozen.check();
    await frozen.dispose();
  }, 120_000);
});
