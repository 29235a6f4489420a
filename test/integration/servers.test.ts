/** The test servers themselves: all of them start, answer, come back, and leave nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { type FaultProxy, type NatsServer, type PostgresServer, startNats, startPostgres, startProxy } from '../servers/index.ts';
import { isRunning } from '../servers/process.ts';
import { availableMajors, natsAvailable } from '../support/available-servers.ts';
import { findLeaks, findSlots, leakBaseline } from '../support/leaks.ts';

const started: (PostgresServer | NatsServer)[] = [];
const keep = <T extends PostgresServer | NatsServer>(server: T): T => {
  started.push(server);
  return server;
};

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.dispose()));
});

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  it('starts with a log to read, survives kill -9 and restarts on its port, and leaves nothing behind', async () => {
    const server = keep(await startPostgres({ major, own: true }));
    expect(Number.parseInt(server.version, 10)).toBe(major);
    expect(await server.query('SHOW wal_level')).toEqual([{ wal_level: 'logical' }]);
    const database = await server.createDatabase();
    await server.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput'); CREATE TABLE t (a int); INSERT INTO t VALUES (7)", database);
    expect(await findSlots(server)).toEqual([`replication slot s on PostgreSQL ${major}`]);
    const { pid, port } = server;
    await server.stop('kill');
    expect(server.running).toBe(false);
    await server.start();
    expect(server.pid).not.toBe(pid);
    expect(server.port).toBe(port);
    expect(await server.query('SELECT a FROM t', database)).toEqual([{ a: 7 }]);
    await server.restart('fast', { max_connections: 17 });
    expect(await server.query('SHOW max_connections')).toEqual([{ max_connections: '17' }]);
    const last = server.pid;
    await server.dispose();
    expect(isRunning(last)).toBe(false);
    expect(existsSync(server.directory)).toBe(false);
  });
});

describe.runIf(availableMajors.length > 0)('a PostgreSQL with options', () => {
  const major = availableMajors.at(-1) ?? 18;

  it('asks for passwords and speaks TLS', async () => {
    const server = keep(await startPostgres({ major, tls: true, password: true }));
    await server.query("CREATE ROLE reader LOGIN REPLICATION PASSWORD 'right'");
    const ssl = { ca: readFileSync(server.certificates?.ca as string, 'utf8') };
    const attempt = async (password: string) => {
      const client = new pg.Client({ connectionString: server.url('postgres', { user: 'reader', password }), ssl });
      try {
        await client.connect();
        return (await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows;
      } finally {
        await client.end().catch(() => undefined);
      }
    };
    expect(await attempt('right')).toEqual([{ ssl: true }]);
    await expect(attempt('wrong')).rejects.toThrow('password authentication failed');
  });

  it('can be frozen and woken, all its processes', async () => {
    const server = keep(await startPostgres({ major, own: true }));
    const client = await server.connect();
    server.signal('SIGSTOP');
    const answer = client.query('SELECT 1 AS one');
    expect(await Promise.race([answer, sleep(300, 'nothing')])).toBe('nothing');
    server.signal('SIGCONT');
    expect((await answer).rows).toEqual([{ one: 1 }]);
    await client.end();
  });
});

describe.runIf(natsAvailable)('NATS', () => {
  const store = async (server: NatsServer, replicas: number) => {
    const connection = await connectNats({ servers: [...server.urls] });
    try {
      const manager = await jetstreamManager(connection);
      await manager.streams.add({ name: 'S', subjects: ['s.>'], num_replicas: replicas });
      // The replicas of a stream that was just made may not have chosen their leader yet: nobody answers then.
      const publish = () => jetstream(connection).publish('s.a', 'x');
      return (await publish().catch(() => sleep(1_000, null).then(publish))).seq;
    } finally {
      await connection.close();
    }
  };

  it('starts with JetStream and keeps its streams through kill -9 and a restart on its port', async () => {
    const server = keep(await startNats({ own: true, maxPayloadBytes: 2048 }));
    expect(await store(server, 1)).toBe(1);
    const { pid, port } = server;
    await server.restart('kill');
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    const connection = await connectNats({ servers: server.url });
    expect(connection.info?.max_payload).toBe(2048);
    expect((await (await jetstreamManager(connection)).streams.info('S')).state.messages).toBe(1);
    await connection.close();
    const last = server.pid;
    await server.dispose();
    expect(isRunning(last)).toBe(false);
    expect(existsSync(server.storeDir)).toBe(false);
  });

  it('starts as a cluster of three that loses a node and goes on', async () => {
    const server = keep(await startNats({ cluster: 3 }));
    expect(server.nodes.map((node) => node.version)).toEqual([server.version, server.version, server.version]);
    expect(await store(server, 3)).toBe(1);
    await server.nodes[2]?.kill();
    await server.nodes[2]?.start();
    expect(server.nodes.every((node) => isRunning(node.pid))).toBe(true);
  });

  it('asks for users and for client certificates', async () => {
    const server = keep(await startNats({ tls: 'verify', config: 'authorization { user: a, password: b }' }));
    const { ca, clientCert, clientKey } = server.certificates as NonNullable<NatsServer['certificates']>;
    const tls = { caFile: ca, certFile: clientCert, keyFile: clientKey };
    const connection = await connectNats({ servers: `localhost:${server.port}`, user: 'a', pass: 'b', tls });
    expect(connection.info?.tls_required).toBe(true);
    await connection.close();
    await expect(connectNats({ servers: `localhost:${server.port}`, user: 'a', pass: 'c', tls, reconnect: false })).rejects.toThrow(/authorization/i);
  });
});

describe.runIf(natsAvailable && availableMajors.length > 0)('the guardian', () => {
  it('ends the servers and removes their files when the process that started them is killed', async () => {
    const script = `
      const { startPostgres, startNats } = await import('./test/servers/index.ts');
      const a = await startPostgres({ major: ${availableMajors[0]}, own: true });
      const b = await startNats({ own: true });
      a.signal('SIGSTOP');
      console.log(JSON.stringify({ pids: [a.pid, b.pid], directories: [a.directory, b.nodes[0].directory] }));
      setInterval(() => {}, 1000);`;
    const child: ChildProcess = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', script]);
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout?.once('data', (chunk) => resolve(String(chunk)));
      child.once('exit', (code) => reject(new Error(`ended with ${code}`))); // After the line: nobody listens any more.
    });
    const { pids, directories } = JSON.parse(line) as { pids: number[]; directories: string[] };
    expect(pids.every(isRunning)).toBe(true);
    child.kill('SIGKILL');
    await expect.poll(() => pids.some(isRunning) || directories.some(existsSync), { timeout: 10_000 }).toBe(false);
  });
});

describe('the leak check', () => {
  it('sees a child process, a socket and a timer that were left', async () => {
    const baseline = leakBaseline();
    const child = spawn('sleep', ['30']);
    const server = await startProxy('127.0.0.1:9');
    const timer = setTimeout(() => undefined, 30_000);
    const leaks = (await findLeaks(baseline, 0)).join('\n');
    expect(leaks).toContain('sleep 30');
    expect(leaks).toContain('TCPServerWrap');
    expect(leaks).toContain('Timeout');
    child.kill('SIGKILL');
    clearTimeout(timer);
    await server.close();
    expect(await findLeaks(baseline)).toEqual([]);
  });
});

describe.runIf(natsAvailable)('the proxy', () => {
  const ask = (proxy: FaultProxy, timeoutMs: number) =>
    new Promise<string>((resolve) => {
      const socket = connect(proxy.port, proxy.host);
      const end = (what: string) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(what);
      };
      const timer = setTimeout(() => end('silence'), timeoutMs);
      socket.on('data', (chunk) => end(chunk.toString('utf8').split(' ')[0] as string));
      socket.on('error', () => end('reset'));
      socket.on('close', () => end('closed'));
    });

  it('lets what a server has sent arrive before its end of the connection does, however slowly', async () => {
    const said = 'goodbye';
    const server = createServer((socket) => socket.end(said));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = await startProxy(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const heard = () =>
      new Promise<string>((resolve) => {
        let text = '';
        connect(proxy.port, proxy.host)
          .on('data', (chunk) => {
            text += chunk;
          })
          .on('close', () => resolve(text));
      });
    proxy.split();
    expect(await heard()).toBe(said);
    proxy.heal();
    proxy.delay(100);
    expect(await heard()).toBe(said);
    await expect.poll(() => proxy.open).toBe(0);
    await proxy.close();
    server.close();
  });

  it('passes, refuses, swallows, splits, delays and cuts', async () => {
    const server = keep(await startNats());
    const proxy = await startProxy(server.url);
    expect(new URL(proxy.through(server.url)).port).toBe(String(proxy.port));
    expect(await ask(proxy, 5_000)).toBe('INFO');
    proxy.refuse();
    expect(await ask(proxy, 5_000)).toBe('reset');
    proxy.heal();
    proxy.blackhole();
    expect(await ask(proxy, 200)).toBe('silence');
    proxy.heal();
    proxy.blackhole('server');
    expect(await ask(proxy, 200)).toBe('silence');
    proxy.heal();
    // The server speaks first.
    proxy.blackhole('client');
    expect(await ask(proxy, 5_000)).toBe('INFO');
    proxy.heal();
    proxy.split();
    expect(await ask(proxy, 5_000)).toBe('I');
    proxy.heal();
    proxy.delay(60_000);
    expect(await ask(proxy, 200)).toBe('silence');
    proxy.delay(10);
    expect(await ask(proxy, 5_000)).toBe('INFO');
    proxy.heal();
    proxy.throttle(50);
    expect(await ask(proxy, 300)).toBe('silence');
    proxy.heal();
    proxy.cutAfter(2);
    expect(await ask(proxy, 5_000)).toBe('IN');
    expect(proxy.accepted).toBe(10);
    await proxy.close();
    expect(proxy.open).toBe(0);
  });
});
