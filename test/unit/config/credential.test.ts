/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are written so in configuration files */
import { describe, expect, test } from 'vitest';
import { Redaction } from '../../../src/config/redact.ts';
import { connector, loadOne, problemsOf, valid } from './plugins.ts';

const withToken = (value: unknown): object => connector({ source: { token: value } });

describe('secrets that are got anew', () => {
  test('a secret is a string, a file or a command; nothing is run and no secret is looked up while the configuration is read', async () => {
    const of = async (value: unknown): Promise<unknown> => valid(await loadOne(withToken(value))).connectors[0]?.source.config.token;
    expect(await of({ file: '/no/such/file' })).toEqual({ file: '/no/such/file' });
    expect(await of({ command: ['/no/such/program', '--for', 'me'] })).toEqual({ command: ['/no/such/program', '--for', 'me'], timeout: 10_000 });
    expect(await of({ command: ['x'], timeout: '2s' })).toEqual({ command: ['x'], timeout: 2_000 });
    const loaded = await loadOne(withToken({ command: ['x'] }));
    expect(loaded.warnings).toEqual([]);
  });

  test('arguments take references', async () => {
    const loaded = await loadOne(withToken({ command: ['x', '--region', '${env:REGION}'] }), { env: { REGION: 'north' } });
    expect(valid(loaded).connectors[0]?.source.config.token).toEqual({ command: ['x', '--region', 'north'], timeout: 10_000 });
  });

  test.each([
    [{ command: [] }, 'SLUICE_CONFIG_OUT_OF_RANGE', 'source.token.command'],
    [{ command: 'x' }, 'SLUICE_CONFIG_WRONG_TYPE', 'source.token.command'],
    [{ command: ['x'], timeout: 3 }, 'SLUICE_CONFIG_NO_UNIT', 'source.token.timeout'],
    [{ command: ['x'], timeout: '1h' }, 'SLUICE_CONFIG_OUT_OF_RANGE', 'source.token.timeout'],
    [{ file: 'relative' }, 'SLUICE_CONFIG_PATTERN', 'source.token.file'],
    [{ file: '/x', command: ['y'] }, 'SLUICE_CONFIG_UNKNOWN_KEY', 'source.token.command'],
    [{}, 'SLUICE_CONFIG_MISSING', 'source.token.command'],
    [['x'], 'SLUICE_CONFIG_WRONG_TYPE', 'source.token'],
  ])('%j is wrong', async (value, code, path) => {
    expect(problemsOf(await loadOne(withToken(value))).map((problem) => [problem.code, problem.path])).toEqual([[code, path]]);
  });
});

test('of short-lived secrets the newest are hidden, and no more with every day', () => {
  const redaction = new Redaction(['kept']);
  for (let number = 0; number < 100; number++) redaction.hideRenewed(`token-${String(number).padStart(3, '0')}`);
  expect(redaction.redact('token-099 token-036 token-035 kept')).toBe('*** *** token-035 ***');
  redaction.hideRenewed('token-036');
  redaction.hideRenewed('token-100');
  expect(redaction.redact('token-036 token-037')).toBe('*** token-037');
  redaction.hide(['later']);
  expect(redaction.redact('later token-036')).toBe('*** ***');
});
