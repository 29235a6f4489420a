/** Leader changes in a NATS cluster of three, with the whole product. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsNode, type NatsServer, type PostgresServer, startNats, startPostgres } from '../../servers/index.ts';
import { natsAvailable } from '../../support/available-servers.ts';
import { FaultRun, type FaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { askNats, endRun, MODEST, natsWorks, sleep } from '../../support/fault-sinks.ts';
import { LONG } from '../../support/long-form.ts';
import { StreamObserver } from '../../support/nats-sinks.ts';

describe.runIf(natsAvailable)('faults of a NATS cluster of three (I1, I2, I3, I4, I10)', () => {
  let postgres: PostgresServer;
  let cluster: NatsServer;
  let observer: StreamObserver;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, cluster] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ cluster: 3 })]);
    observer = new StreamObserver(cluster.urls);
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
    for (const node of cluster.nodes) if (node.pid === 0) node.launch();
    await Promise.all(cluster.nodes.map((node) => node.ready()));
    await observer.deleteAll();
  });

  afterAll(() => Promise.all([postgres.dispose(), cluster.dispose()]));

  function sinkOn(stream: string): FaultSink {
    return natsFaultSink(cluster, stream, { servers: cluster.urls, replicas: 3 });
  }

  async function leaderOf(stream: string): Promise<NatsNode> {
    const name = (await observer.info(stream)).cluster?.leader;
    const node = cluster.nodes.find((each) => each.name === name);
    if (node === undefined) throw new Error(`no leader of ${stream}`);
    return node;
  }

  function alive(): string {
    return cluster.nodes
      .filter(({ pid }) => pid !== 0)
      .map(({ url }) => url)
      .join(',');
  }

  it("the stream's leader is killed under load, and comes back: goes on by itself (I10)", async () => {
    run = await FaultRun.begin({ name: 'leader-killed', postgres, sink: sinkOn('LEADER'), load: MODEST });
    for (let round = 0; round < (LONG ? 20 : 1); round++) {
      await run.committed(40);
      await run.caughtUp();
      const leader = await leaderOf('LEADER');
      await leader.kill();
      await run.recovers('NATS leader killed', () => natsWorks(alive(), 'LEADER'));
      await leader.start();
      await run.recovers('NATS leader back', () => natsWorks(leader.url, 'LEADER'));
    }
    await run.verify('NATS leader killed');
  });

  it('the leader steps down by request under load: goes on by itself (I10)', async () => {
    run = await FaultRun.begin({ name: 'stepdown', postgres, sink: sinkOn('STEPS'), load: MODEST });
    for (let round = 0; round < (LONG ? 50 : 2); round++) {
      await run.committed(20);
      const before = (await leaderOf('STEPS')).name;
      expect(await askNats(alive(), '$JS.API.STREAM.LEADER.STEPDOWN.STEPS')).toMatchObject({ success: true });
      await run.recovers('NATS leader stepped down', async () => {
        await natsWorks(alive(), 'STEPS');
        expect((await leaderOf('STEPS')).name).not.toBe(before);
      });
    }
    await run.verify('NATS leader stepped down');
  });

  it.runIf(LONG)('two of three are down: waits, says so, goes on when one is back (I10)', async () => {
    run = await FaultRun.begin({ name: 'quorum', postgres, sink: sinkOn('QUORUM'), load: MODEST });
    await run.committed(40);
    await run.caughtUp();
    const leader = await leaderOf('QUORUM');
    const others = cluster.nodes.filter((node) => node !== leader);
    await Promise.all(others.map((node) => node.kill()));
    await sleep(60_000);
    expect(run.daemon.log.filter(({ level, msg }) => level === 'warn' && /NATS|stream/i.test(msg)).length).toBeGreaterThan(0);
    expect(run.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    for (const node of others) node.launch();
    await Promise.all(others.map((node) => node.ready()));
    await run.recovers('NATS quorum lost', () => natsWorks(alive(), 'QUORUM'));
    await run.verify('NATS quorum lost');
  });
});
