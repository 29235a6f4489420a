import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { configurationPage, errorsPage } from '../../../scripts/generate/documentation.ts';
import { generatedFiles, registry } from '../../../scripts/generate/files.ts';
import { loadPlugins } from '../../../scripts/generate/plugins.ts';
import { configErrors } from '../../../src/config/errors.ts';
import { defineError } from '../../../src/plugin/error.ts';
import * as cistern from './plugins.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const files = await generatedFiles();

test.each([...files.keys()])('%s is what the sources say (npm run generate)', (path) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(files.get(path));
});

/** Codes of all kinds that are defined anywhere in a folder. */
function definedCodes(folder: string, definition = 'defineError('): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const texts = names.map((name) => readFileSync(join(root, folder, name), 'utf8')).filter((text) => text.includes(definition));
  return texts.flatMap((text) => [...text.matchAll(/\bcode: '(SLUICE_\w+)'/g)].map(([, code]) => code as string));
}

test('every error kind that is defined is documented, and no other', () => {
  const documented = [...(files.get('docs/errors.md') ?? '').matchAll(/^### (\w+)$/gm)].map(([, code]) => code);
  const defined = [...definedCodes('src'), ...definedCodes('connectors'), ...configErrors.map(({ code }) => code)];
  expect([...documented].sort()).toEqual([...new Set(defined)].sort());
});

test('every kind of finding that is defined is documented, and no other; none has the code of an error', () => {
  const codesIn = (path: string): string[] => [...(files.get(path) ?? '').matchAll(/^### (\w+)$/gm)].map(([, code]) => code as string);
  const documented = codesIn('docs/findings.md');
  expect([...documented].sort()).toEqual(
    [...new Set([...definedCodes('src', 'defineFinding('), ...definedCodes('connectors', 'defineFinding(')])].sort(),
  );
  expect(documented.length).toBeGreaterThan(30);
  expect(documented.filter((code) => codesIn('docs/errors.md').includes(code))).toEqual([]);
});

test('no cause and no remedy is empty, and every code says whose it is', async () => {
  const { source, sink } = await loadPlugins(registry);
  for (const { code, cause, remedy } of [...source, ...sink].flatMap(({ errors }) => errors)) {
    expect(code).toMatch(/^SLUICE_[A-Z][A-Z0-9_]+$/);
    expect(cause.length).toBeGreaterThan(10);
    expect(remedy.length).toBeGreaterThan(5);
  }
});

test('one code for two kinds is refused', () => {
  const kind = (cause: string) => defineError({ code: 'SLUICE_TWICE', retry: 'auto', exit: 1, cause, remedy: 'None.' });
  expect(() =>
    errorsPage([
      { title: 'A', kinds: [kind('one')] },
      { title: 'B', kinds: [kind('two')] },
    ]),
  ).toThrow('SLUICE_TWICE');
});

test('the page shows every option, nested ones by their path, with what may be written', async () => {
  const page = configurationPage(await loadPlugins(cistern.registry));
  expect(page).toContain('| `heartbeat.interval` | duration | `"10s"` | Interval. |');
  expect(page).toContain('| `url` | string | **required** | Where it is. |');
  expect(page).toContain('| `mode` | `calm`, `rough` | `"calm"` | Mode. Not supported yet: `wild`. |');
  expect(page).toContain('| `password` | string |  | Password. **Secret.** |');
  expect(page).toContain('| `transforms` | not supported yet |');
});
