import type { PeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { type NatsConfig, parseAddress, validateNats } from '../../../../connectors/nats/config.ts';
import { identity } from '../../../../connectors/nats/connection.ts';
import { nats } from '../../../../connectors/nats/index.ts';
import { fromPlace, toPlace } from '../../../../connectors/nats/place.ts';
import { covers, sanitise, subjectFilter, subjectOf, templateProblem } from '../../../../connectors/nats/subject.ts';

const config: NatsConfig = {
  servers: ['nats://a:4222'],
  stream: 'S',
  subject: '{connector}.{schema}.{table}',
  createStream: true,
  exclusive: true,
  replicas: 1,
  storage: 'file',
  window: { messages: 1, bytes: 1 },
  publishTimeout: 1000,
};
const paths = (changed: Partial<NatsConfig>): string[] => validateNats({ ...config, ...changed }).map(({ path }) => path);

describe('configuration', () => {
  it('addresses', () => {
    expect(parseAddress('nats://db.internal')).toEqual({ host: 'db.internal', port: 4222, tls: false });
    expect(parseAddress('tls://[::1]:4443')).toEqual({ host: '::1', port: 4443, tls: true });
    expect(parseAddress('a:1')).toEqual({ host: 'a', port: 1, tls: false });
    for (const wrong of ['', 'ws://a', 'nats://u:p@a', 'nats://a:0', 'nats://a:70000', 'http://a', 'a b'])
      expect(parseAddress(wrong), wrong).toBeNull();
  });

  it('what a field table cannot say', () => {
    expect(paths({})).toEqual([]);
    expect(paths({ servers: ['nats://a', 'ws://b'] })).toEqual(['servers[1]']);
    expect(paths({ subject: 'a.{tabel}' })).toEqual(['subject']);
    expect(paths({ auth: { user: 'a' } })).toEqual(['auth']);
    expect(paths({ auth: { user: 'a', password: 'b' } })).toEqual([]);
    expect(paths({ auth: { token: 'a', nkey: 'b' } })).toEqual(['auth']);
    expect(paths({ tls: { cert: 'a' } })).toEqual(['tls']);
  });

  it('a stream that is believed exclusive is claimed, in whatever order its servers are named', () => {
    const claims = (changed: Partial<NatsConfig>) => nats.claims?.({ ...config, ...changed }, 'shop');
    expect(claims({ servers: ['nats://b:1', 'a'] })).toEqual(claims({ servers: ['nats://a:4222', 'tls://b:1'] }));
    expect(claims({ exclusive: false })).toEqual([]);
  });

  it('places', () => {
    const place = { sequence: 9_007_199_254, created: '2026-01-01T00:00:00.123456789Z' };
    expect(fromPlace(toPlace(place))).toEqual(place);
    expect(fromPlace({ sequence: '-1', created: 'x' })).toBeNull();
    expect(fromPlace({ sequence: '1' })).toBeNull();
  });
});

describe('subjects', () => {
  const table = { catalog: 'db', schema: 'public', name: 'orders' };

  it('are made of the template', () => {
    expect(subjectOf('{connector}.{schema}.{table}', 'shop', table)).toBe('shop.public.orders');
    expect(subjectOf('cdc-{table}', 'shop', { ...table, name: 'a.b c*>\n' })).toBe('cdc-a_b_c___');
    expect(subjectOf('{schema}.{table}', 'shop', { ...table, schema: '' })).toBe('db.orders');
    expect(subjectOf('{table}', 'shop', { ...table, name: '$JS' })).toBe('_JS');
    expect(sanitise('')).toBe('_');
  });

  it('the filter covers everything that the template makes', () => {
    expect(subjectFilter('{connector}.{schema}.{table}', 'shop')).toBe('shop.*.*');
    expect(subjectFilter('cdc.x-{table}', 'shop')).toBe('cdc.*');
    expect(subjectFilter('fixed', 'shop')).toBe('fixed');
  });

  it('covering', () => {
    expect(covers('shop.>', 'shop.*.*')).toBe(true);
    expect(covers('shop.*.*', 'shop.*.*')).toBe(true);
    expect(covers('>', 'shop.*')).toBe(true);
    expect(covers('shop.*', 'shop.*.*')).toBe(false);
    expect(covers('shop.public.*', 'shop.*.*')).toBe(false);
    expect(covers('shop.>', 'shop')).toBe(false);
  });

  it.each(['', 'a..b', 'a.*', 'a b', '{x}', '{table', '$JS.{table}', '_INBOX.{table}', '.a', 'a.'])('"%s" is no template', (template) => {
    expect(templateProblem(template)).not.toBeNull();
  });
});

describe('whose certificate it must be', () => {
  const check = (expected: string, names: string): Error | undefined =>
    (identity(expected) as { checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined }).checkServerIdentity('localhost', {
      subject: { CN: '' },
      subjectaltname: names,
    } as unknown as PeerCertificate);

  it('the host as configured, not "localhost", which Node takes when the client dials an address', () => {
    expect(check('10.0.0.7', 'DNS:localhost')).toBeInstanceOf(Error);
    expect(check('10.0.0.7', 'IP Address:10.0.0.7')).toBeUndefined();
    expect(check('nats.internal', 'DNS:localhost')).toBeInstanceOf(Error);
    expect(check('nats.internal', 'DNS:nats.internal')).toBeUndefined();
  });
});
