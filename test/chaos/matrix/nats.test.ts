/** Faults of a NATS server and of the stream, with the whole product. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiscardPolicy, type StreamConfig } from '@nats-io/jetstream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type NatsNode, type NatsServer, type PostgresServer, startNats, startPostgres, startProxy } from '../../servers/index.ts';
import { natsAvailable } from '../../support/available-servers.ts';
import { FaultRun, natsFaultSink } from '../../support/fault-run.ts';
import { addConnector, carryOut, endRun, keeping, MODEST, natsWorks, sleep, startAgain, warnings } from '../../support/fault-sinks.ts';
import { LONG } from '../../support/long-form.ts';
import { StreamObserver } from '../../support/nats-sinks.ts';

describe.runIf(natsAvailable)('faults of NATS (I1, I2, I3, I4, I8, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let observer: StreamObserver;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ maxPayloadBytes: 65_536 })]);
    observer = new StreamObserver([nats.url]);
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
    await observer.deleteAll();
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  it.each([
    ['restarted', 'stop'],
    ['killed with SIGKILL', 'kill'],
  ] as const)('the server is %s under load, again and again: goes on by itself (I10)', async (what, mode) => {
    run = await FaultRun.begin({ name: `nats-${mode}`, postgres, sink: natsFaultSink(nats, 'SERVER'), load: MODEST });
    for (let round = 0; round < (LONG ? 20 : 2); round++) {
      await run.committed(40);
      await nats.restart(mode);
      await run.recovers(`NATS ${what}`, () => natsWorks(nats.url, 'SERVER'));
    }
    await run.verify(`NATS ${what}`);
  });

  const limited = [
    ['max_bytes', { max_bytes: 150_000 }],
    ['max_msgs', { max_msgs: 300 }],
  ] as const;
  it.each(LONG ? limited : limited.slice(0, 1))(
    'the stream is full (discard new, %s): waits, says so once and what helps, goes on when the limit is raised (I10)',
    async (limit, limits) => {
      await observer.create({ name: 'FULL', subjects: ['FULL.>'], discard: DiscardPolicy.New, ...limits });
      run = await FaultRun.begin({ name: `full-${limit.replace('_', '-')}`, postgres, sink: natsFaultSink(nats, 'FULL'), load: MODEST });
      await run.daemon.waitForLog(({ msg }) => msg.includes('takes no messages'));
      await sleep(2_000);
      const said = warnings(run, /takes no messages/);
      expect(said[0]?.['remedy']).toContain('nats stream edit FULL --max-bytes');
      // A smaller message may still find room: then it is full a second time.
      const between = run.daemon.log.filter(({ msg }) => msg === 'NATS takes messages again.').length;
      expect(said.length).toBeLessThanOrEqual(1 + between);
      await observer.update('FULL', { max_bytes: -1, max_msgs: -1 });
      await run.recovers(`NATS stream full (${limit})`, () => natsWorks(nats.url, 'FULL'));
      await run.daemon.waitForLog(({ msg }) => msg === 'NATS takes messages again.');
      await run.verify(`NATS stream full (${limit})`);
    },
  );

  const times = ['while running', 'while down', 'and made again while down'] as const;
  describe.each(LONG ? times : times.slice(0, 2))('the stream is deleted %s', (when) => {
    it('a typed stop; after the remedy nothing that was not confirmed is missing (I5, I8)', async () => {
      const sink = keeping(natsFaultSink(nats, 'GONE'));
      run = await FaultRun.begin({ name: 'gone', postgres, sink, load: MODEST });
      await run.committed(60);
      await run.pause();
      await run.caughtUp();
      const stream: StreamConfig = (await observer.info('GONE')).config;
      if (when !== 'while running') await run.daemon.stop('SIGTERM');
      await sink.keep();
      await observer.delete('GONE');
      if (when === 'and made again while down') await observer.create(stream);
      run.resume();
      if (when === 'while running') await run.committed(1);
      else run.daemon.start();
      const { msg, remedy } = await run.stopsWith('SLUICE_NATS_STREAM_LOST');
      expect(msg).toContain('"GONE"');
      expect(await run.daemon.exit()).toBe(3);
      await run.committed(30);
      if (when !== 'and made again while down') await observer.create(stream);
      await carryOut(run, remedy, 'sluice offsets recover --connector gone --from slot');
      await startAgain(run);
      await run.verify(`NATS stream deleted ${when}`);
    });
  });

  it('limits that drop old messages unread (discard old): said at each start, with what helps; what is gone behind the place is said too', async () => {
    await observer.create({ name: 'DROPS', subjects: ['DROPS.>'], discard: DiscardPolicy.Old, max_msgs: 20 });
    run = await FaultRun.begin({
      name: 'drops',
      postgres,
      sink: natsFaultSink(nats, 'DROPS'),
      top: { checkpoint: { maxDelay: '5s' } },
      load: MODEST,
    });
    const said = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_NATS_DISCARDS');
    expect(said).toMatchObject({
      level: 'warn',
      msg: expect.stringContaining('max_msgs 20'),
      remedy: expect.stringContaining('nats stream edit DROPS --discard new'),
    });
    await run.committed(10);
    // A checkpoint has just been saved; none follows for five seconds.
    await run.caughtUp();
    await run.committed(60);
    const streamed = run.streamed;
    await run.kill();
    await run.streams(streamed);
    // Between the saved place and the end more went through than the stream keeps: at least once for those, and that is no secret (algorithms §2).
    await run.daemon.waitForLog(({ level, msg }) => level === 'warn' && /behind the saved place are gone from the stream "DROPS"/.test(msg));
    await run.committed(50);
    await run.pause();
    await run.caughtUp();
    const { phantoms, disordered } = await run.verdict();
    expect({ phantoms, disordered }).toEqual({ phantoms: 0, disordered: 0 });
  });

  it('a message over max_payload: stops and names table, size and limit; the other connector of the daemon goes on; delivered when the limit is raised (I1, I8)', async () => {
    run = await FaultRun.begin({ name: 'bystander', postgres, sink: natsFaultSink(nats, 'SMALL'), load: MODEST });
    await postgres.query('CREATE TABLE big (id int PRIMARY KEY, body text)', run.database);
    const sink = natsFaultSink(nats, 'BIG').config;
    await addConnector(run, { name: 'big', source: { type: 'postgres', url: postgres.url(run.database), tables: ['public.big'] }, sink });
    await postgres.query(`INSERT INTO big VALUES (1, 'fits'), (2, repeat('x', 100000)), (3, 'behind')`, run.database);
    const { msg, remedy } = await run.stopsWith('SLUICE_NATS_MESSAGE_TOO_LARGE');
    expect(msg).toMatch(/^A message for BIG\.public\.big has 100\d{3} bytes; max_payload.* allows 65536\.$/);
    expect(msg).not.toContain('xxx');
    expect(remedy).toContain('max_payload');
    await run.committed(50);
    await run.caughtUp();
    const node = nats.nodes[0] as NatsNode;
    const file = join(node.directory, 'nats.conf');
    const configuration = await readFile(file, 'utf8');
    await writeFile(file, configuration.replace('max_payload: 65536', 'max_payload: 1048576'));
    await nats.restart();
    expect(await run.daemon.stop('SIGTERM')).not.toBe(-1);
    run.daemon.start();
    await run.committed(20);
    const stored = async () => (await observer.read('BIG')).map(({ body }) => (JSON.parse(body) as { after: { id: number } }).after.id);
    await expect.poll(stored, { timeout: 90_000 }).toEqual([1, 2, 3]);
    await run.verify('NATS message over max_payload: bystander');
  });

  it('acknowledgements lost, an outage of 5 s, a duplicate window of 1 s: what stands there is not published again (I4)', async () => {
    const proxy: FaultProxy = await startProxy(nats.url);
    await observer.create({ name: 'WINDOW', subjects: ['WINDOW.>'], duplicate_window: 1e9 });
    run = await FaultRun.begin({
      name: 'dedup-window',
      postgres,
      sink: natsFaultSink(nats, 'WINDOW', { servers: [proxy.through(nats.url)] }),
      load: MODEST,
    });
    for (let round = 0; round < (LONG ? 10 : 1); round++) {
      await run.committed(40);
      await run.caughtUp();
      const before = (await observer.info('WINDOW')).state.messages;
      // The answers stay in the proxy: what is stored meanwhile is not known to be.
      proxy.delay(60_000);
      await run.committed(30);
      expect((await observer.info('WINDOW')).state.messages).toBeGreaterThan(before);
      proxy.refuse();
      await sleep(5_000);
      proxy.heal();
      await run.recovers('NATS answers lost, duplicate window over', () => natsWorks(proxy.through(nats.url), 'WINDOW'));
    }
    await run.verify('NATS answers lost, duplicate window over');
    await proxy.close();
  });
});
