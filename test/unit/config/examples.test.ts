import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { registry } from '../../../scripts/generate/files.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { accepts, type Schema } from '../../support/json-schema.ts';
import { valid } from './plugins.ts';

const examples = fileURLToPath(new URL('../../../config/examples', import.meta.url));
const all = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
const single = all.filter((name) => !name.includes('/'));

test.each(single)('%s is valid, without a warning', async (name) => {
  const result = await loadConfiguration({ paths: [join(examples, name)], env: {}, registry, secrets: 'leave' });
  expect(valid(result).connectors).toHaveLength(1);
  expect(result.warnings).toEqual([]);
});

test('the directory is valid as a whole', async () => {
  const result = await loadConfiguration({ paths: [join(examples, 'directory')], env: {}, registry, secrets: 'leave' });
  expect(valid(result).connectors.map(({ name }) => name)).toEqual(['customers', 'orders']);
  expect(valid(result).daemon).toMatchObject({ dataDir: '/var/lib/sluice', health: { host: '0.0.0.0', port: 9010 } });
});

test.each(all)('%s names its schema, which accepts it', (name) => {
  const file = join(examples, name);
  const value = JSON.parse(readFileSync(file, 'utf8')) as { $schema: string };
  const schema = JSON.parse(readFileSync(resolve(dirname(file), value.$schema), 'utf8')) as Schema;
  expect(accepts(schema, value)).toBe(true);
});

test('every pair of source and sink has an example', async () => {
  const pairs = await Promise.all(
    single.map(async (name) => {
      const [connector] = valid(await loadConfiguration({ paths: [join(examples, name)], env: {}, registry, secrets: 'leave' })).connectors;
      return `${connector?.source.plugin.type} ${connector?.sink.plugin.type}`;
    }),
  );
  const wanted = Object.keys(registry.sources).flatMap((source) => Object.keys(registry.sinks).map((sink) => `${source} ${sink}`));
  expect([...new Set(pairs)].sort()).toEqual(wanted.sort());
});
