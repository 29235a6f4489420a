import { describe, expect, test } from 'vitest';
import { type ConfigurationError, loadConfiguration, requireConfiguration } from '../../../src/config/load.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import { connector, loadOne, memoryFiles, problemsOf, registry, valid } from './plugins.ts';

/** Exactly one error, at this path, with this code; its text is returned. */
async function single(file: object | string, code: string, path: string): Promise<string> {
  const problems = problemsOf(await loadOne(file));
  expect(problems.map((problem) => [problem.code, problem.path])).toEqual([[code, path]]);
  return `${problems[0]?.message} ${problems[0]?.remedy}`;
}

test('a small file is filled with every default, durations in milliseconds and sizes in bytes', async () => {
  const { connectors, daemon } = valid(await loadOne(connector()));
  expect(connectors).toHaveLength(1);
  expect(connectors[0]).toMatchObject({
    name: 'shop',
    file: 'shop.json',
    source: { config: { type: 'cistern', capture: 'log', mode: 'calm', depth: 3, heartbeat: { interval: 10_000 } } },
    format: { plugin: { type: 'debezium' }, config: { type: 'debezium', compact: false } },
    sink: { plugin: { type: 'pond' }, config: { own: true } },
    batch: { maxRecords: 2000, maxBytes: 1_048_576, maxDelay: 5 },
    checkpoint: { maxDelay: 200 },
    retry: { initialDelay: 1_000, maxDelay: 2000, exponentialBase: 2, jitter: true },
    maxInFlightBytes: 67_108_864,
  });
  expect(connectors[0]?.retry.maxAttempts).toBeUndefined();
  expect(connectors[0]?.source.config).not.toHaveProperty('tls');
  expect(daemon).toEqual({
    dataDir: '/c/.sluice',
    health: { host: '127.0.0.1', port: 9010 },
    http: null,
    registry: { enabled: false },
    stored: { env: [], files: [] },
    log: { level: 'info', format: 'auto' },
    shutdown: { timeout: 10_000 },
    maxMemory: null,
  });
});

test('what is given goes before the defaults', async () => {
  const file = connector({
    $schema: '../connector.schema.json',
    source: { capture: 'log', mode: 'rough', heartbeat: { interval: '1.5s' }, tls: { ca: '/ca.pem' } },
    format: { type: 'native', compact: true },
    batch: { maxRecords: 1, maxBytes: '64KiB' },
    retry: { maxAttempts: 3, jitter: false },
    transforms: [],
    onError: 'stop',
  });
  expect(valid(await loadOne(file)).connectors[0]).toMatchObject({
    source: { config: { mode: 'rough', heartbeat: { interval: 1_500 }, tls: { ca: '/ca.pem' } } },
    format: { plugin: { type: 'native' }, config: { compact: true } },
    batch: { maxRecords: 1, maxBytes: 65_536, maxDelay: 5 },
    retry: { maxAttempts: 3, jitter: false },
  });
});

describe('each mistake has its own answer', () => {
  test('an unknown key: the nearest one', async () => {
    expect(await single(connector({ bacth: {} }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'bacth')).toContain('Did you mean "batch"?');
    expect(await single(connector({ batch: { maxRecord: 1 } }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'batch.maxRecord')).toContain('"maxRecords"');
    expect(await single(connector({ source: { heart_beat: {} } }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'source.heart_beat')).toContain('"heartbeat"');
    expect(await single(connector({ colour: 1 }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'colour')).toContain('Possible here: name, transforms, batch');
    expect(await single(connector({ constructor: 1 }), 'SLUICE_CONFIG_UNKNOWN_KEY', 'constructor')).toContain('There is no option');
    expect(await single(connector({ 'a b': 1 }), 'SLUICE_CONFIG_UNKNOWN_KEY', '["a b"]')).toContain('"a b"');
  });

  test('a wrong type: what was given and what is expected', async () => {
    expect(await single(connector({ source: { tables: 'public.orders' } }), 'SLUICE_CONFIG_WRONG_TYPE', 'source.tables')).toBe(
      'This must be a list of strings; "public.orders" was given. Write ["public.orders"].',
    );
    expect(await single(connector({ source: { tables: ['a', 7] } }), 'SLUICE_CONFIG_WRONG_TYPE', 'source.tables[1]')).toContain(
      'Write "7" in quotes',
    );
    expect(await single(connector({ batch: { maxRecords: '5' } }), 'SLUICE_CONFIG_WRONG_TYPE', 'batch.maxRecords')).toContain(
      'Write 5 without quotes',
    );
    expect(await single(connector({ batch: { maxRecords: 1.5 } }), 'SLUICE_CONFIG_WRONG_TYPE', 'batch.maxRecords')).toContain('a whole number; 1.5');
    expect(await single(connector({ retry: { jitter: 'true' } }), 'SLUICE_CONFIG_WRONG_TYPE', 'retry.jitter')).toContain('Write true without quotes');
    expect(await single(connector({ batch: [] }), 'SLUICE_CONFIG_WRONG_TYPE', 'batch')).toContain('an object; a list was given');
    expect(await single(connector({ batch: null }), 'SLUICE_CONFIG_WRONG_TYPE', 'batch')).toContain('Leave the option out');
    expect(await single(connector({ batch: { maxDelay: true } }), 'SLUICE_CONFIG_WRONG_TYPE', 'batch.maxDelay')).toContain(
      'a duration in quotes; true',
    );
    expect(await single(connector({ source: { mode: 1 } }), 'SLUICE_CONFIG_WRONG_TYPE', 'source.mode')).toContain('a string; 1');
    expect(await single(connector({ sink: 'pond' }), 'SLUICE_CONFIG_WRONG_TYPE', 'sink')).toContain('{"type": "pond"');
    expect(await single('[]', 'SLUICE_CONFIG_WRONG_TYPE', '')).toContain('one JSON object');
  });

  test('a bare number where a unit is needed: what it most likely means', async () => {
    expect(await single(connector({ batch: { maxDelay: 500 } }), 'SLUICE_CONFIG_NO_UNIT', 'batch.maxDelay')).toBe(
      'A duration needs a unit; 500 was given. Write "500ms". Units: ms, s, m, h, d.',
    );
    expect(await single(connector({ maxInFlightBytes: 67108864 }), 'SLUICE_CONFIG_NO_UNIT', 'maxInFlightBytes')).toContain('Write "64MiB"');
    expect(await single(connector({ batch: { maxDelay: '500' } }), 'SLUICE_CONFIG_NO_UNIT', 'batch.maxDelay')).toContain(
      '"500" was given. Write "500ms"',
    );
  });

  test('a number with a wrong unit, or none at all', async () => {
    expect(await single(connector({ batch: { maxBytes: '1mb' } }), 'SLUICE_CONFIG_BAD_QUANTITY', 'batch.maxBytes')).toContain('such as "1MiB"');
    expect(await single(connector({ batch: { maxDelay: 'soon' } }), 'SLUICE_CONFIG_BAD_QUANTITY', 'batch.maxDelay')).toContain(
      '"soon" is no duration',
    );
    expect(await single(connector({ batch: { maxDelay: '0.5ms' } }), 'SLUICE_CONFIG_BAD_QUANTITY', 'batch.maxDelay')).toContain(
      'no whole number of milliseconds',
    );
  });

  test('too small, too large, too short', async () => {
    expect(await single(connector({ batch: { maxRecords: 0 } }), 'SLUICE_CONFIG_OUT_OF_RANGE', 'batch.maxRecords')).toBe(
      '0 is too small. Write 1 or more.',
    );
    expect(await single(connector({ source: { depth: 10 } }), 'SLUICE_CONFIG_OUT_OF_RANGE', 'source.depth')).toBe(
      '10 is too large. Write 9 or less.',
    );
    expect(
      await single(connector({ source: { heartbeat: { interval: '5ms' } } }), 'SLUICE_CONFIG_OUT_OF_RANGE', 'source.heartbeat.interval'),
    ).toContain('Write "100ms" or more');
    expect(await single(connector({ source: { tables: [] } }), 'SLUICE_CONFIG_OUT_OF_RANGE', 'source.tables')).toContain('Write at least one');
  });

  test('none of the choices', async () => {
    expect(await single(connector({ source: { mode: 'ruogh' } }), 'SLUICE_CONFIG_CHOICE', 'source.mode')).toContain(
      'Did you mean "rough"? Possible: "calm", "rough"',
    );
    expect(await single(connector({ source: { type: 'cisten' } }), 'SLUICE_CONFIG_CHOICE', 'source.type')).toContain('Did you mean "cistern"?');
    expect(await single(connector({ format: { type: 'xml' } }), 'SLUICE_CONFIG_CHOICE', 'format.type')).toContain('"debezium", "native"');
    expect(await single(connector({ sink: { type: 'constructor' } }), 'SLUICE_CONFIG_CHOICE', 'sink.type')).toContain('"pond"');
  });

  test('the wrong form', async () => {
    expect(await single(connector({ name: 'Shop' }), 'SLUICE_CONFIG_PATTERN', 'name')).toContain(
      '"Shop" does not have the right form. Write a small letter',
    );
    expect(await single(connector({ name: 'a'.repeat(57) }), 'SLUICE_CONFIG_PATTERN', 'name')).toContain('56 at the most');
  });

  test('what is missing', async () => {
    const { name: _, ...nameless } = connector();
    expect(await single(nameless, 'SLUICE_CONFIG_MISSING', 'name')).toContain('Add "name": "shop"');
    const { sink: __, ...sinkless } = connector();
    expect(await single(sinkless, 'SLUICE_CONFIG_MISSING', 'sink')).toContain('Add "sink": {"type": "pond"');
    expect(await single(connector({ sink: {} }), 'SLUICE_CONFIG_MISSING', 'sink.type')).toContain('"type": "pond"');
    expect(await single(connector({ source: { tls: {} } }), 'SLUICE_CONFIG_MISSING', 'source.tls.ca')).toContain('CA.');
    expect(await single(connector({ source: { tables: undefined } }), 'SLUICE_CONFIG_MISSING', 'source.tables')).toContain(
      'Add "tables": ["public.*"]',
    );
  });

  test('what is planned but not there: said so, never read and ignored', async () => {
    for (const capture of ['trigger', 'timestamp', 'auto']) {
      expect(await single(connector({ source: { capture } }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'source.capture')).toContain(
        `"${capture}" is not supported yet. Possible today: "log".`,
      );
    }
    await single(connector({ transforms: [{ type: 'filter' }] }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'transforms');
    await single(connector({ onError: 'skip' }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'onError');
    await single(connector({ source: { mode: 'wild' } }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'source.mode');
    await single(connector({ source: { type: 'ocean' } }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'source.type');
    await single(connector({ sink: { type: 'lake' } }), 'SLUICE_CONFIG_NOT_SUPPORTED', 'sink.type');
  });

  test('bounds of a figure that the source does not tell: said, never read and ignored', async () => {
    expect(await single(connector({ protect: { warn: { retained: '1GiB' } } }), 'SLUICE_CONFIG_CHECK', 'protect.warn.retained')).toContain(
      'does not tell "retained"',
    );
    await single(connector({ protect: { dropSlot: { retained: '1GiB' } } }), 'SLUICE_CONFIG_CHECK', 'protect.dropSlot');
    await single(connector({ protect: { stop: {} } }), 'SLUICE_CONFIG_CHECK', 'protect.stop');
  });

  test('an objective that is none', async () => {
    await single(connector({ freshness: { share: '99%' } }), 'SLUICE_CONFIG_MISSING', 'freshness.objective');
    await single(connector({ freshness: { objective: '30s', share: '100%' } }), 'SLUICE_CONFIG_PATTERN', 'freshness.share');
    await single(connector({ freshness: { objective: '30s', tables: { 'public.a': 'soon' } } }), 'SLUICE_CONFIG_CHECK', 'freshness.tables');
  });

  test('dead letters that nobody would write: said, never read and ignored', async () => {
    await single(connector({ deadLetter: { topic: 'x' } }), 'SLUICE_CONFIG_CHECK', 'deadLetter');
    await single(connector({ onError: 'deadLetter' }), 'SLUICE_CONFIG_CHECK', 'onError');
  });

  test('a Debezium file, on top and nested as the REST API has it', async () => {
    const debezium = { 'connector.class': 'io.debezium.connector.postgresql.PostgresConnector', 'database.hostname': 'db' };
    expect(await single(debezium, 'SLUICE_CONFIG_DEBEZIUM_FILE', '')).toContain('not supported yet');
    expect(await single({ name: 'shop', config: debezium }, 'SLUICE_CONFIG_DEBEZIUM_FILE', '')).toContain('not supported yet');
  });

  test('what is no JSON: line and column', async () => {
    expect(await single('{\n  "name": "shop",\n}', 'SLUICE_CONFIG_SYNTAX', '')).toContain('Line 3, column 1: a comma before the closing brace.');
  });

  test('a key that stands twice', async () => {
    const text = JSON.stringify(connector()).replace('"name":"shop"', '"name":"shop","name":"other"');
    expect(await single(text, 'SLUICE_CONFIG_DUPLICATE_KEY', 'name')).toContain('a second time');
  });

  test('what only the plug-in knows', async () => {
    expect(await single(connector({ source: { url: 'cistern:///x' } }), 'SLUICE_CONFIG_CHECK', 'source.url')).toBe('The URL has no host. Write one.');
  });
});

test('all problems come at once, in order, each with its line and column', async () => {
  const file =
    '{\n  "name": 7,\n  "source": {"type": "cistern", "url": "cistern://db", "tables": [1],\n    "slto": "x"},\n  "sink": {"type": "pond", "limit": 5},\n  "batch": {"maxDelay": 5}\n}';
  const problems = problemsOf(await loadOne(file));
  expect(problems.map(({ file: name, path, line, column }) => [name, path, line, column])).toEqual([
    ['shop.json', 'name', 2, 11],
    ['shop.json', 'source.tables[0]', 3, 67],
    ['shop.json', 'source.slto', 4, 5],
    ['shop.json', 'sink.limit', 5, 37],
    ['shop.json', 'batch.maxDelay', 6, 25],
  ]);
  for (const { message, remedy } of problems) expect(`${message}${remedy}`).not.toMatch(/\{\w+\}|undefined/);
});

describe('files', () => {
  const other = JSON.stringify(connector({ name: 'other', source: { slot: 'other' } }));
  const shop = JSON.stringify(connector());
  const load = (contents: Record<string, string>, paths: string[], env = {}) =>
    loadConfiguration({ paths, env, registry, secrets: 'resolve', files: memoryFiles(contents), cwd: '/w' });

  test('a directory: sluice.json and connectors/*.json, sorted; other files are left alone', async () => {
    const contents = {
      '/w/d/sluice.json': '{"dataDir": "state", "log": {"level": "debug"}}',
      '/w/d/connectors/shop.json': shop,
      '/w/d/connectors/other.json': other,
      '/w/d/connectors/.hidden.json': '!',
      '/w/d/connectors/notes.txt': '!',
    };
    const { connectors, daemon } = valid(await load(contents, ['d']));
    expect(connectors.map(({ name, file }) => [name, file])).toEqual([
      ['other', 'd/connectors/other.json'],
      ['shop', 'd/connectors/shop.json'],
    ]);
    expect(daemon).toMatchObject({ dataDir: '/w/d/state', log: { level: 'debug', format: 'auto' } });
  });

  test('left out, it is SLUICE_CONFIG, else the current directory', async () => {
    const contents = { '/w/connectors/shop.json': shop, '/etc/sluice/connectors/other.json': other };
    expect(valid(await load(contents, [])).connectors[0]?.name).toBe('shop');
    expect(valid(await load(contents, [], { SLUICE_CONFIG: '/etc/sluice' })).connectors[0]?.name).toBe('other');
    expect(valid(await load(contents, [], { SLUICE_CONFIG: '/etc/sluice' })).daemon.dataDir).toBe('/etc/sluice/.sluice');
    expect(valid(await load(contents, ['connectors/shop.json'], { SLUICE_CONFIG: '/etc/sluice' })).connectors[0]?.name).toBe('shop');
  });

  test('connector files run without sluice.json, or with one that is named', async () => {
    const contents = { '/w/a/shop.json': shop, '/w/b/other.json': other, '/w/c/sluice.json': '{}' };
    expect(valid(await load(contents, ['a/shop.json', 'b/other.json'])).daemon.dataDir).toBe('/w/a/.sluice');
    expect(valid(await load(contents, ['a/shop.json', 'c/sluice.json'])).daemon.dataDir).toBe('/w/c/.sluice');
  });

  test('what is not there, cannot be told apart, or is empty', async () => {
    const codes = async (...args: Parameters<typeof load>) => problemsOf(await load(...args)).map(({ code }) => code);
    const contents = { '/w/d/connectors/shop.json': shop, '/w/e/sluice.json': '{}', '/w/f/sluice.json': '{}' };
    expect(await codes(contents, ['nowhere'])).toEqual(['SLUICE_CONFIG_NOT_FOUND']);
    expect(await codes(contents, ['e'])).toEqual(['SLUICE_CONFIG_NO_CONNECTORS']);
    expect(await codes(contents, ['d', 'd/connectors/shop.json'])).toEqual(['SLUICE_CONFIG_PATHS']);
    expect(await codes(contents, ['d/connectors/shop.json', 'e/sluice.json', 'f/sluice.json'])).toEqual(['SLUICE_CONFIG_PATHS']);
  });

  test('what may not be read is said as such', async () => {
    const files = memoryFiles({ '/w/shop.json': shop });
    const refused = { ...files, read: () => Promise.reject(Object.assign(new Error('x'), { code: 'EACCES' })) };
    const problems = problemsOf(await loadConfiguration({ paths: ['shop.json'], env: {}, registry, secrets: 'resolve', files: refused, cwd: '/w' }));
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      ['SLUICE_CONFIG_UNREADABLE', 'shop.json cannot be read: permission denied.'],
    ]);
  });

  test('two connectors with one name', async () => {
    const contents = { '/w/connectors/a.json': shop, '/w/connectors/b.json': JSON.stringify(connector({ source: { slot: 'b' } })) };
    const problems = problemsOf(await load(contents, ['.']));
    expect(problems.map(({ code, file, message }) => [code, file, message])).toEqual([
      ['SLUICE_CONFIG_DUPLICATE_NAME', 'connectors/b.json', 'The connector name "shop" is taken by connectors/a.json.'],
    ]);
  });

  test('two connectors that claim one slot', async () => {
    const twice = (name: string) => JSON.stringify(connector({ name, source: { slot: 'mine' } }));
    const problems = problemsOf(await load({ '/w/connectors/a.json': twice('a'), '/w/connectors/b.json': twice('b') }, ['.']));
    expect(problems.map(({ code, file, path, message }) => [code, file, path, message])).toEqual([
      ['SLUICE_CONFIG_CLAIM', 'connectors/b.json', 'source', 'The connector "a" already has slot:db/mine for itself.'],
    ]);
  });

  test('a broken file does not hide what is wrong with the others', async () => {
    const contents = {
      '/w/sluice.json': '{"colour": 1}',
      '/w/connectors/a.json': '{',
      '/w/connectors/b.json': JSON.stringify(connector({ extra: 1 })),
    };
    expect(problemsOf(await load(contents, ['.'])).map(({ file, code }) => [file, code])).toEqual([
      ['connectors/a.json', 'SLUICE_CONFIG_SYNTAX'],
      ['connectors/b.json', 'SLUICE_CONFIG_UNKNOWN_KEY'],
      ['sluice.json', 'SLUICE_CONFIG_UNKNOWN_KEY'],
    ]);
  });

  test('requireConfiguration throws one typed error with the exit code of a wrong configuration', async () => {
    const result = await load({ '/w/connectors/a.json': '{' }, ['.']);
    try {
      requireConfiguration(result);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(SluiceError);
      expect((error as ConfigurationError).problems.map(({ code }) => code)).toEqual(['SLUICE_CONFIG_SYNTAX']);
      expect(error).toMatchObject({ code: 'SLUICE_CONFIG_INVALID', kind: { exit: 2 }, message: 'The configuration has 1 error.' });
    }
  });
});

describe('one wrong file leaves the other connectors as they are', () => {
  const load = (files: Record<string, unknown>) =>
    loadConfiguration({
      paths: ['/d'],
      env: {},
      registry,
      secrets: 'resolve',
      files: memoryFiles(
        Object.fromEntries(Object.entries(files).map(([path, file]) => [`/d/${path}`, typeof file === 'string' ? file : JSON.stringify(file)])),
      ),
      cwd: '/w',
    });
  const good = connector({ name: 'good', source: { slot: 'good' } });
  const usable = async (files: Record<string, unknown>): Promise<readonly string[] | null> => {
    const result = await load(files);
    if (result.ok) throw new Error('it is all right');
    return result.usable === null ? null : result.usable.connectors.map(({ name }) => name);
  };

  test.each([
    ['no JSON', '{'],
    ['an option that is none', connector({ name: 'bad', bacth: {}, source: { slot: 'bad' } })],
    ['the name of another one', connector({ name: 'good', source: { slot: 'bad' } })],
    ['what another one has for itself', connector({ name: 'bad', source: { slot: 'good' } })],
  ])('%s', async (_, bad) => {
    expect(await usable({ 'connectors/a.json': good, 'connectors/b.json': bad })).toEqual(['good']);
    expect(requireConfiguration(await load({ 'connectors/a.json': good, 'connectors/b.json': bad })).connectors).toHaveLength(1);
  });

  test('none is right, or what they have in common is wrong: nothing runs', async () => {
    expect(await usable({ 'connectors/b.json': '{' })).toBeNull();
    expect(await usable({ 'connectors/a.json': good, 'sluice.json': { datadir: 'x' } })).toBeNull();
    const result = await load({ 'connectors/a.json': good, 'sluice.json': '{' });
    expect(() => requireConfiguration(result)).toThrow(SluiceError);
  });
});
