/** CloudEvents through the whole daemon: the same events in the values of a topic, in the headers of one, and in those of a stream. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas, natsAvailable } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { readTopic } from '../support/kafka-topics.ts';
import { readStream } from '../support/stream-ledger.ts';

/** Attributes that each connector, transaction and position has for itself. */
const OWN = /^(id|source|iodebeziumname)$/;

type Event = Readonly<Record<string, unknown>>;

function event(attributes: readonly (readonly [string, unknown])[], data: unknown): Event {
  return Object.fromEntries([...attributes.filter(([name]) => !OWN.test(name)), ['data', data]]);
}

describe('CloudEvents', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer | null = null;
  let nats: NatsServer | null = null;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    [postgres, kafka, nats] = await Promise.all([
      startPostgres({ major: 17 }),
      availableKafkas.length > 0 ? startKafka() : null,
      natsAvailable ? startNats() : null,
    ]);
  }, 240_000);

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(async () => {
    await Promise.all([postgres.dispose(), kafka?.dispose(), nats?.dispose()]);
  });

  it.runIf(availableKafkas.length > 0 && natsAvailable)(
    'are the same, structured and binary, in Kafka and in NATS',
    async () => {
      const [brokers, server] = [kafka as KafkaServer, nats as NatsServer];
      const database = await postgres.createDatabase('cloudevents');
      await postgres.query('CREATE TABLE größe (id int PRIMARY KEY, v numeric(10,2))', database);
      const connector = (name: string, mode: string, sink: object): { readonly name: string } & Record<string, unknown> => ({
        name,
        source: { type: 'postgres', url: postgres.url(database), tables: ['public.größe'], slot: `ce_${name}`, snapshot: { mode: 'no_data' } },
        format: { type: 'cloudevents', mode },
        sink,
      });
      const topic = { type: 'kafka', brokers: brokers.brokers, topic: '{connector}', partitions: 1 };
      daemon = await Daemon.create([
        connector('value', 'structured', topic),
        connector('header', 'binary', topic),
        connector('stream', 'binary', { type: 'nats', servers: [server.url], stream: 'CE', subject: '{connector}.events' }),
      ]);
      const running = daemon.start();
      await expect.poll(() => running.log.filter(({ msg }) => msg.startsWith('Streaming')).length, { timeout: 30_000 }).toBe(3);
      await postgres.query('INSERT INTO größe VALUES (1, 12.34); UPDATE größe SET v = NULL; DELETE FROM größe', database);

      const text = (value: Buffer | null): string => value?.toString('utf8') ?? '';
      const inValue = async (): Promise<Event[]> =>
        (await readTopic(brokers, 'value')).flatMap(({ value }) => {
          if (value === null) return [];
          const { data, ...attributes } = JSON.parse(text(value)) as Event;
          return [event(Object.entries(attributes), data)];
        });
      const inHeaders = async (): Promise<Event[]> =>
        (await readTopic(brokers, 'header')).flatMap(({ value, headers }) => {
          if (value === null) return [];
          const attributes = headers.flatMap(([name, each]): [string, string][] => {
            if (name === 'content-type') return [['datacontenttype', text(each)]];
            return name.startsWith('ce_') ? [[name.slice(3), text(each)]] : [];
          });
          return [event(attributes, JSON.parse(text(value)))];
        });
      const inStream = async (): Promise<Event[]> => {
        const events: Event[] = [];
        await readStream(server.url, 'CE', ({ value, headers = {} }) => {
          if (value === null) return;
          const attributes = Object.entries(headers).flatMap(([name, each]): [string, string][] => {
            if (name === 'content-type') return [['datacontenttype', decodeURIComponent(each)]];
            return name.startsWith('ce-') ? [[name.slice(3), decodeURIComponent(each)]] : [];
          });
          events.push(event(attributes, value));
        });
        return events;
      };
      for (const read of [inValue, inHeaders, inStream]) await expect.poll(async () => (await read()).length, { timeout: 30_000 }).toBe(3);
      const events = await inValue();
      expect(events.map(({ iodebeziumop, iodebeziumtable, data }) => [iodebeziumop, iodebeziumtable, data])).toEqual([
        ['c', 'größe', { before: null, after: { id: 1, v: 'BNI=' } }],
        ['u', 'größe', { before: null, after: { id: 1, v: null } }],
        ['d', 'größe', { before: { id: 1, v: null }, after: null }],
      ]);
      expect(await inHeaders()).toEqual(events);
      expect(await inStream()).toEqual(events);
      expect(await running.stop()).toBe(0);
    },
    120_000,
  );
});
