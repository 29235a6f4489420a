/** What `sluice doctor` finds on NATS: each finding on a real server that has the fault, and gone once what the printed remedy says was done. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NatsConfig } from '../../connectors/nats/config.ts';
import { clockFindings, findingsOf, tlsFindings } from '../../connectors/nats/preflight.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Finding } from '../../src/plugin/finding.ts';
import { type NatsServer, startNats } from '../servers/index.ts';
import { natsAvailable } from '../support/available-servers.ts';
import { natsSink, type SinkOptions, StreamObserver, unlimited } from '../support/nats-sinks.ts';
import { pluginContext } from '../support/plugin-context.ts';
import { settingsOf } from '../support/remedy.ts';

const named = (found: readonly Finding[], code: string): Finding | undefined => found.find((each) => each.code === `SLUICE_NATS_${code}`);
const subjects = ['shop.>'];

/** @param ahead seconds that our clock is ahead of that of the machine */
async function findings(options: SinkOptions, destinations: readonly string[] = ['shop.public.orders'], ahead = 0): Promise<readonly Finding[]> {
  const real = nodeRuntime();
  const { sink } = natsSink(options, 'shop', { ...real, nowMicros: () => real.nowMicros() + ahead * 1e6 });
  const found = await sink.preflight(destinations, unlimited);
  await sink.close();
  for (const { message, why = '', remedy } of found) expect(`${message} ${why} ${remedy}`).not.toMatch(/undefined|NaN|\[object/);
  return found;
}

describe.runIf(natsAvailable)('one server', () => {
  let server: NatsServer;
  let streams: StreamObserver;

  beforeAll(async () => {
    server = await startNats({ own: true });
    streams = new StreamObserver([server.url]);
  });

  afterAll(() => server?.dispose());
  afterEach(() => streams.deleteAll());

  const look = (overrides: Partial<NatsConfig> = {}): Promise<readonly Finding[]> => findings({ servers: [server.url], stream: 'S', ...overrides });

  it('of a stream as Sluice makes it one note is said', async () => {
    expect(await look()).toEqual([]);
    await streams.create({ name: 'S', subjects, duplicate_window: 10e9, discard: 'new' });
    expect((await look()).map(({ code }) => code)).toEqual(['SLUICE_NATS_ONE_REPLICA']);
  });

  it('a duplicate window that is too short', async () => {
    await streams.create({ name: 'S', subjects, duplicate_window: 2e9, discard: 'new' });
    const found = named(await look(), 'DUPE_WINDOW');
    expect([found?.message, found?.remedy]).toEqual([expect.stringContaining('for 2 s only'), 'nats stream edit S --dupe-window 10s']);
    await streams.update('S', { duplicate_window: 10e9 });
    expect(named(await look(), 'DUPE_WINDOW')).toBeUndefined();
    expect(named(await look({ publishTimeout: 20_000 }), 'DUPE_WINDOW')?.remedy).toBe('nats stream edit S --dupe-window 40s');
  });

  it('a stream that is nearly full', async () => {
    await streams.create({ name: 'S', subjects, duplicate_window: 10e9, discard: 'new', max_msgs: 10 });
    for (let each = 0; each < 9; each++) await streams.publish('shop.public.orders', 'x');
    const found = named(await look(), 'NEARLY_FULL');
    expect([found?.message, found?.remedy]).toEqual([
      expect.stringContaining('90 % full (max_msgs 10)'),
      'nats stream edit S --max-msgs 20, or let consumers make room.',
    ]);
    await streams.update('S', { max_msgs: 20 });
    expect(named(await look(), 'NEARLY_FULL')).toBeUndefined();
  });

  it('storage, discard and retention: what a confirmation is worth', async () => {
    await streams.create({ name: 'S', subjects, storage: 'memory' });
    expect(named(await look(), 'MEMORY_STORAGE')?.severity).toBe('warning');
    await streams.delete('S');
    await streams.create({ name: 'S', subjects, discard: 'old', max_bytes: 1_000_000 });
    expect(named(await look(), 'DISCARDS')?.remedy).toContain('nats stream edit S --discard new');
    await streams.update('S', { discard: 'new' });
    expect(named(await look(), 'DISCARDS')).toBeUndefined();
  });

  it('retention by which what was read is removed', async () => {
    await streams.create({ name: 'S', subjects, retention: 'interest', duplicate_window: 10e9, discard: 'new' });
    const found = named(await look(), 'RETENTION');
    expect([found?.severity, found?.remedy]).toEqual(['warning', expect.stringContaining('--retention limits')]);
    await streams.update('S', { retention: 'limits' });
    expect(named(await look(), 'RETENTION')).toBeUndefined();
  });

  it('a server that is too old, by what it says of itself: none is to be had here', async () => {
    expect(
      findingsOf({ createStream: true, subject: '{connector}.{schema}.{table}' } as NatsConfig, pluginContext(), '2.9.25', null).map(
        ({ code }) => code,
      ),
    ).toEqual(['SLUICE_NATS_VERSION']);
    expect(findingsOf({ createStream: true, subject: '{connector}.{schema}.{table}' } as NatsConfig, pluginContext(), '2.10.0', null)).toEqual([]);
  });

  it('a stream that is not there and may not be made', async () => {
    const found = named(await look({ createStream: false }), 'STREAM_MISSING');
    expect([found?.severity, found?.remedy]).toEqual(['error', expect.stringMatching(/nats stream add S .*--subjects "?shop/)]);
    await streams.create({ name: 'S', subjects });
    expect(named(await look({ createStream: false }), 'STREAM_MISSING')).toBeUndefined();
  });

  it('a stream that acknowledges nothing, and others that cannot be written to', async () => {
    await streams.create({ name: 'S', subjects, no_ack: true });
    const found = named(await look(), 'STREAM_UNFIT');
    expect([found?.severity, found?.remedy]).toEqual(['error', 'nats stream edit S --ack']);
    await streams.update('S', { no_ack: false });
    expect(named(await look(), 'STREAM_UNFIT')).toBeUndefined();
    await streams.update('S', { sealed: true });
    expect(named(await look(), 'STREAM_UNFIT')?.message).toContain('it is sealed');
    await streams.create({ name: 'M', mirror: { name: 'S' } });
    expect(named(await look({ stream: 'M' }), 'STREAM_UNFIT')?.remedy).toBe('Name the stream that it mirrors.');
  });

  it('clocks that are apart, told by the server with the stream', async () => {
    await streams.create({ name: 'S', subjects });
    const clock = async (ahead: number): Promise<Finding | undefined> =>
      named(await findings({ servers: [server.url], stream: 'S' }, undefined, ahead), 'CLOCK');
    expect((await clock(60))?.message).toContain('the server is behind');
    expect((await clock(-60))?.message).toContain('the server is ahead');
    expect(await clock(2)).toBeUndefined();
  });

  it('a connection that leaves this machine unprotected: gone with the section that the remedy names', async () => {
    // Another name of this machine, which is not known for one.
    const away = `nats://127.1:${server.port}`;
    const { severity, remedy = '' } = named(await findings({ servers: [away], stream: 'S' }), 'NOT_ENCRYPTED') ?? {};
    expect(severity).toBe('warning');
    const secured = await startNats({ tls: true });
    try {
      const tls = { ...(settingsOf(remedy)['tls'] as object), ca: secured.certificates?.ca as string, serverName: 'localhost' };
      expect(named(await findings({ servers: [`nats://127.1:${secured.port}`], stream: 'S', tls }), 'NOT_ENCRYPTED')).toBeUndefined();
    } finally {
      await secured.dispose();
    }
  });

  it('subjects that another stream has', async () => {
    await streams.create({ name: 'OTHER', subjects: ['shop.public.>'] });
    const found = named(await look(), 'STREAM_REFUSED');
    expect([found?.severity, found?.message]).toEqual(['error', expect.stringContaining('stream "OTHER" listens to subjects of it already')]);
    await streams.update('OTHER', { subjects: ['other.>'] });
    expect(await look()).toEqual([]);
  });

  it('subjects that it does not listen to: --fix where the stream is ours alone', async () => {
    await streams.create({ name: 'S', subjects: ['else.>'], duplicate_window: 10e9, discard: 'new' });
    expect(named(await look({ exclusive: false }), 'SUBJECTS')?.fix).toBeUndefined();
    const found = named(await look(), 'SUBJECTS');
    expect([found?.remedy, found?.fix?.statement]).toEqual([
      'nats stream edit S --subjects "else.>,shop.*.*"',
      'nats stream edit S --subjects "else.>,shop.*.*"',
    ]);
    await found?.fix?.apply(unlimited);
    expect((await streams.info('S')).config.subjects).toEqual(['else.>', 'shop.*.*']);
    expect((await look()).map(({ code }) => code)).toEqual(['SLUICE_NATS_ONE_REPLICA']);
    // What another stream has by then cannot be had.
    await streams.update('S', { subjects: ['else.>'] });
    await streams.create({ name: 'OTHER', subjects: ['shop.public.>'] });
    await expect(found?.fix?.apply(unlimited)).rejects.toMatchObject({ code: 'SLUICE_NATS_STREAM_REFUSED' });
  });

  it('clocks that are apart, and a connection that leaves this machine', async () => {
    const now = Date.parse('2026-01-01T00:00:00Z') * 1000;
    expect(clockFindings('2026-01-01T00:01:00Z', now, now)[0]?.message).toContain('60.0 s apart (the server is ahead)');
    expect(clockFindings('2026-01-01T00:00:03Z', now, now)).toEqual([]);
    expect(clockFindings(undefined, now, now)).toEqual([]);
    const config = { servers: ['nats://127.0.0.1:4222', 'nats://nats.internal:4222'] } as unknown as NatsConfig;
    expect(tlsFindings(config, false)[0]?.message).toContain('nats://nats.internal:4222');
    expect(tlsFindings(config, true)).toEqual([]);
  });

  it('the time of the server stands in what it says of a stream', async () => {
    await streams.create({ name: 'S', subjects });
    const info = (await streams.info('S')) as unknown as { ts: string };
    expect(Math.abs(Date.parse(info.ts) - Date.now())).toBeLessThan(60_000);
  });
});

describe.runIf(natsAvailable)('rights', () => {
  it('a subject that the user may not publish to, asked before there is a message for it', async () => {
    const api = '"$JS.API.>", "_INBOX.>", "$SYS.REQ.USER.INFO"';
    const server = await startNats({
      config: `authorization { users = [{ user: app, password: pw, permissions: { publish: { allow: ["shop.public.orders", ${api}] } } }, { user: boss, password: pw }] }`,
    });
    try {
      const app = { servers: [server.url], stream: 'S', auth: { user: 'app', password: 'pw' } };
      expect(named(await findings(app), 'PERMISSION')).toBeUndefined();
      const found = named(await findings(app, ['shop.public.orders', 'shop.public.customers']), 'PERMISSION');
      expect([found?.severity, found?.message]).toEqual(['error', 'The NATS user may not publish to "shop.public.customers".']);
      expect(found?.remedy).toContain('publish: ["shop.*.*"');
      expect(named(await findings({ ...app, auth: { user: 'boss', password: 'pw' } }, ['shop.public.customers']), 'PERMISSION')).toBeUndefined();
    } finally {
      await server.dispose();
    }
  });
});

describe.runIf(natsAvailable)('a cluster', () => {
  it('replicas that are down', async () => {
    const server = await startNats({ cluster: 3 });
    try {
      const streams = new StreamObserver([server.nodes[0]?.url as string]);
      await expect
        .poll(() => streams.create({ name: 'S', subjects, num_replicas: 3, duplicate_window: 10e9, discard: 'new' }).then(() => 'made', String), {
          timeout: 20_000,
        })
        .toBe('made');
      const look = () => findings({ servers: server.nodes.map(({ url }) => url), stream: 'S' });
      await expect.poll(async () => (await look()).map(({ code }) => code), { timeout: 20_000 }).toEqual(['SLUICE_NATS_SYNC_UNSEEN']);
      const last = server.nodes[2];
      await last?.kill();
      await expect
        .poll(async () => named(await look(), 'REPLICA_BEHIND')?.message, { timeout: 30_000 })
        .toContain(`has 3 replicas, and 1 of them is not current: ${last?.name}`);
      await last?.start();
      await expect.poll(async () => named(await look(), 'REPLICA_BEHIND'), { timeout: 30_000 }).toBeUndefined();
    } finally {
      await server.dispose();
    }
  });
});
