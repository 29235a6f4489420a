import type { Holds } from '../pipeline/holds.ts';
import type { Logger } from '../plugin/context.ts';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { destinationAt, encodeHeaders, idAt, type MessageBatch, SPAN, SPAN_SIZE } from '../record/messages.ts';
import type { Place } from '../record/position.ts';
import { DEAD_LETTER_DAMAGED, DEAD_LETTER_RATE } from './errors.ts';
import { type DeadLetterFile, letterKey, type OpenLetter } from './file.ts';
import { idInTopic, type LetterHead, type LetterParts, messageOf, partsOf } from './letter.ts';
import { DeadLetterRate } from './rate.ts';

/** What a connector's file says about messages that cannot be delivered. */
export interface DeadLetterPolicy {
  /** `stop`: the connector stops at the first one; `stopTable`: its table does. */
  readonly onError: 'stop' | 'stopTable' | 'deadLetter';
  /** Topic or subject; null: the file only. */
  readonly topic: string | null;
  /** By error code: a topic, `file`, `stop` or `stopTable`. */
  readonly routes: Readonly<Record<string, string>>;
  readonly maxPercent: number;
  readonly windowMs: number;
}

/** Where a message goes that met with this error: `stop`, `stopTable`, `file`, or a topic. */
export function routeOf({ onError, routes, topic }: DeadLetterPolicy, code: string): string {
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
}

/** What became of a letter that was to be sent again. */
export interface Replayed {
  readonly id: string;
  readonly destination: string;
  /** `damaged`: it cannot be read any more. */
  readonly outcome: 'replayed' | 'superseded' | 'refused' | 'damaged';
  readonly error?: string;
}

/** One of our own messages on its way: a letter in its topic, or one that is sent again. */
interface Own {
  refused: SluiceError | null;
}

/** Fewer in a window say nothing about a share. */
const FEWEST = 10;
/** A TRUNCATE of a table with a key (`SPAN.spread`). */
const TO_EVERY_PARTITION = -1;

/**
 * The policy for messages that can never be delivered, for one life of a connector. A letter is durable before the lane goes on behind it and before the
 * checkpoint passes it (I1); it never overwrites what was published after it (I3).
 */
export class DeadLetters {
  readonly #ports: DeadLettersPorts;
  readonly #rate: DeadLetterRate;
  /** Batches that are given to the sink and are not durable, in order. */
  readonly #inFlight = new Set<MessageBatch>();
  /** What a batch's checkpoint has to wait for beside the sink. */
  readonly #held = new Map<MessageBatch, Promise<void>[]>();
  readonly #own = new Map<MessageBatch, Own>();
  #moved: Record<string, string | null> = {};
  readonly #said = new Set<string>();
  /** What commands do with letters, one after the other. */
  #chain: Promise<unknown> = Promise.resolve();

  constructor(ports: DeadLettersPorts) {
    this.#ports = ports;
    this.#rate = new DeadLetterRate(ports.policy.windowMs);
  }

  /**
   * A batch is about to be given to the sink: letters whose key it publishes are not to be sent again. Null, or resolves when that is noted durably; only then
   * may the batch be given to it: after a crash the log is not read again yet, and what stands in the sink already must not be overwritten (I3).
   */
  begin(batch: MessageBatch): Promise<void> | null {
    const { policy, file, runtime } = this.#ports;
    if (policy.onError !== 'stop') {
      this.#inFlight.add(batch);
      this.#rate.sent(batch.count, runtime.monotonicMs());
    }
    const superseded = file.size > 0 ? this.#supersededBy(batch, 0) : [];
    if (superseded.length === 0) return null;
    for (const letter of superseded) letter.superseded = true;
    return file.happened(
      'superseded',
      superseded.map(({ head }) => head.id),
    );
  }

  /** The batch is durable in the sink: null if nothing of it is a letter; else resolves with entries of the place that moved once its letters are durable. */
  settled(batch: MessageBatch): Promise<Place | null> | null {
    this.#inFlight.delete(batch);
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
    if (!file.knows(id)) await this.#add(batch, index, id, error);
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
   * Sends open letters again under their own ids, in their order; those whose key was published since stay where they are. What another command has dealt with
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
    const { id, destination, spread } = letter.head;
    if (file.get(id) !== letter) return null;
    const parts = await partsOrError(file, letter);
    if (parts instanceof SluiceError) return { id, destination, outcome: 'damaged', error: parts.message };
    if (letter.superseded) return { id, destination, outcome: 'superseded' };
    // From the check to the sink's queue nothing is awaited: what is published after it comes behind it.
    const refused = await holds.during(this.#again(id, messageOf(id, destination, spread, parts)));
    return refused === null ? { id, destination, outcome: 'replayed' } : { id, destination, outcome: 'refused', error: refused.message };
  }

  /** What it moves of the place is not saved by itself: it may be beyond what the pipeline's checkpoint covers. */
  async #again(id: string, message: MessageBatch): Promise<SluiceError | null> {
    const { refused } = await this.#write(message);
    if (refused === null) await this.#ports.file.happened('replayed', [id]);
    return refused;
  }

  async #add(batch: MessageBatch, index: number, id: string, error: SluiceError): Promise<void> {
    const { connector, policy, file, runtime, counted } = this.#ports;
    const destination = destinationAt(batch, index);
    this.#rate.dead(runtime.monotonicMs());
    const { letters, messages } = this.#rate;
    if (letters >= FEWEST && letters * 100 > messages * policy.maxPercent) {
      const parameters = { connector, letters, messages, percent: policy.maxPercent, destination, reason: error.message };
      throw new SluiceError(DEAD_LETTER_RATE, parameters, { cause: error });
    }
    const parts = partsOf(batch, index);
    const head: LetterHead = {
      id,
      destination,
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

  /** Whether its key is on its way behind it: that was looked at before the letter was there. */
  #isOvertaken(letter: OpenLetter, batch: MessageBatch, index: number): boolean {
    let behind = false;
    for (const each of this.#inFlight) {
      if (each === batch) behind = true;
      if (behind && this.#supersededBy(each, each === batch ? index + 1 : 0).includes(letter)) return true;
    }
    return false;
  }

  /** Letters whose key a batch publishes, from a message on. */
  #supersededBy(batch: MessageBatch, from: number): readonly OpenLetter[] {
    const { file } = this.#ports;
    const { count, spans, bytes } = batch;
    const found: OpenLetter[] = [];
    for (let index = from; index < count; index++) {
      const at = index * SPAN_SIZE;
      const destination = destinationAt(batch, index);
      const keyStart = spans[at + SPAN.keyStart] as number;
      if (keyStart >= 0) {
        const same = file.ofKey(letterKey(destination, bytes.subarray(keyStart, spans[at + SPAN.keyEnd])));
        if (same !== undefined) for (const letter of same) if (!letter.superseded) found.push(letter);
      } else if (spans[at + SPAN.spread] === TO_EVERY_PARTITION) {
        for (const letter of file.letters()) if (letter.head.destination === destination && !letter.superseded) found.push(letter);
      }
    }
    // The letter's own message comes again after a crash: it does not supersede itself.
    return found.filter(({ head }) => !hasMessage(batch, from, head.id));
  }

  #hold(batch: MessageBatch, work: Promise<void>): void {
    // Handled where the batch settles.
    work.catch(() => undefined);
    this.#held.set(batch, [...(this.#held.get(batch) ?? []), work]);
  }

  /** Into the topic as well, in full or, where it is too large for that too, by name (algorithms §4). */
  async #publish(letter: OpenLetter, topic: string): Promise<void> {
    const { file, log } = this.#ports;
    const { id, destination, code, error } = letter.head;
    const parts = await file.parts(letter);
    let { refused, place } = await this.#write(messageOf(idInTopic(id), topic, 0, { ...parts, headers: this.#headers(letter, parts) }));
    if (refused !== null) {
      const { key: _, ...head } = letter.head;
      const value = Buffer.from(JSON.stringify({ id: head.id, destination, code, error, bytes: head.value, file: letter.address }));
      ({ refused, place } = await this.#write(
        messageOf(idInTopic(id), topic, 0, { key: null, value, headers: this.#headers(letter, { ...parts, headers: null }) }),
      ));
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
    const remedy = `\`sluice dlq list\` shows it; mend the cause, then \`sluice dlq replay --connector ${this.#ports.connector} --all\`.`;
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

function hasMessage(batch: MessageBatch, from: number, id: string): boolean {
  for (let index = from; index < batch.count; index++) if (idAt(batch, index) === id) return true;
  return false;
}
