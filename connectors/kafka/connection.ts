/** TLS and SASL as the clients want them, made anew for each connection: certificates and tokens may be replaced meanwhile. */
import { execFile } from 'node:child_process';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { ConnectionOptions } from '@platformatic/kafka';
import type { KafkaConfig as KafkajsOptions, SASLOptions } from 'kafkajs';
import { type Files, type PluginContext, SluiceError } from '#plugin';
import type { KafkaConfig } from './config.ts';
import { tlsFile, tokenCommand } from './errors.ts';

const TOKEN_MS = 10_000;
const TOKEN_BYTES = 1024 * 1024;

/** For @platformatic/kafka. */
export async function platformaticSecurity({ tls, sasl }: KafkaConfig, { runtime }: PluginContext): Promise<ConnectionOptions> {
  const options: ConnectionOptions = {};
  if (tls !== undefined) {
    options.tls = await tlsOptions(tls, runtime.files);
    // The name in the handshake and in the certificate; without it the library gives TLS the host.
    options.tlsServerName = tls.serverName ?? true;
  }
  if (sasl === undefined) return options;
  if (sasl.mechanism === 'oauthbearer') options.sasl = { mechanism: 'OAUTHBEARER', token: await runTokenCommand(sasl.tokenCommand ?? []) };
  else {
    const mechanism = ({ plain: 'PLAIN', 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const)[sasl.mechanism];
    options.sasl = { mechanism, username: sasl.user ?? '', password: sasl.password ?? '' };
  }
  return options;
}

/** For kafkajs. */
export async function kafkajsSecurity({ tls, sasl }: KafkaConfig, { runtime }: PluginContext): Promise<Pick<KafkajsOptions, 'ssl' | 'sasl'>> {
  const options: { ssl?: TlsOptions; sasl?: SASLOptions } = {};
  if (tls !== undefined) {
    const { serverName } = tls;
    options.ssl = { ...(await tlsOptions(tls, runtime.files)), ...(serverName === undefined ? {} : { servername: serverName }) };
  }
  if (sasl === undefined) return options;
  if (sasl.mechanism === 'oauthbearer') {
    options.sasl = { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await runTokenCommand(sasl.tokenCommand ?? []) }) };
  } else {
    options.sasl = { mechanism: sasl.mechanism, username: sasl.user ?? '', password: sasl.password ?? '' } as SASLOptions;
  }
  return options;
}

async function tlsOptions({ ca, cert, key, passphrase }: NonNullable<KafkaConfig['tls']>, files: Files): Promise<TlsOptions> {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: await readPem(files, 'ca', ca) }),
    ...(cert === undefined ? {} : { cert: await readPem(files, 'cert', cert) }),
    ...(key === undefined ? {} : { key: await readPem(files, 'key', key) }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
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

/** Runs the command, without a shell, and returns the token that it prints. What it prints is never shown (I12). Throws SLUICE_KAFKA_TOKEN. */
export function runTokenCommand(command: readonly string[]): Promise<string> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: TOKEN_MS, maxBuffer: TOKEN_BYTES, windowsHide: true }, (error, stdout, stderr) => {
      const fail = (detail: string): void => reject(new SluiceError(tokenCommand, { detail }));
      if (error !== null) {
        const { code, killed } = error as NodeJS.ErrnoException & { killed?: boolean };
        if (killed === true) return fail(`it did not end within ${TOKEN_MS / 1000} seconds`);
        if (code === 'ENOENT') return fail(`there is no program "${program}"`);
        const words = stderr.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
        return fail(`it ended with ${String(code ?? 'an error')}${words === '' ? '' : ` (${words})`}`);
      }
      const token = tokenOf(stdout.trim());
      if (token === '') return fail('it printed nothing');
      resolve(token);
    });
  });
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
