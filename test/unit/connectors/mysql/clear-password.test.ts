/** A server that asks for the password in clear text, as Amazon RDS does for its tokens (plug-in mysql_clear_password): it gets it only where it is known who asks (security.md 5). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../../../../connectors/mysql/client.ts';
import type { MysqlConfig } from '../../../../connectors/mysql/config.ts';
import { type Certificates, makeCertificates } from '../../../servers/certificates.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const { runtime } = pluginContext();
const [PLUGIN_AUTH, SSL, SECURE, PROTOCOL_41, LENENC] = [0x80000, 0x800, 0x8000, 0x200, 0x200000];
/** As long as Amazon's. */
const TOKEN = `db.internal:3306/?Action=connect&X-Amz-Signature=${'a'.repeat(1500)}`;

let directory: string;
let certificates: Certificates;
let server: Server;
let secureContext: SecureContext;
/** What came in answer to the question for the password. */
let answers: string[] = [];

function packet(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, payload]);
}

/** The server's protocol, Connection Phase: HandshakeV10, then AuthSwitchRequest. */
function greeting(): Buffer {
  const capabilities = PLUGIN_AUTH | SSL | SECURE | PROTOCOL_41 | LENENC;
  const fixed = Buffer.alloc(31);
  fixed.writeUInt32LE(7, 0);
  fixed.fill(1, 4, 12);
  fixed.writeUInt16LE(capabilities & 0xffff, 13);
  fixed[15] = 45;
  fixed.writeUInt16LE(2, 16);
  fixed.writeUInt16LE(capabilities >>> 16, 18);
  fixed[20] = 21;
  return packet(0, Buffer.concat([Buffer.from('\x0a9.7.0\0'), fixed, Buffer.from('222222222222\0mysql_native_password\0')]));
}

/** Packets of a stream, as they come. */
async function* packets(stream: Socket): AsyncGenerator<Buffer, undefined> {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk as Buffer]);
    for (let end = lengthOf(held); held.length >= end; end = lengthOf(held)) {
      yield Buffer.from(held.subarray(0, end));
      held = held.subarray(end);
    }
  }
  return undefined;
}

function lengthOf(held: Buffer): number {
  return held.length < 4 ? 4 : 4 + held.readUIntLE(0, 3);
}

async function serve(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.write(greeting());
  // No more than the one packet: what the client says next may be TLS.
  const first = await new Promise<Buffer>((resolve) => {
    socket.once('readable', () => {
      const head = socket.read(4) as Buffer;
      resolve(Buffer.concat([head, socket.read(head.readUIntLE(0, 3)) as Buffer]));
    });
  });
  const isEncrypted = (first.readUInt32LE(4) & SSL) !== 0;
  const stream = isEncrypted ? new TLSSocket(socket, { isServer: true, secureContext }) : socket;
  stream.on('error', () => undefined);
  const coming = packets(stream);
  const response = isEncrypted ? ((await coming.next()).value as Buffer) : first;
  stream.write(packet((response[3] as number) + 1, Buffer.from('\xfemysql_clear_password\0', 'latin1')));
  const { value } = await coming.next();
  if (value === undefined) return;
  answers.push(value.subarray(4).toString());
  stream.write(packet((value[3] as number) + 1, Buffer.from([0, 0, 0, 2, 0, 0, 0])));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-clear-'));
  certificates = await makeCertificates(directory);
  secureContext = createSecureContext({ cert: await readFile(certificates.cert), key: await readFile(certificates.key) });
  server = createServer((socket) => void serve(socket).catch(() => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

async function connect(tls: MysqlConfig['tls']): Promise<unknown> {
  answers = [];
  const url = `mysql://sluice@localhost:${(server.address() as AddressInfo).port}`;
  const config = { url, password: { command: ['/bin/echo', TOKEN], timeout: 5_000 }, tls, connectTimeout: 3_000, tables: ['a.b'], snapshot: {} };
  try {
    (await Client.connect(config as unknown as MysqlConfig, runtime)).close();
    return 'connected';
  } catch (error) {
    return error;
  }
}

describe('a password in clear text', () => {
  it.each(['verify-full', 'verify-ca', 'require'] as const)('goes over TLS that verifies the server: %s with an authority', async (mode) => {
    expect(await connect({ mode, ca: certificates.ca })).toBe('connected');
    expect(answers).toEqual([`${TOKEN}\0`]);
  });

  it.each<MysqlConfig['tls']>([{ mode: 'require' }, { mode: 'disable' }, {}])('does not go where the other end may be anybody: %j', async (tls) => {
    const error = await connect(tls);
    expect(error).toMatchObject({ code: 'SLUICE_MYSQL_CLEAR_PASSWORD', remedy: expect.stringContaining('verify-full') });
    expect(String(error)).not.toContain('X-Amz');
    expect(answers).toEqual([]);
  });
});
