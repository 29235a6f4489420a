/** That no kind of finding is forgotten: each is shown by a test of the doctor, on a server that has the fault (docs/guarantees.md names those of which none is to be had here). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { engineFindings } from '../../scripts/generate/engine-errors.ts';
import { registry } from '../../scripts/generate/files.ts';
import { loadPlugins } from '../../scripts/generate/plugins.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const folder = 'test/integration';
const tests = [
  ...readdirSync(join(root, folder))
    .filter((name) => name.startsWith('doctor-'))
    .map((name) => `${folder}/${name}`),
  'test/e2e/doctor.test.ts',
];
const texts = new Map(tests.map((path) => [path, read(path)]));

/** Severities in which plug-ins use the words of an error for a finding: `finding('info', deletesOld, …)`. */
const IN_WORDS_OF_ERRORS = /\bfinding\('(?:error|warning|info)', (\w+)/g;
/** Faults that no server here has: shown on what a server would say. The page names them. */
const NO_SERVER_HAS = ['SLUICE_PG_MINOR_VERSION', 'SLUICE_PG_MINOR_MEMORY', 'SLUICE_NATS_VERSION'];
/** Of the format: it needs no server. */
const OF_FORMATS = 'SLUICE_DEBEZIUM_KEY_UNUSED';

/** Whether a test names it: by its code, or by what stands behind the plug-in's own part of it, in a test of that plug-in. */
function isShown(code: string): boolean {
  const [, plugin = '', short = ''] = /^SLUICE_(PG|MYSQL|KAFKA|NATS|DOCTOR)_(.+)$/.exec(code) ?? [];
  const own = { PG: 'postgres', MYSQL: 'mysql', KAFKA: 'kafka', NATS: 'nats', DOCTOR: 'e2e/doctor' }[plugin] ?? '';
  return [...texts].some(([path, text]) => text.includes(`'${code}'`) || (path.includes(own) && text.includes(`'${short}'`)));
}

const { source, sink, format } = await loadPlugins(registry);
const ofPlugins = [...source, ...sink, ...format].flatMap((plugin) => plugin.findings ?? []);
const kinds = [...new Set([...engineFindings, ...ofPlugins].map(({ code }) => code))];

function errorsAsFindings(): string[] {
  return ['kafka', 'nats'].flatMap((plugin) => {
    const errors = read(`connectors/${plugin}/errors.ts`);
    return [...read(`connectors/${plugin}/preflight.ts`).matchAll(IN_WORDS_OF_ERRORS)].map(([, name]) => {
      const [, code = ''] = new RegExp(`const ${name} = defineError\\(\\{\\s*code: '(\\w+)'`).exec(errors) ?? [];
      return code;
    });
  });
}

describe('findings', () => {
  test('there are as many as the documentation says', () => {
    const documented = [...read('docs/findings.md').matchAll(/^### (SLUICE_\w+)$/gm)].map(([, code]) => code);
    expect([...kinds].sort()).toEqual([...documented].sort());
  });

  test.each([...kinds, ...errorsAsFindings()].filter((code) => code !== OF_FORMATS))('%s is shown by a test', (code) => {
    expect(isShown(code)).toBe(true);
  });

  test('those of the format are shown where formats are tested', () => {
    expect(read('test/unit/formats/debezium/message-key.test.ts')).toContain(OF_FORMATS);
  });

  test.each(NO_SERVER_HAS)('%s: that no server here has the fault is said', (code) => {
    expect(read('docs/guarantees.md')).toContain(code);
  });

  test('a kind that no test names would be noticed', () => {
    expect(isShown('SLUICE_PG_NEVER_HEARD_OF')).toBe(false);
    expect(isShown('SLUICE_NATS_UNLIMITED_WAL')).toBe(false);
  });
});
