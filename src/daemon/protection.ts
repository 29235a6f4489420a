import type { ConnectorDefinition } from '../config/load.ts';
import { byteText } from '../plugin/byte-text.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { ProtectFigure, SourceHealth } from '../plugin/source.ts';
import { durationText } from '../snapshot/view.ts';
import { SOURCE_GIVEN_UP, SOURCE_PROTECTED } from './protection-errors.ts';

/** In their order: each is further than those before it. */
export const PROTECT_ACTIONS = ['warn', 'pauseSnapshot', 'stop', 'dropSlot'] as const;

export type ProtectAction = (typeof PROTECT_ACTIONS)[number];

type Protect = ConnectorDefinition['protect'];
type Bounds = Readonly<Partial<Record<ProtectFigure, number>>>;

/** Null: not known, or without a bound. `retained` and `headroom` are bytes, `timeLeft` milliseconds. */
export type ProtectFigures = Readonly<Record<ProtectFigure, number | null>>;

/** What is in force of `protect`. */
export interface Pressure {
  /** The furthest action. */
  readonly action: ProtectAction;
  readonly reason: string;
}

/** What can be done to the life that is under way. */
export interface ProtectHands {
  /** Null: copies may go on. */
  hold(why: { readonly message: string; readonly remedy: string } | null): void;
  /** Ends it with the error. `givesUp`: what the server keeps for it goes as well. */
  stop(error: SluiceError, givesUp: boolean): void;
}

/** What was passed stays so until there is a fifth more room, or it would come and go with every look. */
const OVER_AT = 0.8;
/** Of the time between two looks no more than this is counted: what was not looked at may have become better. */
const LONGEST_LOOK_MS = 10_000;

/** One action and its bounds. */
class Rung {
  readonly action: ProtectAction;
  readonly #bounds: Bounds;
  /** Null: no bound is passed. */
  reason: string | null = null;
  /** For how long it has not become better, milliseconds. */
  worseMs = 0;
  #least = Number.POSITIVE_INFINITY;

  constructor(action: ProtectAction, bounds: Bounds) {
    this.action = action;
    this.#bounds = bounds;
  }

  /** @param sinceMs since the look before this one */
  look(figures: ProtectFigures, sinceMs: number): void {
    const { share, figure } = this.#worst(figures);
    if (share < (this.reason === null ? 1 : OVER_AT)) {
      this.clear();
      return;
    }
    const isFirst = this.reason === null;
    this.reason = reasonOf(this.action, figure, figures[figure] as number, this.#bounds[figure] as number);
    this.worseMs = isFirst || share < this.#least ? 0 : this.worseMs + Math.min(sinceMs, LONGEST_LOOK_MS);
    this.#least = Math.min(this.#least, share);
  }

  clear(): void {
    this.reason = null;
    this.beginAgain();
  }

  /** It has all its time once more. */
  beginAgain(): void {
    this.worseMs = 0;
    this.#least = Number.POSITIVE_INFINITY;
  }

  /** How far it is to the bound that is nearest, or beyond it: 1 is there. */
  #worst(figures: ProtectFigures): { readonly share: number; readonly figure: ProtectFigure } {
    let worst: { share: number; figure: ProtectFigure } = { share: 0, figure: 'retained' };
    for (const [name, bound] of Object.entries(this.#bounds)) {
      const figure = name as ProtectFigure;
      const value = figures[figure];
      // 0 turns a default off.
      if (value === null || bound === 0) continue;
      const share = figure === 'retained' ? value / bound : value === 0 ? Number.MAX_VALUE : bound / value;
      if (share > worst.share) worst = { share, figure };
    }
    return worst;
  }
}

/** Protects the source of one connector, over all its lives: warn, pause copies, stop, give up. */
export class Protection {
  readonly #definition: Pick<ConnectorDefinition, 'name' | 'source' | 'protect'>;
  readonly #log: Logger;
  readonly #rungs: readonly Rung[];
  #saidWarning = false;
  #lookedMs: number | null = null;

  constructor(definition: Pick<ConnectorDefinition, 'name' | 'source' | 'protect'>, log: Logger) {
    this.#definition = definition;
    this.#log = log;
    this.#rungs = PROTECT_ACTIONS.flatMap((action) => rungOf(action, definition.protect));
  }

  /** Null: there is none. */
  get pressure(): Pressure | null {
    const furthest = this.#rungs.findLast(({ reason }) => reason !== null);
    return furthest === undefined ? null : { action: furthest.action, reason: furthest.reason as string };
  }

  /** The source was looked at. @param nowMs monotonic */
  observed(figures: ProtectFigures, nowMs: number, hands: ProtectHands): void {
    const sinceMs = nowMs - (this.#lookedMs ?? nowMs);
    this.#lookedMs = nowMs;
    for (const rung of this.#rungs) rung.look(figures, sinceMs);
    this.#say();
    this.#pause(hands);
    this.#stop(hands);
  }

  #reason(action: ProtectAction): string | null {
    return this.#rungs.find((rung) => rung.action === action)?.reason ?? null;
  }

  #say(): void {
    const reason = this.#reason('warn');
    if (this.#saidWarning === (reason !== null)) return;
    this.#saidWarning = reason !== null;
    if (reason !== null) this.#log.warn(`The connector is far behind: ${reason}.`, { remedy: this.#remedy });
    else this.#log.info('The connector is no longer so far behind that its server suffers from it.');
  }

  #pause(hands: ProtectHands): void {
    const reason = this.#reason('pauseSnapshot');
    const remedy = 'Copying goes on by itself once the log is read.';
    hands.hold(reason === null ? null : { message: `Copying is put off, the log comes first: ${reason}.`, remedy });
  }

  #stop(hands: ProtectHands): void {
    const { name, protect } = this.#definition;
    const due = this.#rungs.findLast(
      ({ action, reason, worseMs }) => reason !== null && (action === 'stop' || action === 'dropSlot') && worseMs >= protect.patience,
    );
    if (due === undefined) return;
    const parameters = { connector: name, reason: due.reason as string, remedy: this.#remedy };
    const givesUp = due.action === 'dropSlot';
    // An operator who starts it again gives it the same time once more.
    for (const rung of this.#rungs) rung.beginAgain();
    hands.stop(new SluiceError(givesUp ? SOURCE_GIVEN_UP : SOURCE_PROTECTED, parameters), givesUp);
  }

  get #remedy(): string {
    const { name, source } = this.#definition;
    return source.plugin.protection?.remedy(source.config, name) ?? '';
  }
}

/** @param secondsLeft until the server gives the slot up at the present rate */
export function figuresOf({ retainedBytes, headroomBytes, headroomSeconds, freeShare }: SourceHealth, secondsLeft: number): ProtectFigures {
  // While nothing is used up, no time is running.
  const byAge = freeShare === 1 ? null : (headroomSeconds ?? null);
  const seconds = Math.min(secondsLeft, byAge ?? Number.POSITIVE_INFINITY);
  return {
    retained: retainedBytes,
    headroom: headroomBytes ?? null,
    freePercent: freeShare === undefined || freeShare === null ? null : freeShare * 100,
    timeLeft: Number.isFinite(seconds) ? seconds * 1000 : null,
  };
}

function rungOf(action: ProtectAction, protect: Protect): Rung[] {
  const bounds = protect[action];
  return bounds === undefined ? [] : [new Rung(action, bounds as Bounds)];
}

function reasonOf(action: ProtectAction, figure: ProtectFigure, value: number, bound: number): string {
  const option = `"protect.${action}.${figure}"`;
  switch (figure) {
    case 'retained':
      return `its server keeps ${byteText(value)} of log for it, and ${option} is ${byteText(bound)}`;
    case 'headroom':
      return `its server has ${byteText(value)} of log left in front of what is not confirmed yet, and ${option} is ${byteText(bound)}`;
    case 'freePercent':
      return `${value.toFixed(1)} % of what its server keeps at most are left, and ${option} is ${bound}`;
    case 'timeLeft':
      return `its server gives up or deletes what is not confirmed yet in ${durationText(Math.round(value / 1000))}, and ${option} is ${durationText(Math.round(bound / 1000))}`;
  }
}
