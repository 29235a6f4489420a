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
  /** The server was told. */
  'after the status was sent',
] as const;
export type KillStep = (typeof KILL_STEPS)[number];

/** The environment of a daemon that kills itself at the `n`-th time (1 = the first) of this step. */
export function killAt(step: KillStep, n: number): Record<string, string> {
  return environment({ step, n });
}

function environment(order: Readonly<Record<string, unknown>>): Record<string, string> {
  return { NODE_OPTIONS: `--import ${new URL('kill-step-preload.mjs', import.meta.url)}`, SLUICE_TEST_KILL: JSON.stringify(order) };
}
