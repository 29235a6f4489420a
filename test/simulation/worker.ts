/** Runs a range of seeds and tells the process that asked of each. */
import { setMaxListeners } from 'node:events';
import { type Outcome, simulate } from './simulation.ts';

// More than ten lanes that wait at the same time are as many listeners of one signal.
setMaxListeners(0);

export interface Range {
  readonly from: number;
  /** Seeds are `from`, `from + step`, … below `end`. */
  readonly step: number;
  readonly end: number;
}

/** Stops at the first violation, for what follows is not asked for any more. A rejection that nobody handles is one. */
export async function runRange({ from, step, end }: Range, tell: (outcome: Outcome) => void): Promise<void> {
  let unhandled: unknown = null;
  const note = (reason: unknown): void => {
    unhandled = reason;
  };
  process.on('unhandledRejection', note);
  // Thousands of errors, and nobody looks at their stacks: a failing seed is run again.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    for (let seed = from; seed < end; seed += step) {
      const outcome = await simulate(seed);
      // A turn of the event loop: rejections are noticed in it.
      await new Promise<void>((resolve) => void setImmediate(resolve));
      const violation = unhandled === null ? outcome.violation : { invariant: 'I8', message: `a rejection was not handled: ${describe(unhandled)}` };
      tell({ ...outcome, violation });
      if (violation !== null) return;
    }
  } finally {
    process.off('unhandledRejection', note);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function describe(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}

if (process.send !== undefined && process.argv[2] === 'range') {
  const [from, step, end] = process.argv.slice(3).map(Number) as [number, number, number];
  await runRange({ from, step, end }, (outcome) => process.send?.(outcome));
  process.disconnect();
}
