/** What is put around kafkajs so that its own failures lose and double nothing; the real client against real brokers: test/integration. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ProducerBatch, RecordMetadata } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts';
import type { KafkaFailure, RecordSet } from '../../../../connectors/kafka/drivers/driver.ts';
import type { Clients } from '../../../../connectors/kafka/drivers/kafkajs/client.ts';
import { messagesOf } from '../../../../connectors/kafka/drivers/kafkajs/messages.ts';
import { Producers } from '../../../../connectors/kafka/drivers/kafkajs/producer.ts';
import { Sockets } from '../../../../connectors/kafka/drivers/kafkajs/sockets.ts';
import { messageBatch, type TestMessage } from '../../../support/message-batches.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const context = pluginContext();
const unlimited = new AbortController().signal;

function setOf(partition: number, messages: readonly TestMessage[]): RecordSet {
  const batch = messageBatch(messages);
  const indexes = Int32Array.from(messages, (_, index) => index);
  return {
    topic: 't',
    partition,
    runs: [{ batch, indexes }],
    count: messages.length,
    timestampMs: 1_700_000_000_123,
    identity: null,
    maxBytes: -1,
    encoded: null,
  };
}

const one = (partition = 0): RecordSet => setOf(partition, [{ id: 'c/1', destination: 't', key: 'k', value: 'v' }]);

describe('messages', () => {
  it('are views of the batch, with its headers in their order and the id last; a tombstone has no value', () => {
    const messages = messagesOf(
      setOf(3, [
        {
          id: 'c/1',
          destination: 't',
          key: 'k',
          value: 'v',
          headers: [
            ['z', '1'],
            ['a', 'ü'],
            ['__proto__', 'x'],
            ['z', '2'],
          ],
        },
        { id: 'c/2', destination: 't', value: null },
      ]),
    );
    expect(messages.map(({ partition, timestamp }) => [partition, timestamp])).toEqual([3, 3].map((each) => [each, '1700000000123']));
    const [first, second] = messages;
    expect(Object.keys(first?.headers ?? {})).toEqual(['z', 'a', '__proto__', 'sluice.id']);
    expect(String(first?.headers?.a)).toBe('ü');
    expect([first?.headers?.z].flat().map(String)).toEqual(['1', '2']);
    expect((first?.value as Buffer | undefined)?.buffer).toBe((first?.key as Buffer | undefined)?.buffer);
    expect([second?.key, second?.value, Object.keys(second?.headers ?? {})]).toEqual([null, null, ['sluice.id']]);
  });
});

describe('producers', () => {
  type Answer = RecordMetadata[] | Error | 'never';
  const config = { request: { bytes: 1, records: 1, timeout: 60 }, compression: 'none' } as unknown as KafkaConfig;
  const stored = (offset: number, partition = 0): Answer => [
    { topicName: 't', partition, errorCode: 0, baseOffset: String(offset) } as RecordMetadata,
  ];
  const protocol = (type: string) => Object.assign(new Error('words of the broker'), { type });

  /** `answers`: of each producer that is made, in turn; the last one is repeated. */
  function harness(answers: readonly (readonly Answer[])[], leads = true) {
    const calls: { readonly producer: number; readonly batch: ProducerBatch }[] = [];
    let made = 0;
    const closed: number[] = [];
    const clients = {
      patienceMs: 200,
      make: async () => {
        const producer = made++;
        const rest = [...(answers[Math.min(producer, answers.length - 1)] as readonly Answer[])];
        const sendBatch = async (batch: ProducerBatch): Promise<RecordMetadata[]> => {
          calls.push({ producer, batch });
          const answer = (rest.length > 1 ? rest.shift() : rest[0]) as Answer;
          if (answer instanceof Error) throw answer;
          return answer === 'never' ? new Promise(() => undefined) : answer;
        };
        return {
          kafka: { producer: () => ({ connect: async () => undefined, disconnect: async () => undefined, sendBatch }) },
          sockets: { endSilent: () => undefined, close: () => void closed.push(producer) },
        };
      },
    } as unknown as Clients;
    const producers = new Producers(config, context, clients, async () => leads);
    return { producers, calls, closed };
  }

  const codeOf = (call: Promise<unknown>): Promise<string> => call.then(String, (error: KafkaFailure) => error.code);

  it('believe only an answer about exactly this partition', async () => {
    const answers: Answer[] = [
      stored(7),
      [],
      stored(7, 1),
      [...(stored(7) as RecordMetadata[]), ...(stored(8) as RecordMetadata[])],
      stored(-1),
      [{ topicName: 't', partition: 0, errorCode: 3, baseOffset: '5' }],
    ];
    const { producers, calls } = harness([answers]);
    const outcomes: string[] = [];
    for (const _ of answers) outcomes.push(await codeOf(producers.produce(one())));
    expect(outcomes).toEqual(['7', 'NO_RESPONSE', 'NO_RESPONSE', 'NO_RESPONSE', 'NO_RESPONSE', 'NO_RESPONSE']);
    expect(calls[0]?.batch).toMatchObject({ acks: -1, timeout: 48, topicMessages: [{ topic: 't', messages: [{ partition: 0 }] }] });
    await producers.close();
  });

  it('send the same objects on the same producer after a failure, and what it may have stored never on another', async () => {
    const { producers, calls, closed } = harness([[protocol('NOT_LEADER_FOR_PARTITION'), protocol('OUT_OF_ORDER_SEQUENCE_NUMBER')], [stored(1)]]);
    const [first, second] = [one(0), one(1)];
    expect(await codeOf(producers.produce(first))).toBe('NOT_LEADER_FOR_PARTITION');
    expect(await codeOf(producers.produce(second))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    expect(await codeOf(producers.produce(first))).toBe('PRODUCER_REPLACED');
    const began = performance.now();
    await producers.renew(unlimited);
    expect(performance.now() - began).toBeGreaterThan(40);
    expect(closed).toEqual([0]);
    expect(await codeOf(producers.produce(first))).toBe('PRODUCER_REPLACED');
    expect(await codeOf(producers.produce(one(0)))).toBe('1');
    expect(calls.map(({ producer }) => producer)).toEqual([0, 0, 1]);
    await producers.close();
    expect(await codeOf(producers.produce(one(0)))).toBe('CONNECTION');
  });

  it('one that sends nothing any more is given up, one whose topic has no leader is not', async () => {
    const outcomes = async (producers: Producers): Promise<string[]> => {
      const set = one();
      const codes: string[] = [];
      for (let attempt = 0; attempt < 5; attempt++) codes.push(await codeOf(producers.produce(set)));
      await producers.close();
      return [...new Set(codes)];
    };
    const unknown = protocol('UNKNOWN_TOPIC_OR_PARTITION');
    expect(await outcomes(harness([[[]]]).producers)).toEqual(['NO_RESPONSE', 'PRODUCER_REPLACED']);
    expect(await outcomes(harness([[unknown]], true).producers)).toEqual([unknown.type, 'PRODUCER_REPLACED']);
    expect(await outcomes(harness([[unknown]], false).producers)).toEqual([unknown.type]);
  });

  it('one whose sequence numbers would begin again in the middle of a batch is given up before', async () => {
    const { producers, calls } = harness([[stored(0)]]);
    expect(await codeOf(producers.produce({ ...one(), count: 2 ** 31 - 2 }))).toBe('0');
    expect(await codeOf(producers.produce(one(1)))).toBe('NO_RESPONSE');
    expect(await codeOf(producers.produce({ ...one(), count: 2 }))).toBe('PRODUCER_REPLACED');
    expect(calls).toHaveLength(2);
    await producers.close();
  });
});

describe('sockets', () => {
  let server: Server;
  let accepted: Socket[];
  let port: number;

  beforeEach(async () => {
    accepted = [];
    server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });

  const open = async (sockets: Sockets, host = '127.0.0.1'): Promise<Socket> => {
    const socket = sockets.factory({ host, port, ssl: false, onConnect: () => undefined } as never);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };

  it('end those that were asked something and said nothing', async () => {
    const sockets = new Sockets(
      context.runtime,
      () => null,
      new Map([['broker-0', '127.0.0.1']]),
      () => undefined,
    );
    const [silent, idle, answered] = [await open(sockets, 'broker-0'), await open(sockets), await open(sockets)];
    silent.write('?');
    answered.write('?');
    await expect.poll(() => accepted.length).toBe(3);
    await once(accepted[2] as Socket, 'data');
    accepted[2]?.write(Buffer.of(0, 0, 0, 1, 33));
    await once(answered, 'data');
    await new Promise((resolve) => setTimeout(resolve, 30));
    sockets.endSilent(20);
    expect([silent.destroyed, idle.destroyed, answered.destroyed]).toEqual([true, false, false]);
    sockets.close();
    expect([idle.destroyed, answered.destroyed]).toEqual([true, true]);
    expect(() => sockets.factory({ host: 'x', port, ssl: false, onConnect: () => undefined } as never)).toThrow('closed');
  });

  it('do not wait for ever for the other end to close', async () => {
    const sockets = new Sockets(
      context.runtime,
      () => null,
      new Map(),
      () => undefined,
    );
    const socket = await open(sockets);
    await expect.poll(() => accepted.length).toBe(1);
    accepted[0]?.pause();
    socket.end();
    await once(socket, 'close');
    expect(socket.destroyed).toBe(true);
    sockets.close();
  });
});
