/** What `sluice doctor` finds on Kafka: each finding on real brokers that have the fault, and gone once the printed remedy was carried out. */
import { ConfigResourceTypes } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokerUnreachable, topicForbidden } from '../../connectors/kafka/errors.ts';
import { tlsFindings } from '../../connectors/kafka/reach.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Finding } from '../../src/plugin/finding.ts';
import { type Certificates, type KafkaServer, startKafka } from '../servers/index.ts';
import { freePort } from '../servers/process.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { withAdmin } from '../support/fault-sinks.ts';
import { KAFKA_DRIVERS, type KafkaSinkOptions, kafkaSink, unlimited } from '../support/kafka-sinks.ts';
import { allow, createTopic } from '../support/kafka-topics.ts';
import { settingsOf } from '../support/remedy.ts';

const named = (found: readonly Finding[], code: string): Finding | undefined => found.find((each) => each.code === `SLUICE_KAFKA_${code}`);

async function findings(options: KafkaSinkOptions, ...topics: readonly string[]): Promise<readonly Finding[]> {
  return findingsAt(0, options, ...topics);
}

/** @param ahead seconds that our clock is ahead of that of the machine */
async function findingsAt(ahead: number, options: KafkaSinkOptions, ...topics: readonly string[]): Promise<readonly Finding[]> {
  const real = nodeRuntime();
  const runtime = { ...real, nowMicros: () => real.nowMicros() + ahead * 1e6 };
  const { sink } = kafkaSink({ topic: topics[0] as string, ...options }, { isExamined: true, runtime });
  const found = await sink.preflight(topics, unlimited).finally(() => sink.close());
  for (const { message, why = '', remedy } of found) expect(`${message} ${why} ${remedy}`).not.toMatch(/\{\w+\}|undefined|NaN|\[object/);
  return found;
}

describe.runIf(availableKafkas.length > 0)(
  'three brokers',
  () => {
    const user = { name: 'sluice', password: 'sluice-secret' };
    let server: KafkaServer;

    beforeAll(async () => {
      server = await startKafka({ cluster: 3, users: [{ name: 'admin', password: 'admin-secret', super: true }, user] });
    });

    afterAll(() => server?.dispose());

    const look = (topic: string): Promise<readonly Finding[]> => findings({ brokers: server.brokers }, topic);

    /** As kafka-configs.sh does it: what stands behind --add-config of the remedy, for the topic that it names. */
    async function configure(remedy: string): Promise<void> {
      const [, topic = '', name = '', value = ''] =
        /kafka-configs\.sh --bootstrap-server \S+ --alter --topic (\S+) --add-config ([\w.]+)=(\w+)/.exec(remedy) ?? [];
      expect([topic, name, value]).not.toContain('');
      await withAdmin(server, (admin) =>
        admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }] }),
      );
    }

    it.each([
      ['UNCLEAN_ELECTION', 'warning', { 'unclean.leader.election.enable': 'true', 'min.insync.replicas': '2' }],
      ['MIN_INSYNC', 'warning', { 'min.insync.replicas': '1' }],
      ['MIN_INSYNC_TOO_HIGH', 'error', { 'min.insync.replicas': '5' }],
      ['MAX_MESSAGE', 'info', { 'max.message.bytes': '1000', 'min.insync.replicas': '2' }],
    ])('%s', async (code, severity, settings) => {
      const topic = `doctor-shop-${code.toLowerCase()}`;
      await createTopic(server, topic, { settings });
      const found = named(await look(topic), code);
      expect(found?.severity).toBe(severity);
      await configure(found?.remedy ?? '');
      await expect.poll(async () => named(await look(topic), code), { timeout: 5_000 }).toBeUndefined();
    });

    it('rights on a topic', async () => {
      const topic = 'doctor-shop-rights';
      await createTopic(server, topic, { settings: { 'min.insync.replicas': '2' } });
      const sasl = { mechanism: 'scram-sha-512' as const, user: user.name, password: user.password };
      const secured = { brokers: server.saslBrokers, sasl, tls: { ca: (server.certificates as Certificates).ca } };
      await allow(server, { user: user.name, resource: 'topic', name: topic, operations: ['describe'] });
      const found = (await findings(secured, topic)).filter(({ code }) => /RIGHTS|SETTINGS/.test(code));
      expect(found.map(({ code, remedy }) => [code, /--operation (\w+) --topic (\S+)/.exec(remedy)?.slice(1)])).toEqual([
        ['SLUICE_KAFKA_RIGHTS', ['Write', topic]],
        ['SLUICE_KAFKA_RIGHTS', ['Read', topic]],
        ['SLUICE_KAFKA_SETTINGS_UNSEEN', ['DescribeConfigs', topic]],
      ]);
      await allow(server, { user: user.name, resource: 'topic', name: topic, operations: ['write', 'read', 'describe-configs'] });
      await expect
        .poll(async () => (await findings(secured, topic)).filter(({ code }) => /RIGHTS|SETTINGS/.test(code)), { timeout: 5_000 })
        .toEqual([]);
    });

    it('a topic that may not be made is said, and none is made by looking', async () => {
      const topic = 'doctor-shop-absent';
      const sasl = { mechanism: 'scram-sha-512' as const, user: user.name, password: user.password };
      const secured = { brokers: server.saslBrokers, sasl, tls: { ca: (server.certificates as Certificates).ca } };
      expect(named(await findings({ brokers: server.brokers, createTopics: false }, topic), 'TOPIC_MISSING')?.severity).toBe('error');
      // Said of that topic, and all that is to be said of the others.
      const both = await findings(secured, topic, 'doctor-shop-rights');
      expect(both.filter(({ severity }) => severity === 'error').map(({ code, message }) => [code, /topic "([^"]+)"/.exec(message)?.[1]])).toEqual([
        [topicForbidden.code, topic],
      ]);
      expect(named(both, 'ONE_REPLICA') ?? named(both, 'DELETES')).toBeDefined();
      const [, operations = ''] = /((?: --operation \w+)+) --topic doctor-shop-absent$/.exec(named(both, 'TOPIC_FORBIDDEN')?.remedy ?? '') ?? [];
      expect(operations).toBe(' --operation Write --operation Read --operation Describe');
      await allow(server, { user: user.name, resource: 'topic', name: topic, operations: ['write', 'read', 'describe', 'create'] });
      await expect.poll(async () => named(await findings(secured, topic), 'TOPIC_FORBIDDEN'), { timeout: 5_000 }).toBeUndefined();
      expect((await findings({ brokers: server.brokers }, topic)).filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(await withAdmin(server, (admin) => admin.listTopics())).not.toContain(topic);
    });

    it('messages that are deleted unread, and one replica', async () => {
      const topic = 'doctor-shop-fleeting';
      await createTopic(server, topic, { replicas: 1, settings: { 'retention.ms': '3600000' } });
      const found = await look(topic);
      expect([named(found, 'DELETES')?.severity, named(found, 'DELETES')?.message]).toEqual([
        'info',
        expect.stringContaining('retention.ms 3600000'),
      ]);
      expect([named(found, 'ONE_REPLICA')?.severity, named(found, 'ONE_REPLICA')?.remedy]).toEqual([
        'info',
        expect.stringContaining('three replicas and min.insync.replicas=2'),
      ]);
      await configure(named(found, 'DELETES')?.remedy ?? '');
      await expect.poll(async () => named(await look(topic), 'DELETES'), { timeout: 5_000 }).toBeUndefined();
      const safe = 'doctor-shop-safe';
      await createTopic(server, safe, { replicas: 3, settings: { 'min.insync.replicas': '2' } });
      expect(named(await look(safe), 'ONE_REPLICA')).toBeUndefined();
    });

    it('a connection that leaves this machine unprotected: gone with the section that the remedy names', async () => {
      // Another name of this machine, which is not known for one.
      const away = (brokers: readonly string[]): readonly string[] => brokers.map((broker) => broker.replace(/^[^:]+/, '127.1'));
      const topic = 'doctor-shop-rights';
      const { severity, remedy = '' } = named(await findings({ brokers: away(server.brokers) }, topic), 'NOT_ENCRYPTED') ?? {};
      expect(severity).toBe('warning');
      const tls = { ...(settingsOf(remedy)['tls'] as object), ca: (server.certificates as Certificates).ca, serverName: 'localhost' };
      const sasl = { mechanism: 'scram-sha-512' as const, user: user.name, password: user.password };
      expect(named(await findings({ brokers: away(server.saslBrokers), tls, sasl }, topic), 'NOT_ENCRYPTED')).toBeUndefined();
    });

    it('clocks that are apart', async () => {
      const options = { brokers: server.brokers };
      const clock = async (ahead: number): Promise<Finding | undefined> => named(await findingsAt(ahead, options, 'doctor-shop-clock'), 'CLOCK');
      expect((await clock(60))?.message).toMatch(/ (59\.\d|60\.\d) s apart \(the controller is behind\)/);
      expect((await clock(-60))?.message).toContain('the controller is ahead');
      expect(await clock(2)).toBeUndefined();
      // Where nobody says the time, that is said.
      expect(named(await findings({ ...options, driver: 'kafkajs' }, 'doctor-shop-clock'), 'CLOCK_UNSEEN')?.message).toContain('kafkajs');
      const secured = {
        brokers: server.saslBrokers,
        sasl: { mechanism: 'scram-sha-512' as const, user: user.name, password: user.password },
        tls: { ca: (server.certificates as Certificates).ca },
      };
      const unseen = async (): Promise<Finding | undefined> => named(await findings(secured, 'doctor-shop-rights'), 'CLOCK_UNSEEN');
      expect((await unseen())?.remedy).toMatch(/--operation Describe --cluster \(/);
      await allow(server, { user: user.name, resource: 'cluster', name: 'kafka-cluster', operations: ['describe'] });
      await expect.poll(unseen, { timeout: 5_000 }).toBeUndefined();
    });

    it('replicas that are not in sync', async () => {
      const topic = 'doctor-shop-replicas';
      await createTopic(server, topic, { partitions: 2, settings: { 'min.insync.replicas': '2' } });
      expect(named(await look(topic), 'UNDER_REPLICATED')).toBeUndefined();
      await server.nodes[2]?.kill();
      await expect
        .poll(async () => named(await look(topic), 'UNDER_REPLICATED')?.message, { timeout: 45_000, interval: 500 })
        .toMatch(/2 of 2 partitions have fewer replicas in sync than they should: 2 of 3/);
      server.nodes[2]?.launch();
      await expect.poll(async () => named(await look(topic), 'UNDER_REPLICATED'), { timeout: 60_000, interval: 500 }).toBeUndefined();
    });
  },
  120_000,
);

describe.runIf(availableKafkas.length > 0)('a broker that sends its clients nowhere', () => {
  it.each(KAFKA_DRIVERS)('over %s', async (driver) => {
    const nowhere = await freePort();
    const server = await startKafka({ advertise: () => Promise.resolve({ host: '127.0.0.1', port: nowhere }) });
    try {
      const brokers = [`127.0.0.1:${server.nodes[0]?.port}`];
      const looked = findings({ brokers, driver }, 'doctor-shop-orders');
      // kafkajs goes there for every question: it says what the other one finds.
      if (driver === 'kafkajs') await expect(looked).rejects.toMatchObject({ code: 'SLUICE_KAFKA_UNREACHABLE' });
      else {
        const found = named(await looked, 'BROKER_UNREACHABLE');
        expect([found?.severity, found?.message]).toEqual(['error', expect.stringContaining(`at 127.0.0.1:${nowhere}, where it tells clients`)]);
        expect(brokerUnreachable.retry).toBe('auto');
      }
    } finally {
      await server.dispose();
    }
  });

  it('and a connection that leaves this machine', () => {
    expect(tlsFindings({ brokers: ['127.0.0.1:9092', 'kafka.internal:9092'] })[0]?.message).toContain('kafka.internal:9092');
    expect(tlsFindings({ brokers: ['kafka.internal:9092'], tls: {} })).toEqual([]);
  });
});
