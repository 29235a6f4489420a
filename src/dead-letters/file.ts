import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import type { MessageBatch } from '../record/messages.ts';
import { isDamagedSegment } from '../segments/errors.ts';
import { type Address, isBefore, type Mark, SegmentLog, type SegmentLogOptions, segmentPath } from '../segments/segment-log.ts';
import { writeError } from '../state/errors.ts';
import type { StateStore } from '../state/state-store.ts';
import { DEAD_LETTER_DAMAGED } from './errors.ts';
import { eventBytes, type LetterEvent, type LetterHead, type LetterParts, letterBytes, type OpenLetter, parseEntry, partsOfEntry } from './letter.ts';
import { keyHash, LetterIndex } from './order.ts';
import type { RateCounts } from './rate.ts';

export interface DeadLetterFileOptions {
  readonly connector: string;
  readonly dataDir: string;
  readonly runtime: Runtime;
  readonly store: StateStore;
  readonly maxBytes: number;
}

const SEGMENT_BYTES = 16 * 1024 * 1024;
const LOG = 'dead-letters';
const COUNTS = 'dead-letters/counts';

/** What the share is made of, as of a checkpoint. */
interface StoredCounts extends RateCounts {
  /** Letters from there on are not counted in it. */
  readonly end: Address;
}

/** What a run before this one has counted. */
export interface Counted {
  readonly counts: RateCounts | null;
  /** When the letters behind that were put here, microseconds since the epoch. */
  readonly since: readonly number[];
}

/**
 * The dead letters of a connector on the local disk: what was put there is durable before the checkpoint passes it (I1), each message once however often
 * its batch is read again.
 */
export class DeadLetterFile {
  readonly #open = new Map<string, OpenLetter>();
  readonly #index = new LetterIndex();
  readonly #dealtWith = new Set<string>();
  /** On their way to the disk. */
  readonly #adding = new Set<OpenLetter>();
  readonly #options: DeadLetterFileOptions;
  #log!: SegmentLog;
  #counts: StoredCounts | null = null;
  readonly #since: number[] = [];

  private constructor(options: DeadLetterFileOptions) {
    this.#options = options;
  }

  /** Throws SLUICE_SEGMENTS_DAMAGED. */
  static async open(options: DeadLetterFileOptions): Promise<DeadLetterFile> {
    const file = new DeadLetterFile(options);
    file.#counts = (await options.store.getMark(options.connector, COUNTS)) as StoredCounts | null;
    file.#log = await file.#disk(SegmentLog.open(logOf(options), (entry, address) => file.#take(entry, address)));
    return file;
  }

  /** Removes all that stands there, readable or not. */
  static async forget(options: DeadLetterFileOptions): Promise<void> {
    await SegmentLog.forget(logOf(options));
  }

  /** In the order in which they were put here. */
  letters(): readonly OpenLetter[] {
    return [...this.#open.values()].filter((letter) => !this.#adding.has(letter));
  }

  get(id: string): OpenLetter | undefined {
    const letter = this.#open.get(id);
    return letter === undefined || this.#adding.has(letter) ? undefined : letter;
  }

  get size(): number {
    return this.#open.size;
  }

  get counted(): Counted {
    return { counts: this.#counts, since: this.#since };
  }

  /** To be stored with a checkpoint: what was counted until now, all letters that were put here among it. */
  countsMark(counts: RateCounts): { readonly log: string; readonly mark: unknown } {
    const mark: StoredCounts = { ...counts, end: this.#log.end };
    return { log: COUNTS, mark };
  }

  /** Letters that the messages of a batch supersede, and that are not superseded yet. From now on they are; it has to be noted (`happened`). */
  supersede(batch: MessageBatch): readonly OpenLetter[] {
    const letters = this.#index.supersededBy(batch);
    for (const letter of letters) this.#supersede(letter);
    return letters;
  }

  /** True if it was put here before, whether or not it was dealt with since. */
  knows(id: string): boolean {
    return this.#open.has(id) || this.#dealtWith.has(id);
  }

  /**
   * Found by its key at once, durable when it resolves, and with it that it is superseded, if `isSuperseded` says so. Throws SLUICE_SEGMENTS_FULL,
   * SLUICE_STATE_FULL or SLUICE_STATE_WRITE; then the file must be opened anew.
   */
  async add(head: LetterHead, parts: LetterParts, isSuperseded: (letter: OpenLetter) => boolean): Promise<OpenLetter> {
    const letter = this.#put(head, parts.key, this.#log.end);
    this.#adding.add(letter);
    if (isSuperseded(letter)) this.#supersede(letter);
    const entries = [letterBytes(head, parts)];
    if (letter.superseded) entries.push(eventBytes({ event: 'superseded', id: head.id, timeMicros: head.timeMicros }));
    letter.address = (await this.#disk(this.#log.append(entries, { unconfirmed: true })))[0] as Address;
    this.#adding.delete(letter);
    return letter;
  }

  /** Resolves when it is stored apart from the file that the letters until now are here: before that no checkpoint may pass them, or their loss would not be noticed (I8). */
  confirm(): Promise<void> {
    return this.#disk(this.#log.confirm());
  }

  async happened(event: LetterEvent['event'], ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const timeMicros = this.#options.runtime.nowMicros();
    const events = ids.map((id): LetterEvent => ({ event, id, timeMicros }));
    // What was done has to be noted, and lets space go: the bound is not for it.
    await this.#disk(this.#log.append(events.map(eventBytes), { bounded: false }));
    for (const each of events) this.#apply(each);
    const oldest = this.#open.values().next().value?.address.segment;
    // The last segment alone may be as large as the bound.
    if (oldest === undefined && this.#log.bytes > this.#options.maxBytes / 2) await this.#disk(this.#log.clear());
    else await this.#disk(this.#log.trim(oldest ?? this.#log.end.segment));
  }

  /** Throws SLUICE_SEGMENTS_DAMAGED if the next start could not read it. */
  async verify(): Promise<void> {
    await this.#disk(this.#log.verify());
  }

  /** Lets go all that stands there, readable or not, and begins anew. */
  async empty(): Promise<void> {
    await this.#disk(DeadLetterFile.forget(this.#options));
    for (const [id, letter] of this.#open) {
      this.#dealtWith.add(id);
      this.#index.remove(letter);
    }
    this.#open.clear();
    this.#log = await this.#disk(SegmentLog.open(logOf(this.#options), () => undefined));
  }

  /** Throws SLUICE_DEAD_LETTER_DAMAGED. */
  async parts({ address, head }: OpenLetter): Promise<LetterParts> {
    const entry = await this.#disk(this.#log.read(address)).catch((error: unknown) => {
      if (!isDamagedSegment(error)) throw error;
      const { connector, dataDir } = this.#options;
      const path = segmentPath(deadLetterDirectory(dataDir, connector), address.segment);
      throw new SluiceError(DEAD_LETTER_DAMAGED, { connector, id: head.id, path, offset: address.offset }, { cause: error });
    });
    return partsOfEntry(entry, head);
  }

  /** What the disk says as an error that a user can act on. */
  async #disk<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof SluiceError ? error : writeError(this.#options.dataDir, error);
    }
  }

  #take(entry: Buffer, address: Address): void {
    const content = parseEntry(entry);
    if ('event' in content) this.#apply(content);
    else {
      this.#put(content, partsOfEntry(entry, content).key, address);
      if (this.#counts === null || !isBefore(address, this.#counts.end)) this.#since.push(content.timeMicros);
    }
  }

  #put(head: LetterHead, key: Buffer | null, address: Address): OpenLetter {
    // Of its own: the rest of what it is a part of is let go.
    const own = key === null ? null : Buffer.from(key);
    const letter: OpenLetter = { head, address, key: own, keyHash: keyHash(own), superseded: false, published: false };
    this.#open.set(head.id, letter);
    this.#index.add(letter);
    return letter;
  }

  #supersede(letter: OpenLetter): void {
    letter.superseded = true;
    this.#index.remove(letter);
  }

  #apply({ event, id }: LetterEvent): void {
    const letter = this.#open.get(id);
    if (letter === undefined) return;
    if (event === 'superseded') this.#supersede(letter);
    else if (event === 'published') letter.published = true;
    else {
      this.#open.delete(id);
      this.#dealtWith.add(id);
      this.#index.remove(letter);
    }
  }
}

function logOf({ connector, dataDir, runtime, store, maxBytes }: DeadLetterFileOptions): SegmentLogOptions {
  return {
    files: runtime.files,
    connector,
    directory: deadLetterDirectory(dataDir, connector),
    segmentBytes: SEGMENT_BYTES,
    maxBytes,
    mark: { get: async () => (await store.getMark(connector, LOG)) as Mark | null, set: (mark) => store.setMark(connector, LOG, mark) },
  };
}

export function deadLetterDirectory(dataDir: string, connector: string): string {
  return `${dataDir}/dead-letters/${connector}`;
}
