/** Faults of Sluice itself and of its data directory (the first part of the fault matrix, docs/guarantees.md). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../../servers/index.ts';
import { FaultRun, LONG, natsFaultSink } from '../../support/fault-run.ts';

describe('faults of Sluice (I1, I2, I3, I4, I5, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  it('SIGKILL at random moments under load', async () => {
    run = await FaultRun.begin({ name: 'killed', postgres, sink: natsFaultSink(nats, 'KILLED') });
    for (let kill = 0; kill < (LONG ? 100 : 8); kill++) {
      await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 700));
      await run.kill();
    }
    await run.streams();
    await run.verify('SIGKILL at random moments');
  });

  it('SIGTERM under load: ends with 0, and the next start goes on', async () => {
    run = await FaultRun.begin({ name: 'terminated', postgres, sink: natsFaultSink(nats, 'TERMINATED') });
    await run.committed(100);
    expect(await run.daemon.stop('SIGTERM')).toBe(0);
    run.daemon.start();
    await run.committed(100);
    await run.verify('SIGTERM under load');
  });
});
