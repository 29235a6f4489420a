/**
 * Whether a transaction that the log has shown is visible to queries yet. The walsender sends a commit before it is: by microseconds, or for as long
 * as a synchronous standby takes to confirm it. The catalogue that is asked in between is that of before the transaction.
 */

/** The query that gives the snapshot which `isVisible` reads. */
export const SNAPSHOT = 'SELECT pg_current_snapshot()::text AS snapshot';

const HALF = 1n << 31n;
const WHOLE = 1n << 32n;

/**
 * `snapshot` as text: `xmin:xmax:xip,…`, 64-bit numbers (manual, 9.27.11). `xid` as in the log: 32 bits, which are taken to be those of the nearest
 * 64-bit number.
 */
export function isVisible(snapshot: string, xid: number): boolean {
  const [xminText = '', xmaxText = '', running = ''] = snapshot.split(':');
  const xmax = BigInt(xmaxText);
  let full = (xmax - (xmax % WHOLE)) | BigInt(xid);
  if (full > xmax + HALF) full -= WHOLE;
  else if (full < xmax - HALF) full += WHOLE;
  if (full < BigInt(xminText)) return true;
  return full < xmax && !running.split(',').includes(String(full));
}

/**
 * Whether all transactions that were under way at one snapshot are not at a later one. A standby's snapshot has no list of them; but none that
 * is under way is older than its `xmin`, and none that was is younger than the `xmax` of then.
 */
export function haveEnded(then: string, now: string, isStandby: boolean): boolean {
  const [before, after] = [then.split(':'), now.split(':')];
  if (isStandby) return BigInt(after[0] ?? '') >= BigInt(before[1] ?? '');
  const running = new Set(after[2]?.split(','));
  return (before[2] ?? '').split(',').every((xid) => xid === '' || !running.has(xid));
}
