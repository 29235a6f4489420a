import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCampaign } from './campaign.ts';
import { LOG_SLIPS } from './log-slips.ts';
import { MUTATIONS, type Mutation, mutated } from './mutations.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PARTS = ['src', 'connectors', 'test/simulation', 'package.json', 'tsconfig.json'];
/** A slip that needs more than this to be seen needs a better simulator. */
const MOST_SEEDS = 4000;

export interface Caught {
  readonly mutation: Mutation;
  /** Null: nothing was noticed. */
  readonly invariant: string | null;
  readonly message: string;
  readonly seed: number;
  /** How many were run. */
  readonly seeds: number;
}

/** The engine with one slip in it, in a folder of its own. */
export class MutatedTree {
  readonly #root = mkdtempSync(join(tmpdir(), 'sluice-simulation-'));

  constructor() {
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.#root, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.#root, 'node_modules'));
  }

  async try(mutation: Mutation, workers = availableParallelism(), seeds = MOST_SEEDS): Promise<Caught> {
    const path = join(this.#root, mutation.file);
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, mutated(before, mutation));
    try {
      const result = await runCampaign({ from: 1, seeds, workers, root: this.#root });
      const violation = result.failed?.violation ?? null;
      return {
        mutation,
        invariant: violation?.invariant ?? null,
        message: violation?.message ?? '',
        seed: result.failed?.seed ?? 0,
        seeds: result.seeds,
      };
    } finally {
      writeFileSync(path, before);
    }
  }

  /** Throws if the mutation's text is not to be found. */
  check(mutation: Mutation): void {
    mutated(readFileSync(join(this.#root, mutation.file), 'utf8'), mutation);
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** All mutations, or those whose name holds `only`. True if each was caught. */
export async function reportMutations(print: (line: string) => void, only = '', workers = availableParallelism()): Promise<boolean> {
  const tree = new MutatedTree();
  let all = true;
  try {
    for (const mutation of [...MUTATIONS, ...LOG_SLIPS].filter(({ name }) => name.includes(only))) {
      const { invariant, message, seed, seeds } = await tree.try(mutation, workers);
      if (invariant === null) all = false;
      const what = invariant === null ? 'NOT CAUGHT' : `${invariant} after ${String(seeds).padStart(4)} seeds`;
      print(`${what.padEnd(24)} ${mutation.name}${invariant === null ? '' : ` (seed ${seed}: ${message.split('\n')[0]?.slice(0, 110)})`}`);
    }
  } finally {
    tree.remove();
  }
  return all;
}
