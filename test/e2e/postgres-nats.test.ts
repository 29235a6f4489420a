import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { readStream, StreamLedger } from '../support/stream-ledger.ts';
import { TpcbRun } from '../support/tpcb-run.ts';

describe('Postgres to NATS, the TPC-B-like load (I1, I2, I3, I4, I7)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: TpcbRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, fsync: true }), startNats({ own: true })]);
  }, 240_000);

  afterAll(async () => {
    await run?.dispose();
    await Promise.all([postgres.dispose(), nats.dispose()]);
  }, 60_000);

  async function begin(name: string): Promise<TpcbRun> {
    const stream = name.toUpperCase();
    run = await TpcbRun.begin({
      postgres,
      name,
      sink: { type: 'nats', servers: [nats.url], stream },
      scale: 2,
      accounts: 2000,
      ledger: async () => {
        const ledger = new StreamLedger();
        await readStream(nats.url, stream, (message) => ledger.take(message));
        return ledger;
      },
    });
    return run;
  }

  it('rebuilds the tables from the messages, and SIGTERM drains', async () => {
    const bank = await begin('bank');
    const load = bank.load();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(await load.stop()).toBeGreaterThan(10);
    await bank.caughtUp(20_000);
    expect(await bank.daemon.stop('SIGTERM')).toBe(0);
    await bank.check();
    await bank.dispose();
  }, 90_000);

  it('under kill -9 of the daemon at random moments and one restart each of Postgres and NATS: nothing lost, disordered or doubled', async () => {
    const crash = await begin('crash');
    const load = crash.load();
    for (let kill = 0; kill < 6; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1500));
      await crash.daemon.stop('SIGKILL');
      crash.daemon.start();
      if (kill === 2) await postgres.restart('fast');
      if (kill === 4) await nats.restart('kill');
    }
    await load.stop();
    await crash.caughtUp(40_000);
    expect(await crash.daemon.stop('SIGTERM')).toBe(0);
    await crash.check();
    await crash.dispose();
  }, 180_000);
});
