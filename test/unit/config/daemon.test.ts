import { expect, test } from 'vitest';
import { type LoadResult, loadConfiguration } from '../../../src/config/load.ts';
import { connector, memoryFiles, problemsOf, registry, valid } from './plugins.ts';

function load(daemon: object | null, env: Record<string, string> = {}): Promise<LoadResult> {
  const files = memoryFiles({
    '/d/connectors/shop.json': JSON.stringify(connector()),
    ...(daemon === null ? {} : { '/d/sluice.json': JSON.stringify(daemon) }),
  });
  return loadConfiguration({ paths: ['/d'], env, registry, secrets: 'resolve', files, cwd: '/w' });
}

test.each([
  ['0.0.0.0:8080', { host: '0.0.0.0', port: 8080 }],
  ['[::1]:9010', { host: '::1', port: 9010 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['h:65535', { host: 'h', port: 65535 }],
])('health.listen %s', async (listen, expected) => {
  expect(valid(await load({ health: { listen } })).daemon.health).toEqual(expected);
});

test.each([':9010', '127.0.0.1', '127.0.0.1:65536', '::1:9010', '127.0.0.1:09', 'http://h:1'])(
  'health.listen %s has the wrong form',
  async (listen) => {
    expect(problemsOf(await load({ health: { listen } })).map(({ code, path, file }) => [code, path, file])).toEqual([
      ['SLUICE_CONFIG_PATTERN', 'health.listen', '/d/sluice.json'],
    ]);
  },
);

test('the environment goes before the file; relative paths start at the current directory', async () => {
  const env = { SLUICE_DATA_DIR: 'data', SLUICE_HEALTH: '0.0.0.0:1', SLUICE_LOG_LEVEL: 'error' };
  const file = { dataDir: '/var/x', health: { listen: '127.0.0.1:2' }, log: { level: 'debug', format: 'json' }, shutdown: { timeout: '1m' } };
  expect(valid(await load(file, env)).daemon).toEqual({
    dataDir: '/w/data',
    health: { host: '0.0.0.0', port: 1 },
    http: null,
    registry: { enabled: false },
    stored: { env: [], files: [] },
    log: { level: 'error', format: 'json' },
    shutdown: { timeout: 60_000 },
    maxMemory: null,
  });
  expect(valid(await load(null, env)).daemon).toMatchObject({ dataDir: '/w/data', log: { level: 'error', format: 'auto' } });
  expect(valid(await load(file)).daemon.dataDir).toBe('/var/x');
});

test('an empty variable counts as not set', async () => {
  expect(valid(await load(null, { SLUICE_HEALTH: '', SLUICE_HTTP: '' })).daemon.health.port).toBe(9010);
});

test('what is wrong in the environment is said with the name of the variable', async () => {
  const problems = problemsOf(await load(null, { SLUICE_HEALTH: '9010', SLUICE_LOG_LEVEL: 'verbose', SLUICE_HTTP: '8085' }));
  expect(problems.map(({ code, file, path, line }) => [code, file, path, line])).toEqual([
    ['SLUICE_CONFIG_PATTERN', 'environment', 'SLUICE_HEALTH', undefined],
    ['SLUICE_CONFIG_CHOICE', 'environment', 'SLUICE_LOG_LEVEL', undefined],
    ['SLUICE_CONFIG_PATTERN', 'environment', 'SLUICE_HTTP', undefined],
  ]);
});

test.each(['alerts', 'connectWorker'])('%s is not supported yet, and said so', async (key) => {
  expect(problemsOf(await load({ [key]: {} })).map(({ code, path }) => [code, path])).toEqual([['SLUICE_CONFIG_NOT_SUPPORTED', key]]);
});

test('an unknown key suggests the nearest', async () => {
  expect(problemsOf(await load({ datadir: 'x' }))[0]).toMatchObject({ code: 'SLUICE_CONFIG_UNKNOWN_KEY', remedy: 'Did you mean "dataDir"?' });
});

test.each([
  ['256MiB', 256 * 2 ** 20],
  ['300MB', 3e8],
])('maxMemory %s', async (maxMemory, expected) => {
  expect(valid(await load({ maxMemory })).daemon.maxMemory).toBe(expected);
});

test('maxMemory needs a unit', async () => {
  expect(problemsOf(await load({ maxMemory: 300_000_000 }))[0]).toMatchObject({ code: 'SLUICE_CONFIG_NO_UNIT', path: 'maxMemory' });
});

test('I9: a budget for less than two batches of each connector could not be kept, and is an error that says what would do', async () => {
  const small = connector({ name: 'small', source: { slot: 'small' } });
  const large = connector({ name: 'large', source: { slot: 'large' }, batch: { maxBytes: '8MiB' } });
  const given = (maxMemory: string, ...connectors: object[]): Promise<LoadResult> =>
    loadConfiguration({
      paths: ['/d'],
      env: {},
      registry,
      secrets: 'resolve',
      files: memoryFiles({
        '/d/sluice.json': JSON.stringify({ maxMemory }),
        ...Object.fromEntries(connectors.map((one, index) => [`/d/connectors/${index}.json`, JSON.stringify(one)])),
      }),
      cwd: '/w',
    });
  expect(problemsOf(await given('17MiB', small, large))).toMatchObject([
    {
      code: 'SLUICE_CONFIG_CHECK',
      file: '/d/sluice.json',
      path: 'maxMemory',
      message: '"maxMemory" is 17MiB, and the 2 connectors need at least 18MiB: two batches each.',
      remedy: 'Write "maxMemory": "18MiB" or more, or lower "batch.maxBytes" (8MiB in "large").',
    },
  ]);
  expect(valid(await given('18MiB', small, large)).daemon.maxMemory).toBe(18 * 2 ** 20);
  expect(problemsOf(await given('7MiB', large))[0]?.message).toContain('the connector needs at least 16MiB');
});

const TOKEN = 'a-token-of-the-test';

test.each([
  [{ http: { listen: '127.0.0.1:8085' } }, { host: '127.0.0.1', port: 8085, token: null, readToken: null, tls: null }],
  [{ http: { listen: '[::1]:0' } }, { host: '::1', port: 0, token: null, readToken: null, tls: null }],
  [{ http: { listen: '0.0.0.0:8085', token: TOKEN } }, { host: '0.0.0.0', port: 8085, token: TOKEN, readToken: null, tls: null }],
  [
    { http: { listen: 'h:1', token: TOKEN, readToken: `${TOKEN}-2`, tls: { cert: 'tls/a.crt', key: '/k' } } },
    { host: 'h', port: 1, token: TOKEN, readToken: `${TOKEN}-2`, tls: { cert: '/d/tls/a.crt', key: '/k', clientCa: null } },
  ],
  [
    { http: { listen: 'h:1', tls: { cert: '/c', key: '/k', clientCa: '/ca' } } },
    { host: 'h', port: 1, token: null, readToken: null, tls: { cert: '/c', key: '/k', clientCa: '/ca' } },
  ],
  [{ http: {} }, null],
])('the HTTP listener of %j', async (file, expected) => {
  expect(valid(await load(file)).daemon.http).toEqual(expected);
});

test('SLUICE_HTTP is its address, also for the registry', async () => {
  const { http, registry: found } = valid(await load({ registry: { enabled: true } }, { SLUICE_HTTP: 'localhost:1' })).daemon;
  expect([http, found]).toEqual([{ host: 'localhost', port: 1, token: null, readToken: null, tls: null }, { enabled: true }]);
});

test.each([
  ['an address beyond loopback without a token', { http: { listen: '0.0.0.0:1' } }, {}, 'http.listen'],
  ['one from the environment', {}, { SLUICE_HTTP: 'h:1' }, 'http.listen'],
  ['the registry without a listener', { registry: { enabled: true } }, {}, 'registry.enabled'],
  ['a token without a listener', { http: { token: TOKEN } }, {}, 'http.token'],
  ['a certificate without a listener', { http: { tls: { cert: '/c' } } }, {}, 'http.tls.cert'],
  ['a certificate without its key', { http: { listen: '127.0.0.1:1', tls: { cert: '/c' } } }, {}, 'http.tls.cert'],
  ['a key without its certificate', { http: { listen: '127.0.0.1:1', tls: { key: '/k' } } }, {}, 'http.tls.key'],
  ['certificates of clients without one of the server', { http: { listen: '127.0.0.1:1', tls: { clientCa: '/ca' } } }, {}, 'http.tls.clientCa'],
  ['a token to look with where all may do all', { http: { listen: '127.0.0.1:1', readToken: TOKEN } }, {}, 'http.readToken'],
])('refused: %s', async (_, file, env, path) => {
  expect(problemsOf(await load(file, env)).map((problem) => [problem.code, problem.path])).toEqual([['SLUICE_CONFIG_CHECK', path]]);
});

test('a token that is easily guessed is refused, and not shown (I12)', async () => {
  const problems = problemsOf(await load({ http: { listen: '127.0.0.1:1', token: 'hunter2' } }));
  expect(problems.map(({ code, path }) => [code, path])).toEqual([['SLUICE_CONFIG_PATTERN', 'http.token']]);
  expect(JSON.stringify(problems)).not.toContain('hunter2');
});
