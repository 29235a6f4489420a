import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import { sleep } from '../plugin/runtime.ts';
import type { StateStore } from '../state/state-store.ts';
import { openStoreWhenFree, type StoreOptions } from '../state/store.ts';
import { backoffMs } from './backoff.ts';

/** A command that looks at the state holds it for a moment. */
const LOOK_MS = 2_000;
/** Progress within five seconds after there is space again (I10). */
const RETRY = { initialDelay: 250, maxDelay: 2_000, exponentialBase: 2, jitter: true };
const SAY_AGAIN_MS = 30_000;

/** Opens the state. What passes by itself (a full disk, no file descriptors) is waited for, as it is while connectors run. Null: it was told to stop meanwhile. */
export async function openState(options: StoreOptions, log: Logger, stop: AbortSignal): Promise<StateStore | null> {
  const { runtime } = options;
  let saidAt = Number.NEGATIVE_INFINITY;
  for (let attempt = 1; !stop.aborted; attempt++) {
    try {
      return await openStoreWhenFree(options, LOOK_MS);
    } catch (error) {
      if (!(error instanceof SluiceError) || error.kind.retry !== 'auto') throw error;
      const now = runtime.monotonicMs();
      const isSaid = now - saidAt < SAY_AGAIN_MS;
      if (!isSaid) saidAt = now;
      log[isSaid ? 'debug' : 'warn'](`${error.message} Trying again.`, { code: error.code, remedy: error.remedy, attempt });
      await sleep(
        runtime,
        backoffMs(RETRY, attempt, () => runtime.random()),
        stop,
      ).catch(() => undefined);
    }
  }
  return null;
}
