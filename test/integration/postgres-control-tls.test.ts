/** TLS as libpq's modes mean it, and passwords that are not given away (security.md 5). */
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectClient, endClient } from '../../connectors/postgres/client.ts';
import type { PostgresConfig } from '../../connectors/postgres/config.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import { type Certificates, makeCertificates, type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { postgresConfig, rejection } from '../support/postgres-source.ts';

const runtime = nodeRuntime();
const major = availableMajors.at(-1);
/** As the protocol's SSLRequest (manual, 55.7). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

describe.runIf(major !== undefined)('connecting', () => {
  let server: PostgresServer;
  let own: Certificates;
  let foreign: Certificates;

  beforeAll(async () => {
    server = await startPostgres({
      major: major as NonNullable<typeof major>,
      tls: true,
      settings: { listen_addresses: '0.0.0.0', password_encryption: 'scram-sha-256' },
      hba: [
        'hostssl all scram 0.0.0.0/0 scram-sha-256',
        'hostssl replication scram 0.0.0.0/0 scram-sha-256',
        'host all plain 0.0.0.0/0 password',
        'host all digest 0.0.0.0/0 md5',
        'hostssl all sluice 0.0.0.0/0 cert',
        'host all trusted 127.0.0.1/32 trust',
      ],
    });
    own = server.certificates as Certificates;
    foreign = await makeCertificates(join(server.directory, 'foreign'));
    await server.query(
      `CREATE ROLE scram LOGIN REPLICATION PASSWORD 'right'; CREATE ROLE plain LOGIN PASSWORD 'right'; CREATE ROLE sluice LOGIN; CREATE ROLE trusted LOGIN;
       SET password_encryption = 'md5'; CREATE ROLE digest LOGIN PASSWORD 'right'`,
    );
  });

  afterAll(() => server.dispose());

  function config(
    user: string,
    tls: PostgresConfig['tls'],
    host = 'localhost',
    port = server.port,
    password: string | null = 'right',
  ): PostgresConfig {
    return postgresConfig(`postgres://${user}@${host}:${port}/postgres`, password === null ? { tls } : { tls, password });
  }

  async function session(from: PostgresConfig, replication = false): Promise<{ ssl: boolean }> {
    const client = await connectClient(from, { applicationName: 'test', runtime, replication });
    const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    await endClient(client);
    return rows[0] as { ssl: boolean };
  }

  const code = async (from: PostgresConfig): Promise<string> => {
    const error = await rejection(connectClient(from, { applicationName: 'test', runtime }));
    expect(`${error.message} ${error.remedy}`).not.toContain('right');
    return error.code;
  };

  it('verify-full with the right authority and name, both kinds of connection', async () => {
    expect(await session(config('scram', { mode: 'verify-full', ca: own.ca }))).toEqual({ ssl: true });
    expect(await session(config('scram', { mode: 'verify-full', ca: own.ca }), true)).toEqual({ ssl: true });
    // By IP address, and with the PEM text itself.
    expect(await session(config('scram', { mode: 'verify-full', ca: readFileSync(own.ca, 'utf8') }, '127.0.0.1'))).toEqual({ ssl: true });
  });

  it('a host that is not this machine gets verify-full without being asked for', async () => {
    expect(await code(config('scram', {}, '0.0.0.0'))).toBe('SLUICE_PG_TLS');
  });

  it('a wrong authority, the machine’s own, and a wrong name are refused', async () => {
    expect(await code(config('scram', { mode: 'verify-full', ca: foreign.ca }))).toBe('SLUICE_PG_TLS');
    expect(await code(config('scram', { mode: 'verify-full' }))).toBe('SLUICE_PG_TLS');
    expect(await code(config('scram', { mode: 'verify-ca', ca: foreign.ca }))).toBe('SLUICE_PG_TLS');
    expect(await code(config('scram', { mode: 'require', ca: foreign.ca }))).toBe('SLUICE_PG_TLS');
    expect(await code(config('scram', { mode: 'verify-full', ca: own.ca }, '0.0.0.0'))).toBe('SLUICE_PG_TLS');
    expect(await code(config('scram', { mode: 'verify-full', ca: own.ca, serverName: 'db.internal' }))).toBe('SLUICE_PG_TLS');
  });

  it('verify-ca does not look at the name; serverName is the name that verify-full looks for', async () => {
    expect(await session(config('scram', { mode: 'verify-ca', ca: own.ca }, '0.0.0.0'))).toEqual({ ssl: true });
    expect(await session(config('scram', { mode: 'verify-full', ca: own.ca, serverName: 'localhost' }, '0.0.0.0'))).toEqual({ ssl: true });
    expect(await session(config('scram', { mode: 'require' }, '0.0.0.0'))).toEqual({ ssl: true });
  });

  it('a client certificate', async () => {
    const tls = { mode: 'verify-full', ca: own.ca } as const;
    const connect = (certificate: Partial<PostgresConfig['tls']>) => config('sluice', { ...tls, ...certificate }, 'localhost', server.port, null);
    expect(await session(connect({ cert: own.clientCert, key: own.clientKey }))).toEqual({ ssl: true });
    expect(await code(connect({}))).toBe('SLUICE_PG_NOT_ADMITTED');
    // Signed by another authority: the server breaks the handshake off.
    await rejection(connectClient(connect({ cert: foreign.clientCert, key: foreign.clientKey }), { applicationName: 'test', runtime }));
  });

  it('files that are missing or no PEM are named', async () => {
    expect(await code(config('scram', { mode: 'verify-full', ca: '/nowhere/ca.pem' }))).toBe('SLUICE_PG_TLS_FILE');
    expect(await code(config('scram', { mode: 'verify-full', ca: '/etc/hostname' }))).toBe('SLUICE_PG_TLS_FILE');
    expect(await code(config('scram', { mode: 'verify-full', ca: '/etc' }))).toBe('SLUICE_PG_TLS_FILE');
  });

  it('a wrong password and none', async () => {
    const tls = { mode: 'verify-full', ca: own.ca } as const;
    const wrong = await rejection(connectClient(config('scram', tls, 'localhost', server.port, 'wrong'), { applicationName: 'test', runtime }));
    expect([wrong.code, wrong.kind.exit]).toEqual(['SLUICE_PG_AUTHENTICATION', 2]);
    process.env['PGPASSWORD'] = 'right';
    // Not even from the environment, where nobody who reads the connector file would look for it.
    expect(await code(config('scram', tls, 'localhost', server.port, null))).toBe('SLUICE_PG_PASSWORD_MISSING');
    delete process.env['PGPASSWORD'];
  });

  it('a password goes out in clear text or as MD5 only to a verified server or on this machine', async () => {
    for (const user of ['plain', 'digest']) {
      expect(await code(config(user, { mode: 'require' }, '0.0.0.0'))).toBe('SLUICE_PG_WEAK_AUTHENTICATION');
      expect(await code(config(user, { mode: 'disable' }, '0.0.0.0'))).toBe('SLUICE_PG_WEAK_AUTHENTICATION');
      expect(await session(config(user, { mode: 'verify-ca', ca: own.ca }, '0.0.0.0'))).toEqual({ ssl: true });
      expect(await session(config(user, {}, '127.0.0.1'))).toEqual({ ssl: false });
    }
  });

  it('the server asks for TLS where none is used: the remedy says so', async () => {
    const error = await rejection(connectClient(config('scram', {}, '127.0.0.1'), { applicationName: 'test', runtime }));
    expect(error.code).toBe('SLUICE_PG_NOT_ADMITTED');
    expect(error.remedy).toContain('"tls": {"mode": "verify-full"}');
  });

  /** Accepts connections on a port of its own; what is open at the end is closed. */
  async function listen(handle: (socket: Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
    const sockets = new Set<Socket>();
    const listener: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      handle(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const close = (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => void listener.close(() => resolve()));
    };
    return { port: (listener.address() as AddressInfo).port, close };
  }

  it('a stripped SSLRequest: no fall-back to plain text', async () => {
    for (const mode of ['require', 'verify-full'] as const) {
      const seen: Buffer[] = [];
      const attacker = await listen((socket) => {
        socket.on('data', (bytes) => {
          seen.push(bytes);
          socket.write('N');
        });
      });
      expect(await code(config('scram', { mode, ...(mode === 'require' ? {} : { ca: own.ca }) }, 'localhost', attacker.port))).toBe(
        'SLUICE_PG_TLS_REFUSED',
      );
      expect(Buffer.concat(seen)).toEqual(SSL_REQUEST);
      await attacker.close();
    }
  });

  it('plain text put in before the handshake is an error (CVE-2021-23222)', async () => {
    const attacker = await listen((socket) => {
      // AuthenticationOk and ReadyForQuery behind the yes to TLS, in one packet.
      socket.once('data', () => socket.write(Buffer.concat([Buffer.from('S'), Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])])));
    });
    expect(await code(config('scram', { mode: 'require' }, 'localhost', attacker.port))).toBe('SLUICE_PG_TLS');
    await attacker.close();
  });

  it('channel binding: a man in the middle with a certificate of his own is noticed even in mode require', async () => {
    const upstreams: Socket[] = [];
    const attacker = await listen((socket) => {
      socket.once('data', () => {
        socket.write('S');
        const inside = new TLSSocket(socket, { isServer: true, cert: readFileSync(foreign.cert), key: readFileSync(foreign.key) });
        inside.on('error', () => undefined);
        const raw = connect(server.port, '127.0.0.1', () => raw.write(SSL_REQUEST));
        upstreams.push(raw);
        raw.once('data', () => {
          const upstream = connectTls({ socket: raw, rejectUnauthorized: false });
          upstream.on('error', () => undefined);
          inside.pipe(upstream).pipe(inside);
        });
      });
    });
    const through = config('scram', { mode: 'require' }, 'localhost', attacker.port);
    const error = await rejection(connectClient(through, { applicationName: 'test', runtime }));
    expect([error.code, error.message]).toEqual(['SLUICE_PG_TLS', expect.stringContaining('channel binding')]);
    // Without a password to bind, he is not noticed: that is what `require` means, and why it must be spelled out.
    expect(await session(config('trusted', { mode: 'require' }, 'localhost', attacker.port, null))).toEqual({ ssl: true });
    await attacker.close();
    for (const raw of upstreams) raw.destroy();
  });

  it('every session has the settings under which values are read, whatever the role says', async () => {
    await server.query(
      `ALTER ROLE scram SET DateStyle = 'German'; ALTER ROLE scram SET TimeZone = 'Asia/Tokyo'; ALTER ROLE scram SET row_security = on; ALTER ROLE scram SET bytea_output = 'escape'`,
    );
    for (const replication of [false, true]) {
      const client = await connectClient(config('scram', { mode: 'require' }), { applicationName: 'test', runtime, replication });
      const show = async (name: string): Promise<unknown> => Object.values((await client.query(`SHOW ${name}`)).rows[0] as object)[0];
      const names = ['DateStyle', 'TimeZone', 'IntervalStyle', 'extra_float_digits', 'bytea_output', 'lc_monetary', 'row_security'];
      const values: unknown[] = [];
      for (const name of names) values.push(await show(name));
      expect(values).toEqual(['ISO, YMD', 'UTC', 'postgres', '3', 'hex', 'C', 'off']);
      await endClient(client);
    }
  });
});
