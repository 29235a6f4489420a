import { fork } from 'node:child_process';
import { compile } from './compile.ts';
import type { Outcome, Tally } from './simulation.ts';

/** What every seed must have, or it tests too little. */
const LEAST = { records: 200, crashes: 3, cuts: 2 } as const;

export interface Campaign {
  readonly seeds: number;
  readonly seconds: number;
  readonly sum: Record<string, number>;
  readonly fates: Record<string, number>;
  /** Seeds that had less than `LEAST`. */
  readonly poor: readonly number[];
  /** The failing seed with the lowest number, if one failed. */
  readonly failed: Outcome | null;
}

export interface CampaignOptions {
  readonly from: number;
  readonly seeds: number;
  readonly workers: number;
  /** The tree that holds the engine and the simulator; left out: this one. */
  readonly root?: string;
  readonly progress?: (done: number) => void;
}

/** A simulation makes much that dies soon: with V8's own small nursery an eighth of the time is spent on looking what of it lives. */
const V8_FLAGS = ['--max-semi-space-size=128'];

/** Runs seeds in worker processes, until all are done or one fails. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const { directory, remove } = compile(options.root);
  try {
    return await runCompiled(`${directory}/worker.js`, options);
  } finally {
    remove();
  }
}

async function runCompiled(path: string, { from, seeds, workers, progress }: CampaignOptions): Promise<Campaign> {
  const started = performance.now();
  const sum: Record<string, number> = {};
  const fates: Record<string, number> = {};
  const poor: number[] = [];
  let done = 0;
  let failed: Outcome | null = null;
  const add = (outcome: Outcome): void => {
    done++;
    addTally(outcome.tally, sum, fates);
    if (outcome.violation !== null && (failed === null || outcome.seed < failed.seed)) failed = outcome;
    else if (outcome.violation === null && isPoor(outcome.tally)) poor.push(outcome.seed);
    progress?.(done);
  };
  const end = from + seeds;
  const children = Array.from({ length: Math.min(workers, seeds) }, (_, worker) =>
    runWorker(path, ['range', from + worker, workers, end].map(String), add),
  );
  const stop = (): void => {
    for (const { kill } of children) kill();
  };
  await Promise.all(children.map(({ over }) => over.then(() => failed !== null && stop())));
  return { seeds: done, seconds: (performance.now() - started) / 1000, sum, fates, poor, failed };
}

function runWorker(
  path: string,
  args: readonly string[],
  add: (outcome: Outcome) => void,
): { readonly over: Promise<void>; readonly kill: () => void } {
  const child = fork(path, args, { execArgv: V8_FLAGS, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  let isKilled = false;
  let hasFailed = false;
  child.on('message', (outcome: Outcome) => {
    if (outcome.violation !== null) hasFailed = true;
    add(outcome);
  });
  const over = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0 || isKilled || hasFailed) resolve();
      else reject(new Error(`the worker (${args.join(' ')}) ended with ${code}`));
    });
  });
  const kill = (): void => {
    isKilled = true;
    child.kill();
  };
  return { over, kill };
}

function addTally(tally: Tally, sum: Record<string, number>, fates: Record<string, number>): void {
  for (const [name, value] of Object.entries(tally)) if (typeof value === 'number') sum[name] = (sum[name] ?? 0) + value;
  for (const [fate, times] of Object.entries(tally.fates)) fates[fate] = (fates[fate] ?? 0) + times;
}

export function isPoor({ records, crashes, cuts }: Tally): boolean {
  return records < LEAST.records || crashes < LEAST.crashes || cuts < LEAST.cuts;
}
