import { Budget, TooMuchWork } from './budget.ts';
import type { Incompatibility } from './incompatibility.ts';

/** References deeper than this are not followed. */
const MAX_DEPTH = 200;
/** Of one comparison, in parts looked at. */
const WORK = 10;

/**
 * Compares two schemas that may refer to themselves: the pairs of their parts are taken for compatible until one is found that is not, and all is
 * compared again until no more are found (the greatest fixed point). So a pair met again inside itself ends there, and none is taken for compatible
 * for the sake of one that is not.
 */
export class Pairs {
  readonly budget = new Budget();
  readonly #found = new Map<string, readonly Incompatibility[]>();
  #seen = new Set<string>();
  #changed = false;
  #depth = 0;

  /** The incompatibilities of one pair, compared once in a round. `key` names the pair. */
  compare(key: string, parts: () => readonly Incompatibility[]): readonly Incompatibility[] {
    if (this.#seen.has(key)) return this.#found.get(key) ?? [];
    if (this.#depth >= MAX_DEPTH) throw new TooMuchWork();
    this.budget.spend(WORK);
    this.#seen.add(key);
    this.#depth++;
    const found = parts();
    this.#depth--;
    if (found.length === 0) return found;
    this.#changed ||= !this.#found.has(key);
    this.#found.set(key, found);
    return found;
  }

  /** Compares from the top until nothing changes. What is too large to compare is undecided. */
  settle(top: () => readonly Incompatibility[]): readonly Incompatibility[] {
    try {
      for (;;) {
        this.#seen = new Set();
        this.#changed = false;
        const found = top();
        if (!this.#changed) return distinct(found);
      }
    } catch (error) {
      if (!(error instanceof TooMuchWork)) throw error;
      return [{ path: '', kind: 'undecided', message: 'The schemas are too large, or refer to each other too deeply, to be compared.' }];
    }
  }
}

function distinct(found: readonly Incompatibility[]): readonly Incompatibility[] {
  return [...new Map(found.map((one) => [`${one.path} ${one.kind} ${one.message}`, one])).values()];
}
