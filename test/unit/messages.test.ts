/** What is said to people has one style: causes and findings are sentences, and a command that a remedy names is one that the command line takes. */
import { expect, test } from 'vitest';
import { sinks, sources } from '../../connectors/index.ts';
import { engineErrors, engineFindings } from '../../scripts/generate/engine-errors.ts';
import { registry } from '../../scripts/generate/files.ts';
import { loadPlugins } from '../../scripts/generate/plugins.ts';
import { SluiceError } from '../../src/plugin/error.ts';
import type { FormatPlugin } from '../../src/plugin/format.ts';

const plugins = await Promise.all([...Object.values(sources), ...Object.values(sinks)].map((load) => load()));
const kinds = [...engineErrors.flatMap((group) => group.kinds), ...plugins.flatMap(({ errors }) => errors)];

test.each(kinds.map((kind) => [kind.code, kind] as const))('%s: the cause is a sentence, the remedy says what to do', (_code, { cause, remedy }) => {
  // A parameter may stand for the whole sentence.
  expect(cause).toMatch(/^(["A-Z{].*\.|\{\w+\})$/s);
  expect(remedy).not.toMatch(/^[a-z](?!luice |hmod |ats |afka-)/);
  // The connector is an option; what stands free is a file or directory.
  expect(remedy).not.toMatch(/sluice offsets (set|reset|recover) [{<]/);
});

const ofFormats: readonly FormatPlugin[] = (await loadPlugins(registry)).format;
const findings = [...engineFindings, ...plugins.flatMap((plugin) => plugin.findings ?? []), ...ofFormats.flatMap((plugin) => plugin.findings ?? [])];

test.each(findings.map((kind) => [kind.code, kind] as const))('%s: cause and reason are sentences, the remedy says what to do', (code, kind) => {
  expect(code).toMatch(/^SLUICE_[A-Z][A-Z0-9_]+$/);
  expect(kind.cause).toMatch(/^["A-Z].*\.$/s);
  expect(kind.why).toMatch(/^["A-Z].*\.$/s);
  expect(kind.remedy).not.toMatch(/^[a-z](?!luice |hmod |ats |afka-)/);
});

test('a parameter that ends with a full stop does not bring a second one', () => {
  const kind = { code: 'SLUICE_TEST', retry: 'auto', exit: 1, cause: 'It failed: {detail}.', remedy: 'See above.' } as const;
  expect(new SluiceError(kind, { detail: 'no route.' }).message).toBe('It failed: no route.');
  expect(new SluiceError(kind, { detail: 'no route' }).message).toBe('It failed: no route.');
});
