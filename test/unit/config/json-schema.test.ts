import fc from 'fast-check';
import { expect, test } from 'vitest';
import { connectorSchema, daemonSchema } from '../../../scripts/generate/json-schema.ts';
import { loadPlugins } from '../../../scripts/generate/plugins.ts';
import { accepts } from '../../support/json-schema.ts';
import { connector, loadOne, registry } from './plugins.ts';

const schema = connectorSchema(await loadPlugins(registry));

/** Values that are right for some option and wrong for most. */
const values = fc.constantFrom<unknown>(
  undefined,
  null,
  true,
  3,
  0,
  1.5,
  -1,
  '5ms',
  '500',
  '1MiB',
  'calm',
  'wild',
  'x',
  '',
  'a/b',
  [],
  ['a'],
  [7],
  {},
  { maxDelay: '5ms' },
  { ca: 'x' },
  { interval: '1s' },
  { interval: 1 },
);
const top = fc.constantFrom(
  '$schema',
  'name',
  'batch',
  'checkpoint',
  'retry',
  'maxInFlightBytes',
  'transforms',
  'onError',
  'deadLetter',
  'colour',
  'format',
  'sink',
);
const inSource = fc.constantFrom('type', 'capture', 'password', 'tables', 'tokens', 'slot', 'mode', 'depth', 'heartbeat', 'tls', 'colour');

test('the published schema and the validation agree on whatever is written', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(top, values, { maxKeys: 2 }), fc.dictionary(inSource, values, { maxKeys: 2 }), async (changes, source) => {
      // As a file holds it: without what is undefined.
      const file: unknown = JSON.parse(JSON.stringify(connector({ ...changes, source })));
      expect(accepts(schema, file)).toBe((await loadOne(file as object)).ok);
    }),
    { numRuns: 500 },
  );
});

test('an editor accepts references where a form is asked for', () => {
  expect(accepts(schema, connector({ source: { mode: '${env:MODE}' }, batch: { maxDelay: '${env:DELAY}' } }))).toBe(true);
});

test('secrets are marked, defaults are shown', () => {
  const text = JSON.stringify(schema);
  expect(text).toContain('{"description":"Password.","type":"string","writeOnly":true}');
  expect(text).toContain('"default":"5ms"');
});

test('sluice.json: what is not supported yet does not exist', () => {
  expect(accepts(daemonSchema(), { dataDir: 'x', health: { listen: '0.0.0.0:1' }, log: { level: 'warn' }, shutdown: { timeout: '1s' } })).toBe(true);
  expect(accepts(daemonSchema(), { maxMemory: '1GiB' })).toBe(true);
  expect(accepts(daemonSchema(), { http: { listen: '127.0.0.1:8085' }, registry: { enabled: true } })).toBe(true);
  expect(accepts(daemonSchema(), {})).toBe(true);
  for (const wrong of [
    { alerts: {} },
    { http: { listen: '8085' } },
    { registry: true },
    { maxMemory: 1_000_000_000 },
    { health: { listen: ':1' } },
    { log: { level: 'loud' } },
  ])
    expect(accepts(daemonSchema(), wrong)).toBe(false);
});
