/** More than what clocks that are kept by NTP differ, and than an answer takes. */
const SKEW_MICROS = 5e6;

/**
 * How far the clock of a server is from ours, in words; null: not so far that it matters. All in microseconds since the epoch.
 * @param asked when the server was asked for its time, and `answered` when it had answered, by our clock
 */
export function clockGap(server: number, asked: number, answered: number): { readonly seconds: string; readonly direction: string } | null {
  const ahead = Math.max(0, server - answered);
  const behind = Math.max(0, asked - server);
  if (ahead + behind < SKEW_MICROS) return null;
  return { seconds: ((ahead + behind) / 1e6).toFixed(1), direction: ahead > 0 ? 'ahead' : 'behind' };
}
