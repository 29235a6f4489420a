import type { Logger } from '../plugin/context.ts';
import type { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { Copies } from './copies.ts';
import type { CopyEvents } from './events.ts';
import type { TableCopy } from './table-copy.ts';
import { copyView, countText, durationText } from './view.ts';

/** How often it is said how far a copy has come. */
const SAY_EVERY_MS = 10_000;

interface Begun {
  readonly atMs: number;
  readonly rows: number;
}

interface HowItRuns {
  /** People see how far copies are by other means. */
  readonly isShown: boolean;
  /** To the end of the log, and no further. */
  readonly once: boolean;
}

/** Says in the log how copies fare. */
export class CopyLog implements CopyEvents {
  readonly #copies: Copies;
  readonly #runtime: Runtime;
  readonly #log: Logger;
  readonly #run: HowItRuns;
  readonly #begun = new Map<TableCopy, Begun>();
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(copies: Copies, runtime: Runtime, log: Logger, run: HowItRuns) {
    this.#copies = copies;
    this.#runtime = runtime;
    this.#log = log;
    this.#run = run;
  }

  planned(copy: TableCopy): void {
    this.#begin(copy);
    const { estimatedRows, parts, label } = copy;
    this.#log.info(`Copying ${label}: ${estimateText(estimatedRows)} rows in ${parts?.length ?? 1} ${parts?.length === 1 ? 'part' : 'parts'}.`, {
      table: label,
    });
  }

  failed(copy: TableCopy, error: SluiceError): void {
    copy.state = 'failed';
    copy.error = { code: error.code, message: error.message, remedy: error.remedy };
    this.#copies.changed(copy);
    this.#begun.delete(copy);
    this.#log.error(`${error.message} Its changes are captured all the same.`, { code: error.code, remedy: error.remedy, table: copy.label });
  }

  later(copy: TableCopy, error: SluiceError): void {
    this.#log.info(error.message, { code: error.code, table: copy.label });
  }

  moved(copy: TableCopy): void {
    const now = this.#runtime.monotonicMs();
    const begun = this.#begin(copy);
    copy.rate.note(now, copy.rows);
    if (copy.state === 'done') {
      this.#begun.delete(copy);
      const rate = rateOf(copy, begun, now);
      this.#log.info(`Copied ${copy.label}: ${countText(copy.rows)} rows${rate === null ? '' : `, ${countText(rate)} a second`}.`, {
        table: copy.label,
      });
      if (copy.kind === 'first' && this.#copies.open === 0) this.#log.info('All tables are copied.');
      return;
    }
    if (now - this.#saidAt < SAY_EVERY_MS) return;
    if (this.#saidAt > Number.NEGATIVE_INFINITY) for (const each of this.#begun.keys()) this.#say(each, now);
    this.#saidAt = now;
  }

  unfinished(open: number): void {
    // Stopped, the log ends as well: what is left goes on at the next start.
    if (open === 0 || !this.#run.once) return;
    const remedy = 'Start it without --once, and let them go on: sluice snapshot resume.';
    this.#log.warn(`The end of the log is reached; ${open} ${open === 1 ? 'copy is' : 'copies are'} not finished.`, { remedy });
  }

  #begin(copy: TableCopy): Begun {
    const known = this.#begun.get(copy);
    if (known !== undefined) return known;
    const begun = { atMs: this.#runtime.monotonicMs(), rows: copy.rows };
    this.#begun.set(copy, begun);
    copy.rate.note(begun.atMs, begun.rows);
    return begun;
  }

  #say(copy: TableCopy, now: number): void {
    const { rows, estimatedRows, percent, rowsPerSecond, secondsLeft } = copyView('', copy, now);
    const share = percent === null ? '' : ` of ${estimateText(estimatedRows)} (${percent} %)`;
    const rate = rowsPerSecond === null ? '' : `, ${countText(rowsPerSecond)} a second`;
    const left = secondsLeft === null ? '' : `, about ${durationText(secondsLeft)} left`;
    this.#log[this.#run.isShown ? 'debug' : 'info'](`Copying ${copy.label}: ${countText(rows)}${share} rows${rate}${left}.`, { table: copy.label });
  }
}

/** Rows a second; null: too early to say. */
function rateOf(copy: TableCopy, { atMs, rows }: Begun, now: number): number | null {
  return now - atMs < 100 ? null : Math.round(((copy.rows - rows) / (now - atMs)) * 1000);
}

function estimateText(rows: number | null): string {
  return rows === null ? 'an unknown number of' : `about ${countText(rows)}`;
}
