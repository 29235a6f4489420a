import type { Output } from './output.ts';

/** What every command takes. */
export const PATHS =
  'a directory holding sluice.json and connectors/*.json, or connector files (default: $SLUICE_CONFIG, else the current directory)';

/** Runs the work of a command and takes its exit code. */
export type Action = (json: boolean | undefined, work: (output: Output) => Promise<number>) => Promise<void>;
