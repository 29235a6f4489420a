/** Retry settings: the same names and defaults everywhere (design §10). */
export interface RetryOptions {
  /** Undefined = for as long as it takes. */
  readonly maxAttempts?: number;
  readonly initialDelay: number;
  readonly maxDelay: number;
  readonly exponentialBase: number;
  readonly jitter: boolean;
}

/**
 * How long to wait before attempt `attempt` (1 = the first repetition), in milliseconds. With jitter it is drawn from the upper half of the full delay,
 * so that daemons that lost one server do not return all at once and none waits longer than `maxDelay`.
 */
export function backoffMs(retry: RetryOptions, attempt: number, random: () => number): number {
  const full = Math.min(retry.maxDelay, retry.initialDelay * retry.exponentialBase ** (attempt - 1));
  return retry.jitter ? full / 2 + (random() * full) / 2 : full;
}
