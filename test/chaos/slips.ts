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
import { MUTATIONS, type Mutation, mutated } from '../simulation/mutations.ts';

const HELP = `Usage: npm run test:slips [-- --only TEXT] [--files LIST] [--rounds N]

  --only TEXT    slips whose name holds it (default all)
  --files LIST   files of test/chaos/matrix that are run, separated by commas (default sluice)
  --rounds N     a slip that was not caught is run again, at most this often (default 2)
`;
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    files: { type: 'string', default: 'sluice' },
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
const FILES = values.files.split(',').map((name) => `test/chaos/matrix/${name}.test.ts`);
const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name);

/** A copy of the tree, with a slip in it or as it is. */
class Tree {
  readonly root = mkdtempSync(join(tmpdir(), 'sluice-slips-'));

  constructor() {
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.root, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
  }

  /** What failed, null: nothing did. Throws if the slip does not compile: then it is none. */
  run(slip: Mutation | null): string | null {
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
      const result = spawnSync(bin('vitest'), ['run', '--project', 'chaos', '--bail', '1', ...FILES], {
        ...this.#options(),
        env: { ...process.env, NO_COLOR: '1', SLUICE_CHAOS: 'short' },
      });
      if (result.status === 0) return null;
      return (
        /FAIL[^\n]*?\.test\.ts > (.*)/.exec(`${result.stdout}${result.stderr}`)?.[1]?.slice(0, 120) ??
        `exit ${result.status}: ${`${result.stdout}${result.stderr}`.trim().slice(-600)}`
      );
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
  process.stderr.write('Without a slip …\n');
  const sound = tree.run(null);
  if (sound !== null) throw new Error(`the matrix fails without a slip: ${sound}`);
  for (const slip of MUTATIONS.filter(({ name }) => name.includes(values.only))) {
    let failed: string | null = null;
    for (let round = 0; round < Number(values.rounds) && failed === null; round++) failed = tree.run(slip);
    if (failed === null) missed++;
    process.stdout.write(`${failed === null ? 'NOT CAUGHT' : 'caught    '}  ${slip.name}${failed === null ? '' : `: ${failed}`}\n`);
  }
} finally {
  tree.remove();
}
process.exit(missed === 0 ? 0 : 1);
