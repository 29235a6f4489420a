import { setTimeout as sleep } from 'node:timers/promises';
import { connect, headers } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Sink } from '../../src/plugin/sink.ts';
import type { Place } from '../../src/record/position.ts';
import { type FaultProxy, type NatsServer, startNats, startProxy } from '../servers/index.ts';
import { natsAvailable } from '../support/available-servers.ts';
import { messageBatch, series, type TestMessage } from '../support/message-batches.ts';
import { natsSink, StreamObserver, unlimited } from '../support/nats-sinks.ts';

const SERIES = { connector: 'shop', destinations: ['shop.public.orders', 'shop.public.lines'] };

function ids(messages: readonly TestMessage[]): string[] {
  return messages.map(({ id }) => id);
}

/** Ids of one destination, in their order. */
function byDestination(all: readonly { readonly id: string; readonly subject: string }[]): Map<string, string[]> {
  const lanes = new Map<string, string[]>();
  for (const { id, subject } of all) lanes.set(subject, [...(lanes.get(subject) ?? []), id]);
  return lanes;
}

/** Keeps batches of 20 in flight until told to stop, a few at a time, and remembers the places. */
class Load {
  readonly places: Place[] = [];
  written = 0;
  failure: unknown = null;
  #running = true;
  readonly #loop: Promise<void>;

  constructor(sink: Sink, paceMs: number, from = 0) {
    this.written = from;
    this.#loop = this.#run(sink, paceMs);
  }

  async #run(sink: Sink, paceMs: number): Promise<void> {
    const pending: Promise<unknown>[] = [];
    try {
      while (this.#running) {
        const batch = messageBatch(series(SERIES, this.written, this.written + 20));
        this.written += 20;
        pending.push(sink.write(batch, unlimited).then((place) => this.places.push(place)));
        pending.at(-1)?.catch(() => undefined);
        if (pending.length >= 12) await pending.shift();
        await sleep(paceMs);
      }
      await Promise.all(pending);
    } catch (error) {
      this.failure = error;
    }
  }

  /** Waits until `count` more calls are durable. */
  async progress(count: number, withinMs: number): Promise<void> {
    const target = this.places.length + count;
    const end = performance.now() + withinMs;
    while (this.places.length < target) {
      if (this.failure !== null) throw this.failure;
      if (performance.now() > end) throw new Error(`no progress: ${this.places.length} of ${target}`);
      await sleep(10);
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
    if (this.failure !== null) throw this.failure;
  }
}

describe.runIf(natsAvailable)('NATS sink under faults: nothing lost, doubled or reordered (I1, I3, I4, I10)', () => {
  let server: NatsServer;
  let proxy: FaultProxy;
  let observer: StreamObserver;

  beforeAll(async () => {
    server = await startNats({ own: true });
    proxy = await startProxy(server.url);
    observer = new StreamObserver([server.url]);
  });

  afterAll(async () => {
    await proxy.close();
    await server.dispose();
  });

  afterEach(async () => {
    proxy.heal();
    await observer.deleteAll();
  });

  async function check(stream: string, load: Load, exclusive: boolean): Promise<void> {
    const expected = series(SERIES, 0, load.written);
    const stored = await observer.read(stream);
    if (exclusive) expect(stored.map(({ id }) => id)).toEqual(ids(expected));
    else {
      const wanted = byDestination(expected.map(({ id, destination }) => ({ id, subject: destination })));
      expect(byDestination(stored)).toEqual(wanted);
    }
  }

  describe.each([true, false])('exclusive: %s', (exclusive) => {
    const options = () => ({ servers: [proxy.through(server.url)], stream: 'FAULTS', exclusive, publishTimeout: 1000 });

    it('kill -9 of the server and a restart', async () => {
      const { sink, log } = natsSink(options());
      await sink.open(null, unlimited);
      const load = new Load(sink, 1);
      for (let round = 0; round < 3; round++) {
        await load.progress(10, 10_000);
        await server.restart('kill');
        await load.progress(1, 5_000);
      }
      await load.stop();
      await sink.close();
      await check('FAULTS', load, exclusive);
      expect(log.filter(({ message }) => message.includes('was lost'))).not.toEqual([]);
    });

    it('connections reset in the middle of what the server answers', async () => {
      const { sink } = natsSink(options());
      await sink.open(null, unlimited);
      const load = new Load(sink, 1);
      for (let round = 0; round < 12; round++) {
        await load.progress(4, 5_000);
        if (round % 2 === 0) proxy.cut();
        else proxy.cutAfter(200 + round * 37);
      }
      await load.progress(4, 5_000);
      await load.stop();
      await sink.close();
      await check('FAULTS', load, exclusive);
    });

    it('a link on which nothing gets through', async () => {
      const { sink } = natsSink(options());
      await sink.open(null, unlimited);
      const load = new Load(sink, 1);
      await load.progress(10, 5_000);
      proxy.blackhole();
      await sleep(4_000);
      proxy.heal();
      await load.progress(10, 5_000);
      await load.stop();
      await sink.close();
      await check('FAULTS', load, exclusive);
    });

    it('a frozen server: what it still has in its sockets when it wakes up does not come twice', async () => {
      const { sink } = natsSink({ ...options(), servers: [server.url] });
      await sink.open(null, unlimited);
      const load = new Load(sink, 1);
      for (let round = 0; round < 2; round++) {
        await load.progress(10, 5_000);
        server.signal('SIGSTOP');
        await sleep(3_500);
        server.signal('SIGCONT');
        await load.progress(10, 5_000);
      }
      await load.stop();
      await sink.close();
      await check('FAULTS', load, exclusive);
    });

    it('another writer in between', async () => {
      const { sink, log } = natsSink(options());
      await sink.open(null, unlimited);
      const load = new Load(sink, 1);
      for (let round = 0; round < 6; round++) {
        await load.progress(4, 5_000);
        await observer.publish('shop.public.other', `foreign ${round}`);
      }
      await load.progress(4, 5_000);
      await load.stop();
      await sink.close();
      const stored = await observer.read('FAULTS');
      expect(stored.filter(({ id }) => id === '')).toHaveLength(6);
      const own = stored.filter(({ id }) => id !== '');
      expect(own).toHaveLength(load.written);
      if (exclusive) expect(own.map(({ id }) => id)).toEqual(ids(series(SERIES, 0, load.written)));
      // Said once (algorithms §4: reported and resynced, not fought).
      expect(log.filter(({ level, message }) => level === 'warn' && message.includes('Another writer'))).toHaveLength(exclusive ? 1 : 0);
    });
  });

  it.each([true, false])(
    'acknowledgements lost, and the server has forgotten the ids: what stands in the stream is not sent again (exclusive: %s)',
    async (exclusive) => {
      await observer.create({ name: 'FORGOT', subjects: ['shop.>'], duplicate_window: 100e6 });
      const { sink } = natsSink({ servers: [proxy.through(server.url)], stream: 'FORGOT', exclusive });
      await sink.open(null, unlimited);
      await sink.write(messageBatch(series(SERIES, 0, 20)), unlimited);
      proxy.delay(2_000);
      const pending = sink.write(messageBatch(series(SERIES, 20, 60)), unlimited);
      await sleep(600);
      const before = (await observer.info('FORGOT')).state.messages;
      expect(before).toBeGreaterThan(20);
      proxy.heal();
      proxy.cut();
      await pending;
      await sink.close();
      expect((await observer.ids('FORGOT')).sort()).toEqual(ids(series(SERIES, 0, 60)).sort());
    },
  );

  it('resumes from the last place after its own end in the middle of everything', async () => {
    let place: Place | null = null;
    let done = 0;
    for (let life = 0; life < 8; life++) {
      const { sink } = natsSink({ servers: [server.url], stream: 'LIVES' });
      await sink.open(place, unlimited);
      const outcomes = Array.from({ length: 10 }, (_, at) => {
        const from = done + at * 20;
        return sink.write(messageBatch(series(SERIES, from, from + 20)), unlimited).then((at) => ({ place: at, to: from + 20 }));
      });
      // Ended while most is on its way: what was sent is stored all the same.
      const settled = Promise.allSettled(outcomes);
      await (outcomes[life % 3] as Promise<unknown>);
      await sink.close();
      for (const outcome of await settled) {
        if (outcome.status !== 'fulfilled') break;
        ({ place, to: done } = outcome.value);
      }
    }
    const { sink } = natsSink({ servers: [server.url], stream: 'LIVES' });
    await sink.open(place, unlimited);
    await sink.write(messageBatch(series(SERIES, done, done + 400)), unlimited);
    await sink.close();
    const stored = await observer.ids('LIVES');
    expect(stored).toEqual(ids(series(SERIES, 0, done + 400)));
  });

  it('bytes of a process that was killed, delivered after its successor looked, are recognised', async () => {
    // The stream as the successor sees it ends at 20; then ten more messages of the dead process arrive.
    const first = natsSink({ servers: [server.url], stream: 'LATE' }).sink;
    await first.open(null, unlimited);
    const place = await first.write(messageBatch(series(SERIES, 0, 20)), unlimited);
    const second = natsSink({ servers: [server.url], stream: 'LATE' }).sink;
    await second.open(place, unlimited);
    await first.write(messageBatch(series(SERIES, 20, 30)), unlimited);
    await first.close();
    for (let at = 20; at < 60; at += 5) await second.write(messageBatch(series(SERIES, at, at + 5)), unlimited);
    await second.close();
    expect(await observer.ids('LATE')).toEqual(ids(series(SERIES, 0, 60)));
  });

  it('libraries finding 10: 4,000 messages in a window over a link that breaks again and again keep their order', async () => {
    const { sink } = natsSink({ servers: [proxy.through(server.url)], stream: 'REORDER' });
    await sink.open(null, unlimited);
    const writes: Promise<unknown>[] = [];
    for (let at = 0; at < 4000; at += 50) writes.push(sink.write(messageBatch(series(SERIES, at, at + 50)), unlimited));
    const all = Promise.all(writes);
    let running = true;
    void all.finally(() => (running = false));
    for (let round = 0; running && round < 200; round++) {
      proxy.cutAfter(3000);
      await sleep(30);
    }
    proxy.heal();
    await all;
    await sink.close();
    expect(proxy.accepted).toBeGreaterThan(5);
    expect(await observer.ids('REORDER')).toEqual(ids(series(SERIES, 0, 4000)));
  });
});

describe.runIf(natsAvailable)('NATS sink: a trouble that comes again with each message is not gone through silently for ever', () => {
  const SECRET = 'row value that no log may show';
  const poisoned: TestMessage = { id: 'shop/8/A.1/0/0', destination: 'shop.public.orders', value: SECRET };
  let server: NatsServer;

  beforeAll(async () => {
    server = await startNats({ config: 'max_control_line: 1024' });
  });

  afterAll(() => server.dispose());

  afterEach(() => new StreamObserver([server.url]).deleteAll());

  it('a link that breaks at each message: backs off, names the message, and goes on once the fault is over (I10, I12)', async () => {
    const proxy = await startProxy(server.url);
    const { sink, log, retries } = natsSink({ servers: [proxy.through(server.url)], stream: 'BROKEN' });
    await sink.open(null, unlimited);
    await sink.write(messageBatch(series(SERIES, 0, 20)), unlimited);
    proxy.cutWhenSent('HPUB shop.public.orders');
    const before = proxy.accepted;
    const pending = sink.write(messageBatch([poisoned]), unlimited);
    await sleep(5_000);
    // At first at once, then 50 ms, 100 ms … 1 s apart; each attempt is two connections (one greets).
    expect(retries.filter((what) => what === 'nats lost').length).toBeLessThan(14);
    expect(proxy.accepted - before).toBeLessThan(28);
    const warnings = log.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^The connection to NATS was lost: /),
      expect.stringMatching(
        /^No message was confirmed by NATS since \S+Z, in [56] attempts; .* 5 times right after the same message was sent, one of 1\d\d bytes for shop\.public\.orders\.$/,
      ),
    ]);
    expect(warnings[1]).toMatchObject({ code: 'SLUICE_NATS_NO_PROGRESS', remedy: expect.stringContaining('proxies') });
    expect(JSON.stringify(log)).not.toContain(SECRET);
    const healed = performance.now();
    proxy.heal();
    await pending;
    expect(performance.now() - healed).toBeLessThan(5_000);
    await sink.close();
    expect(await new StreamObserver([server.url]).ids('BROKEN')).toEqual([...ids(series(SERIES, 0, 20)), poisoned.id]);
    await proxy.close();
  });

  it('the connection is lost in the last moment of open(): a typed error that is tried again, nothing impossible (I10)', async () => {
    const proxy = await startProxy(server.url);
    const first = natsSink({ servers: [proxy.through(server.url)], stream: 'LATE' });
    await first.sink.open(null, unlimited);
    await first.sink.write(messageBatch(series(SERIES, 0, 20)), unlimited);
    await first.sink.close();
    const { sink } = natsSink({ servers: [proxy.through(server.url)], stream: 'LATE' });
    // Deleting the consumer of the read-back is the last that is asked.
    proxy.cutWhenSent('CONSUMER.DELETE');
    await expect(sink.open(null, unlimited)).rejects.toMatchObject({
      code: expect.stringMatching(/^SLUICE_NATS_(UNREACHABLE|JETSTREAM)/),
      kind: { retry: 'auto' },
    });
    await sink.close();
    await proxy.close();
  });

  it('a message on which the server itself ends the connection (a subject beyond max_control_line)', async () => {
    const { sink, log } = natsSink({ servers: [server.url], stream: 'LONG', subject: `{connector}.{table}.${'x'.repeat(1100)}` });
    await sink.open(null, unlimited);
    const pending = sink.write(messageBatch([{ ...poisoned, destination: `shop.orders.${'x'.repeat(1100)}` }]), unlimited);
    pending.catch(() => undefined);
    await expect.poll(() => log.filter(({ code }) => code === 'SLUICE_NATS_NO_PROGRESS').length, { timeout: 10_000 }).toBe(1);
    expect(log.find(({ code }) => code === 'SLUICE_NATS_NO_PROGRESS')).toMatchObject({
      message: expect.stringMatching(/[Mm]aximum [Cc]ontrol [Ll]ine.*for shop\.orders\.xxx/),
      remedy: expect.stringContaining('max_control_line'),
    });
    expect(log.filter(({ message }) => message.includes('again.')).map(({ message }) => message)).not.toContain('NATS takes messages again.');
    await sink.close();
    await expect(pending).rejects.toThrow();
  });

  it('a stream that was told to acknowledge nothing is said, not tried for ever', async () => {
    const observer = new StreamObserver([server.url]);
    const { sink } = natsSink({ servers: [server.url], stream: 'DEAF', publishTimeout: 500 });
    await sink.open(null, unlimited);
    await sink.write(messageBatch(series(SERIES, 0, 20)), unlimited);
    await observer.update('DEAF', { no_ack: true });
    await expect(sink.write(messageBatch(series(SERIES, 20, 40)), unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_UNFIT' });
    await sink.close();
  });
});

describe.runIf(natsAvailable)('NATS sink on a cluster of three', () => {
  let cluster: NatsServer;

  beforeAll(async () => {
    cluster = await startNats({ cluster: 3 });
  });

  afterAll(() => cluster.dispose());

  it('"duplicate in flight" (10158) is not known and asked again', async () => {
    const observer = new StreamObserver(cluster.urls);
    const message: TestMessage = { id: 'shop/7/A.1/0/0', destination: 'shop.public.t', value: 'once' };
    await observer.create({ name: 'TWICE', subjects: ['shop.>'], num_replicas: 3 });
    const leader = (await observer.info('TWICE')).cluster?.leader;
    const followers = cluster.nodes.filter(({ name }) => name !== leader);
    const leading = cluster.nodes.find(({ name }) => name === leader);
    const other = await connect({ servers: leading?.url as string });
    const header = headers();
    header.set('Nats-Msg-Id', message.id);
    // Without its followers the leader can store nothing: the message is under way until they are back.
    for (const node of followers) node.signal('SIGSTOP');
    other.publish(message.destination, message.value as string, { headers: header });
    await other.flush();
    const { sink, log } = natsSink({ servers: [leading?.url as string], stream: 'TWICE', replicas: 3 });
    await sink.open(null, unlimited);
    const pending = sink.write(messageBatch([message]), unlimited);
    await sleep(1_000);
    for (const node of followers) node.signal('SIGCONT');
    await pending;
    expect(log.map(({ message: text }) => text)).toContainEqual(expect.stringContaining('10158'));
    expect(await observer.ids('TWICE')).toEqual([message.id]);
    await Promise.all([sink.close(), other.close()]);
    await observer.delete('TWICE');
  }, 60_000);

  it('the stream leader is killed under load: an election is no configuration error', async () => {
    const observer = new StreamObserver(cluster.urls);
    const { sink } = natsSink({ servers: cluster.urls, stream: 'R3', replicas: 3, publishTimeout: 1500 });
    await sink.open(null, unlimited);
    const load = new Load(sink, 2);
    for (let round = 0; round < 2; round++) {
      await load.progress(10, 20_000);
      const leader = (await observer.info('R3')).cluster?.leader;
      const node = cluster.nodes.find(({ name }) => name === leader);
      await node?.kill();
      await load.progress(10, 30_000);
      await node?.start();
      await sleep(1_500);
    }
    await load.stop();
    await sink.close();
    expect(await observer.ids('R3')).toEqual(ids(series(SERIES, 0, load.written)));
  }, 120_000);
});
