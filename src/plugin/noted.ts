import { DEAD_LETTER, HEARTBEAT, isOfLog, type MessageId, parseMessageId, RESUMED, rankOf, SHAPE, SNAPSHOT } from '../record/message-id.ts';

/** Messages that may go out before what was noted and never came is forgotten: far more than a replay holds. */
const FORGET_AFTER = 100_000;
/**
 * What of this connector's messages stands in the stream beyond the saved place (algorithms §2): per lane, transaction → highest (ordinal, part).
 * A lane keeps its order, so that everything of the transaction up to there stands there too. Positions are never compared: a message is skipped
 * only if its own transaction was noted. Once a message beyond an entry is seen the entry is dropped, so that the steady path finds it empty.
 */
export class Noted {
  readonly #prefix: string;
  readonly #lanes = new Map<string, Map<string, number>>();
  /** Of tables that were resumed: beside the order of the log. Kept, and of no weight: `StoppedTables` asks for it once. */
  readonly #resumed = new Map<string, Map<string, number>>();
  /** Dead letters in a topic of their own: in no order that one of them would say something of another. Kept, and of no weight: `DeadLetters` asks for them once. */
  readonly #letters = new Map<string, Set<string>>();
  /** Announced shapes: each by its own id, because a record that stands here may be read again in another shape. */
  readonly #shapes = new Map<string, Set<string>>();
  #missed = 0;
  /** Number of entries. */
  size = 0;

  /** `connector`: the first part of the message ids. */
  constructor(connector: string) {
    this.#prefix = `${connector}/`;
  }

  /** Takes a message of the stream into account; false if it is not this connector's. */
  note(lane: string, id: string): boolean {
    const parsed = parseMessageId(id, this.#prefix);
    if (parsed === null) return false;
    // Never comes again under the same id.
    if (parsed.transaction.startsWith(SNAPSHOT) || parsed.transaction.startsWith(HEARTBEAT)) return true;
    if (parsed.transaction.startsWith(DEAD_LETTER)) {
      const letters = this.#letters.get(lane) ?? new Set();
      this.#letters.set(lane, letters.add(id));
      return true;
    }
    if (parsed.transaction.startsWith(SHAPE)) {
      const shapes = this.#shapes.get(lane) ?? new Set();
      if (!shapes.has(id)) this.size++;
      this.#shapes.set(lane, shapes.add(id));
      return true;
    }
    const isResumed = parsed.transaction.startsWith(RESUMED);
    const lanes = isResumed ? this.#resumed : this.#lanes;
    let noted = lanes.get(lane);
    if (noted === undefined) {
      noted = new Map();
      lanes.set(lane, noted);
    }
    const known = noted.get(parsed.transaction);
    const rank = rankOf(parsed);
    if (known === undefined && !isResumed) this.size++;
    if (known === undefined || rank > known) noted.set(parsed.transaction, rank);
    return true;
  }

  /** True if the message stands in the stream already. Call it for each message in order, while `size` is not 0. */
  skips(lane: string, id: string): boolean {
    if (id.startsWith(SHAPE, this.#prefix.length)) return this.#skipsShape(lane, id);
    if (this.isBeside(id)) return this.has(lane, id);
    const noted = this.#lanes.get(lane);
    const parsed = noted === undefined ? null : parseMessageId(id, this.#prefix);
    const highest = parsed === null ? undefined : (noted as Map<string, number>).get(parsed.transaction);
    if (highest === undefined) {
      if (++this.#missed >= FORGET_AFTER) this.#forget();
      return false;
    }
    this.#missed = 0;
    const rank = rankOf(parsed as MessageId);
    if (rank >= highest) this.#dropUpTo(noted as Map<string, number>, (parsed as MessageId).transaction);
    return rank <= highest;
  }

  #skipsShape(lane: string, id: string): boolean {
    const stands = this.#shapes.get(lane)?.delete(id) === true;
    if (stands) this.size--;
    return stands;
  }

  /** True if the message was noted as standing there: asked for one that is not written, and changes nothing. */
  has(lane: string, id: string): boolean {
    if (id.startsWith(DEAD_LETTER, this.#prefix.length)) return this.#letters.get(lane)?.has(id) === true;
    if (id.startsWith(SHAPE, this.#prefix.length)) return this.#shapes.get(lane)?.has(id) === true;
    const noted = (this.isBeside(id) ? this.#resumed : this.#lanes).get(lane);
    const parsed = noted === undefined ? null : parseMessageId(id, this.#prefix);
    const highest = parsed === null ? undefined : (noted as Map<string, number>).get(parsed.transaction);
    return highest !== undefined && rankOf(parsed as MessageId) <= highest;
  }

  /** True for what is sent beside the order of the log: of a table that is resumed, or copied, a dead letter in its topic, a heartbeat. It says nothing of what stands behind it. */
  isBeside(id: string): boolean {
    return !isOfLog(id, this.#prefix.length);
  }

  /** Ids of the noted transactions, each once; what was sent beside the log names none. */
  transactions(): readonly string[] {
    const all = new Set<string>();
    for (const noted of this.#lanes.values()) for (const transaction of noted.keys()) all.add(transaction);
    return [...all];
  }

  /** A lane replays in the order in which it was written: what was noted before this transaction will not come again. */
  #dropUpTo(noted: Map<string, number>, last: string): void {
    for (const transaction of noted.keys()) {
      noted.delete(transaction);
      this.size--;
      if (transaction === last) break;
    }
  }

  #forget(): void {
    this.#lanes.clear();
    this.#shapes.clear();
    this.#missed = 0;
    this.size = 0;
  }
}
