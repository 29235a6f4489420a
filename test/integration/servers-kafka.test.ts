/** The Kafka test servers: they start, answer, come back, let in whom they should, and leave nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { type FaultProxy, KAFKA_USERS, type KafkaServer, startKafka, startProxy } from '../servers/index.ts';
import { API, overWire, readMetadata, type WireConnection, WireWriter } from '../servers/kafka-protocol.ts';
import { isRunning } from '../servers/process.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { allow, createTopic, describeTopic, readTopic, topicOffsets, writeRecords } from '../support/kafka-topics.ts';

const started: { dispose(): Promise<void> }[] = [];
const keep = <T extends { dispose(): Promise<void> }>(server: T): T => {
  started.push(server);
  return server;
};

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.dispose()));
});

const values = async (server: KafkaServer, topic: string) => (await readTopic(server, topic)).map((record) => String(record.value));

describe.each(availableKafkas)('Kafka %s', (version) => {
  it('keeps its records through kill -9, a stop and a frozen moment, and leaves nothing behind', async () => {
    const server = keep(await startKafka({ version, own: true, settings: { 'message.max.bytes': '2000' } }));
    expect(server.version.startsWith(`${version}.`)).toBe(true);
    await createTopic(server, 'a', { partitions: 2, settings: { 'cleanup.policy': 'compact' } });
    await writeRecords(server, 'a', 1, [
      { key: 'k', value: 'one', headers: { from: 'test' } },
      { key: 'k', value: 'two' },
    ]);
    const [record] = await readTopic(server, 'a');
    expect(record).toMatchObject({ partition: 1, offset: 0n, compression: 'none', producerId: -1n, sequence: -1 });
    expect([String(record?.key), String(record?.value), record?.headers.map(String)]).toEqual(['k', 'one', ['from,test']]);
    await expect(writeRecords(server, 'a', 0, [{ key: 'k', value: 'x'.repeat(3000) }])).rejects.toThrow('error 10'); // MESSAGE_TOO_LARGE
    const { pid, brokers } = server;
    await server.restart('kill');
    expect(server.pid).not.toBe(pid);
    expect(server.brokers).toBe(brokers);
    expect(await values(server, 'a')).toEqual(['one', 'two']);
    await server.restart();
    expect(await topicOffsets(server, 'a')).toEqual([
      { first: 0n, end: 0n },
      { first: 0n, end: 2n },
    ]);
    server.signal('SIGSTOP');
    const ask = (timeoutMs: number) => overWire(brokers[0] as string, (connection) => readMetadata(connection), { timeoutMs });
    await expect(ask(300)).rejects.toThrow('no answer');
    server.signal('SIGCONT');
    expect((await ask(10_000)).brokers).toHaveLength(1);
    const last = server.pid;
    const directory = dirname(server.nodes[0]?.directory as string);
    expect(existsSync(directory)).toBe(true);
    await server.dispose();
    expect(isRunning(last)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });
});

describe.runIf(availableKafkas.length > 0)('a Kafka with options', () => {
  const version = availableKafkas[0] ?? '4';

  it('is a cluster of three that loses a node, writes on and takes it back', async () => {
    const server = keep(await startKafka({ version, cluster: 3 }));
    const ids = [1, 2, 3];
    for (const node of server.nodes) expect((await node.metadata()).brokers.map((broker) => broker.id).sort()).toEqual(ids);
    await createTopic(server, 't', { partitions: 3, settings: { 'min.insync.replicas': '2' } });
    expect((await describeTopic(server, 't')).map((partition) => partition.leader).sort()).toEqual(ids);
    const [lost, ...others] = server.nodes;
    await lost?.kill();
    await expect
      .poll(async () => (await describeTopic(server, 't')).every(({ leader }) => leader === 2 || leader === 3), { timeout: 20_000 })
      .toBe(true);
    for (const partition of [0, 1, 2]) await writeRecords(server, 't', partition, [{ key: null, value: `p${partition}` }]);
    expect(others.every((node) => isRunning(node.pid))).toBe(true);
    await lost?.start();
    await expect.poll(async () => (await describeTopic(server, 't')).every(({ inSync }) => inSync.length === 3), { timeout: 30_000 }).toBe(true);
    expect(await values(server, 't')).toEqual(['p0', 'p1', 'p2']);
  });

  it('tells clients of the proxy before it', async () => {
    const proxies: FaultProxy[] = [];
    const advertise = async ({ port }: { port: number }) => {
      const proxy = await startProxy(`127.0.0.1:${port}`);
      proxies.push(proxy);
      return proxy;
    };
    const server = keep(await startKafka({ version, advertise }));
    const proxy = proxies.at(-1) as FaultProxy;
    expect(server.brokers).toEqual([`127.0.0.1:${proxy.port}`]);
    const { brokers } = await overWire(server.brokers[0] as string, (connection) => readMetadata(connection));
    expect(brokers).toEqual([{ id: 1, host: '127.0.0.1', port: proxy.port }]);
    proxy.refuse();
    await expect(overWire(server.brokers[0] as string, (connection) => readMetadata(connection))).rejects.toThrow(/ECONNRESET|closed/);
    await createTopic(server, 'past-the-proxy');
    await Promise.all(proxies.map((each) => each.close()));
  });

  it('is taken from the environment, and then not controlled', async () => {
    const own = keep(await startKafka({ version, own: true }));
    process.env.SLUICE_TEST_KAFKA_BROKERS = own.brokers.join(',');
    try {
      const server = await startKafka();
      expect(server.brokers).toEqual(own.brokers);
      await createTopic(server, 'a');
      expect(() => server.signal('SIGKILL')).toThrow('named by the environment');
      await server.dispose();
      expect(isRunning(own.pid)).toBe(true);
    } finally {
      delete process.env.SLUICE_TEST_KAFKA_BROKERS;
    }
  });
});

const step = async (connection: WireConnection, bytes: Buffer) => {
  const answer = await connection.request(API.saslAuthenticate, 0, new WireWriter().int32(bytes.length).raw(bytes).done());
  const error = { code: answer.int16(), message: answer.string() };
  if (error.code !== 0) throw new Error(`${error.message}`);
  return answer.take(Math.max(0, answer.int32())).toString();
};

const scram = async (connection: WireConnection, hash: 'sha256' | 'sha512', user: string, password: string) => {
  const nonce = randomBytes(12).toString('hex');
  const first = `n=${user},r=${nonce}`;
  const challenge = await step(connection, Buffer.from(`n,,${first}`));
  const [r, s, i] = challenge.split(',').map((part) => part.slice(2)) as [string, string, string];
  const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), hash === 'sha256' ? 32 : 64, hash);
  const mac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest();
  const key = mac(salted, 'Client Key');
  const last = `c=biws,r=${r}`;
  const signature = mac(createHash(hash).update(key).digest(), `${first},${challenge},${last}`);
  await step(connection, Buffer.from(`${last},p=${Buffer.from(key.map((byte, at) => byte ^ (signature[at] as number))).toString('base64')}`));
};

const sees = async (connection: WireConnection, topic: string) => (await readMetadata(connection, [topic])).topics[0]?.error === 0;

describe.each(availableKafkas)('a secured Kafka %s', (version) => {
  const login = (server: KafkaServer, mechanism: string, user: string, secret: string) => {
    const tls = { ca: readFileSync(server.certificates?.ca as string) };
    return overWire(
      server.saslBrokers[0] as string,
      async (connection) => {
        await connection.request(API.saslHandshake, 1, new WireWriter().string(mechanism).done());
        if (mechanism === 'PLAIN') await step(connection, Buffer.from(`\0${user}\0${secret}`));
        else if (mechanism === 'OAUTHBEARER') await step(connection, Buffer.from(`n,,\x01auth=Bearer ${secret}\x01\x01`));
        else await scram(connection, mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512', user, secret);
        return sees(connection, 'a');
      },
      { tls },
    );
  };

  it('lets users in by password, token and certificate, each to what is allowed', async () => {
    const server = keep(await startKafka({ version, secure: true, tls: 'verify' }));
    await createTopic(server, 'a');
    const [admin, sluice] = KAFKA_USERS as [{ name: string; password: string }, { name: string; password: string }];
    const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'];
    for (const mechanism of mechanisms) {
      expect(await login(server, mechanism, admin.name, admin.password), mechanism).toBe(true);
      expect(await login(server, mechanism, sluice.name, sluice.password), mechanism).toBe(false);
      await expect(login(server, mechanism, sluice.name, 'wrong'), mechanism).rejects.toThrow(/authentication failed/i);
    }
    expect(await login(server, 'OAUTHBEARER', '', server.token('admin'))).toBe(true);
    expect(await login(server, 'OAUTHBEARER', '', server.token('sluice'))).toBe(false);
    const { ca, clientCert, clientKey } = server.certificates as NonNullable<KafkaServer['certificates']>;
    const byCertificate = (more: ConnectionOptions) =>
      overWire(server.sslBrokers[0] as string, (connection) => sees(connection, 'a'), { tls: { ca: readFileSync(ca), ...more } });
    const pair = { cert: readFileSync(clientCert), key: readFileSync(clientKey) };
    await expect(byCertificate({})).rejects.toThrow(/certificate required|bad certificate|ECONNRESET|closed/);
    expect(await byCertificate(pair)).toBe(false);
    await allow(server, { user: 'sluice', resource: 'topic', name: 'a', operations: ['describe'] });
    expect(await byCertificate(pair)).toBe(true);
    await server.setPasswords([{ name: 'sluice', password: 'nü, "=\\' }]);
    await expect(login(server, 'SCRAM-SHA-512', 'sluice', sluice.password)).rejects.toThrow(/authentication failed/i);
    expect(await login(server, 'SCRAM-SHA-256', 'sluice', 'nü, "=\\')).toBe(true);
  });
});

describe.runIf(availableKafkas.length > 0)('the guardian', () => {
  it('ends the broker and removes its files when the process that started it is killed', async () => {
    const script = `
      const { startKafka } = await import('./test/servers/index.ts');
      const server = await startKafka({ version: '${availableKafkas[0]}', own: true });
      console.log(JSON.stringify({ pid: server.pid, directory: server.nodes[0].directory }));
      setInterval(() => {}, 1000);`;
    const child: ChildProcess = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', script]);
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout?.once('data', (chunk) => resolve(String(chunk)));
      child.once('exit', (code) => reject(new Error(`ended with ${code}`))); // After the line: nobody listens any more.
    });
    const { pid, directory } = JSON.parse(line) as { pid: number; directory: string };
    expect(isRunning(pid)).toBe(true);
    child.kill('SIGKILL');
    await expect.poll(() => isRunning(pid) || existsSync(dirname(directory)), { timeout: 10_000 }).toBe(false);
  });
});
