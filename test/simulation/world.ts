import type { Random } from './random.ts';

/** What dies as one: events that belong to a dead process never happen. */
export interface Owner {
  readonly name: string;
}

export interface Event {
  readonly at: number;
  readonly order: number;
  /** Null: it happens whoever lives (bytes in the kernel, the servers' own doings). */
  readonly owner: Owner | null;
  readonly what: string;
  readonly run: () => void;
}

/** An invariant of design §3 that did not hold. */
export interface Violation {
  readonly invariant: string;
  readonly message: string;
}

/** Events that are due so close to one another may happen in any order. */
const TOGETHER_MS = 3;
const MIX = 0x01000193;

/** The virtual clock and all that will happen: timers and the completions of simulated I/O. One event is one step. */
export class World {
  readonly random: Random;
  /** Milliseconds since the simulation began. */
  now = 0;
  steps = 0;
  violation: Violation | null = null;
  /** Of the order of events: two runs of one seed have the same one. */
  hash = 0x811c9dc5;
  /** What happened, if it is to be told. */
  readonly told: string[] | null;
  readonly #pending: Event[] = [];
  readonly #dead = new WeakSet<Owner>();
  #order = 0;

  constructor(random: Random, tell: boolean) {
    this.random = random;
    this.told = tell ? [] : null;
  }

  after(owner: Owner | null, ms: number, what: string, run: () => void): Event {
    const event = { at: this.now + ms, order: this.#order++, owner, what, run };
    // An answer to somebody who died meanwhile.
    if (owner === null || !this.#dead.has(owner)) this.#pending.push(event);
    return event;
  }

  cancel(event: Event): void {
    const index = this.#pending.indexOf(event);
    if (index >= 0) this.#remove(index);
  }

  /** Nothing of the owner happens any more. */
  kill(owner: Owner): void {
    this.#dead.add(owner);
    for (let index = this.#pending.length - 1; index >= 0; index--) if (this.#pending[index]?.owner === owner) this.#remove(index);
  }

  tell(what: string): void {
    this.told?.push(`${this.now.toFixed(1).padStart(9)}  ${what}`);
  }

  /** The first violation counts: what follows follows from it. */
  violated(invariant: string, message: string): void {
    this.violation ??= { invariant, message };
    this.tell(`VIOLATED ${invariant}: ${message}`);
  }

  mix(value: number): void {
    this.hash = Math.imul(this.hash ^ value, MIX);
  }

  /** Picks one of the next events and lets it happen. False: nothing will ever happen. */
  step(): boolean {
    const event = this.#take();
    if (event === null) return false;
    this.now = Math.max(this.now, event.at);
    this.steps++;
    this.mix(event.order);
    if (this.told !== null) this.tell(`${event.owner?.name ?? '·'} ${event.what}`);
    event.run();
    return true;
  }

  #take(): Event | null {
    const pending = this.#pending;
    let first = Number.POSITIVE_INFINITY;
    for (const { at } of pending) if (at < first) first = at;
    if (first === Number.POSITIVE_INFINITY) return null;
    const until = first + TOGETHER_MS;
    let due = 0;
    for (const { at } of pending) if (at <= until) due++;
    let chosen = due === 1 ? 0 : this.random.below(due);
    for (let index = 0; index < pending.length; index++) {
      const event = pending[index] as Event;
      if (event.at > until || chosen-- > 0) continue;
      this.#remove(index);
      return event;
    }
    return null;
  }

  #remove(index: number): void {
    const last = this.#pending.pop() as Event;
    if (index < this.#pending.length) this.#pending[index] = last;
  }
}
