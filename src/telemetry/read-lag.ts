/** For how long what is in a server's log has not been acknowledged, by the looks at the log's end: it knows no commit times, and needs nothing to be read. */

/** Below it a place that is looked at now and then has only not been looked at: between two heartbeats nothing is acknowledged. */
const SHOWN_FROM_MS = 15_000;
/** No look for so long: how the server stands is not known. */
const STALE_MS = 15_000;
const MAX_LOOKS = 1_000;

export class ReadLag {
  /** Ends of the log that are not acknowledged yet, the oldest first, and when they were seen. */
  #unread: { readonly end: number; readonly atMs: number }[] = [];
  #lookedMs: number;

  constructor(nowMs: number) {
    this.#lookedMs = nowMs;
  }

  /** @param endBytes of the log, from some fixed beginning. @param lagBytes of it, not acknowledged */
  looked(endBytes: number, lagBytes: number, nowMs: number): void {
    this.#lookedMs = nowMs;
    // Another server, or another count of the same one.
    if (endBytes < (this.#unread.at(-1)?.end ?? 0)) this.#unread = [];
    const acknowledged = endBytes - lagBytes;
    const open = this.#unread.findIndex(({ end }) => end > acknowledged);
    this.#unread = open < 0 ? [] : this.#unread.slice(open);
    if (lagBytes > 0 && this.#unread.at(-1)?.end !== endBytes) this.#unread.push({ end: endBytes, atMs: nowMs });
    if (this.#unread.length > MAX_LOOKS) this.#unread = this.#unread.filter((_, index) => index % 2 === 0);
  }

  /** It was looked at, and does not tell where its log ends. */
  unknown(nowMs: number): void {
    this.#lookedMs = nowMs;
  }

  seconds(nowMs: number): number {
    const since = this.#unread[0]?.atMs ?? (nowMs - this.#lookedMs > STALE_MS ? this.#lookedMs : nowMs);
    return nowMs - since < SHOWN_FROM_MS ? 0 : (nowMs - since) / 1000;
  }
}
