/** Faults of one Kafka broker and of its topics, with the whole product. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { FaultRun, kafkaFaultSink } from '../../support/fault-run.ts';
import { addConnector, carryOut, endRun, kafkaWorks, keeping, MODEST, sleep, startAgain, warnings, withAdmin } from '../../support/fault-sinks.ts';
import { KAFKA_DRIVERS } from '../../support/kafka-sinks.ts';
import { createTopic, readTopic } from '../../support/kafka-topics.ts';
import { LONG } from '../../support/long-form.ts';

/** What a topic takes, from now on. */
async function limit(kafka: KafkaServer, topic: string, bytes: number): Promise<void> {
  const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }];
  await withAdmin(kafka, (admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] }));
}

describe.runIf(availableKafkas.length > 0)('faults of Kafka (I1, I2, I3, I4, I8, I10)', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    const settings = { 'producer.id.expiration.ms': '1000', 'producer.id.expiration.check.interval.ms': '300' };
    [postgres, kafka] = await Promise.all([startPostgres({ major: 17, own: true }), startKafka({ own: true, settings })]);
    await createTopic(kafka, 'raw');
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), kafka.dispose()]));

  describe.each(KAFKA_DRIVERS)('%s', (driver) => {
    const isTried = LONG || driver === 'platformatic';
    it('the one broker is killed with SIGKILL under load: goes on by itself (I10)', async () => {
      run = await FaultRun.begin({ name: `killed-${driver}`, postgres, sink: kafkaFaultSink(kafka, `killed-${driver}`, { driver }), load: MODEST });
      for (let round = 0; round < (LONG ? 20 : 1); round++) {
        await run.committed(40);
        // Its topics are there: what is measured is not how they are made.
        await run.caughtUp();
        await kafka.restart('kill');
        await run.recovers(`Kafka killed (${driver})`, () => kafkaWorks(kafka, 'raw'));
      }
      await run.verify(`Kafka killed (${driver})`);
    });

    it.runIf(isTried)('the broker has forgotten the idle producer (producer.id.expiration.ms): goes on without a word too many (I4)', async () => {
      const prefix = `idle-${driver}`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: kafkaFaultSink(kafka, prefix, { driver }), load: MODEST });
      for (let round = 0; round < (LONG ? 10 : 1); round++) {
        await run.committed(40);
        await run.pause();
        await run.caughtUp();
        await sleep(2_000);
        run.resume();
        await run.committed(1);
        await run.recovers(`Kafka producer expired (${driver})`, () => kafkaWorks(kafka, 'raw'));
      }
      // And the same over an end of the process: the identity is in the saved place.
      await run.pause();
      await run.daemon.stop('SIGTERM');
      await sleep(2_000);
      run.daemon.start();
      run.resume();
      await run.committed(40);
      await run.verify(`Kafka producer expired (${driver})`);
    });

    const cases = ['while running', 'while down', 'and made again while down'] as const;
    describe.runIf(isTried).each(LONG ? cases : cases.slice(0, 2))('a topic is deleted %s', (when) => {
      it('a typed stop; after the remedy nothing that was not confirmed is missing (I5, I8)', async () => {
        const prefix = `gone-${driver}-${cases.indexOf(when)}`;
        const topic = `${prefix}.public.item`;
        const sink = keeping(kafkaFaultSink(kafka, prefix, { driver }));
        run = await FaultRun.begin({ name: prefix, postgres, sink, load: MODEST });
        await run.committed(60);
        await run.pause();
        await run.caughtUp();
        if (when !== 'while running') await run.daemon.stop('SIGTERM');
        await sink.keep();
        await withAdmin(kafka, async (admin) => void (await admin.deleteTopics({ topics: [topic, `${prefix}.public.entry`] })));
        if (when === 'and made again while down') await createTopic(kafka, topic, { partitions: 3 });
        run.resume();
        if (when === 'while running') await run.committed(30);
        else run.daemon.start();
        const { msg, remedy } = await run.stopsWith('SLUICE_KAFKA_TOPIC_LOST', 60_000);
        expect(msg).toContain(`"${prefix}.public.`);
        expect(await run.daemon.exit()).toBe(3);
        await run.committed(30);
        if (when !== 'and made again while down') await createTopic(kafka, topic, { partitions: 3 });
        await createTopic(kafka, `${prefix}.public.entry`, { partitions: 3 });
        await carryOut(run, remedy, `sluice offsets recover --connector ${prefix} --from slot`);
        await startAgain(run);
        await run.verify(`Kafka topic deleted ${when} (${driver})`);
      });
    });

    it.runIf(isTried)('partitions are added while running and while down: every key stays where it was, and it is said (I3)', async () => {
      const prefix = `added-${driver}`;
      const topic = `${prefix}.public.item`;
      run = await FaultRun.begin({ name: prefix, postgres, sink: kafkaFaultSink(kafka, prefix, { driver }), load: MODEST });
      await run.committed(40);
      await run.caughtUp();
      await withAdmin(kafka, async (admin) => void (await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })));
      await run.committed(60);
      const streamed = run.streamed;
      expect(await run.daemon.stop('SIGTERM')).toBe(0);
      await withAdmin(kafka, async (admin) => void (await admin.createPartitions({ topicPartitions: [{ topic, count: 7 }] })));
      run.daemon.start();
      await run.streams(streamed);
      await run.committed(40);
      const said = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_KAFKA_PARTITIONS_ADDED');
      expect(said).toMatchObject({ level: 'warn', msg: expect.stringContaining('7 partitions now; this connector goes on with 3') });
      expect(said.remedy).toContain('"addedPartitions": "use"');
      await run.verify(`Kafka partitions added (${driver})`);
      expect(new Set((await readTopic(kafka, topic)).map(({ partition }) => partition))).toEqual(new Set([0, 1, 2]));
    });

    it.runIf(isTried)(
      'batches too large for the topic, whose limit was lowered while it ran: they are parted, and keep their order (I3)',
      async () => {
        const prefix = `parted-${driver}`;
        run = await FaultRun.begin({ name: prefix, postgres, sink: kafkaFaultSink(kafka, prefix, { driver, partitions: 1 }), load: MODEST });
        await run.committed(40);
        await run.caughtUp();
        for (const table of ['item', 'entry']) await limit(kafka, `${prefix}.public.${table}`, 3_000);
        // Far more than one request at once, each key several times.
        for (let version = 1; version <= 3; version++) {
          const rows = 'generate_series(900000, 902999) AS id';
          const change =
            version === 1 ? `INSERT INTO item SELECT id, 1, 'n' FROM ${rows}` : `UPDATE item SET version = ${version} WHERE id >= 900000`;
          const op = version === 1 ? 'c' : 'u';
          await postgres.query(`BEGIN; ${change}; INSERT INTO ledger SELECT id, ${version}, '${op}' FROM ${rows}; COMMIT`, run.database);
        }
        await run.committed(40);
        await run.verify(`Kafka batches too large (${driver})`);
      },
    );

    it.runIf(isTried)(
      'a record too large: stops and names topic, size and limit; the other connector of the daemon goes on; delivered when the limit is raised (I1, I8)',
      async () => {
        const prefix = `beside-${driver}`;
        run = await FaultRun.begin({ name: prefix, postgres, sink: kafkaFaultSink(kafka, prefix, { driver }), load: MODEST });
        await postgres.query('CREATE TABLE big (id int PRIMARY KEY, body text)', run.database);
        const name = `big-${driver}`;
        const topic = `${name}.public.big`;
        await createTopic(kafka, topic, { settings: { 'max.message.bytes': '65536' } });
        const { config } = kafkaFaultSink(kafka, name, { driver });
        await addConnector(run, { name, source: { type: 'postgres', url: postgres.url(run.database), tables: ['public.big'] }, sink: config });
        await postgres.query(`INSERT INTO big VALUES (1, 'fits'), (2, repeat('x', 100000)), (3, 'behind')`, run.database);
        const { msg, remedy } = await run.stopsWith('SLUICE_KAFKA_MESSAGE_TOO_LARGE');
        expect(msg).toMatch(new RegExp(`^A message for the topic "${topic}" has 100\\d{3} bytes; the broker allows 65\\d{3}\\.$`));
        expect(msg).not.toContain('xxx');
        expect(remedy).toContain('max.message.bytes');
        await run.committed(50);
        await run.caughtUp();
        await limit(kafka, topic, 1_048_588);
        await run.daemon.stop('SIGTERM');
        run.daemon.start();
        const stored = async () =>
          (await readTopic(kafka, topic)).map(({ value }) => (JSON.parse(String(value)) as { after: { id: number } }).after.id);
        await expect.poll(stored, { timeout: 90_000 }).toEqual([1, 2, 3]);
        await run.verify(`Kafka record too large: the other connector (${driver})`);
      },
    );
  });

  it.runIf(LONG)('what is said while a broker is down is said once, not at every attempt', async () => {
    run = await FaultRun.begin({ name: 'quiet', postgres, sink: kafkaFaultSink(kafka, 'quiet'), load: MODEST });
    await run.committed(40);
    await run.caughtUp();
    await kafka.kill();
    await sleep(60_000);
    const lines = run.daemon.log.filter(({ level, msg }) => level === 'warn' && /Kafka/.test(msg));
    expect(lines.length).toBeGreaterThan(0);
    expect(new Set(lines.map(({ msg }) => msg)).size).toBe(lines.length);
    expect(lines.length).toBeLessThan(12);
    await kafka.start();
    await run.recovers('Kafka down for a while', () => kafkaWorks(kafka, 'raw'));
    expect(warnings(run, /Kafka/).length).toBeLessThan(14);
    expect(run.daemon.log.some(({ msg }) => msg === 'Kafka takes messages again.')).toBe(true);
    await run.verify('Kafka down for a while');
  });
});
