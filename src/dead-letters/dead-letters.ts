import type { Holds } from '../pipeline/holds.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { destinationAt, encodeHeaders, idAt, type MessageBatch, SPAN, SPAN_SIZE, tableAt } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import { SCHEMA_INCOMPATIBLE } from '../schema-policy/errors.ts';
import { DEAD_LETTER_DAMAGED, DEAD_LETTER_RATE } from './errors.ts';
import type { DeadLetterFile } from './file.ts';
import { aboutInTopic, type LetterHead, type LetterParts, messageOf, type OpenLetter, partsOf } from './letter.ts';
import { BatchIndex } from './order.ts';
import { DeadLetterRate, type RateCounts } from './rate.ts';

/** What a connector's file says about messages that cannot be delivered. */
export interface DeadLetterPolicy {
  /** `stop`: the connector stops at the first one; `stopTable`: its table does. */
  readonly onError: 'stop' | 'stopTable' | 'deadLetter';
  /** Topic or subject; null: the file only. */
  readonly topic: string | null;
  /** By error code: a topic, `file`, `stop` or `stopTable`. */
  readonly routes: Readonly<Record<string, string>>;
  /** By error code, a topic or `file`, whatever `onError` says: of messages that another policy makes letters. */
  readonly always: Readonly<Record<string, string>>;
  readonly maxPercent: number;
  readonly windowMs: number;
}

/** Where a message goes that met with this error: `stop`, `stopTable`, `file`, or a topic. */
export function routeOf({ onError, routes, always, topic }: DeadLetterPolicy, code: string): string {
  const route = always[code];
  if (route !== undefined) return route;
  if (onError === 'stop') return 'stop';
  return routes[code] ?? (onError === 'stopTable' ? 'stopTable' : (topic ?? 'file'));
}

/** True for the file and for topics. */
export function isDeadLetterRoute(route: string): boolean {
  return route !== 'stop' && route !== 'stopTable';
}

export interface DeadLettersPorts {
  readonly connector: string;
  readonly policy: DeadLetterPolicy;
  readonly file: DeadLetterFile;
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Counts one. */
  readonly counted: (code: string, open: number) => void;
  readonly holds: Holds;
  /** The sink's `write`. */
  readonly write: (batch: MessageBatch) => Promise<Place>;
  readonly stands: (batch: MessageBatch, index: number) => boolean;
  /** What a message lacks to be read, is asked for: why it does not get it; null: it lacks nothing. */
  readonly complete: (batch: MessageBatch) => Promise<SluiceError | null>;
  /** Ends this life. */
  readonly failed: (error: unknown) => void;
}

/** What became of a letter that was to be sent again. */
export interface Replayed {
  readonly id: string;
  readonly destination: string;
  /** `damaged`: it cannot be read any more. */
  readonly outcome: 'replayed' | 'superseded' | 'refused' | 'damaged';
  readonly error?: string;
  /** What is to be known about it. */
  readonly note?: string;
}

/** One of our own messages on its way: a letter in its topic, or one that is sent again. */
interface Own {
  refused: SluiceError | null;
}

const KEY_SINCE = 'A newer message of its key, or a TRUNCATE of its table, came since: it would overwrite what is newer.';
const TABLE_SINCE =
  'It has no key, and newer messages of its table came since: it could remove, double or bring back rows that are newer. `sluice dlq show` shows it, then discard it.';
const BEHIND_NEWER = 'It has no key: it stands behind rows of its table that are newer.';
/** Fewer in a window say nothing about a share. */
const FEWEST = 10;

/**
 * The policy for messages that can never be delivered, for one life of a connector. A letter is durable before the lane goes on behind it and before the
 * checkpoint passes it (I1); it never overwrites what was published after it (I3).
 */
export class DeadLetters {
  readonly #ports: DeadLettersPorts;
  readonly #rate: DeadLetterRate;
  /** Batches that are given to the sink and are not durable, in order; what stands in them by key, once that was asked. */
  readonly #inFlight = new Map<MessageBatch, BatchIndex | null>();
  /** What became of messages of those batches: new letters, and messages that are letters of a run before this one. */
  readonly #outcomes = new Map<MessageBatch, { letters: number; known: number }>();
  /** What a batch's checkpoint has to wait for beside the sink. */
  readonly #held = new Map<MessageBatch, Promise<void>[]>();
  readonly #own = new Map<MessageBatch, Own>();
  #moved: Record<string, string | null> = {};
  readonly #said = new Set<string>();
  /** What commands do with letters, one after the other. */
  #chain: Promise<unknown> = Promise.resolve();

  constructor(ports: DeadLettersPorts) {
    this.#ports = ports;
    const { policy, file, runtime } = ports;
    this.#rate = new DeadLetterRate(policy.windowMs);
    this.#rate.restore(file.counted.counts, file.counted.since, runtime.monotonicMs(), runtime.nowMicros());
  }

  /**
   * The sink is open, and nothing was written yet. Letters of which it was not noted that they stand in their topic are looked for there, or sent (at least once): the
   * message itself may not come again, since what stands behind it says that all before it is safe.
   */
  async open(): Promise<void> {
    const { file } = this.#ports;
    const missing: OpenLetter[] = [];
    const standing: string[] = [];
    for (const letter of file.letters()) {
      const topic = this.#topicOf(letter);
      if (letter.published || topic === null) continue;
      if (this.#stands(letter, topic)) standing.push(letter.head.id);
      else missing.push(letter);
    }
    await file.happened('published', standing);
    void this.#publishAll(missing).catch(this.#ports.failed);
  }

  /** What a checkpoint of this moment stores of the window; null: nothing worth it. */
  counts(): { readonly log: string; readonly mark: unknown } | null {
    const { file, runtime } = this.#ports;
    return this.#rate.letters === 0 ? null : file.countsMark(this.#rate.counts(runtime.monotonicMs(), runtime.nowMicros()) satisfies RateCounts);
  }

  /**
   * A batch is about to be given to the sink: letters whose key it publishes are not to be sent again. Null, or resolves when that is noted durably; only then
   * may the batch be given to it: after a crash the log is not read again yet, and what stands in the sink already must not be overwritten (I3).
   */
  begin(batch: MessageBatch): Promise<void> | null {
    const { policy, file } = this.#ports;
    if (policy.onError !== 'stop' || Object.keys(policy.always).length > 0) this.#inFlight.set(batch, null);
    const superseded = file.supersede(batch);
    if (superseded.length === 0) return null;
    return file.happened(
      'superseded',
      superseded.map(({ head }) => head.id),
    );
  }

  /** The batch is durable in the sink: null if nothing of it is a letter; else resolves with entries of the place that moved once its letters are durable. */
  settled(batch: MessageBatch): Promise<Place | null> | null {
    this.#count(batch);
    const held = this.#held.get(batch);
    if (held === undefined) return null;
    return Promise.all(held).then(() => {
      this.#held.delete(batch);
      // While another batch has letters the topic's entries may be beyond what the checkpoint covers.
      if (this.#held.size > 0) return null;
      const moved = this.#moved;
      this.#moved = {};
      return moved;
    });
  }

  #count(batch: MessageBatch): void {
    if (!this.#inFlight.delete(batch)) return;
    const { letters, known } = this.#outcomes.get(batch) ?? { letters: 0, known: 0 };
    this.#outcomes.delete(batch);
    this.#rate.settled(batch.count - known, letters, letters > 0 ? batch.count : 0, this.#ports.runtime.monotonicMs());
    if (letters + known > 0) this.#hold(batch, this.#ports.file.confirm());
  }

  /** True for what is being sent again, or to a topic of its own: its refusal is ours. */
  owns(batch: MessageBatch): boolean {
    return this.#own.has(batch);
  }

  /** The sink's answer for a message that no attempt will bring through. Resolves when it is durable as a letter; rejects with what ends the sink. */
  async undeliverable(batch: MessageBatch, index: number, error: SluiceError): Promise<void> {
    const own = this.#own.get(batch);
    if (own !== undefined) {
      own.refused = error;
      return;
    }
    const { policy, file } = this.#ports;
    const route = routeOf(policy, error.code);
    if (!isDeadLetterRoute(route)) throw error;
    const id = idAt(batch, index);
    const outcome = this.#outcomes.get(batch) ?? { letters: 0, known: 0 };
    this.#outcomes.set(batch, outcome);
    if (file.knows(id)) outcome.known++;
    else await this.#add(batch, index, id, error, outcome);
    const letter = file.get(id);
    if (route !== 'file' && letter !== undefined && !letter.published) this.#hold(batch, this.#publish(letter, route));
  }

  /** While no letter is being sent again. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#chain.then(work);
    this.#chain = done.catch(() => undefined);
    return done;
  }

  /**
   * Sends open letters again under their own ids, in their order; those with a newer message of their key stay where they are. What another command has dealt with
   * meanwhile is not in the answer.
   */
  async replay(letters: readonly OpenLetter[]): Promise<readonly Replayed[]> {
    const results: Replayed[] = [];
    for (const letter of letters) {
      const result = await this.alone(() => this.#replayOne(letter));
      if (result !== null) results.push(result);
    }
    return results;
  }

  async #replayOne(letter: OpenLetter): Promise<Replayed | null> {
    const { file, holds } = this.#ports;
    const { id, destination } = letter.head;
    if (file.get(id) !== letter) return null;
    const parts = await partsOrError(file, letter);
    if (parts instanceof SluiceError) return { id, destination, outcome: 'damaged', error: parts.message };
    const message = messageOf(letter.head, parts);
    const lacking = await this.#ports.complete(message);
    if (lacking !== null) return { id, destination, outcome: 'refused', error: lacking.message };
    if (letter.superseded) return { id, destination, outcome: 'superseded', note: letter.key === null ? TABLE_SINCE : KEY_SINCE };
    // From the check to the sink's queue nothing is awaited: what is published after it comes behind it.
    const refused = await holds.during(this.#again(id, message));
    if (refused !== null) return { id, destination, outcome: 'refused', error: refused.message };
    return { id, destination, outcome: 'replayed', ...(letter.key === null ? { note: BEHIND_NEWER } : {}) };
  }

  /** What it moves of the place is not saved by itself: it may be beyond what the pipeline's checkpoint covers. */
  async #again(id: string, message: MessageBatch): Promise<SluiceError | null> {
    const { refused } = await this.#write(message);
    if (refused === null) await this.#ports.file.happened('replayed', [id]);
    return refused;
  }

  async #add(batch: MessageBatch, index: number, id: string, error: SluiceError, outcome: { letters: number }): Promise<void> {
    const { connector, policy, file, runtime, counted } = this.#ports;
    const destination = destinationAt(batch, index);
    this.#rate.dead(outcome.letters++ === 0 ? batch.count : 0, runtime.monotonicMs());
    const { letters, messages } = this.#rate;
    if (letters >= FEWEST && letters * 100 > messages * policy.maxPercent) {
      const parameters = { connector, letters, messages, percent: policy.maxPercent, destination, reason: error.message };
      throw new SluiceError(DEAD_LETTER_RATE, parameters, { cause: error });
    }
    const parts = partsOf(batch, index);
    const head: LetterHead = {
      id,
      destination,
      table: tableAt(batch, index),
      op: batch.spans[index * SPAN_SIZE + SPAN.op] as number,
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      timeMicros: runtime.nowMicros(),
      spread: batch.spans[index * SPAN_SIZE + SPAN.spread] as number,
      key: parts.key?.length ?? -1,
      value: parts.value?.length ?? -1,
      headers: parts.headers?.length ?? -1,
    };
    const letter = await file.add(head, parts, (each) => this.#isOvertaken(each, batch, index));
    counted(error.code, file.size);
    this.#say(letter);
  }

  /** Whether what supersedes it is on its way behind it: that was looked at before the letter was there. */
  #isOvertaken(letter: OpenLetter, batch: MessageBatch, index: number): boolean {
    let isBehind = false;
    for (const [each, known] of this.#inFlight) {
      isBehind ||= each === batch;
      if (!isBehind) continue;
      const found = known ?? new BatchIndex(each);
      if (known === null) this.#inFlight.set(each, found);
      if (found.supersedes(letter, each === batch ? index + 1 : 0)) return true;
    }
    return false;
  }

  #hold(batch: MessageBatch, work: Promise<void>): void {
    // Handled where the batch settles.
    work.catch(() => undefined);
    const held = this.#held.get(batch);
    if (held === undefined) this.#held.set(batch, [work]);
    else held.push(work);
  }

  /** Where it stands as well; null: nowhere. */
  #topicOf({ head }: OpenLetter): string | null {
    const route = routeOf(this.#ports.policy, head.code);
    return isDeadLetterRoute(route) && route !== 'file' ? route : null;
  }

  /** Whether a run before this one has put it there: in full by its key, by name without. */
  #stands(letter: OpenLetter, topic: string): boolean {
    const about = aboutInTopic(letter, topic);
    return [letter.key, null].some((key) => this.#ports.stands(messageOf(about, { key, value: null, headers: null }), 0));
  }

  /** One after the other: there may be many. */
  async #publishAll(letters: readonly OpenLetter[]): Promise<void> {
    const { holds } = this.#ports;
    for (const letter of letters) {
      const topic = this.#topicOf(letter);
      if (topic !== null) await holds.during(this.#publish(letter, topic));
    }
  }

  /** Into the topic as well, in full or, where it is too large for that too, by name (algorithms §4). */
  async #publish(letter: OpenLetter, topic: string): Promise<void> {
    const { file, log } = this.#ports;
    const { id, destination, code, error } = letter.head;
    // It was let go meanwhile.
    if (file.get(id) !== letter) return;
    const parts = await file.parts(letter);
    const about = aboutInTopic(letter, topic);
    let { refused, place } = await this.#write(messageOf(about, { ...parts, headers: this.#headers(letter, parts) }));
    if (refused !== null) {
      const { value: bytes } = letter.head;
      const value = Buffer.from(JSON.stringify({ id, destination, code, error, bytes, file: letter.address }));
      ({ refused, place } = await this.#write(messageOf(about, { key: null, value, headers: this.#headers(letter, { ...parts, headers: null }) })));
    }
    Object.assign(this.#moved, place);
    if (refused !== null) log.warn(`A dead letter does not go to "${topic}" either (${refused.message}); the file has it.`, { code: refused.code });
    await file.happened('published', [id]);
  }

  #headers({ head }: OpenLetter, { headers }: LetterParts): Buffer {
    const [ordinal, transaction] = head.id.split('/').slice(-3, -1).reverse();
    const about = encodeHeaders([
      ['sluice.dead-letter.id', head.id],
      ['sluice.dead-letter.code', head.code],
      ['sluice.dead-letter.error', head.error],
      ['sluice.dead-letter.destination', head.destination],
      ['sluice.dead-letter.position', `${transaction}/${ordinal}`],
      ['sluice.dead-letter.time', new Date(head.timeMicros / 1000).toISOString()],
    ]);
    return headers === null ? about : Buffer.concat([headers, about]);
  }

  /** `refused` null: it is durable; else why it is not. */
  async #write(message: MessageBatch): Promise<Own & { readonly place: Place }> {
    const own: Own = { refused: null };
    this.#own.set(message, own);
    try {
      const place = await this.#ports.write(message);
      return { ...own, place };
    } finally {
      this.#own.delete(message);
    }
  }

  /** Once for each cause, then it is counted. */
  #say({ head }: OpenLetter): void {
    const kind = `${head.code} ${head.destination}`;
    const { connector } = this.#ports;
    const mend =
      head.code === SCHEMA_INCOMPATIBLE.code
        ? `let the shape through (\`sluice schema accept --connector ${connector} --table ${head.table}\`)`
        : 'mend the cause';
    const remedy = `\`sluice dlq list\` shows it; ${mend}, then \`sluice dlq replay --connector ${connector} --all\`.`;
    const fields = { code: head.code, remedy, id: head.id };
    this.#ports.log[this.#said.has(kind) ? 'debug' : 'warn'](`A message became a dead letter: ${head.error}`, fields);
    this.#said.add(kind);
  }
}

/** Those behind one that is damaged are sent all the same. */
async function partsOrError(file: DeadLetterFile, letter: OpenLetter): Promise<LetterParts | SluiceError> {
  try {
    return await file.parts(letter);
  } catch (error) {
    if (error instanceof SluiceError && error.kind === DEAD_LETTER_DAMAGED) return error;
    throw error;
  }
}
