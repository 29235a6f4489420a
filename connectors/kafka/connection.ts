/** TLS and SASL as the clients want them, made anew for each connection: certificates and tokens may be replaced meanwhile. */
import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type PeerCertificate, type ConnectionOptions as TlsOptions } from 'node:tls';
import { AuthenticationError, type ConnectionOptions } from '@platformatic/kafka';
import type { KafkaConfig as KafkajsOptions, Mechanism, SASLOptions } from 'kafkajs';
import { type Credential, type Files, type PluginContext, type Runtime, SluiceError } from '#plugin';
import type { KafkaConfig } from './config.ts';
import { KafkaFailure } from './drivers/driver.ts';
import { noToken, tlsFile } from './errors.ts';

/** Before each of kafkajs' SASL messages. */
const LENGTH_BYTES = 4;
/** RFC 6750: what a bearer token is made of. Anything else would break SASL's own separators. */
const TOKEN = /^[A-Za-z0-9._~+/=-]+$/;

/** For @platformatic/kafka. `host`: which is connected to. */
export async function platformaticSecurity({ tls, sasl }: KafkaConfig, { runtime }: PluginContext, host = ''): Promise<ConnectionOptions> {
  const options: ConnectionOptions = {};
  if (tls !== undefined) {
    options.tls = await tlsOptions(tls, runtime.files);
    // The name in the handshake; the library gives TLS none by itself. An address is no name (RFC 6066 section 3).
    options.tlsServerName = tls.serverName === undefined && isIP(host) === 0;
  }
  if (sasl === undefined) return options;
  if (sasl.mechanism === 'oauthbearer') {
    // Asked for again when the broker wants the connection to authenticate again (KIP-368).
    const tokens = new Tokens(sasl.token ?? '', runtime);
    options.sasl = { mechanism: 'OAUTHBEARER', token: () => tokens.get(), authBytesValidator: refusal(tokens) };
  } else {
    const mechanism = ({ plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const)[sasl.mechanism];
    options.sasl = { mechanism, username: sasl.user ?? '', password: sasl.password ?? '' };
  }
  return options;
}

/** A broker that does not take a token answers without an error code, with a JSON object (RFC 7628 section 3.2.2). */
function refusal(tokens: Tokens): NonNullable<NonNullable<ConnectionOptions['sasl']>['authBytesValidator']> {
  return (bytes, callback) => {
    if (bytes === null || bytes.length === 0) return callback(null, bytes);
    callback(new AuthenticationError(tokens.refused()), bytes);
  };
}

/** For kafkajs. */
export async function kafkajsSecurity({ tls, sasl }: KafkaConfig, { runtime }: PluginContext): Promise<Pick<KafkajsOptions, 'ssl' | 'sasl'>> {
  const options: { ssl?: TlsOptions; sasl?: SASLOptions | Mechanism } = {};
  if (tls !== undefined) options.ssl = await tlsOptions(tls, runtime.files);
  if (sasl === undefined) return options;
  if (sasl.mechanism === 'oauthbearer') options.sasl = bearer(new Tokens(sasl.token ?? '', runtime));
  else options.sasl = { mechanism: sasl.mechanism, username: sasl.user ?? '', password: sasl.password ?? '' } as SASLOptions;
  return options;
}

/** kafkajs' own way with tokens does not look at the broker's answer: one that was not accepted only seems to be, and the next request hangs up. */
function bearer(tokens: Tokens): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }) => ({
      authenticate: async () => {
        const message = Buffer.from(`n,,\x01auth=Bearer ${await tokens.get()}\x01\x01`);
        const length = Buffer.alloc(LENGTH_BYTES);
        length.writeInt32BE(message.length);
        const request = { encode: () => Buffer.concat([length, message]) };
        const response = { decode: (raw: Buffer) => raw.subarray(LENGTH_BYTES), parse: (answer: Buffer) => answer.length > 0 };
        if (await saslAuthenticate({ request, response })) throw new KafkaFailure('SASL_AUTHENTICATION_FAILED', tokens.refused());
      },
    }),
  };
}

/** For node:tls; without `serverName` the certificate must be for the host that is connected to. */
async function tlsOptions({ ca, cert, key, passphrase, serverName }: NonNullable<KafkaConfig['tls']>, files: Files): Promise<TlsOptions> {
  const options: TlsOptions = {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: await readPem(files, 'ca', ca) }),
    ...(cert === undefined ? {} : { cert: await readPem(files, 'cert', cert) }),
    ...(key === undefined ? {} : { key: await readPem(files, 'key', key) }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(serverName === undefined ? {} : identity(serverName)),
  };
  try {
    // Said here: what is wrong with a key or certificate comes out of tls.connect() in the middle of a client's own work.
    createSecureContext(options);
  } catch (error) {
    const { message } = error as Error;
    const option = /passphrase|bad decrypt|interrupted or cancelled/i.test(message) ? 'passphrase' : key === undefined ? 'ca' : 'key';
    throw new SluiceError(tlsFile, { path: (option === 'ca' ? ca : key) ?? '', option, detail: `cannot be used (${message})` });
  }
  return options;
}

/** An address is no server name (RFC 6066 section 3): it is checked, but not sent. */
function identity(expected: string): TlsOptions {
  const check = (_: string, certificate: PeerCertificate): Error | undefined => checkServerIdentity(expected, certificate);
  return { servername: isIP(expected) === 0 ? expected : '', checkServerIdentity: check };
}

async function readPem(files: Files, option: string, path: string): Promise<string> {
  let bytes: Buffer | null;
  try {
    bytes = await files.read(path);
  } catch (error) {
    throw new SluiceError(tlsFile, { path, option, detail: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` });
  }
  if (bytes === null) throw new SluiceError(tlsFile, { path, option, detail: 'does not exist' });
  const text = bytes.toString('utf8');
  if (!text.includes('-----BEGIN ')) throw new SluiceError(tlsFile, { path, option, detail: 'is not PEM' });
  return text;
}

/** Tokens of one client, got anew with each authentication. */
export class Tokens {
  readonly #credential: Credential;
  readonly #runtime: Pick<Runtime, 'credentials' | 'nowMicros'>;
  #last = '';

  constructor(credential: Credential, runtime: Pick<Runtime, 'credentials' | 'nowMicros'>) {
    this.#credential = credential;
    this.#runtime = runtime;
  }

  /** Throws SLUICE_KAFKA_TOKEN, SLUICE_CREDENTIAL_…; what was printed is never shown (I12). */
  async get(): Promise<string> {
    const token = tokenOf((await this.#runtime.credentials.get(this.#credential)).trim());
    if (token === '') throw new SluiceError(noToken, { detail: 'there is none in it' });
    if (!TOKEN.test(token)) throw new SluiceError(noToken, { detail: 'it has signs that no token has' });
    this.#last = token;
    return token;
  }

  /** Why the broker may have refused the last one. */
  refused(): string {
    const expires = expiryOf(this.#last);
    const left = expires === null ? null : Math.round(expires - this.#runtime.nowMicros() / 1e6);
    if (left === null) return 'the broker did not accept the token';
    return `the broker did not accept the token, which by the clock of this machine ${left < 0 ? `expired ${-left} s ago` : `is good for another ${left} s`}`;
  }
}

/** Seconds since the epoch; null where the token is no JWT or does not say (RFC 7519 section 4.1.4). */
function expiryOf(token: string): number | null {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as { exp?: unknown };
    return typeof exp === 'number' ? exp : null;
  } catch {
    return null;
  }
}

function tokenOf(text: string): string {
  if (!text.startsWith('{')) return text;
  try {
    const { access_token: token } = JSON.parse(text) as { access_token?: unknown };
    return typeof token === 'string' ? token : '';
  } catch {
    return '';
  }
}
