/** Certificates for the TLS tests, made by openssl: an authority, a server certificate for localhost, a client certificate. */
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { giveToServerUser } from './process.ts';

/** Paths of PEM files. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
  clientCert: string;
  clientKey: string;
}

/** @param clientName the common name in the client certificate (PostgreSQL's `cert` method takes it for the role) */
export async function makeCertificates(directory: string, clientName = 'sluice'): Promise<Certificates> {
  const at = join(directory, 'tls');
  mkdirSync(at, { recursive: true });
  const file = (name: string) => join(at, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await run('openssl', [
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    '/CN=Sluice test authority',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
  ]);
  await sign(file, key, 'server', '/CN=localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n');
  await sign(file, key, 'client', `/CN=${clientName}`, 'extendedKeyUsage=clientAuth\n');
  giveToServerUser(at, 0o755);
  giveToServerUser(file('server.key'), 0o600);
  return { ca: file('ca.crt'), cert: file('server.crt'), key: file('server.key'), clientCert: file('client.crt'), clientKey: file('client.key') };
}

async function sign(file: (name: string) => string, key: string[], name: string, subject: string, extensions: string): Promise<void> {
  await writeFile(file(`${name}.ext`), extensions);
  await run('openssl', ['req', ...key, '-subj', subject, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)]);
  const authority = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'];
  await run('openssl', [
    'x509',
    '-req',
    '-days',
    '2',
    '-in',
    file(`${name}.csr`),
    ...authority,
    '-extfile',
    file(`${name}.ext`),
    '-out',
    file(`${name}.crt`),
  ]);
}
