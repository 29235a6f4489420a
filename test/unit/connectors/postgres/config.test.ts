import { describe, expect, it } from 'vitest';
import { isLocal, parseUrl, publicationName, slotName, tlsMode, validatePostgres } from '../../../../connectors/postgres/config.ts';
import { postgresConfig } from '../../../support/postgres-source.ts';

const REMOTE = 'postgres://sluice@db.internal/shop';

function paths(config: Parameters<typeof validatePostgres>[0]): string[] {
  return validatePostgres(config).map(({ path }) => path);
}

describe('the connection URL', () => {
  it.each([
    ['postgres://sluice@db.internal/shop', { user: 'sluice', host: 'db.internal', port: 5432, database: 'shop', password: null }],
    ['postgresql://a%40b:p%2Fw@[::1]:6000/my%20db', { user: 'a@b', host: '::1', port: 6000, database: 'my db', password: 'p/w' }],
    [
      'postgres://sluice@%2Fvar%2Frun%2Fpostgresql/shop',
      { user: 'sluice', host: '/var/run/postgresql', port: 5432, database: 'shop', password: null },
    ],
  ])('%s', (url, expected) => {
    expect(parseUrl(url)).toEqual(expected);
  });

  it.each([
    ['mysql://sluice@db/shop', 'not a Postgres URL'],
    ['db.internal', 'not a Postgres URL'],
    ['postgres://db.internal/shop', 'no user'],
    ['postgres://sluice@db.internal', 'no database'],
    ['postgres:///shop', 'no user'],
    ['postgres://sluice@a:1,b:2/shop', 'several hosts'],
    ['postgres://sluice@a,b/shop', 'several hosts'],
    ['postgres://sluice@db/shop?sslmode=disable', 'sslmode'],
    ['postgres://sluice:%zz@db/shop', 'no escape'],
  ])('%s: %s', (url, expected) => {
    const problem = parseUrl(url);
    expect(problem).toHaveProperty('message', expect.stringContaining(expected));
    expect(problem).toHaveProperty('remedy');
  });

  it('says what is wrong without the password in it (I12)', () => {
    for (const url of ['postgres://u:canary@/', 'postgres://u:canary@h:x/db', 'postgres://u:canary@h/db?x=1', 'postgres://u:canary@a:1,b:2/db']) {
      expect(JSON.stringify(parseUrl(url))).not.toContain('canary');
    }
  });
});

describe('the TLS mode that holds when none is spelled out', () => {
  it.each([
    ['postgres://u@db.internal/d', 'verify-full'],
    ['postgres://u@10.0.0.5/d', 'verify-full'],
    // Names that begin like loopback are not.
    ['postgres://u@127.0.0.1.example.com/d', 'verify-full'],
    ['postgres://u@localhost.example.com/d', 'verify-full'],
    ['postgres://u@localhost/d', 'disable'],
    ['postgres://u@127.0.0.1/d', 'disable'],
    ['postgres://u@[::1]/d', 'disable'],
    ['postgres://u@%2Frun/d', 'disable'],
  ])('%s: %s', (url, mode) => {
    expect(tlsMode(postgresConfig(url))).toBe(mode);
  });

  it('a weaker mode must be spelled out', () => {
    expect(tlsMode(postgresConfig(REMOTE, { tls: { mode: 'require' } }))).toBe('require');
    expect(isLocal('db.internal')).toBe(false);
  });
});

describe('validation', () => {
  it('accepts the smallest configuration', () => {
    expect(validatePostgres(postgresConfig(REMOTE))).toEqual([]);
  });

  it('patterns and conditions of copies are looked at', () => {
    const snapshot = {
      ...postgresConfig(REMOTE).snapshot,
      include: ['public.*', 'orders'],
      exclude: ['/(/'],
      where: { 'public.a': ' ', b: 'x = 1' },
    };
    expect(paths(postgresConfig(REMOTE, { snapshot }))).toEqual(['snapshot.include', 'snapshot.exclude', 'snapshot.where', 'snapshot.where']);
  });

  it('verify-ca without a CA would trust every public authority', () => {
    expect(paths(postgresConfig(REMOTE, { tls: { mode: 'verify-ca' } }))).toEqual(['tls.ca']);
  });

  it('never reads and ignores a TLS option', () => {
    expect(paths(postgresConfig(REMOTE, { tls: { mode: 'disable', ca: '/ca.pem' } }))).toEqual(['tls.mode']);
    expect(paths(postgresConfig('postgres://u@localhost/d', { tls: { ca: '/ca.pem' } }))).toEqual(['tls.mode']);
    expect(paths(postgresConfig(REMOTE, { tls: { mode: 'require', serverName: 'x' } }))).toEqual(['tls.serverName']);
    expect(paths(postgresConfig(REMOTE, { tls: { cert: '/c.pem' } }))).toEqual(['tls.key']);
    expect(paths(postgresConfig(REMOTE, { tls: { key: '/k.pem' } }))).toEqual(['tls.cert']);
    expect(paths(postgresConfig('postgres://u@%2Frun/d', { tls: { mode: 'verify-full' } }))).toEqual(['tls.mode']);
  });

  it('reports everything at once, each with its path', () => {
    const config = postgresConfig(REMOTE, {
      tables: ['orders', 'public.ok', '/(/'],
      insertOnly: ['x'],
      messages: ['ok', 'sluice.heartbeat'],
      tls: { mode: 'verify-ca' },
    });
    expect(paths(config).sort()).toEqual(['insertOnly[0]', 'messages[1]', 'tables[0]', 'tables[2]', 'tls.ca']);
  });

  it('one password only', () => {
    expect(paths(postgresConfig('postgres://u:p@db/d', { password: 'q' }))).toEqual(['password']);
  });
});

describe('names on the server', () => {
  it('slot names have no hyphens', () => {
    expect(slotName({}, 'web-shop')).toBe('sluice_web_shop');
    expect(slotName({ slot: 'mine' }, 'web-shop')).toBe('mine');
    expect(publicationName({}, 'web-shop')).toBe('sluice_web_shop');
  });

  it('fit an identifier, the second publication too', () => {
    expect(slotName({}, 'x'.repeat(80))).toHaveLength(63);
    expect(`${publicationName({}, 'x'.repeat(80))}_inserts`.length).toBeLessThanOrEqual(63);
  });
});
