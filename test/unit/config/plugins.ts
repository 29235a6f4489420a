import type { ConfigurationFiles } from '../../../src/config/files.ts';
import { type LoadOptions, type LoadResult, loadConfiguration } from '../../../src/config/load.ts';
import type { Problem } from '../../../src/config/problem.ts';
import { fields } from '../../../src/plugin/field.ts';
import type { Registry } from '../../../src/plugin/registry.ts';

const cisternFields = fields({
  url: { kind: 'string', about: 'Where it is.' },
  password: { kind: 'string', optional: true, secret: true, about: 'Password.' },
  token: { kind: 'credential', optional: true, secret: true, about: 'Token.' },
  pin: { kind: 'integer', optional: true, secret: true, about: 'PIN.' },
  tables: { kind: 'list', minItems: 1, about: 'Tables.', example: ['public.*'] },
  tokens: { kind: 'list', optional: true, secret: true, about: 'Tokens.' },
  key: { kind: 'string', optional: true, secret: true, orPath: true, about: 'Key, or the path of its file.' },
  slot: { kind: 'string', optional: true, pattern: /^[a-z_]+$/, patternHint: 'small letters', about: 'Slot.' },
  mode: { kind: 'choice', choices: ['calm', 'rough'], notYet: ['wild'], default: 'calm', about: 'Mode.' },
  depth: { kind: 'integer', default: 3, min: 1, max: 9, about: 'Depth.' },
  heartbeat: { kind: 'object', about: 'Heartbeat.', fields: { interval: { kind: 'duration', default: '10s', minMs: 100, about: 'Interval.' } } },
  tls: { kind: 'object', optional: true, about: 'TLS.', fields: { ca: { kind: 'string', about: 'CA.' } } },
});

const pondFields = fields({ limit: { kind: 'size', optional: true, about: 'Limit.' }, own: { kind: 'boolean', default: true, about: 'Own.' } });
const plainFields = fields({ compact: { kind: 'boolean', default: false, about: 'Compact.' } });

const never = (): never => {
  throw new Error('loading a configuration creates nothing');
};

/** Plug-ins that no vendor stands behind: what is tested is the configuration, not a plug-in. */
export const registry: Registry = {
  sources: {
    cistern: () =>
      Promise.resolve({
        role: 'source',
        type: 'cistern',
        fields: cisternFields,
        errors: [],
        origin: { system: 'cistern', columns: [], transaction: [] },
        validate: (config) => {
          const url = String(config.url);
          if (url.includes('://') && !URL.canParse(url)) {
            // A plug-in that forgets about I12: what it says must be redacted all the same.
            return [{ path: 'url', message: `is ${url}, which is no URL`, remedy: `do not write ${url}` }];
          }
          return new URL(url).host === '' ? [{ path: 'url', message: 'The URL has no host.', remedy: 'Write one.' }] : [];
        },
        claims: (config, connector) => [`slot:${new URL(String(config.url)).host}/${config.slot ?? connector}`],
        catalog: never,
        parsePosition: never,
        create: never,
      }),
  },
  sinks: { pond: () => Promise.resolve({ role: 'sink', type: 'pond', fields: pondFields, errors: [], create: never }) },
  formats: {
    debezium: () => Promise.resolve({ role: 'format', type: 'debezium', fields: plainFields, create: never }),
    native: () => Promise.resolve({ role: 'format', type: 'native', fields: plainFields, create: never }),
  },
  notYet: { sources: ['ocean'], sinks: ['lake'] },
};

export interface MemoryFile {
  readonly text: string;
  readonly mode: number;
  readonly owner?: number;
}

const OWN = { mode: 0o600, owner: 1000 };

/** A file system in memory; a name with no file under it is nothing. */
export function memoryFiles(contents: Readonly<Record<string, string | MemoryFile>>): ConfigurationFiles {
  const paths = Object.keys(contents);
  return {
    look: (path) => {
      const file = contents[path];
      if (file !== undefined) return Promise.resolve({ kind: 'file', ...(typeof file === 'string' ? OWN : { ...OWN, ...file }) });
      return Promise.resolve(paths.some((name) => name.startsWith(`${path}/`)) ? { kind: 'directory', ...OWN } : null);
    },
    read: (path) => {
      const file = contents[path];
      if (file === undefined) return Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }));
      return Promise.resolve(Buffer.from(typeof file === 'string' ? file : file.text));
    },
    list: (path) =>
      Promise.resolve([
        ...new Set(paths.filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1).split('/')[0] as string)),
      ]),
  };
}

/** A connector file that is right in everything. */
export function connector(changes: { readonly source?: object; readonly [key: string]: unknown } = {}): Record<string, unknown> {
  return {
    name: 'shop',
    sink: { type: 'pond' },
    ...changes,
    source: { type: 'cistern', url: 'cistern://db/shop', tables: ['public.orders'], ...changes.source },
  };
}

/** Loads one connector file called `/c/shop.json`. */
export function loadOne(
  file: object | string,
  options: Partial<LoadOptions> & { contents?: Record<string, string | MemoryFile> } = {},
): Promise<LoadResult> {
  const { contents, ...rest } = options;
  const text = typeof file === 'string' ? file : JSON.stringify(file, null, 2);
  return loadConfiguration({
    paths: ['shop.json'],
    cwd: '/c',
    env: {},
    registry,
    secrets: 'resolve',
    files: memoryFiles({ '/c/shop.json': text, ...contents }),
    ...rest,
  });
}

/** The errors of a load that must fail. */
export function problemsOf(result: LoadResult): readonly Problem[] {
  if (result.ok) throw new Error('this configuration should not be valid');
  return result.problems;
}

/** The configuration of a load that must succeed. */
export function valid(result: LoadResult): Extract<LoadResult, { ok: true }>['configuration'] {
  if (!result.ok) throw new Error(`this configuration should be valid: ${JSON.stringify(result.problems)}`);
  return result.configuration;
}
