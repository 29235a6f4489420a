/**
 * `npm run test:slips`: the short fault matrix must fail when a slip is in the engine. Each slip of the simulator's list is put into a copy of the tree, which is
 * built and run on real servers.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MUTATIONS, type Mutation, matrixFiles, mutated, PLUGIN_SLIPS } from '../simulation/mutations.ts';

const HELP = `Usage: npm run test:slips [-- --only TEXT] [--files LIST] [--rounds N]

  --only TEXT    slips whose name holds it (default all)
  --files LIST   files of test/chaos/matrix that are run, separated by commas, in this order (default: those that the slip names)
  --rounds N     a slip that was not caught is run again, at most this often (default 2)
`;
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    files: { type: 'string' },
    rounds: { type: 'string', default: '2' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PARTS = ['src', 'connectors', 'test', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'vitest.config.ts'];
const filesOf = (slip: Mutation): readonly string[] => values.files?.split(',') ?? matrixFiles(slip);
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name);

/** The test that failed, and the first line of why. */
function blame(printed: string): string | null {
  const [, test, why] = /FAIL[^\n]*?\.test\.ts > ([^\n]*)\n([^\n]*)/.exec(printed) ?? [];
  return test === undefined ? printed.trim().slice(-600) || null : `${test.slice(0, 120)} — ${why?.slice(0, 160)}`;
}

/** A copy of the tree, with a slip in it or as it is. */
class Tree {
  readonly root = mkdtempSync(join(tmpdir(), 'sluice-slips-'));

  constructor() {
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.root, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
  }

  /** The first test of these files that failed, and why; null: none did. Throws if the slip does not compile: then it is none. */
  run(slip: Mutation | null, files: readonly string[]): string | null {
    const path = slip === null ? null : join(this.root, slip.file);
    const before = path === null ? '' : readFileSync(path, 'utf8');
    if (path !== null && slip !== null) writeFileSync(path, mutated(before, slip));
    try {
      // A slip may leave something unused.
      const build = spawnSync(
        bin('tsc'),
        ['-p', 'tsconfig.build.json', '--noUnusedLocals', 'false', '--noUnusedParameters', 'false'],
        this.#options(),
      );
      if (build.status !== 0) throw new Error(`"${slip?.name}" does not compile: ${build.stdout.slice(0, 1000)}`);
      for (const file of files) {
        const result = spawnSync(bin('vitest'), ['run', '--project', 'chaos', '--bail', '1', `test/chaos/matrix/${file}.test.ts`], {
          ...this.#options(),
          env: { ...process.env, NO_COLOR: '1', SLUICE_CHAOS: 'short' },
        });
        if (result.status !== 0) return `${file}: ${blame(`${result.stdout}${result.stderr}`) ?? `exit code ${result.status}`}`;
      }
      return null;
    } finally {
      if (path !== null) writeFileSync(path, before);
    }
  }

  #options(): { cwd: string; encoding: 'utf8'; maxBuffer: number } {
    return { cwd: this.root, encoding: 'utf8', maxBuffer: 64 << 20 };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const tree = new Tree();
let missed = 0;
try {
  const slips = [...PLUGIN_SLIPS, ...MUTATIONS].filter(({ name }) => name.includes(values.only));
  process.stderr.write('Without a slip …\n');
  const sound = tree.run(null, [...new Set(slips.flatMap(filesOf))]);
  if (sound !== null) throw new Error(`the matrix fails without a slip: ${sound}`);
  for (const slip of slips) {
    const began = Date.now();
    let failed: string | null = null;
    for (let round = 0; round < Number(values.rounds) && failed === null; round++) failed = tree.run(slip, filesOf(slip));
    if (failed === null) missed++;
    const seconds = Math.round((Date.now() - began) / 1000);
    process.stdout.write(`${failed === null ? 'NOT CAUGHT' : 'caught    '}  ${slip.name} (${seconds} s)${failed === null ? '' : `: ${failed}`}\n`);
  }
} finally {
  tree.remove();
}
process.exit(missed === 0 ? 0 : 1);
