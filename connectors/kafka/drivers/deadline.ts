import { type Runtime, sleep } from '#plugin';
import { KafkaFailure } from './driver.ts';

/** The call's own outcome, or `TIMEOUT` after `ms`, or the signal's reason. What the call does later is ignored. */
export async function withDeadline<T>(runtime: Runtime, ms: number, call: Promise<T>, signal?: AbortSignal): Promise<T> {
  const stop = new AbortController();
  const late = sleep(runtime, ms, stop.signal).then(() => {
    throw new KafkaFailure('TIMEOUT', `no answer within ${ms} ms`);
  });
  const aborted = (): void => stop.abort(signal?.reason);
  signal?.addEventListener('abort', aborted, { once: true });
  if (signal?.aborted) aborted();
  try {
    return await Promise.race([late, call]);
  } finally {
    signal?.removeEventListener('abort', aborted);
    stop.abort(new Error('answered'));
    late.catch(() => undefined);
    call.catch(() => undefined);
  }
}
