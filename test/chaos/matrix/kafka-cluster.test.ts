/** Leader changes and missing replicas in a Kafka cluster of three, with the whole product. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { FaultRun, type FaultSink, kafkaFaultSink } from '../../support/fault-run.ts';
import { endRun, kafkaWorks, MODEST, sleep, warnings } from '../../support/fault-sinks.ts';
import { KAFKA_DRIVERS } from '../../support/kafka-sinks.ts';
import { createTopic, describeTopic } from '../../support/kafka-topics.ts';
import { LONG } from '../../support/long-form.ts';

type KafkaNode = KafkaServer['nodes'][number];

describe.runIf(availableKafkas.length > 0)('faults of a Kafka cluster of three (I1, I2, I3, I4, I10)', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ cluster: 3 })]);
    await createTopic(kafka, 'raw', { partitions: 1, replicas: 3, settings: { 'min.insync.replicas': '2' } });
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
    for (const node of kafka.nodes) if (node.pid === 0) node.launch();
    await Promise.all(kafka.nodes.map((node) => node.ready(kafka.nodes)));
  });

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose()]));

  function replicated(prefix: string, driver: string): FaultSink {
    return kafkaFaultSink(kafka, prefix, { driver, replication: 3, topicSettings: ['min.insync.replicas=2'] });
  }

  /** A raw client writes to each partition's leader as it is now. */
  async function allLead(topic: string): Promise<void> {
    await kafkaWorks(kafka, 'raw');
    const partitions = await describeTopic(kafka, topic);
    if (partitions.some(({ leader }) => !kafka.nodes.some((node) => node.id === leader && node.pid !== 0)))
      throw new Error('a partition has no leader');
  }

  async function leaderOf(topic: string): Promise<KafkaNode> {
    const leader = (await describeTopic(kafka, topic))[0]?.leader;
    return kafka.nodes.find(({ id }) => id === leader) as KafkaNode;
  }

  describe.each(LONG ? KAFKA_DRIVERS : KAFKA_DRIVERS.slice(0, 1))('%s', (driver) => {
    it('a rolling restart under load: goes on by itself, leaders move away and back (I10)', async () => {
      const prefix = `rolling-${driver}`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: replicated(prefix, driver), load: MODEST });
      for (let round = 0; round < (LONG ? 5 : 1); round++) {
        for (const node of kafka.nodes) {
          await run.committed(40);
          await run.caughtUp();
          await node.stop();
          await run.recovers(`Kafka rolling restart, one of three stopped (${driver})`, () => allLead(`${prefix}.public.item`));
          await node.start();
          await run.recovers(`Kafka rolling restart, back (${driver})`, () => allLead(`${prefix}.public.item`));
        }
      }
      await run.verify(`Kafka rolling restart (${driver})`);
    });

    it.runIf(LONG)('the leader of a partition is killed with SIGKILL under load: goes on by itself (I10)', async () => {
      const prefix = `leader-${driver}`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: replicated(prefix, driver), load: MODEST });
      for (let round = 0; round < 10; round++) {
        await run.committed(40);
        await run.caughtUp();
        const leader = await leaderOf(`${prefix}.public.item`);
        await leader.kill();
        await run.recovers(`Kafka leader killed (${driver})`, () => allLead(`${prefix}.public.item`));
        await leader.start();
        await run.recovers(`Kafka leader back (${driver})`, () => allLead(`${prefix}.public.item`));
      }
      await run.verify(`Kafka leader killed (${driver})`);
    });

    it.runIf(LONG)('leaders are moved by request under load (preferred election): goes on by itself (I10)', async () => {
      const prefix = `elected-${driver}`;
      const topic = `${prefix}.public.item`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: replicated(prefix, driver), load: MODEST });
      for (let round = 0; round < 10; round++) {
        await run.committed(40);
        const node = kafka.nodes[round % 3] as KafkaNode;
        // A frozen broker loses its leaders; woken up it still believes in them, until it is told.
        node.signal('SIGSTOP');
        await sleep(8_000);
        node.signal('SIGCONT');
        await run.recovers(`Kafka broker frozen (${driver})`, () => allLead(topic));
        // By the check every five seconds they go back to it.
        await sleep(6_000);
        await run.recovers(`Kafka preferred leaders elected (${driver})`, () => allLead(topic));
      }
      await run.verify(`Kafka broker frozen, preferred election (${driver})`);
    });

    it.runIf(LONG)('two of three are down (min.insync.replicas 2): waits, says so once, goes on by itself (I10)', async () => {
      const prefix = `insync-${driver}`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: replicated(prefix, driver), load: MODEST });
      await run.committed(40);
      await run.caughtUp();
      const down = kafka.nodes.slice(1);
      await Promise.all(down.map((node) => node.kill()));
      await sleep(60_000);
      const said = warnings(run, /Kafka/);
      expect(said.length).toBeGreaterThan(0);
      expect(new Set(said.map(({ msg }) => msg)).size).toBe(said.length);
      expect(run.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
      for (const node of down) node.launch();
      await Promise.all(down.map((node) => node.ready()));
      await run.recovers(`Kafka two of three down (${driver})`, () => allLead(`${prefix}.public.item`));
      await run.verify(`Kafka two of three down (${driver})`);
    });
  });
});
