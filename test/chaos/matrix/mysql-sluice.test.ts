/** Faults of the process of Sluice itself while it reads MySQL or MariaDB (docs/guarantees.md): the ledger is whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type MysqlServer, type NatsServer, startKafka, startMysql, startNats } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { sluice } from '../../support/cli.ts';
import { FaultRun, type FaultRunOptions, type FaultSink, kafkaFaultSink, natsFaultSink } from '../../support/fault-run.ts';
import { endRun, MODEST } from '../../support/fault-sinks.ts';
import { KILL_STEPS, killedAt } from '../../support/kill-step.ts';
import { EDGE_MYSQL_VARIANTS, LONG } from '../../support/long-form.ts';
import { mysqlFaultSource } from '../../support/mysql-fault-source.ts';

/** What differs between the drivers of Kafka does so whatever the source: `sluice`. */
const SINKS = ['nats', ...(availableKafkas.length > 0 ? ['platformatic'] : [])];
/** These servers are told nothing. */
const STEPS = KILL_STEPS.filter((step) => step !== 'after the status was sent');

describe.each(EDGE_MYSQL_VARIANTS)('faults of Sluice, which reads $title (I1, I2, I3, I4, I5, I10)', ({ title, options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  /** Made by the first test that needs it. */
  let kafka: Promise<KafkaServer> | null = null;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
  });

  afterAll(async () => Promise.all([server?.dispose(), nats?.dispose(), (await kafka)?.dispose()]));

  const sinkOf = async (to: string, name: string): Promise<FaultSink> => {
    if (to === 'nats') return natsFaultSink(nats, name.toUpperCase());
    kafka ??= startKafka({ own: true });
    return kafkaFaultSink(await kafka, name, { topic: `${name}.{table}`, driver: to, request: { timeout: '5s' } });
  };
  const begin = async (name: string, to: string, more: Partial<FaultRunOptions> = {}): Promise<FaultRun> => {
    run = await FaultRun.on(mysqlFaultSource(server), { name, sink: await sinkOf(to, name), load: MODEST, ...more });
    return run;
  };
  const named = (fault: string): string => `${title}: ${fault}`;

  it.each(SINKS)('SIGKILL at random moments under load, to %s', async (to) => {
    const each = await begin(`killed${to}`, to);
    for (let kill = 0; kill < (LONG ? 40 : 6); kill++) {
      await sleep(300 + Math.random() * 700);
      await each.kill();
    }
    await each.recovers(named('SIGKILL at random moments'), () => Promise.resolve());
    await each.verify(named('SIGKILL at random moments'));
  });

  it('SIGTERM under load: ends with 0, and the next start goes on', async () => {
    const each = await begin('terminated', 'nats');
    await each.committed(100);
    expect(await each.daemon.stop('SIGTERM')).toBe(0);
    await each.committed(30);
    each.daemon.start();
    await each.committed(100);
    await each.verify(named('SIGTERM under load'));
  });

  it.each(SINKS)('SIGKILL at each step of the work, one after the other, to %s (I1–I6)', async (to) => {
    const each = await begin(`steps${to}`, to, { start: (of) => killedAt(of, 'after receive', 1).then(() => of.daemon.start()) });
    for (const step of STEPS) {
      const later = LONG && to === 'nats' ? [1, 2, 9] : [2];
      for (const n of step === 'after the first place' ? [1] : later) {
        await each.daemon.stop('SIGKILL');
        await killedAt(each, step, n);
        each.daemon.start();
        await each.caughtUp();
      }
    }
    await each.verify(named('SIGKILL at each step'));
  });

  it.each(LONG ? STEPS : ['between LevelDB and the side file' as const])('SIGKILL %s, at the first start already', async (step) => {
    const name = `first${STEPS.indexOf(step)}`;
    const start = async (of: FaultRun): Promise<void> => {
      for (const n of step === 'between LevelDB and the side file' ? [1, 2, 3, 4] : [1]) await killedAt(of, step, n);
      of.daemon.start();
    };
    const each = await begin(name, 'nats', { start });
    await each.committed(30);
    await each.recovers(named('SIGKILL at the first start'), () => Promise.resolve());
    await each.verify(named('SIGKILL at the first start'));
  });

  it('a second daemon with the same data directory ends with SLUICE_STATE_LOCKED, and the first notices nothing (I4)', async () => {
    const each = await begin('locked', 'nats');
    await each.committed(50);
    const said = each.daemon.log.length;
    const { exit, stderr } = await sluice(['run', each.daemon.directory]);
    expect([exit, stderr]).toEqual([3, expect.stringMatching(/code: +SLUICE_STATE_LOCKED/)]);
    await each.committed(50);
    expect(each.daemon.log.slice(said)).toEqual([]);
    await each.verify(named('two daemons, one data directory'));
  });
});
