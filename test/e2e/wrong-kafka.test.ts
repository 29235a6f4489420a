/** What can be wrong between Sluice and Kafka, tried with the built daemon: each answered with one message, its code, a remedy and the right exit code. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { KAFKA_DRIVERS } from '../support/kafka-sinks.ts';
import { allow, createTopic } from '../support/kafka-topics.ts';
import {
  create,
  disposeDaemon,
  environmentOf,
  expectClean,
  expectWaiting,
  failure,
  PASSWORD,
  type Section,
  WRONG_PASSWORD,
} from '../support/mistakes.ts';

afterEach(disposeDaemon);

describe.runIf(availableKafkas.length > 0).each(KAFKA_DRIVERS)('Kafka over %s', (driver) => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;

  beforeAll(async () => {
    [postgres, kafka] = await Promise.all([
      startPostgres({ major: 17, own: true, settings: { max_replication_slots: 20 } }),
      startKafka({ own: true, users: [{ name: 'sluice', password: PASSWORD }] }),
    ]);
    await postgres.query('CREATE TABLE orders (id int PRIMARY KEY, body text)');
    await postgres.query('CREATE TABLE notes (line text)');
  });

  afterAll(async () => {
    await Promise.all([postgres.dispose(), kafka.dispose()]);
  });

  const source = (tables = ['public.orders']): Section => ({
    url: postgres.url('postgres'),
    tables,
    insertOnly: tables.filter((table) => table === 'public.notes'),
    snapshot: { mode: 'no_data' },
  });
  const environment = { SHOP_DB_PASSWORD: PASSWORD, KAFKA_PASSWORD: PASSWORD };
  const secured = (overrides: Section = {}): Section => ({
    type: 'kafka',
    driver,
    brokers: kafka.saslBrokers,
    tls: { ca: kafka.certificates?.ca },
    sasl: { mechanism: 'scram-sha-512', user: 'sluice', password: '${env:KAFKA_PASSWORD}' },
    ...overrides,
  });
  const plain = (overrides: Section = {}): Section => ({ type: 'kafka', driver, brokers: kafka.brokers, ...overrides });

  /** As `failure`, for what shows only when there is something to write. */
  async function failureOf(
    sink: Section,
    tables: readonly string[],
    sql: string,
  ): Promise<{ exit: number; code: string | undefined; msg: string; remedy: string }> {
    const running = await create({ source: source([...tables]), sink, environment });
    running.start([], environment);
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await postgres.query(sql);
    const exit = await running.exit();
    expectClean(running.stderr);
    const errors = running.log.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(1);
    const { code, msg = '', remedy = '' } = errors[0] ?? {};
    return { exit, code, msg, remedy };
  }

  afterEach(async () => {
    await postgres.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  });

  it('brokers that cannot be reached are said once and waited for', async () => {
    await expectWaiting({ source: source(), sink: plain({ brokers: ['127.0.0.1:1'] }), environment: environmentOf({}) }, 'SLUICE_KAFKA_UNREACHABLE');
  });

  it('a wrong password', async () => {
    const wrong = { ...environment, KAFKA_PASSWORD: WRONG_PASSWORD };
    const { exit, code, remedy } = await failure({ source: source(), sink: secured(), environment: wrong });
    expect([exit, code]).toEqual([2, 'SLUICE_KAFKA_AUTH']);
    expect(remedy).toContain('sasl');
  });

  it('an unknown authority', async () => {
    const { exit, code, remedy } = await failure({ source: source(), sink: secured({ tls: {} }), environment });
    expect([exit, code]).toEqual([2, 'SLUICE_KAFKA_TLS']);
    expect(remedy).toContain('tls.ca');
  });

  it('no right to write', async () => {
    await createTopic(kafka, 'shop.public.orders');
    await allow(kafka, { user: 'sluice', resource: 'topic', name: 'shop.public.orders', operations: ['describe', 'read'] });
    // kafkajs does not ask what a user may do: it shows with the first message.
    const { exit, code, remedy } =
      driver === 'kafkajs'
        ? await failureOf(secured(), ['public.orders'], 'INSERT INTO orders VALUES (2)')
        : await failure({ source: source(), sink: secured(), environment });
    expect(exit).toBe(3);
    expect(code).toBe(driver === 'kafkajs' ? 'SLUICE_KAFKA_CLUSTER_FORBIDDEN' : 'SLUICE_KAFKA_RIGHTS');
    expect(remedy).toContain('kafka-acls.sh');
  });

  it('a topic that is missing and may not be created', async () => {
    const sink = plain({ createTopics: false, topic: 'nowhere' });
    const { exit, code, remedy } = await failure({ source: source(), sink, environment });
    expect([exit, code]).toEqual([3, 'SLUICE_KAFKA_TOPIC_MISSING']);
    expect(remedy).toContain('kafka-topics.sh');
  });

  it('a missing topic of one table of several, where the template names tables: known before its first message', async () => {
    await createTopic(kafka, 'there.public.orders');
    const sink = plain({ createTopics: false, topic: 'there.{schema}.{table}' });
    const { exit, code, msg } = await failure({ source: source(['public.orders', 'public.notes']), sink, environment });
    expect([exit, code]).toEqual([3, 'SLUICE_KAFKA_TOPIC_MISSING']);
    expect(msg).toContain('there.public.notes');
  });

  it.each([
    ['more replicas than brokers', { replication: 3 }, /replic/i],
    ['a setting that the broker does not know', { topicSettings: ['cleanup.polizy=compact'] }, /cleanup.polizy/],
    ['a setting with a value that it does not take', { topicSettings: ['retention.ms=soon'] }, /retention.ms/],
  ])('a topic that could not be created is known before the first message: %s', async (_, options, detail) => {
    const { exit, code, msg } = await failure({ source: source(), sink: plain({ topic: 'refused', ...options }), environment });
    expect([exit, code]).toEqual([3, 'SLUICE_KAFKA_TOPIC_REFUSED']);
    // kafkajs passes on the broker's code alone.
    expect(msg).toMatch(driver === 'kafkajs' ? /INVALID_(REPLICATION_FACTOR|CONFIG)/ : detail);
  });

  it('a record that is too large', async () => {
    await createTopic(kafka, 'small', { settings: { 'max.message.bytes': '20000' } });
    const sink = plain({ topic: 'small' });
    const { exit, code, msg } = await failureOf(sink, ['public.orders'], `INSERT INTO orders VALUES (1, repeat('x', 30000))`);
    expect([exit, code]).toEqual([3, 'SLUICE_KAFKA_MESSAGE_TOO_LARGE']);
    expect(msg).toContain('small');
    await postgres.query('TRUNCATE orders');
  });

  it('a compacted topic for a table without a key', async () => {
    await createTopic(kafka, 'compacted', { settings: { 'cleanup.policy': 'compact' } });
    const { exit, code, remedy } = await failureOf(plain({ topic: 'compacted' }), ['public.notes'], `INSERT INTO notes VALUES ('x')`);
    expect([exit, code]).toEqual([3, 'SLUICE_KAFKA_COMPACTED_KEYLESS']);
    expect(remedy).toContain('primary key');
  });
});
