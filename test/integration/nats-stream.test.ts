import { rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Place } from '../../src/record/position.ts';
import { run } from '../servers/command.ts';
import { type NatsServer, startNats } from '../servers/index.ts';
import { natsAvailable } from '../support/available-servers.ts';
import { messageBatch, series, type TestMessage } from '../support/message-batches.ts';
import { natsSink, type SinkOptions, StreamObserver, unlimited } from '../support/nats-sinks.ts';

const SERIES = { connector: 'shop', destinations: ['shop.public.orders'] };
const NAME = 'STREAM';

function batch(from: number, to: number) {
  return messageBatch(series(SERIES, from, to));
}

function ids(messages: readonly TestMessage[]): string[] {
  return messages.map(({ id }) => id);
}

describe.runIf(natsAvailable)('NATS sink and the state of its stream', () => {
  let server: NatsServer;
  let observer: StreamObserver;

  beforeAll(async () => {
    server = await startNats({ maxPayloadBytes: 64 * 1024 });
    observer = new StreamObserver([server.url]);
  });

  afterAll(() => server.dispose());

  afterEach(() => observer.deleteAll());

  const sinkOf = (options: Partial<SinkOptions> = {}) => natsSink({ servers: [server.url], stream: NAME, ...options });

  async function written(to: number, options: Partial<SinkOptions> = {}): Promise<Place> {
    const { sink } = sinkOf(options);
    await sink.open(null, unlimited);
    const place = await sink.write(batch(0, to), unlimited);
    await sink.close();
    return place;
  }

  it.each([true, false])('the duplicate window is over when it starts again: read back, nothing twice (exclusive: %s)', async (exclusive) => {
    await observer.create({ name: NAME, subjects: ['shop.>'], duplicate_window: 100e6 });
    const place = await written(30, { exclusive });
    const between = sinkOf({ exclusive }).sink;
    await between.open(place, unlimited);
    await between.write(batch(30, 60), unlimited);
    await between.close();
    await sleep(300);
    const { sink } = sinkOf({ exclusive });
    const { transactions } = await sink.open(place, unlimited);
    expect(transactions.length).toBeGreaterThan(3);
    await sink.write(batch(30, 80), unlimited);
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(series(SERIES, 0, 80)));
  });

  it('after the duplicate window the server forgets its last id with a restart: the first message expects a sequence instead', async () => {
    await observer.create({ name: NAME, subjects: ['shop.>'], duplicate_window: 100e6 });
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    await sink.write(batch(0, 10), unlimited);
    await sleep(300);
    await server.restart('kill');
    await sink.write(batch(10, 20), unlimited);
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(series(SERIES, 0, 20)));
  });

  it('skips by transaction and ordinal, also in the middle of a transaction and part by part', async () => {
    const message = (ordinal: number, part: number): TestMessage => ({
      id: `shop/7/A.1/${ordinal}/${part}`,
      destination: 'shop.public.t',
      value: `${ordinal}.${part}`,
    });
    const all = [message(0, 0), message(1, 0), message(1, 1), message(1, 2), message(2, 0), message(10, 0)];
    const first = sinkOf().sink;
    await first.open(null, unlimited);
    await first.write(messageBatch(all.slice(0, 3)), unlimited);
    await first.close();
    const { sink } = sinkOf();
    const info = await observer.info(NAME);
    expect(await sink.open({ sequence: '0', created: String(info.created) }, unlimited)).toMatchObject({ transactions: ['7/A.1'] });
    await sink.write(messageBatch(all), unlimited);
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(all));
  });

  it.each([RetentionPolicy.Workqueue, RetentionPolicy.Interest])('reads back from a stream with retention %s', async (retention) => {
    await observer.create({ name: NAME, subjects: ['shop.>'], retention, duplicate_window: 100e6 });
    const connection = await connect({ servers: server.url });
    const { jetstreamManager, AckPolicy } = await import('@nats-io/jetstream');
    await (await jetstreamManager(connection)).consumers.add(NAME, { durable_name: 'real', ack_policy: AckPolicy.Explicit });
    const place = await written(10);
    const between = sinkOf().sink;
    await between.open(place, unlimited);
    await between.write(batch(10, 20), unlimited);
    await between.close();
    await sleep(200);
    const { sink } = sinkOf();
    expect(await sink.preflight([], unlimited)).toContainEqual(expect.objectContaining({ severity: 'warning', code: 'SLUICE_NATS_RETENTION' }));
    await sink.open(place, unlimited);
    await sink.write(batch(10, 30), unlimited);
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(series(SERIES, 0, 30)));
    await connection.close();
  });

  it('says when what stood behind the place is gone', async () => {
    const place = await written(10);
    const more = sinkOf().sink;
    await more.open(place, unlimited);
    await more.write(batch(10, 30), unlimited);
    await more.close();
    await observer.purge(NAME, 5);
    const { sink, log } = sinkOf();
    await sink.open(place, unlimited);
    expect(log).toContainEqual(
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('15 of 20 messages behind the saved place are gone') }),
    );
    await sink.close();
  });

  it('a stream that was deleted, or deleted and made again, is a typed stop', async () => {
    const place = await written(10);
    await observer.delete(NAME);
    const { sink } = sinkOf();
    await expect(sink.open(place, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_LOST' });
    await sink.close();
    await written(20);
    const again = sinkOf().sink;
    await expect(again.open(place, unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_STREAM_LOST',
      message: expect.stringContaining('made again'),
    });
    await again.close();
  });

  it('a stream that ends before the saved place is a typed stop (I8)', async () => {
    const place = await written(10);
    const { sink } = sinkOf();
    await expect(sink.open({ ...place, sequence: '11' }, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_LOST' });
    await sink.close();
  });

  it('a stream that is deleted while it is written to is a typed stop; every pending call settles', async () => {
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    await sink.write(batch(0, 10), unlimited);
    await observer.delete(NAME);
    const outcomes = await Promise.allSettled([sink.write(batch(10, 20), unlimited), sink.write(batch(20, 30), unlimited)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SLUICE_NATS_STREAM_LOST' } });
    await expect(sink.write(batch(30, 40), unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_LOST' });
    await sink.close();
  });

  it('acknowledged messages that the server lost are a typed stop, while it runs and at the next start (F6, I8)', async () => {
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    await sink.write(batch(0, 10), unlimited);
    await server.stop();
    const copy = `${server.storeDir}.copy`;
    // With the owner: the server may run as another user.
    await run('cp', ['-a', server.storeDir, copy]);
    await server.start();
    const place = await sink.write(batch(10, 20), unlimited);
    await server.kill();
    // As after a power failure: what was not synced is gone.
    await rm(server.storeDir, { recursive: true });
    await rename(copy, server.storeDir);
    await server.start();
    await expect(sink.write(batch(20, 30), unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_MESSAGES_LOST' });
    await sink.close();
    const again = sinkOf().sink;
    await expect(again.open(place, unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_STREAM_LOST',
      message: expect.stringContaining('ends at sequence 10'),
    });
    await again.close();
  });

  it('a full stream with discard new: waits, says so once, and goes on when there is room', async () => {
    await observer.create({ name: NAME, subjects: ['shop.>'], discard: DiscardPolicy.New, max_msgs: 15 });
    const { sink, log } = sinkOf();
    await sink.open(null, unlimited);
    await sink.write(batch(0, 10), unlimited);
    const pending = sink.write(batch(10, 30), unlimited);
    await sleep(1_500);
    expect((await observer.info(NAME)).state.messages).toBe(15);
    expect(log.filter(({ level, message }) => level === 'warn' && message.includes('takes no messages'))).toHaveLength(1);
    await observer.update(NAME, { max_msgs: 100 });
    await pending;
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(series(SERIES, 0, 30)));
  });

  it('a message larger than max_payload: typed stop with subject and sizes; what was before it is durable', async () => {
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    const before = sink.write(batch(0, 10), unlimited);
    const large = messageBatch([{ id: 'shop/7/F.9/0/0', destination: 'shop.public.blobs', value: 'x'.repeat(64 * 1024) }]);
    const failed = expect(sink.write(large, unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_MESSAGE_TOO_LARGE',
      message: expect.stringMatching(/shop\.public\.blobs has 65\d{3} bytes; max_payload of the server allows 65536/),
    });
    await expect(before).resolves.toMatchObject({ sequence: '10' });
    await failed;
    await sink.close();
  });

  it('max_msg_size of the stream and the length of headers are limits too', async () => {
    await observer.create({ name: NAME, subjects: ['shop.>'], max_msg_size: 2000 });
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    const large = messageBatch([{ id: 'shop/7/F.9/0/0', destination: 'shop.public.blobs', value: 'x'.repeat(2000) }]);
    await expect(sink.write(large, unlimited)).rejects.toMatchObject({ message: expect.stringContaining('max_msg_size of the stream allows 2000') });
    await sink.close();
    await observer.delete(NAME);
    await observer.create({ name: NAME, subjects: ['shop.>'] });
    const keyed = sinkOf().sink;
    await keyed.open(null, unlimited);
    const longKey = messageBatch([{ id: 'shop/7/F.9/0/0', destination: 'shop.public.t', key: 'k'.repeat(65_500), value: '1' }]);
    await expect(keyed.write(longKey, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_MESSAGE_TOO_LARGE' });
    await keyed.close();
  });

  it.each([true, false])('trap: max_msg_size that is raised or lowered while it runs is noticed (exclusive: %s)', async (exclusive) => {
    await observer.create({ name: NAME, subjects: ['shop.>'], max_msg_size: 2000 });
    const { sink } = sinkOf({ exclusive });
    await sink.open(null, unlimited);
    const large = (ordinal: number, length: number) =>
      messageBatch([{ id: `shop/7/F.9/${ordinal}/0`, destination: 'shop.public.blobs', value: 'x'.repeat(length) }]);
    await sink.write(batch(0, 10), unlimited);
    await observer.update(NAME, { max_msg_size: 5000 });
    await sleep(300);
    await sink.write(large(0, 4000), unlimited);
    await observer.update(NAME, { max_msg_size: -1 });
    await sleep(300);
    await sink.write(large(1, 8000), unlimited);
    await observer.update(NAME, { max_msg_size: 3000 });
    // The server finds this one too large; what stands behind it is on its way already.
    const refused = expect(sink.write(large(2, 4000), unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_MESSAGE_TOO_LARGE',
      message: expect.stringContaining('max_msg_size of the stream allows 3000'),
    });
    await expect(sink.write(batch(10, 12), unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_MESSAGE_TOO_LARGE' });
    await refused;
    await sink.close();
    const stands = (await observer.ids(NAME)).slice(0, 12);
    expect(stands).toEqual([...ids(series(SERIES, 0, 10)), 'shop/7/F.9/0/0', 'shop/7/F.9/1/0']);
  });

  it('a line break in a key is refused, never injected', async () => {
    const { sink } = sinkOf();
    await sink.open(null, unlimited);
    const unsafe = messageBatch([{ id: 'shop/7/F.9/0/0', destination: 'shop.public.t', key: 'a\r\nNats-Rollup: all', value: '1' }]);
    await expect(sink.write(unsafe, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_HEADER_UNSAFE' });
    await sink.close();
  });

  it('preflight says what the acknowledgement of an existing stream is worth', async () => {
    const codes = async (): Promise<string[]> => {
      const { sink } = sinkOf();
      const found = (await sink.preflight([], unlimited)).map(({ severity, code }) => `${severity} ${code}`);
      await sink.close();
      return found;
    };
    await observer.create({ name: NAME, subjects: ['shop.>'] });
    expect(await codes()).toEqual(['info SLUICE_NATS_ONE_REPLICA']);
    await observer.update(NAME, { max_bytes: 1e6, discard: DiscardPolicy.Old });
    expect(await codes()).toEqual(['warning SLUICE_NATS_DISCARDS', 'info SLUICE_NATS_ONE_REPLICA']);
    await observer.delete(NAME);
    await observer.create({ name: NAME, subjects: ['shop.>'], storage: StorageType.Memory });
    expect(await codes()).toEqual(['warning SLUICE_NATS_MEMORY_STORAGE']);
    await observer.delete(NAME);
    await observer.create({ name: NAME, subjects: ['other.>'] });
    expect(await codes()).toContain('error SLUICE_NATS_SUBJECTS');
    await observer.delete(NAME);
    await observer.create({ name: NAME, subjects: ['shop.>'], no_ack: true });
    expect(await codes()).toContain('error SLUICE_NATS_STREAM_UNFIT');
  });

  it('a missing stream that may not be created is an error with the command', async () => {
    const { sink } = sinkOf({ createStream: false });
    expect(await sink.preflight([], unlimited)).toMatchObject([
      { severity: 'error', code: 'SLUICE_NATS_STREAM_MISSING', remedy: expect.stringContaining('nats stream add STREAM --subjects "shop.*.*"') },
    ]);
    await expect(sink.open(null, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_MISSING' });
    await sink.close();
  });

  it('subjects that another stream has are an error', async () => {
    await observer.create({ name: 'OTHER', subjects: ['shop.>'] });
    const { sink } = sinkOf();
    await expect(sink.open(null, unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_REFUSED' });
    await sink.close();
  });

  it('the first checkpoint may be older than the first message: without a place nothing is doubled either', async () => {
    await observer.create({ name: NAME, subjects: ['shop.>'], duplicate_window: 100e6 });
    await written(30);
    await sleep(200);
    const { sink } = sinkOf();
    expect((await sink.open(null, unlimited)).transactions).toHaveLength(5);
    await sink.write(batch(0, 40), unlimited);
    await sink.close();
    expect(await observer.ids(NAME)).toEqual(ids(series(SERIES, 0, 40)));
  });
});
