/** Over so long a rate is taken: a pause, or a slow beginning, is soon forgotten. */
const WINDOW_MS = 10_000;
const STEP_MS = 500;
/** Shorter, and a rate would say nothing. */
const LEAST_MS = 100;

interface Mark {
  readonly atMs: number;
  readonly rows: number;
}

/** How fast a number of rows grows, over the last seconds. */
export class RowRate {
  #marks: Mark[] = [];

  note(atMs: number, rows: number): void {
    const last = this.#marks.at(-1);
    if (last === undefined || atMs - last.atMs >= STEP_MS) this.#marks.push({ atMs, rows });
    this.#forget(atMs);
  }

  /** Rows a second; null: it is too early to say. */
  perSecond(nowMs: number, rows: number): number | null {
    this.#forget(nowMs);
    const first = this.#marks[0];
    if (first === undefined || nowMs - first.atMs < LEAST_MS) return null;
    return Math.round(((rows - first.rows) / (nowMs - first.atMs)) * 1000);
  }

  clear(): void {
    this.#marks = [];
  }

  #forget(nowMs: number): void {
    while (this.#marks.length > 1 && (this.#marks[1] as Mark).atMs <= nowMs - WINDOW_MS) this.#marks.shift();
  }
}
