import { expect } from 'vitest';
import type { FaultRun } from './fault-run.ts';

/**
 * Ends the built daemon with SIGKILL at a named step of its work: `daemon.start([], killAt('saved', 3))`. The product has no hooks for it:
 * kill-step-preload.mjs is loaded before it, patches the prototypes of the built classes, and counts their calls.
 */
/** Where, in the order of the work on a batch. */
export const KILL_STEPS = [
  /** Between a batch of LevelDB and the side file that witnesses it; the first ones are those of the first initialisation and of the intent. */
  'between LevelDB and the side file',
  /** A place was saved by itself (the first of a partition): nothing was written there yet. Without such places: the position where all begins. */
  'after the first place',
  'after receive',
  'after encode',
  /** Half of the bytes of a request were given to the kernel. */
  'half-way through a request',
  /** Some messages of a batch are confirmed, others not. */
  'half-way through a write',
  'after durable',
  'after save',
  'after acknowledge',
  /** The server was told: Postgres alone is. */
  'after the status was sent',
] as const;
export type KillStep = (typeof KILL_STEPS)[number];

/** The environment of a daemon that kills itself at the `n`-th time (1 = the first) of this step. */
export function killAt(step: KillStep, n: number): Record<string, string> {
  return environment({ step, n });
}

/** Starts a daemon that kills itself there, with a load, and waits until it has. */
export async function killedAt(of: FaultRun, step: KillStep, n: number): Promise<void> {
  const { daemon } = of;
  const streamed = of.streamed;
  daemon.start([], killAt(step, n));
  const exit = daemon.exit();
  let exited = false;
  void exit.then(() => {
    exited = true;
  });
  const text = (): string => `${step}, time ${n}: ended by SIGKILL; ${daemon.stderr.slice(-2000)}`;
  // Before it has a place to begin at (Postgres: a slot), nothing would be captured of what the load does.
  await expect.poll(() => exited || of.streamed > streamed, { timeout: 60_000, interval: 25, message: text() }).toBe(true);
  if (of.streamed > 0) of.resume();
  await expect.poll(() => exited, { timeout: 30_000, message: text() }).toBe(true);
  expect(daemon.child?.signalCode, text()).toBe('SIGKILL');
}

function environment(order: Readonly<Record<string, unknown>>): Record<string, string> {
  return { NODE_OPTIONS: `--import ${new URL('kill-step-preload.mjs', import.meta.url)}`, SLUICE_TEST_KILL: JSON.stringify(order) };
}
