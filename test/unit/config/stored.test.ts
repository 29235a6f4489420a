/** Connectors of the data directory: which of them count, what they may reach, and how a connector file is shown (security checklist 10, 11, 15; I12). */
import { describe, expect, it } from 'vitest';
import { registry as shipped } from '../../../scripts/generate/files.ts';
import { loadPlugins } from '../../../scripts/generate/plugins.ts';
import { type LoadOptions, type LoadResult, loadConfiguration } from '../../../src/config/load.ts';
import { storedReach } from '../../../src/config/reach.ts';
import { maskedPaths, shownConnector } from '../../../src/config/shown.ts';
import type { FieldTable } from '../../../src/plugin/field.ts';
import { connector, memoryFiles, registry, valid } from './plugins.ts';

const HTTP = { http: { listen: '127.0.0.1:0' } };

/** `/c` with these files, as text or as what becomes JSON. */
function load(files: Readonly<Record<string, unknown>>, options: Partial<LoadOptions> = {}): Promise<LoadResult> {
  const texts = Object.entries(files).map(([path, file]) => [`/c/${path}`, typeof file === 'string' ? file : JSON.stringify(file)]);
  const shared = { paths: ['/c'], cwd: '/', env: { A: 'x', PIN: 'geheim' }, registry, secrets: 'resolve' as const };
  return loadConfiguration({ ...shared, files: memoryFiles(Object.fromEntries(texts)), ...options });
}

const named = (name: string, source: object = {}): object => connector({ name, source: { slot: name, ...source } });
const found = (result: LoadResult): unknown =>
  [...(result.ok ? [] : result.problems), ...result.warnings].map(({ file, path, code }) => [file, path, code]);

describe('which connectors count', () => {
  it('those of the data directory beside the files; what a crash has left there does not', async () => {
    const { connectors } = valid(
      await load({ 'connectors/a.json': named('a'), '.sluice/connectors/b.json': named('b'), '.sluice/connectors/c.json.tmp': '{' }),
    );
    expect(connectors.map(({ name, file, isStored }) => [name, file, isStored])).toEqual([
      ['a', '/c/connectors/a.json', undefined],
      ['b', '/c/.sluice/connectors/b.json', true],
    ]);
  });

  it.each([
    ['its name', { name: 'shop' }],
    ['the name of its file, where it tells none', '{ "name": '],
  ])('a file of the configuration goes before, by %s', async (_, own) => {
    const file = typeof own === 'string' ? own : named(own.name);
    const result = await load({ 'sluice.json': HTTP, 'connectors/shop.json': file, '.sluice/connectors/shop.json': named('shop') });
    expect(found(result)).toContainEqual(['/c/.sluice/connectors/shop.json', '', 'SLUICE_CONFIG_STORED_HIDDEN']);
    const used = result.ok ? result.configuration : result.usable;
    expect((used?.connectors ?? []).filter(({ isStored }) => isStored)).toEqual([]);
  });

  it('where the API listens none is needed, and one that is wrong is there to be mended; else both end the start', async () => {
    expect(valid(await load({ 'sluice.json': HTTP })).connectors).toEqual([]);
    expect(found(await load({ 'sluice.json': {} }))).toEqual([['/c', '', 'SLUICE_CONFIG_NO_CONNECTORS']]);
    const wrong = { '.sluice/connectors/shop.json': named('shop', { bogus: 1 }) };
    const withApi = await load({ 'sluice.json': HTTP, ...wrong });
    expect(withApi.ok ? null : withApi.usable?.connectors).toEqual([]);
    const without = await load({ 'sluice.json': {}, ...wrong });
    expect(without.ok ? null : without.usable).toBeNull();
    // A file of the configuration is mended by hand.
    const own = await load({ 'sluice.json': HTTP, 'connectors/shop.json': named('shop', { bogus: 1 }) });
    expect(own.ok ? null : own.usable).toBeNull();
  });

  it('a file is called as its connector is; what is wrong with one leaves the others', async () => {
    const result = await load({ 'connectors/a.json': named('a'), '.sluice/connectors/b.json': named('c') });
    expect(found(result)).toEqual([['/c/.sluice/connectors/b.json', 'name', 'SLUICE_CONFIG_STORED_NAME']]);
    expect(result.ok ? null : result.usable?.connectors.map(({ name }) => name)).toEqual(['a']);
  });

  it('what is to be stored is read last: where two want the same it is at fault', async () => {
    const stored = { candidate: { name: 'a', text: JSON.stringify(named('a', { slot: 'b' })) } };
    const result = await load({ 'sluice.json': HTTP, '.sluice/connectors/b.json': named('b') }, { stored });
    expect(found(result)).toEqual([['/c/.sluice/connectors/a.json', 'source', 'SLUICE_CONFIG_CLAIM']]);
  });

  it('stays in its data directory, whatever sluice.json says by now; `validate` looks at the files alone', async () => {
    const files = { 'sluice.json': { ...HTTP, dataDir: '/elsewhere' }, '.sluice/connectors/b.json': named('b') };
    expect(valid(await load(files, { stored: { dataDir: '/c/.sluice' } })).connectors).toHaveLength(1);
    expect(valid(await load(files)).connectors).toEqual([]);
    expect(valid(await load({ ...files, 'connectors/a.json': named('a') }, { stored: { none: true } })).connectors).toHaveLength(1);
  });
});

describe('what they may reach', () => {
  const refused = async (source: object, allowed: object = {}): Promise<unknown> =>
    found(await load({ 'sluice.json': { ...HTTP, stored: allowed }, '.sluice/connectors/shop.json': named('shop', source) }));

  it('no variable and no file but those that sluice.json names; files of the configuration any', async () => {
    const path = '/c/.sluice/connectors/shop.json';
    expect(await refused({ password: '${env:PIN}' })).toEqual([[path, 'source.password', 'SLUICE_CONFIG_REACH']]);
    expect(await refused({ password: '${env:PIN}' }, { env: ['PI'] })).toHaveLength(1);
    expect(await refused({ password: '${env:PIN}' }, { env: ['P*'] })).toEqual([]);
    expect(await refused({ password: 'x${file:/etc/passwd}' }, { files: ['/etc/sluice'] })).toEqual([
      [path, 'source.password', 'SLUICE_CONFIG_REACH'],
    ]);
    expect(found(await load({ 'connectors/shop.json': named('shop', { password: '${env:PIN}' }) }))).toEqual([]);
    expect(await refused({ token: { file: '/etc/shadow' } }, { files: ['/etc/sluice'] })).toEqual([
      [path, 'source.token.file', 'SLUICE_CONFIG_REACH'],
    ]);
    expect(await refused({ token: { file: '/etc/sluice/token' } }, { files: ['/etc/sluice'] })).toEqual([]);
  });

  it.each([
    ['file', '/run/secrets/a', true],
    ['file', '/run/secrets/deep/a', true],
    ['file', '/run/secrets', false],
    ['file', '/run/secrets-of-others/a', false],
    ['file', '/run/secrets/../../etc/shadow', false],
    ['env', 'SHOP_PASSWORD', true],
    ['env', 'A.B', false],
    ['env', 'MY_SHOP_PASSWORD', false],
    ['program', '/bin/true', false],
    ['command', 'true', false],
    ['address', 'http://169.254.169.254/latest', false],
    ['address', 'nats://u:p@169.254.1.1:4222', false],
    ['address', '169.254.169.254:9092', false],
    ['address', 'http://[fe80::1]:80', false],
    ['address', 'http://metadata.google.internal/', false],
    ['address', 'postgres://sluice@db.internal/shop', true],
    ['address', 'public.metadata_of_orders', true],
  ])('%s %s: %s', (kind, name, isAllowed) => {
    expect(storedReach({ env: ['SHOP_*', 'A?B'], files: ['/run/secrets'] }).allows(kind, name)).toBe(isAllowed);
  });

  it('no program, wherever one may print a secret', async () => {
    const reached = await refused({ token: { command: ['/bin/true'] } }, { env: ['*'], files: ['/'] });
    expect(reached).toEqual([['/c/.sluice/connectors/shop.json', 'source.token.command[0]', 'SLUICE_CONFIG_REACH']]);
    expect(found(await load({ 'connectors/shop.json': named('shop', { token: { command: ['/bin/true'] } }) }))).toEqual([]);
  });

  it('every option that names a file or a program says so', async () => {
    const { source, sink, format } = await loadPlugins(shipped);
    const unmarked: string[] = [];
    const walk = (table: FieldTable, path: string): void => {
      for (const [key, field] of Object.entries(table)) {
        if (field.kind === 'object') walk(field.fields, `${path}.${key}`);
        else if (
          /\bpath of (?:the|a) \w*\s?file|credentials file|\bprogram\b/i.test(field.about) &&
          field.kind !== 'notYet' &&
          field.reaches === undefined
        )
          unmarked.push(`${path}.${key}: ${field.about}`);
      }
    };
    for (const plugin of [...source, ...sink, ...format]) walk(plugin.fields, plugin.type);
    expect(unmarked).toEqual([]);
  });
});

describe('how a file is shown', () => {
  const shown = async (source: object, more: object = {}): Promise<unknown> =>
    (await shownConnector(JSON.stringify({ ...connector({ source }), ...more }), registry))['source'];

  it('secrets are masked in every form of option, references stand as they are', async () => {
    expect(await shown({ password: 'geheim', pin: 4711, tokens: ['a', '${env:T}'], key: '-----BEGIN' })).toMatchObject({
      password: '***',
      pin: '***',
      tokens: ['***', '${env:T}'],
      key: '***',
    });
    expect(await shown({ token: { command: ['print', 'token'] } })).toMatchObject({ token: { command: ['print', 'token'] } });
    expect(await shown({ token: 'geheim' })).toMatchObject({ token: '***' });
    expect(await shown({ password: '${env:A}${file:/b}', key: '/etc/key.pem', url: 'cistern://u:p@h' })).toMatchObject({
      password: '${env:A}${file:/b}',
      key: '/etc/key.pem',
      url: 'cistern://u:***@h',
    });
    expect(await shown({ password: 'x${env:A}', url: 'cistern://u:${env:PW}@h/${env:DB}?token=${env:T}' })).toMatchObject({
      password: '***',
      url: 'cistern://u:${env:PW}@h/${env:DB}?token=${env:T}',
    });
    expect(await shown({ url: 'cistern://u:x${env:PW}@h', password: '$${env:A}' })).toMatchObject({ url: 'cistern://u:***@h', password: '***' });
  });

  it.each([
    'cistern://u:gehe/im@h/db',
    'cistern://u:gehe#im@h/db',
    'cistern://u:gehe im@h/db',
    'cistern:/u:geheim@h',
    'cistern//u:geheim@h',
    ' cistern://u:geheim@h',
    'host=h password=geheim',
  ])('of a URL that is written wrong nothing is shown, as nobody knows where its password stands: %s', async (url) => {
    expect(await shown({ url })).toMatchObject({ url: '***' });
  });

  it('a URL without a password is shown whole', async () => {
    for (const url of ['cistern://u@h:1/db', 'h:1', 'cistern://u:${env:A:B}@h']) expect(await shown({ url })).toMatchObject({ url });
  });

  it('of what nobody knows the value is hidden: it may be a secret with its name written wrongly', async () => {
    expect(await shown({ pasword: 'geheim', nested: { deep: ['geheim'] } })).toMatchObject({ pasword: '***', nested: '***' });
    const whole = await shownConnector(
      '{"name": "x", "__proto__": "geheim", "source": {"type": "none", "password": "geheim"}, "sink": "geheim"}',
      registry,
    );
    expect(JSON.stringify(whole)).not.toContain('geheim');
  });

  it('finds the mask wherever it stands', () => {
    expect(maskedPaths({ a: 'x***y', b: [{ c: '***' }, 1, null], 'd e': '**' })).toEqual(['a', 'b[0].c']);
  });
});

describe('addresses of the link', () => {
  const reach = storedReach({ env: [], files: [] });

  it.each([
    'http://169.254.169.254/',
    'http://u:p@169.254.169.254/',
    'http://2852039166/',
    'http://0xA9FEA9FE/',
    'http://169.254.43518/',
    'http://0251.0376.0251.0376/',
    'http://169%2e254.169.254/',
    'http:\\\\169.254.169.254/',
    'http://[::ffff:169.254.169.254]/',
    'http://[::ffff:a9fe:a9fe]/',
    'http://[fd00:0ec2::254]/',
    'http://[fe80::1%25eth0]/',
    'http://METADATA/',
    'http://metadata.google.internal./',
    '2852039166:9092',
    'nats://h:4222,nats://0xa9fea9fe:4222',
  ])('are known however they are written: %s', (address) => expect(reach.allows('address', address)).toBe(false));

  it.each(['http://10.0.0.1/', 'h:9092', 'public.orders', '/(a|b),c/', 'postgres://u@%2Frun/db', 'fe80.example.com'])('%s is none', (text) =>
    expect(reach.allows('address', text)).toBe(true),
  );
});
