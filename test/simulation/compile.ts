import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Compiled {
  /** The folder with `worker.js`. */
  readonly directory: string;
  readonly remove: () => void;
}

/**
 * The tree below `root` as JavaScript, in a folder of its own. What tsx makes of it gives every closure its name again each time it is made: a tenth of
 * a campaign. Types are not checked: a slip may break them.
 */
export function compile(root = ROOT): Compiled {
  const out = mkdtempSync(join(tmpdir(), 'sluice-compiled-'));
  const remove = (): void => rmSync(out, { recursive: true, force: true });
  const compilerOptions = { noEmit: false, noCheck: true, outDir: out, rootDir: root, typeRoots: [join(ROOT, 'node_modules/@types')] };
  const config = { extends: join(root, 'tsconfig.json'), compilerOptions, files: [join(root, 'test/simulation/worker.ts')], include: [] };
  try {
    writeFileSync(join(out, 'tsconfig.json'), JSON.stringify(config));
    writeFileSync(join(out, 'package.json'), JSON.stringify({ type: 'module', imports: { '#plugin': './src/plugin/index.js' } }));
    symlinkSync(join(ROOT, 'node_modules'), join(out, 'node_modules'));
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', out], {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
  } catch (error) {
    remove();
    throw new Error(`the simulator cannot be compiled: ${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
  return { directory: join(out, 'test/simulation'), remove };
}
