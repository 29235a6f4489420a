/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so in configuration files */

import { describe, expect, test } from 'vitest';
import { connector, loadOne, problemsOf, valid } from './plugins.ts';

describe('references', () => {
  test('take the value of a variable or of a file, anywhere in a string', async () => {
    const file = connector({ source: { url: 'cistern://${env:HOST}:${env:PORT}/db', password: '${file:/run/secrets/pw}' } });
    const { connectors, secrets } = valid(await loadOne(file, { env: { HOST: 'db', PORT: '5432' }, contents: { '/run/secrets/pw': 'canary\n' } }));
    expect(connectors[0]?.source.config).toMatchObject({ url: 'cistern://db:5432/db', password: 'canary' });
    // Host and port are no secrets: replacing "5432" everywhere would make logs useless.
    expect([...secrets]).toEqual(['canary']);
  });

  test('one line break at the end of a file goes, other white space stays', async () => {
    const load = async (text: string) =>
      valid(await loadOne(connector({ source: { password: '${file:/pw}' } }), { contents: { '/pw': text } })).connectors[0]?.source.config.password;
    expect(await load('a\r\n')).toBe('a');
    expect(await load(' a \n\n')).toBe(' a \n');
  });

  test('also give numbers with units and choices', async () => {
    const file = connector({ source: { mode: '${env:MODE}' }, batch: { maxDelay: '${env:DELAY}' } });
    expect(valid(await loadOne(file, { env: { MODE: 'rough', DELAY: '7ms' } })).connectors[0]).toMatchObject({
      source: { config: { mode: 'rough' } },
      batch: { maxDelay: 7 },
    });
    const problems = problemsOf(await loadOne(file, { env: { MODE: 'x', DELAY: '7' } }));
    expect(problems.map(({ code, path }) => [code, path])).toEqual([
      ['SLUICE_CONFIG_CHOICE', 'source.mode'],
      ['SLUICE_CONFIG_NO_UNIT', 'batch.maxDelay'],
    ]);
  });

  test('$${ stands for ${', async () => {
    const file = connector({ source: { tables: ['$${env:X}', '/a$/', '$$'] } });
    expect(valid(await loadOne(file)).connectors[0]?.source.config.tables).toEqual(['${env:X}', '/a$/', '$$']);
  });

  test('all that are missing are said at once, by name', async () => {
    const file = connector({ source: { url: '${env:A}${env:B}', password: '${file:/nowhere}', tables: ['${env:C}'] } });
    const problems = problemsOf(await loadOne(file, { env: { B: '', C: 'c' } }));
    expect(problems.map(({ code, path, message }) => [code, path, message])).toEqual([
      ['SLUICE_CONFIG_VARIABLE_MISSING', 'source.url', 'The environment variable A is not set, or is empty.'],
      ['SLUICE_CONFIG_VARIABLE_MISSING', 'source.url', 'The environment variable B is not set, or is empty.'],
      ['SLUICE_CONFIG_SECRET_FILE', 'source.password', 'The file /nowhere cannot be used: it does not exist.'],
    ]);
  });

  test('an empty secret file is as good as none', async () => {
    const problems = problemsOf(await loadOne(connector({ source: { password: '${file:/pw}' } }), { contents: { '/pw': '\n' } }));
    expect(problems.map(({ code }) => code)).toEqual(['SLUICE_CONFIG_SECRET_FILE']);
  });

  test.each(['${env:}', '${env:A-B}', '${file:relative}', '${PASSWORD}', '${env:A', '${}', '${vault:x}'])('%s is not well formed', async (text) => {
    for (const secrets of ['resolve', 'leave'] as const) {
      const problems = problemsOf(await loadOne(connector({ source: { password: text } }), { secrets }));
      expect(problems.map(({ code, path }) => [code, path])).toEqual([['SLUICE_CONFIG_REFERENCE', 'source.password']]);
    }
  });
});

describe('validation without secrets', () => {
  test('needs no variable and no file, and leaves the reference where it is', async () => {
    const file = connector({
      source: { url: '${env:URL}', password: '${file:/pw}', mode: '${env:MODE}', slot: '${env:SLOT}' },
      batch: { maxDelay: '${env:DELAY}' },
    });
    const { connectors, secrets } = valid(await loadOne(file, { secrets: 'leave' }));
    expect(connectors[0]?.source.config).toMatchObject({ url: '${env:URL}', password: '${file:/pw}' });
    expect(secrets.size).toBe(0);
  });

  test('a plug-in has no say about a value that is not known', async () => {
    const { connectors } = valid(await loadOne(connector({ source: { url: 'cistern://${env:HOST}/db' } }), { secrets: 'leave' }));
    expect(connectors[0]?.source.config.url).toBe('cistern://${env:HOST}/db');
  });

  test('still finds everything else, also what only the plug-in knows', async () => {
    const file = connector({ source: { url: 'cistern:///x', password: '${env:PW}' } });
    expect(problemsOf(await loadOne(file, { secrets: 'leave' })).map(({ code, path }) => [code, path])).toEqual([
      ['SLUICE_CONFIG_CHECK', 'source.url'],
    ]);
  });
});

describe('I12: secrets', () => {
  const warnings = async (...args: Parameters<typeof loadOne>) => (await loadOne(...args)).warnings.map(({ code, path }) => [code, path]);

  test('that stand in the file draw a warning and are redacted all the same', async () => {
    const file = connector({ source: { password: 'canary-1', tokens: ['canary-2'] } });
    expect(await warnings(file)).toEqual([
      ['SLUICE_CONFIG_SECRET_INLINE', 'source.password'],
      ['SLUICE_CONFIG_SECRET_INLINE', 'source.tokens[0]'],
    ]);
    expect([...valid(await loadOne(file)).secrets]).toEqual(['canary-1', 'canary-2']);
  });

  test('in a URL draw a warning too, and are registered as written and decoded', async () => {
    const file = connector({ source: { url: 'cistern://u:can%40ry@db/x' } });
    expect(await warnings(file)).toEqual([['SLUICE_CONFIG_SECRET_INLINE', 'source.url']]);
    expect([...valid(await loadOne(file)).secrets]).toEqual(['can%40ry', 'can@ry']);
  });

  test('referenced inside a URL are registered and draw none', async () => {
    const file = connector({ source: { url: 'cistern://u:${env:PW}@db/x' } });
    expect(await warnings(file, { env: { PW: 'canary' } })).toEqual([]);
    expect([...valid(await loadOne(file, { env: { PW: 'canary' } })).secrets]).toEqual(['canary']);
    expect(await warnings(file, { secrets: 'leave' })).toEqual([]);
    const fromFile = connector({ source: { url: 'cistern://u:${file:/run/pw}@db/x' } });
    expect([...valid(await loadOne(fromFile, { contents: { '/run/pw': 'canary' } })).secrets]).toEqual(['canary']);
  });

  test('that tear a URL apart are registered too, and no message of a plug-in gets through with them', async () => {
    const file = connector({ source: { url: 'cistern://u:${env:PW}@db/x' } });
    const problems = problemsOf(await loadOne(file, { env: { PW: 'can/ary' } }));
    expect(problems.map(({ code, message, remedy }) => [code, message, remedy])).toEqual([
      ['SLUICE_CONFIG_CHECK', '"source.url" is cistern://u:***@db/x, which is no URL.', 'Do not write cistern://u:***@db/x.'],
    ]);
  });

  test('in a URL that comes whole from a variable are registered', async () => {
    const file = connector({ source: { url: '${env:URL}' } });
    expect([...valid(await loadOne(file, { env: { URL: 'cistern://u:canary@db/x' } })).secrets]).toEqual(['canary']);
  });

  test('are in no message, whatever is wrong with them', async () => {
    const file = connector({
      name: 'Canary',
      source: {
        url: 5,
        password: 4711_4711,
        pin: 'canary',
        tokens: 'canary',
        tls: 'cistern://u:canary@db',
        slot: '${env:SLOT}',
        depth: 'cistern://u:canary@db',
      },
    });
    const result = await loadOne(file, { env: { SLOT: 'canary-7' } });
    expect(problemsOf(result).length).toBeGreaterThanOrEqual(7);
    expect(JSON.stringify(result)).not.toMatch(/canary|4711/);
  });

  test('the path of a key file is no secret where a path may stand, and no other field takes one for granted', async () => {
    const file = connector({ source: { key: '/etc/key.pem' } });
    expect(await warnings(file)).toEqual([]);
    expect(valid(await loadOne(file)).secrets.size).toBe(0);
    expect(await warnings(connector({ source: { key: 'canary' } }))).toEqual([['SLUICE_CONFIG_SECRET_INLINE', 'source.key']]);
    expect(await warnings(connector({ source: { password: '/canary' } }))).toEqual([['SLUICE_CONFIG_SECRET_INLINE', 'source.password']]);
  });

  test('a secret that is a name or a word said openly draws a warning, and takes no name out of any text', async () => {
    const source = { url: 'cistern://sluice@h/shop', password: '${env:PIN}' };
    for (const word of ['shop', 'Sluice', 'public', 'cistern']) {
      const result = await loadOne(connector({ source }), { env: { PIN: word } });
      expect(result.warnings.map(({ code, path }) => [code, path])).toEqual([['SLUICE_CONFIG_SECRET_WORD', 'source.password']]);
      expect(valid(result).secrets.size).toBe(0);
    }
    expect([...valid(await loadOne(connector({ source }), { env: { PIN: 'shop4711' } })).secrets]).toEqual(['shop4711']);
    // Not even by itself: what a reference stands for is not said.
    expect([...valid(await loadOne(connector({ source: { url: 'cistern://u:${env:PIN}@h' } }), { env: { PIN: 'a@b/c' } })).secrets]).toContain(
      'a@b/c',
    );
  });

  test('a secret file that others may read draws a warning', async () => {
    const file = connector({ source: { password: '${file:/pw}' } });
    expect(await warnings(file, { contents: { '/pw': { text: 'x', mode: 0o640 } } })).toEqual([
      ['SLUICE_CONFIG_SECRET_FILE_MODE', 'source.password'],
    ]);
    expect(await warnings(file, { contents: { '/pw': { text: 'x', mode: 0o600 } } })).toEqual([]);
  });

  test("a group may read a secret file of root's, as Kubernetes gives them to a user without rights; others may not", async () => {
    const file = connector({ source: { password: '${file:/pw}' } });
    const found = [0o440, 0o640, 0o400, 0o444, 0o604].map(async (mode) => [
      mode.toString(8),
      (await warnings(file, { contents: { '/pw': { text: 'x', mode, owner: 0 } } })).length,
    ]);
    expect(await Promise.all(found)).toEqual([
      ['440', 0],
      ['640', 0],
      ['400', 0],
      ['444', 1],
      ['604', 1],
    ]);
  });
});
