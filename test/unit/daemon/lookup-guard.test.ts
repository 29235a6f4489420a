/** Names that lead to where clouds hand out credentials are not connected to (security checklist 10): what was looked up is what is connected to. */
import dns from 'node:dns';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { guarded, guardLookups, type Lookup } from '../../../src/daemon/lookup-guard.ts';

const ZONE: Readonly<Record<string, readonly string[]>> = {
  'metadata.example': ['169.254.169.254'],
  'v6.example': ['fe80::1'],
  'mapped.example': ['::ffff:169.254.169.254'],
  'aws.example': ['fd00:ec2::254'],
  'both.example': ['169.254.1.1', '192.0.2.1'],
  'good.example': ['192.0.2.7'],
  '169.254.1.1': ['169.254.1.1'],
};
const zone: Lookup = (name, { all }, done) => {
  const found = (ZONE[name] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  if (all === true) done(null, found);
  else done(null, found[0]?.address ?? '', found[0]?.family);
};
const all = (name: string): Promise<unknown> =>
  new Promise((resolve) =>
    guarded(zone)(name, { all: true }, (error, found) => resolve(error?.code ?? (found as { address: string }[]).map(({ address }) => address))),
  );
const one = (name: string, options: object | number = {}): Promise<unknown> =>
  new Promise((resolve) => guarded(zone)(name, options, (error, found) => resolve(error?.code ?? found)));

it('leaves addresses of the link out, in all forms of asking; an address that stands there itself passes', async () => {
  for (const name of ['metadata.example', 'v6.example', 'mapped.example', 'aws.example'])
    expect([await all(name), await one(name), await one(name, 4)]).toEqual(Array(3).fill('ENOTFOUND'));
  expect(await all('both.example')).toEqual(['192.0.2.1']);
  expect([await all('good.example'), await one('good.example')]).toEqual([['192.0.2.7'], '192.0.2.7']);
  expect([await all('169.254.1.1'), await one('169.254.1.1')]).toEqual([['169.254.1.1'], '169.254.1.1']);
  expect(await new Promise((resolve) => guarded(zone)('metadata.example', (error) => resolve(error?.code)))).toBe('ENOTFOUND');
});

it('is what sockets and fetch of this process look names up by', async () => {
  const { lookup } = dns;
  const server = createServer((_request, response) => response.end('answered')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    Object.assign(dns, { lookup: zone });
    guardLookups();
    guardLookups();
    const failed = await new Promise<NodeJS.ErrnoException>((resolve) => connect(port, 'metadata.example').once('error', resolve));
    expect(failed.code).toBe('ENOTFOUND');
    await expect(fetch(`http://metadata.example:${port}`)).rejects.toMatchObject({ cause: { code: 'ENOTFOUND' } });
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('answered');
  } finally {
    Object.assign(dns, { lookup });
    server.close();
    server.closeAllConnections();
  }
});
