/** How much of the time the changes of each table came within its objective. */
import type { TableIdentity, TableVersion } from '../record/table.ts';

const MINUTE_MS = 60_000;
/** Of the longest window. */
const MINUTES = 60;

/** Windows of the burn rate, minutes: short enough to show that it is over, long enough not to show each hiccup. */
export const BURN_WINDOWS = { '5m': 5, '1h': 60 } as const;

export interface Objective {
  /** A change is to be durable in the sink so soon after its commit, milliseconds. */
  objectiveMs(table: TableIdentity): number;
  /** The part of the time in which that is to hold, 0 to 1 and less than 1. */
  readonly share: number;
}

/** One table, as it was in the last hour. */
export interface TableFreshness {
  readonly table: string;
  readonly objectiveSeconds: number;
  /** Of the last hour, 0 to 1. */
  readonly freshShare: number;
  /** How many times faster than allowed the time that may be late is used up, by window; 1 uses up just all of it. */
  readonly burnRate: Readonly<Record<keyof typeof BURN_WINDOWS, number>>;
}

class Table {
  readonly objectiveMs: number;
  /** Not counted yet, milliseconds. */
  freshMs = 0;
  lateMs = 0;
  readonly #fresh = new Float64Array(MINUTES);
  readonly #late = new Float64Array(MINUTES);
  #minute: number;
  #lookedMs: number;

  constructor(objectiveMs: number, nowMs: number) {
    this.objectiveMs = objectiveMs;
    this.#lookedMs = nowMs;
    this.#minute = Math.floor(nowMs / MINUTE_MS);
  }

  /** What was committed so long ago is not durable yet, or has become so just now. */
  look(ageMs: number, nowMs: number): void {
    const since = this.#lookedMs;
    if (nowMs <= since) return;
    this.#lookedMs = nowMs;
    const lateFrom = Math.max(since, nowMs - Math.max(0, ageMs - this.objectiveMs));
    this.freshMs += lateFrom - since;
    this.lateMs += nowMs - lateFrom;
    this.#spread(this.#fresh, Math.max(since, nowMs - MINUTES * MINUTE_MS), lateFrom);
    this.#spread(this.#late, Math.max(lateFrom, nowMs - MINUTES * MINUTE_MS), nowMs);
  }

  lateShare(minutes: number): number {
    let [fresh, late] = [0, 0];
    for (let back = 0; back < minutes; back++) {
      const at = (this.#minute - back + MINUTES) % MINUTES;
      fresh += this.#fresh[at] as number;
      late += this.#late[at] as number;
    }
    return late === 0 ? 0 : late / (fresh + late);
  }

  #spread(kind: Float64Array, fromMs: number, toMs: number): void {
    for (let at = fromMs; at < toMs; ) {
      const minute = Math.floor(at / MINUTE_MS);
      const end = Math.min(toMs, (minute + 1) * MINUTE_MS);
      this.#enter(minute);
      kind[minute % MINUTES] = (kind[minute % MINUTES] as number) + end - at;
      at = end;
    }
  }

  /** What stood an hour ago in the minutes that have come is over. */
  #enter(minute: number): void {
    for (let each = Math.max(this.#minute + 1, minute - MINUTES + 1); each <= minute; each++) {
      this.#fresh[each % MINUTES] = 0;
      this.#late[each % MINUTES] = 0;
    }
    this.#minute = Math.max(this.#minute, minute);
  }
}

/** The tables of one connector of which changes came since the process began. */
export class Freshness {
  readonly #objective: Objective;
  readonly #tables = new Map<string, Table>();

  constructor(objective: Objective) {
    this.#objective = objective;
  }

  /** Changes of the table are durable; the oldest was committed so long ago. Once for each batch. */
  arrived(table: Pick<TableVersion, keyof TableIdentity | 'label'>, ageMs: number, nowMs: number): void {
    let known = this.#tables.get(table.label);
    if (known === undefined) {
      known = new Table(this.#objective.objectiveMs(table), nowMs - Math.max(0, ageMs));
      this.#tables.set(table.label, known);
    }
    known.look(ageMs, nowMs);
  }

  /** The connector is so far behind: whose changes wait is not known, so it counts for all its tables. */
  look(lagMs: number, nowMs: number): void {
    for (const table of this.#tables.values()) table.look(lagMs, nowMs);
  }

  views(): readonly TableFreshness[] {
    const budget = 1 - this.#objective.share;
    return [...this.#tables].map(([table, known]) => ({
      table,
      objectiveSeconds: known.objectiveMs / 1000,
      freshShare: 1 - known.lateShare(MINUTES),
      burnRate: { '5m': known.lateShare(BURN_WINDOWS['5m']) / budget, '1h': known.lateShare(BURN_WINDOWS['1h']) / budget },
    }));
  }

  /** What has come to be known since it was asked last, milliseconds. */
  take(): readonly { readonly table: string; readonly freshMs: number; readonly lateMs: number }[] {
    return [...this.#tables].map(([table, known]) => {
      const { freshMs, lateMs } = known;
      known.freshMs = 0;
      known.lateMs = 0;
      return { table, freshMs, lateMs };
    });
  }
}
