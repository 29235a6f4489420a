import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type NatsServer, startNats, startProxy } from '../servers/index.ts';
import { sinkSuite } from '../suites/sink.ts';
import { natsAvailable } from '../support/available-servers.ts';
import { messageBatch, series } from '../support/message-batches.ts';
import { natsSink, StreamObserver, unlimited } from '../support/nats-sinks.ts';

describe.runIf(natsAvailable)('NATS sink', () => {
  let server: NatsServer;
  let observer: StreamObserver;
  let proxy: FaultProxy;
  let count = 0;

  beforeAll(async () => {
    server = await startNats({ own: true });
    observer = new StreamObserver([server.url]);
    proxy = await startProxy(server.url);
  });

  afterAll(async () => {
    await proxy.close();
    await server.dispose();
  });

  afterEach(() => observer.deleteAll());

  for (const exclusive of [true, false]) {
    sinkSuite(exclusive ? 'exclusive stream' : 'shared stream', { readsBack: true, totalOrder: exclusive }, async () => {
      const stream = `SUITE${++count}`;
      return {
        sink: () => natsSink({ servers: [proxy.through(server.url)], stream, exclusive }).sink,
        destinations: ['shop.public.orders', 'shop.public.lines', 'shop.public.customers'],
        ids: () => observer.ids(stream),
        stall: async () => {
          proxy.blackhole();
          return async () => proxy.heal();
        },
        dispose: () => Promise.resolve(),
      };
    });
  }

  it('writes body, key, own headers and id as the format made them; a tombstone is an empty body and a header', async () => {
    const { sink } = natsSink({ servers: [server.url], stream: 'WIRE' });
    await sink.open(null, unlimited);
    const batch = messageBatch([
      { id: 'shop/7/A.1/0/0', destination: 'shop.public.t', key: '{"id":1,"name":"Zoë"}', value: '{"a":"ü"}', headers: [['sluice.schema', '3']] },
      { id: 'shop/7/A.1/1/0', destination: 'shop.public.t', key: '{"id":1}', value: null },
      { id: 'shop/7/A.1/2/0', destination: 'shop.public.t', value: '{}' },
    ]);
    expect(await sink.write(batch, unlimited)).toMatchObject({ sequence: '3' });
    await sink.close();
    const [first, second, third] = await observer.read('WIRE');
    expect(first).toMatchObject({ id: 'shop/7/A.1/0/0', subject: 'shop.public.t', body: '{"a":"ü"}' });
    expect(first?.headers).toMatchObject({ 'sluice.key': ['{"id":1,"name":"Zoë"}'], 'sluice.schema': ['3'] });
    expect(first?.headers).not.toHaveProperty('sluice.tombstone');
    expect(second).toMatchObject({ body: '', headers: { 'sluice.key': ['{"id":1}'], 'sluice.tombstone': ['true'] } });
    expect(third?.headers).not.toHaveProperty('sluice.key');
  });

  it('the stream that it makes loses nothing silently and remembers ids for 10 s', async () => {
    const { sink } = natsSink({ servers: [server.url], stream: 'MADE' });
    expect(await sink.preflight([], unlimited)).toEqual([]);
    await sink.open(null, unlimited);
    await sink.close();
    expect((await observer.info('MADE')).config).toMatchObject({
      subjects: ['shop.*.*'],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
      duplicate_window: 10e9,
    });
  });

  it('a second connector in a shared stream neither blocks nor skips the first (I3, I4)', async () => {
    await observer.create({ name: 'SHARED', subjects: ['shop.>', 'bank.>'] });
    const write = async (connector: string): Promise<void> => {
      const { sink } = natsSink({ servers: [server.url], stream: 'SHARED', exclusive: false }, connector);
      await sink.open(null, unlimited);
      const all = series({ connector, destinations: [`${connector}.public.a`, `${connector}.public.b`] }, 0, 400);
      const places = [];
      for (let at = 0; at < 400; at += 50) places.push(sink.write(messageBatch(all.slice(at, at + 50)), unlimited));
      const place = (await Promise.all(places))[3] as Awaited<(typeof places)[0]>;
      await sink.close();
      const again = natsSink({ servers: [server.url], stream: 'SHARED', exclusive: false }, connector).sink;
      await again.open(place, unlimited);
      await again.write(messageBatch(all.slice(200)), unlimited);
      await again.close();
    };
    await Promise.all([write('shop'), write('bank')]);
    const ids = await observer.ids('SHARED');
    for (const connector of ['shop', 'bank']) {
      for (const table of ['a', 'b']) {
        const expected = series({ connector, destinations: [`${connector}.public.a`, `${connector}.public.b`] }, 0, 400)
          .filter(({ destination }) => destination.endsWith(table))
          .map(({ id }) => id);
        expect(ids.filter((id) => expected.includes(id))).toEqual(expected);
      }
    }
    expect(ids).toHaveLength(800);
  });

  it('recover() finds the last transaction in an exclusive stream, and none in a shared one', async () => {
    const { sink } = natsSink({ servers: [server.url], stream: 'RECOVER' });
    await sink.open(null, unlimited);
    await sink.write(messageBatch(series({ connector: 'shop', destinations: ['shop.p.t'], perTransaction: 10 }, 0, 25)), unlimited);
    const recovered = await sink.recover(unlimited);
    expect(recovered).toMatchObject({ place: { sequence: '0' }, lastTransaction: '7301/0000000000000002.902' });
    await sink.close();
    const shared = natsSink({ servers: [server.url], stream: 'RECOVER', exclusive: false }).sink;
    expect(await shared.recover(unlimited)).toMatchObject({ lastTransaction: null });
    await shared.close();
  });
});
