import { expect, test } from 'vitest';
import type { ConnectorDefinition } from '../../../src/config/load.ts';
import { Judge, refusalOf } from '../../../src/daemon/judge.ts';
import { credentialCommand, credentialProgram } from '../../../src/plugin/credential.ts';
import { defineError, SluiceError } from '../../../src/plugin/error.ts';
import { errorFinding, type Finding } from '../../../src/plugin/finding.ts';
import type { Sink } from '../../../src/plugin/sink.ts';

const DOWN = defineError({ code: 'SLUICE_TEST_DOWN', retry: 'auto', exit: 3, cause: 'The broker is down.', remedy: 'Start it.' });
const WRONG = defineError({ code: 'SLUICE_TEST_WRONG', retry: 'manual', exit: 3, cause: 'The topic is missing.', remedy: 'Make it.' });
const plugins = {
  source: { plugin: { errors: [] } },
  format: { plugin: {} },
  sink: { plugin: { errors: [DOWN, WRONG] } },
} as unknown as ConnectorDefinition;
const [down, wrong] = [errorFinding(new SluiceError(DOWN)), errorFinding(new SluiceError(WRONG))];

function judge(): { readonly judge: Judge; readonly said: string[] } {
  const said: string[] = [];
  const at = (level: string) => (message: string) => void said.push(`${level} ${message}`);
  return { judge: new Judge(plugins, { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }), said };
}

test('what may pass by itself is left to who comes to need it, and waits', async () => {
  const { judge: each, said } = judge();
  each.judge([down], false);
  expect(said).toEqual([]);
  expect(() => each.judge([down, wrong], false)).toThrow('The topic is missing.');
  const sink = { destination: () => 't', preflight: () => Promise.resolve([down]) } as unknown as Sink;
  const table = { kind: 'table', catalog: '', schema: 's', name: 't' } as const;
  expect(await refusalOf(plugins, sink, table, new AbortController().signal)).toBeNull();
});

test('a program that gave no secret this time is waited for; one that is not there is not', () => {
  const { judge: each } = judge();
  each.judge([errorFinding(new SluiceError(credentialCommand, { program: 'token', detail: 'it ended with 1' }))], false);
  const missing = errorFinding(new SluiceError(credentialProgram, { program: 'token', detail: 'there is no such program' }));
  expect(() => each.judge([missing], false)).toThrow(expect.objectContaining({ kind: expect.objectContaining({ refusesCredentials: true }) }));
});

test('what was said by one life is not said again by the next', () => {
  const { judge: each, said } = judge();
  const slow: Finding = { severity: 'warning', code: 'SLUICE_TEST_SLOW', message: 'It is slow.', why: 'It lags.', remedy: 'Make it faster.' };
  each.judge([slow], false);
  each.judge([slow, { ...slow, message: 'It is very slow.' }], false);
  expect(said).toEqual(['warn It is slow. It lags.', 'debug It is slow. It lags.', 'warn It is very slow. It lags.']);
});
