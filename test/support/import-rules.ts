/**
 * The import rules: the engine (`src/`) knows no vendor, a plug-in knows the plug-in interface, its own folder and its driver, and every layer
 * knows only the layers under it. One table, checked on the text of every file (TypeScript 7 has no compiler API to ask).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path/posix';

/** Path from the repository's root → text. */
export type SourceFiles = ReadonlyMap<string, string>;

interface Layer {
  /** Other layers: folders of `src`, or files directly in it. */
  layers: readonly string[];
  /** npm packages. */
  packages?: readonly string[];
}

const ENGINE = [
  'record',
  'plugin',
  'formats',
  'state',
  'segments',
  'dead-letters',
  'stopped-tables',
  'snapshot',
  'schema-history',
  'schema-policy',
  'compatibility',
  'mapping',
  'registry',
  'http',
  'pipeline',
  'config',
  'telemetry',
  'tail',
  'daemon',
  'version',
] as const;

/** Folders of `src`, and the files directly in it, → what they may import. What is not listed here is not allowed to exist. */
const LAYERS: Record<string, Layer> = {
  version: { layers: [] },
  record: { layers: [] },
  plugin: { layers: ['record'] },
  formats: { layers: ['plugin', 'record', 'version'], packages: ['cockatiel'] },
  transforms: { layers: ['plugin', 'record'] },
  state: { layers: ['plugin', 'record'], packages: ['level'] },
  segments: { layers: ['plugin', 'record'] },
  'dead-letters': { layers: ['plugin', 'record', 'segments', 'state', 'pipeline', 'schema-policy'] },
  'stopped-tables': { layers: ['plugin', 'record', 'segments', 'state', 'pipeline'] },
  snapshot: { layers: ['plugin', 'record'] },
  'schema-history': { layers: ['plugin', 'record', 'formats'] },
  // Schemas as messages carry them, not tables: no row and no file.
  compatibility: { layers: ['plugin'] },
  'schema-policy': { layers: ['plugin', 'record'] },
  mapping: { layers: ['plugin', 'record', 'formats'] },
  registry: { layers: ['plugin', 'state', 'compatibility', 'config'] },
  http: { layers: ['plugin', 'config', 'registry', 'compatibility', 'version'], packages: ['fastify'] },
  // The pipeline tells what happens through an interface of its own; metrics implement it. So telemetry knows the pipeline and not the reverse.
  pipeline: { layers: ['plugin', 'record', 'state', 'schema-history', 'schema-policy', 'mapping'] },
  telemetry: { layers: ['plugin', 'record', 'pipeline', 'version'], packages: ['pino', 'prom-client'] },
  config: { layers: ['plugin', 'mapping'] },
  tail: { layers: ['plugin', 'record', 'pipeline'] },
  daemon: { layers: ENGINE, packages: ['prom-client', 'pino'] },
  cli: { layers: ENGINE, packages: ['commander', 'cli-progress'] },
  index: { layers: ENGINE },
  // The one place where the parts are put together.
  main: { layers: ['cli', 'connectors', 'formats'] },
};

/** Plug-ins → the npm packages that they drive. */
const DRIVERS: Record<string, readonly string[]> = {
  postgres: ['pg', 'pg-logical-replication'],
  mysql: ['mysql2', '@vlasky/zongji', '@noble/curves'],
  kafka: ['kafkajs', '@platformatic/kafka'],
  nats: ['@nats-io/jetstream', '@nats-io/transport-node', '@nats-io/nats-core', '@nats-io/nkeys'],
  stdout: [],
  blackhole: [],
};

/** Bytes in, values out: no driver, socket, file or clock. */
const PURE = [
  /^connectors\/postgres\/log\/pgoutput\b/,
  /^connectors\/postgres\/log\/(position|cells)\.ts$/,
  /^connectors\/mysql\/log\/(charsets|columns|digits|events|json|packed|place|row-reader|statements|table-map|temporal)\.ts$/,
];
const PURE_NODE = ['node:buffer'];

const RUNS_PROGRAMS = 'src/daemon/node-credentials.ts';

const VAGUE_NAME = /^(utils?|common|helpers?|misc)\b/;
const AMBIENT = /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|setImmediate)\s*\(/;

/** @returns one line for each violation: path, import, rule */
export function checkImports(files: SourceFiles): string[] {
  const violations: string[] = [];
  for (const [path, text] of files) {
    const say = (what: string) => violations.push(`${path}: ${what}`);
    const code = withoutComments(text);
    if (path.split('/').some((part) => VAGUE_NAME.test(part)))
      say('a name that says nothing (utils, common, helpers): call it by the thing it holds');
    for (const specifier of importsOf(code, say)) checkImport(path, specifier, files, say);
    if (isPure(path) && AMBIENT.test(code)) say('a pure parser has no clock');
    if (isEngine(path) && AMBIENT.test(code)) say('clock, timers and randomness come in through the runtime');
  }
  return violations;
}

function isPure(path: string): boolean {
  return PURE.some((pattern) => pattern.test(path));
}

/** The engine but for the one file that makes the real runtime, and the commands, which are no part of a running connector. */
function isEngine(path: string): boolean {
  return path.startsWith('src/') && !path.startsWith('src/cli/') && path !== 'src/daemon/node-runtime.ts';
}

function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
}

function importsOf(code: string, say: (what: string) => void): string[] {
  const found: string[] = [];
  for (const match of code.matchAll(/\b(?:import|export)\b[^'"`;()]*?\bfrom\s*(['"])([^'"]+)\1/g)) found.push(match[2] as string);
  for (const match of code.matchAll(/^\s*import\s*(['"])([^'"]+)\1/gm)) found.push(match[2] as string);
  for (const match of code.matchAll(/\bimport\s*\(\s*([^)]*?)\s*\)/g)) {
    const literal = /^(['"])([^'"]+)\1$/.exec(match[1] as string);
    if (literal === null) say(`import(${match[1]}) cannot be checked: name the file`);
    else found.push(literal[2] as string);
  }
  if (/\brequire\s*\(|\bcreateRequire\b/.test(code)) say('require() goes around the import rules');
  return found;
}

function checkImport(path: string, specifier: string, files: SourceFiles, say: (what: string) => void): void {
  if (specifier.startsWith('node:')) {
    if (specifier === 'node:child_process' && path !== RUNS_PROGRAMS) say(`other programs are run in ${RUNS_PROGRAMS} and nowhere else (security)`);
    if (isPure(path) && !PURE_NODE.includes(specifier)) say(`a pure parser may not import '${specifier}'`);
    return;
  }
  const target = specifier === '#plugin' ? 'src/plugin/index.ts' : specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : null;
  if (target === null) checkPackage(path, specifier, say);
  else if (!files.has(target)) say(`'${specifier}' is not a file of src/ or connectors/`);
  else if (path.startsWith('src/')) checkLayer(path, target, specifier, say);
  else checkPlugin(path, target, specifier, say);
}

function checkPackage(path: string, specifier: string, say: (what: string) => void): void {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const allowed = path.startsWith('src/') ? LAYERS[layerOf(path)]?.packages : isPure(path) ? [] : DRIVERS[path.split('/')[1] as string];
  if (!allowed?.includes(name)) say(`may not import the package '${name}'`);
}

function checkLayer(path: string, target: string, specifier: string, say: (what: string) => void): void {
  const from = layerOf(path);
  const rules = LAYERS[from];
  if (rules === undefined) {
    say(`src/${from} has no row in the table of layers`);
    return;
  }
  const to = layerOf(target);
  if (to === from) return;
  if (!rules.layers.includes(to)) say(`src/${from} may not import '${specifier}' (${to})`);
  else if (to === 'connectors' && target !== 'connectors/index.ts') say(`only the registry may be imported, not '${specifier}'`);
}

function checkPlugin(path: string, target: string, specifier: string, say: (what: string) => void): void {
  const own = path.split('/')[1] as string;
  if (path === 'connectors/index.ts') {
    // The registry names each plug-in once, by its index.
    if (!/^connectors\/[^/]+\/index\.ts$/.test(target) && specifier !== '#plugin') say(`the registry may not import '${specifier}'`);
    return;
  }
  if (DRIVERS[own] === undefined) say(`plug-in '${own}' has no row in the table of drivers`);
  if (target.startsWith('src/')) {
    if (specifier !== '#plugin') say(`a plug-in reaches the engine only as '#plugin', not '${specifier}'`);
  } else if (!target.startsWith(`connectors/${own}/`)) say(`plug-in '${own}' may not import '${specifier}'`);
}

/** `src/pipeline/flight.ts` → `pipeline`; `src/main.ts` → `main`; anything in connectors → `connectors`. */
function layerOf(path: string): string {
  const [top, second] = path.split('/') as [string, string];
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

/** Every TypeScript file of `src/` and `connectors/`. */
export function readSourceFiles(root: string): SourceFiles {
  const files = new Map<string, string>();
  for (const top of ['src', 'connectors']) {
    for (const entry of readdirSync(`${root}/${top}`, { recursive: true, encoding: 'utf8' })) {
      const path = `${top}/${entry.replaceAll('\\', '/')}`;
      if (path.endsWith('.ts')) files.set(path, readFileSync(`${root}/${path}`, 'utf8'));
    }
  }
  return files;
}
