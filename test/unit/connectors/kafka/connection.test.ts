import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate, ConnectionOptions as TlsOptions } from 'node:tls';
import type { AuthenticationProviderArgs, Mechanism } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KafkaConfig } from '../../../../connectors/kafka/config.ts';
import { kafkajsSecurity, platformaticSecurity, Tokens } from '../../../../connectors/kafka/connection.ts';
import { SluiceError } from '../../../../src/plugin/error.ts';
import { type Certificates, makeCertificates } from '../../../servers/certificates.ts';
import { pluginContext } from '../../../support/plugin-context.ts';

const context = pluginContext();
const config = (options: Pick<KafkaConfig, 'tls' | 'sasl'>): KafkaConfig => options as KafkaConfig;

let directory: string;
let certificates: Certificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-kafka-'));
  certificates = await makeCertificates(directory);
});

afterAll(() => rm(directory, { recursive: true }));

describe('TLS', () => {
  it('certificates are verified, against the host or the name that is given; an address is no name for the handshake', async () => {
    const { ca, clientCert: cert, clientKey: key } = certificates;
    const named = await platformaticSecurity(config({ tls: { ca, cert, key, serverName: 'localhost' } }), context, 'k1');
    expect(named).toMatchObject({ tlsServerName: false, tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2', servername: 'localhost' } });
    const verify = named.tls?.checkServerIdentity as (host: string, certificate: PeerCertificate) => Error | undefined;
    const certificate = { subject: { CN: 'x' }, subjectaltname: 'DNS:localhost' } as PeerCertificate;
    expect(verify('k1', certificate)).toBeUndefined();
    expect(verify('k1', { ...certificate, subjectaltname: 'DNS:k1' })).toBeInstanceOf(Error);
    expect((await platformaticSecurity(config({ tls: {} }), context, 'k1')).tlsServerName).toBe(true);
    expect((await platformaticSecurity(config({ tls: {} }), context, '10.0.0.1')).tlsServerName).toBe(false);
    const { ssl } = await kafkajsSecurity(config({ tls: { ca, serverName: '10.0.0.1' } }), context);
    expect(ssl).toMatchObject({ rejectUnauthorized: true, servername: '' });
    expect(String((ssl as TlsOptions).ca)).toContain('BEGIN CERTIFICATE');
    expect(await kafkajsSecurity(config({}), context)).toEqual({});
  });

  it.each<[string, () => Promise<NonNullable<KafkaConfig['tls']>>, string]>([
    ['a file that is not there', async () => ({ ca: '/no/such/file' }), 'The file "/no/such/file" of "tls.ca" does not exist.'],
    ['a directory', async () => ({ ca: directory }), 'cannot be read (EISDIR)'],
    [
      'no PEM',
      async () => {
        await writeFile(join(directory, 'der'), 'x');
        return { ca: join(directory, 'der') };
      },
      'is not PEM',
    ],
    ['another key', async () => ({ cert: certificates.clientCert, key: certificates.key }), 'of "tls.key" cannot be used'],
  ])('%s is a typed error', async (_what, tls, says) => {
    const error = await kafkajsSecurity(config({ tls: await tls() }), context).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SluiceError);
    expect(error).toMatchObject({ code: 'SLUICE_KAFKA_TLS_FILE', message: expect.stringContaining(says) });
  });

  it('files are read again for each connection', async () => {
    const path = join(directory, 'replaced');
    for (const from of [certificates.ca, certificates.cert]) {
      await copyFile(from, path);
      const { ssl } = await kafkajsSecurity(config({ tls: { ca: path } }), context);
      expect((ssl as TlsOptions).ca).toBe(await readFile(from, 'utf8'));
    }
  });
});

describe('SASL', () => {
  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('%s', async (mechanism) => {
    const sasl = { mechanism, user: 'u', password: 'p' };
    expect((await platformaticSecurity(config({ sasl }), context)).sasl).toEqual({
      mechanism: mechanism.toUpperCase(),
      username: 'u',
      password: 'p',
    });
    expect((await kafkajsSecurity(config({ sasl }), context)).sasl).toEqual({ mechanism, username: 'u', password: 'p' });
  });

  it('a token is asked for with each authentication, and a broker that does not take it is understood', async () => {
    const sasl = { mechanism: 'oauthbearer', token: { command: [process.execPath, '-e', 'console.log("a.b.c")'], timeout: 10_000 } } as const;
    const { token, authBytesValidator } = (await platformaticSecurity(config({ sasl }), context)).sasl ?? {};
    expect(await (token as () => Promise<string>)()).toBe('a.b.c');
    const answers: unknown[] = [];
    authBytesValidator?.(Buffer.alloc(0), (error) => answers.push(error));
    authBytesValidator?.(Buffer.from('{"status":"invalid_token"}'), (error) => answers.push(error));
    expect(answers).toEqual([null, expect.objectContaining({ code: 'PLT_KFK_AUTHENTICATION' })]);

    const mechanism = (await kafkajsSecurity(config({ sasl }), context)).sasl as Mechanism;
    const authenticate = (answer: string): Promise<void> =>
      mechanism
        .authenticationProvider({
          saslAuthenticate: async ({ request, response }) => {
            expect((await request.encode()).toString('latin1')).toBe('\0\0\0\x17n,,\x01auth=Bearer a.b.c\x01\x01');
            return response?.parse(await response.decode(Buffer.from(`\0\0\0\x01${answer}`)));
          },
        } as AuthenticationProviderArgs)
        .authenticate();
    await authenticate('');
    await expect(authenticate('{"status":"invalid_token"}')).rejects.toMatchObject({ code: 'SASL_AUTHENTICATION_FAILED' });
  });
});

describe('tokens', () => {
  const jwt = (exp: unknown): string => `${Buffer.from('{}').toString('base64url')}.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.`;
  const tokens = (printed: string): Tokens => new Tokens('', { nowMicros: () => 1000e6, credentials: { get: () => Promise.resolve(printed) } });

  it('are taken as they are, or out of a JSON object', async () => {
    expect(await tokens('abc.def\n').get()).toBe('abc.def');
    expect(await tokens('{"access_token":"t","expires_in":1}').get()).toBe('t');
  });

  it.each([
    ['', 'there is none'],
    ['{broken', 'there is none'],
    ['{"access_token":1}', 'there is none'],
    ['canary with spaces', 'signs that no token has'],
  ])('%j is none, and is not shown (I12)', async (printed, says) => {
    const error = await tokens(printed)
      .get()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SLUICE_KAFKA_TOKEN', message: expect.stringContaining(says) });
    expect(String(error)).not.toContain('canary');
  });

  it.each([
    [jwt(940), 'the broker did not accept the token, which by the clock of this machine expired 60 s ago'],
    [jwt(1030), 'the broker did not accept the token, which by the clock of this machine is good for another 30 s'],
    [jwt('soon'), 'the broker did not accept the token'],
    ['abc', 'the broker did not accept the token'],
  ])('%s that was refused: its end is told where it says it (RFC 7519)', async (token, says) => {
    const refused = tokens(token);
    await refused.get();
    expect(refused.refused()).toBe(says);
  });
});
