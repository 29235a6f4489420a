import type { WriteStream } from 'node:tty';
import progress, { type MultiBar, type SingleBar } from 'cli-progress';
import { type CopyView, countText, durationText } from '../snapshot/view.ts';

const LOOK_MS = 250;
/** More would leave no room for the log. */
const MAX_BARS = 8;
/** Where the terminal does not say how high it is. */
const ROWS = 24;
const FORMAT = '{table} [{bar}] {percent} {rows}{rate}{left}';

/** A bar for each table that is being copied, at the bottom of a terminal; what is written goes above them. */
export class CopyBars {
  readonly #stream: WriteStream;
  #multi: MultiBar | null = null;
  /** By connector and table. */
  readonly #bars = new Map<string, SingleBar>();

  constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  /** Looks at the copies until it is told to end. */
  follow(copies: () => readonly CopyView[]): () => void {
    const timer = setInterval(() => this.show(copies()), LOOK_MS);
    timer.unref();
    return () => {
      clearInterval(timer);
      this.hide();
    };
  }

  show(copies: readonly CopyView[]): void {
    const shown = copies.filter(({ state }) => state === 'copying').slice(0, Math.max(1, Math.min(MAX_BARS, (this.#stream.rows || ROWS) - 2)));
    const keys = shown.map(({ connector, table, copy }) => `${connector}/${copy}/${table}`);
    if (keys.length !== this.#bars.size || !keys.every((key) => this.#bars.has(key))) this.#begin(keys);
    const width = Math.max(...shown.map(({ table }) => table.length));
    for (const [at, view] of shown.entries()) {
      this.#bars.get(keys[at] as string)?.update(view.percent ?? 0, texts(view, width));
    }
    this.#multi?.update();
  }

  /** Whole lines. */
  write(text: string): void {
    if (this.#multi === null) {
      this.#stream.write(text);
      return;
    }
    // They take the place of bars, which may be longer.
    this.#multi.log(text.replaceAll('\n', '\u001b[K\n'));
    this.#multi.update();
  }

  hide(): void {
    this.#multi?.stop();
    this.#multi = null;
    this.#bars.clear();
  }

  /** The library leaves a line behind where one of several is taken away: they all begin anew. */
  #begin(keys: readonly string[]): void {
    this.hide();
    if (keys.length === 0) return;
    // Neither the cursor nor the wrapping of lines is touched: a process that is killed could not give them back.
    const options = {
      stream: this.#stream,
      format: FORMAT,
      barsize: 16,
      linewrap: true,
      clearOnComplete: true,
      forceRedraw: true,
    };
    this.#multi = new progress.MultiBar({ ...options, gracefulExit: false, fps: 1 });
    for (const key of keys) this.#bars.set(key, this.#multi.create(100, 0, { table: '', percent: '', rows: '', rate: '', left: '' }));
  }
}

function texts({ table, rows, estimatedRows, percent, rowsPerSecond, secondsLeft }: CopyView, width: number): Record<string, string> {
  return {
    table: table.padEnd(width),
    percent: (percent === null ? '' : `${percent} %`).padStart(4),
    rows: `${countText(rows)}${estimatedRows === null ? '' : ` of ~${countText(estimatedRows)}`}`,
    rate: rowsPerSecond === null ? '' : `  ${countText(rowsPerSecond)}/s`,
    left: secondsLeft === null ? '' : `  ${durationText(secondsLeft)} left`,
  };
}
