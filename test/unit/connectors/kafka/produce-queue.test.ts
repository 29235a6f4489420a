import type { Writer } from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts';
import type { RecordSet } from '../../../../connectors/kafka/drivers/driver.ts';
import type { Cluster } from '../../../../connectors/kafka/drivers/platformatic/cluster.ts';
import type { ProduceAnswer } from '../../../../connectors/kafka/drivers/platformatic/produce.ts';
import { ProduceQueue } from '../../../../connectors/kafka/drivers/platformatic/produce-queue.ts';
import { nodeRuntime } from '../../../../src/daemon/node-runtime.ts';
import { messageBatch } from '../../../support/message-batches.ts';

type Answered = (error: Error | null, answers?: readonly ProduceAnswer[]) => void;

/** A broker whose answers the test gives, as no real one can be made to. */
class SlowBroker {
  readonly requests: { readonly bytes: Buffer; readonly answered: Answered }[] = [];
  readonly queue: ProduceQueue;

  constructor() {
    const connection = {
      send: (_key: number, _version: number, payload: () => Writer, _parse: unknown, _a: boolean, _b: boolean, answered: Answered) =>
        this.requests.push({ bytes: Buffer.from(payload().buffer), answered }),
    };
    const cluster = {
      leaderNode: () => Promise.resolve(1),
      node: () => Promise.resolve(connection),
      ready: () => Promise.resolve(),
      discard: () => undefined,
      refresh: () => Promise.resolve(),
    };
    const config = { compression: 'none', request: { timeout: 60_000 } };
    this.queue = new ProduceQueue(cluster as unknown as Cluster, config as unknown as KafkaConfig, nodeRuntime());
  }

  async request(number: number): Promise<SlowBroker['requests'][number]> {
    while (this.requests.length < number) await new Promise(setImmediate);
    return this.requests[number - 1] as SlowBroker['requests'][number];
  }
}

function setOf(partition: number, letter: string): RecordSet {
  const messages = Array.from({ length: 200 }, (_, n) => ({ id: `c/1/A.1/${n}/0`, destination: 't', key: `${n}`, value: letter.repeat(1000) }));
  const runs = [{ batch: messageBatch(messages), indexes: Int32Array.from(messages.keys()) }];
  return { topic: 't', partition, runs, count: 200, timestampMs: 1, identity: null, maxBytes: -1, encoded: null };
}

function answerOf(partition: number, errorCode = 0): ProduceAnswer {
  return { topic: 't', partition, errorCode, baseOffset: errorCode === 0 ? 7 : -1, detail: null };
}

describe('requests to a broker', () => {
  it('memory of what is stored serves the next batch, that of what is not stored is kept until it is sent again (I4)', async () => {
    const broker = new SlowBroker();
    const [refused, stored] = [setOf(0, 'r'), setOf(1, 's')];
    const outcomes = Promise.allSettled([broker.queue.add(refused), broker.queue.add(stored)]);
    const first = await broker.request(1);
    const memory = (stored.encoded as Buffer).buffer;
    const REQUEST_TIMED_OUT = 7;
    first.answered(null, [answerOf(0, REQUEST_TIMED_OUT), answerOf(1)]);
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);

    const next = setOf(2, 'n');
    const others = Promise.all([broker.queue.add(next), broker.queue.add(refused)]);
    const second = await broker.request(2);
    expect((next.encoded as Buffer).buffer).toBe(memory);
    second.answered(null, [answerOf(2), answerOf(0)]);
    expect(await others).toEqual([7, 7]);
    const sent = 'r'.repeat(1000);
    expect([first, second].map(({ bytes }) => bytes.toString('latin1').split(sent).length - 1)).toEqual([200, 200]);
  });

  it('memory of a request without an answer serves nothing else: a socket may still read it', async () => {
    const broker = new SlowBroker();
    const lost = setOf(0, 'l');
    const outcome = broker.queue.add(lost).catch((error: Error) => error.message);
    const first = await broker.request(1);
    const memory = (lost.encoded as Buffer).buffer;
    first.answered(new Error('connection reset'));
    expect(await outcome).toBe('connection reset');
    const next = setOf(1, 'n');
    void broker.queue.add(next).catch(() => undefined);
    await broker.request(2);
    expect((next.encoded as Buffer).buffer).not.toBe(memory);
    broker.queue.close();
  });
});
