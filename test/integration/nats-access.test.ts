import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { afterEach, describe, expect, it } from 'vitest';
import { type NatsOptions, type NatsServer, startNats } from '../servers/index.ts';
import { natsAvailable } from '../support/available-servers.ts';
import { messageBatch, series } from '../support/message-batches.ts';
import { natsSink, type SinkOptions, unlimited } from '../support/nats-sinks.ts';

const batch = messageBatch(series({ connector: 'shop', destinations: ['shop.public.orders'] }, 0, 10));

describe.runIf(natsAvailable)('NATS sink: who may connect, and how', () => {
  let server: NatsServer | null = null;

  afterEach(async () => {
    await server?.dispose();
    server = null;
  });

  async function start(options: NatsOptions): Promise<NatsServer> {
    server = await startNats(options);
    return server;
  }

  async function works(options: Omit<SinkOptions, 'stream'>): Promise<void> {
    const { sink } = natsSink({ stream: 'S', ...options });
    await sink.preflight([], unlimited);
    await sink.open(null, unlimited);
    await sink.write(batch, unlimited);
    await sink.close();
  }

  /** The code with which preflight answers. */
  async function answer(options: Omit<SinkOptions, 'stream'>): Promise<string> {
    const { sink } = natsSink({ stream: 'S', ...options });
    const outcome = await sink.preflight([], unlimited).then(
      () => 'passed',
      (error: { code: string }) => error.code,
    );
    await sink.close();
    return outcome;
  }

  it('user and password', async () => {
    const { url } = await start({ config: 'authorization { user: sluice, password: "s3cret" }' });
    await works({ servers: [url], auth: { user: 'sluice', password: 's3cret' } });
    expect(await answer({ servers: [url], auth: { user: 'sluice', password: 'wrong' } })).toBe('SLUICE_NATS_AUTH');
    expect(await answer({ servers: [url] })).toBe('SLUICE_NATS_AUTH');
  });

  it('token', async () => {
    const { url } = await start({ config: 'authorization { token: "t0ken" }' });
    await works({ servers: [url], auth: { token: 't0ken' } });
    await works({ servers: [url], auth: { token: { command: ['/bin/echo', 't0ken'], timeout: 5_000 } } });
    expect(await answer({ servers: [url], auth: { token: 'other' } })).toBe('SLUICE_NATS_AUTH');
  });

  it('nkey seed; an unusable one is said without being shown (I12)', async () => {
    const pair = nkeys.createUser();
    const seed = new TextDecoder().decode(pair.getSeed());
    const { url } = await start({ config: `authorization { users: [ { nkey: ${pair.getPublicKey()} } ] }` });
    await works({ servers: [url], auth: { nkey: seed } });
    const stranger = new TextDecoder().decode(nkeys.createUser().getSeed());
    expect(await answer({ servers: [url], auth: { nkey: stranger } })).toBe('SLUICE_NATS_AUTH');
    const { sink } = natsSink({ servers: [url], stream: 'S', auth: { nkey: 'SUAMXXSECRETXXSECRET' } });
    const error = await sink.preflight([], unlimited).catch((reason: Error & { code: string }) => reason);
    expect(error).toMatchObject({ code: 'SLUICE_NATS_CREDENTIALS' });
    expect(JSON.stringify(error) + (error as Error).message).not.toContain('SECRET');
  });

  it('credentials file', async () => {
    const [operator, system, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount(), nkeys.createUser()];
    type Key = typeof operator;
    const jwt = (issuer: Key, subject: Key, name: string, claims: object): string => {
      const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const payload = {
        jti: name,
        iat: Math.floor(Date.now() / 1000),
        iss: issuer.getPublicKey(),
        name,
        sub: subject.getPublicKey(),
        nats: { version: 2, ...claims },
      };
      const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(payload)}`;
      return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
    };
    const limits = {
      subs: -1,
      data: -1,
      payload: -1,
      imports: -1,
      exports: -1,
      wildcards: true,
      conn: -1,
      leaf: -1,
      mem_storage: -1,
      disk_storage: -1,
      streams: -1,
      consumer: -1,
    };
    const operatorJwt = jwt(operator, operator, 'op', { type: 'operator' });
    const accountJwt = jwt(operator, account, 'acc', { type: 'account', limits });
    const systemJwt = jwt(operator, system, 'sys', {
      type: 'account',
      limits: { ...limits, mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 },
    });
    const preload = `${account.getPublicKey()}: ${accountJwt}, ${system.getPublicKey()}: ${systemJwt}`;
    const userJwt = jwt(account, user, 'usr', { type: 'user', pub: {}, sub: {}, subs: -1, data: -1, payload: -1 });
    const { url, nodes } = await start({
      config: `operator: ${operatorJwt}\nsystem_account: ${system.getPublicKey()}\nresolver: MEMORY\nresolver_preload: { ${preload} }`,
    });
    const path = join(nodes[0]?.directory as string, 'user.creds');
    const seed = new TextDecoder().decode(user.getSeed());
    await writeFile(
      path,
      `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    );
    await works({ servers: [url], auth: { credentials: path } });
    expect(await answer({ servers: [url], auth: { credentials: `${path}.none` } })).toBe('SLUICE_NATS_CREDENTIALS');
    await writeFile(path, 'nothing');
    expect(await answer({ servers: [url], auth: { credentials: path } })).toBe('SLUICE_NATS_CREDENTIALS');
  });

  it('TLS: verified by the given authority, and never skipped', async () => {
    const { url, certificates } = await start({ tls: true });
    const { ca } = certificates as { ca: string };
    await works({ servers: [url], tls: { ca } });
    await works({ servers: [url.replace('nats://127.0.0.1', 'tls://localhost')], tls: { ca } });
    expect(await answer({ servers: [url] })).toBe('SLUICE_NATS_TLS');
    expect(await answer({ servers: [url], tls: { ca, serverName: 'nats.example' } })).toBe('SLUICE_NATS_TLS');
    expect(await answer({ servers: [url], tls: { ca: `${ca}.none` } })).toBe('SLUICE_NATS_TLS_FILE');
  });

  it('TLS with a client certificate', async () => {
    const { url, certificates } = await start({ tls: 'verify' });
    const { ca, clientCert, clientKey } = certificates as { ca: string; clientCert: string; clientKey: string };
    await works({ servers: [url], tls: { ca, cert: clientCert, key: clientKey } });
    expect(await answer({ servers: [url], tls: { ca } })).toBe('SLUICE_NATS_TLS');
  });

  it('TLS asked of a server without it is an error, never plain text', async () => {
    const { url } = await start({ own: true });
    expect(await answer({ servers: [url], tls: {} })).toBe('SLUICE_NATS_TLS');
    expect(await answer({ servers: [url.replace('nats:', 'tls:')] })).toBe('SLUICE_NATS_TLS');
  });

  it('a host that cannot be reached is an error that is tried again; of several servers one is enough', async () => {
    const { url } = await start({ own: true });
    const { sink } = natsSink({ servers: ['nats://127.0.0.1:1'], stream: 'S' });
    await expect(sink.preflight([], unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_UNREACHABLE',
      kind: { retry: 'auto' },
      message: expect.stringContaining('127.0.0.1:1: connection refused'),
    });
    await works({ servers: ['nats://127.0.0.1:1', url] });
  });

  it('a subject that the user may not publish to is a typed stop, at once', async () => {
    const permissions = '{ publish: ["$JS.API.>"], subscribe: [">"] }';
    const { url } = await start({ config: `authorization { users: [ { user: a, password: b, permissions: ${permissions} } ] }` });
    const { sink } = natsSink({ servers: [url], stream: 'S', auth: { user: 'a', password: 'b' } });
    await sink.open(null, unlimited);
    await expect(sink.write(batch, unlimited)).rejects.toMatchObject({
      code: 'SLUICE_NATS_PERMISSION',
      message: expect.stringContaining('publish to "shop.public.orders"'),
    });
    await sink.close();
  });

  it('an API that the user may not call is a typed stop', async () => {
    const { url } = await start({
      config: 'authorization { users: [ { user: a, password: b, permissions: { publish: ["shop.>"], subscribe: [">"] } } ] }',
    });
    expect(await answer({ servers: [url], auth: { user: 'a', password: 'b' } })).toBe('SLUICE_NATS_PERMISSION');
  });

  it('an account without JetStream is a typed stop', async () => {
    const config = 'accounts { A { users: [ { user: a, password: b } ] }, B { jetstream: enabled, users: [ { user: c, password: d } ] } }';
    const { url } = await start({ config });
    expect(await answer({ servers: [url], auth: { user: 'a', password: 'b' } })).toBe('SLUICE_NATS_JETSTREAM_DISABLED');
  });

  it('a password that is changed while it runs is a typed stop', async () => {
    const running = await start({ config: 'authorization { user: sluice, password: "s3cret" }' });
    const { sink } = natsSink({ servers: [running.url], stream: 'S', auth: { user: 'sluice', password: 's3cret' } });
    await sink.open(null, unlimited);
    await sink.write(batch, unlimited);
    await running.stop();
    const { readFile } = await import('node:fs/promises');
    const path = join(running.nodes[0]?.directory as string, 'nats.conf');
    await writeFile(path, (await readFile(path, 'utf8')).replace('s3cret', 'changed'));
    const pending = expect(
      sink.write(messageBatch(series({ connector: 'shop', destinations: ['shop.public.orders'] }, 10, 20)), unlimited),
    ).rejects.toMatchObject({ code: 'SLUICE_NATS_AUTH' });
    await running.start();
    await pending;
    await sink.close();
  });
});
