import type { Logger } from '../plugin/context.ts';
import { type Runtime, sleep } from '../plugin/runtime.ts';
import type { SnapshotConfig } from '../plugin/snapshot-fields.ts';
import type { SourceHealth } from '../plugin/source.ts';

/** Rows that were not read may be made up for over so long, and a chunk is not larger than what may be read in it: the rate is even. */
const BURST_MS = 250;
/** Copying goes on below this part of the bound that it was put off for, or it would come and go with every look at the source. */
const GO_ON_AT = 0.8;
const HELD_POLL_MS = 200;

interface Reason {
  readonly message: string;
  readonly remedy: string;
}

type Limits = Pick<SnapshotConfig, 'maxRowsPerSecond' | 'maxLag' | 'maxStandbyLag'>;

/** How fast a connector may copy: its rows a second, and whether copying is put off because the source falls behind. */
export class Pace {
  readonly #limits: Limits;
  readonly #runtime: Runtime;
  readonly #log: Logger;
  /** When what was taken so far is paid for. */
  #freeAtMs = Number.NEGATIVE_INFINITY;
  /** Why copying is put off, by the lag; null: it is not. */
  #late: Reason | null = null;
  /** Why nothing is to be copied, whatever the lag; null: it may. */
  #pressure: Reason | null = null;
  #isSaid = false;

  constructor(limits: Limits, runtime: Runtime, log: Logger) {
    this.#limits = limits;
    this.#runtime = runtime;
    this.#log = log;
  }

  /** The source was looked at. */
  observed({ lagBytes, standbyLagBytes = null }: SourceHealth): void {
    const { maxLag, maxStandbyLag } = this.#limits;
    const factor = this.#late === null ? 1 : GO_ON_AT;
    const isOver = lagBytes !== null && lagBytes > maxLag * factor;
    const isStandbyOver = standbyLagBytes !== null && maxStandbyLag !== undefined && standbyLagBytes > maxStandbyLag * factor;
    if (isOver) this.#late ??= put('the connector', lagBytes, 'snapshot.maxLag', maxLag);
    else if (isStandbyOver) this.#late ??= put('a standby of the server', standbyLagBytes, 'snapshot.maxStandbyLag', maxStandbyLag);
    else this.#late = null;
    this.#sayEnd();
  }

  /** The source is to be protected; null: no more. */
  hold(why: Reason | null): void {
    this.#pressure = why;
    this.#sayEnd();
  }

  /** The source is to be protected: a first copy keeps its log waiting. */
  get isPressed(): boolean {
    return this.#pressure !== null;
  }

  get #held(): Reason | null {
    return this.#pressure ?? this.#late;
  }

  #sayEnd(): void {
    if (this.#held !== null || !this.#isSaid) return;
    this.#isSaid = false;
    this.#log.info('Copying beside the log goes on: the connector is no longer too far behind.');
  }

  /** A chunk of so many rows may be read: beside the log, of at most `cap(rows)`. Resolves when it is its turn. */
  async turn(rows: number, signal: AbortSignal): Promise<void> {
    for (let why = this.#held; why !== null; why = this.#held) {
      // Of interest only to whom it keeps waiting.
      if (!this.#isSaid) this.#log.warn(why.message, { remedy: why.remedy });
      this.#isSaid = true;
      await sleep(this.#runtime, HELD_POLL_MS, signal);
    }
    await this.spend(rows, signal);
  }

  /** So many rows were taken by `turn`, and so many were read. */
  correct(taken: number, read: number): void {
    const { maxRowsPerSecond } = this.#limits;
    if (maxRowsPerSecond > 0) this.#freeAtMs -= ((taken - read) / maxRowsPerSecond) * 1000;
  }

  cap(rows: number): number {
    const { maxRowsPerSecond } = this.#limits;
    return maxRowsPerSecond === 0 ? rows : Math.min(rows, Math.max(1, Math.floor((maxRowsPerSecond * BURST_MS) / 1000)));
  }

  /** So many rows are read, whatever the lag. Resolves when that is within the rate. */
  async spend(rows: number, signal: AbortSignal): Promise<void> {
    const { maxRowsPerSecond } = this.#limits;
    if (maxRowsPerSecond === 0) return;
    const now = this.#runtime.monotonicMs();
    const from = Math.max(this.#freeAtMs, now - BURST_MS);
    this.#freeAtMs = from + (rows / maxRowsPerSecond) * 1000;
    if (from > now) await sleep(this.#runtime, from - now, signal);
  }
}

function put(who: string, lag: number, option: string, bound: number): Reason {
  return {
    message: `Copying beside the log is put off: ${who} is ${mebibytes(lag)} behind, and "${option}" is ${mebibytes(bound)}.`,
    remedy: `It goes on by itself below ${mebibytes(bound * GO_ON_AT)}. Where it does not, find what is slow (the sink, the network, a long transaction), or raise "${option}".`,
  };
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toLocaleString('en-US', { maximumFractionDigits: 1 })} MiB`;
}
