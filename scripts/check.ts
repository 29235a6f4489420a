/**
 * `npm run check`: everything that needs no server, in under a minute. One line for each step; what a step said is shown only if it failed.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkImports, readSourceFiles } from '../test/support/import-rules.ts';

interface Result {
  ok: boolean;
  output: string;
}

interface Step {
  name: string;
  run(): Promise<Result>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
/** Each step uses several threads itself. */
const AT_ONCE = 2;

const program = (name: string) => fileURLToPath(new URL(`../node_modules/${name}`, import.meta.url));
const node =
  (...args: string[]) =>
  () =>
    command(process.execPath, args);

// The longest first.
const steps: Step[] = [
  { name: 'unit tests', run: node(program('vitest/vitest.mjs'), 'run', '--project', 'unit', '--reporter', 'dot') },
  { name: 'types', run: node(program('typescript/bin/tsc'), '-p', 'tsconfig.json') },
  { name: 'lint and format', run: node(program('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings') },
  { name: 'dead code', run: node(program('knip/bin/knip.js'), '--no-config-hints') },
  { name: 'generated files', run: node('--conditions=source', '--import', 'tsx', 'scripts/generate.ts', '--check') },
  { name: 'import rules', run: () => Promise.resolve(importRules()) },
];

function importRules(): Result {
  const violations = checkImports(readSourceFiles(root));
  return { ok: violations.length === 0, output: violations.join('\n') };
}

function command(file: string, args: readonly string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString('utf8');
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', (error) => resolve({ ok: false, output: error.message }));
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

async function worker(queue: Step[], failed: string[]): Promise<void> {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const startMs = performance.now();
    const { ok, output } = await step.run();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    process.stdout.write(`${ok ? 'ok    ' : 'FAILED'}  ${step.name.padEnd(16)} ${seconds.padStart(5)} s\n`);
    if (!ok) {
      process.stdout.write(`${output.trimEnd().replace(/^/gm, '        ')}\n`);
      failed.push(step.name);
    }
  }
}

const failed: string[] = [];
const queue = [...steps];
await Promise.all(Array.from({ length: AT_ONCE }, () => worker(queue, failed)));
process.stdout.write(failed.length === 0 ? 'all passed\n' : `failed: ${failed.join(', ')}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
