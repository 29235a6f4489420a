import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { isDamagedSegment } from '../segments/errors.ts';
import { type Address, type Mark, SegmentLog, type SegmentLogOptions, segmentPath } from '../segments/segment-log.ts';
import { writeError } from '../state/errors.ts';
import type { StateStore } from '../state/state-store.ts';
import { DEAD_LETTER_DAMAGED } from './errors.ts';
import { eventBytes, type LetterEvent, type LetterHead, type LetterParts, letterBytes, parseEntry, partsOfEntry } from './letter.ts';

/** A letter that nobody has dealt with yet. */
export interface OpenLetter {
  readonly head: LetterHead;
  address: Address;
  /** Destination and key, to notice what is published after it; null: it has no key. */
  readonly keyOf: string | null;
  /** Its key was published since: sending it now would overwrite what is newer. */
  superseded: boolean;
  /** It stands in the dead-letter topic as well. */
  published: boolean;
}

export interface DeadLetterFileOptions {
  readonly connector: string;
  readonly dataDir: string;
  readonly runtime: Runtime;
  readonly store: StateStore;
  readonly maxBytes: number;
}

const SEGMENT_BYTES = 16 * 1024 * 1024;
const LOG = 'dead-letters';

/**
 * The dead letters of a connector on the local disk: what was put there is durable before the checkpoint passes it (I1), each message once however often
 * its batch is read again.
 */
export class DeadLetterFile {
  readonly #open = new Map<string, OpenLetter>();
  /** By destination and key. */
  readonly #byKey = new Map<string, Set<OpenLetter>>();
  readonly #dealtWith = new Set<string>();
  /** On their way to the disk. */
  readonly #adding = new Set<OpenLetter>();
  readonly #options: DeadLetterFileOptions;
  #log!: SegmentLog;

  private constructor(options: DeadLetterFileOptions) {
    this.#options = options;
  }

  /** Throws SLUICE_SEGMENTS_DAMAGED. */
  static async open(options: DeadLetterFileOptions): Promise<DeadLetterFile> {
    const file = new DeadLetterFile(options);
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

  /** Those of a key, as `keyOf` names it. */
  ofKey(key: string): ReadonlySet<OpenLetter> | undefined {
    return this.#byKey.get(key);
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
    letter.superseded = isSuperseded(letter);
    const entries = [letterBytes(head, parts)];
    if (letter.superseded) entries.push(eventBytes({ event: 'superseded', id: head.id, timeMicros: head.timeMicros }));
    letter.address = (await this.#disk(this.#log.append(entries)))[0] as Address;
    this.#adding.delete(letter);
    return letter;
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
    for (const id of this.#open.keys()) this.#dealtWith.add(id);
    this.#open.clear();
    this.#byKey.clear();
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
    else this.#put(content, partsOfEntry(entry, content).key, address);
  }

  #put(head: LetterHead, key: Buffer | null, address: Address): OpenLetter {
    const keyOf = key === null ? null : letterKey(head.destination, key);
    const letter: OpenLetter = { head, address, keyOf, superseded: false, published: false };
    this.#open.set(head.id, letter);
    if (keyOf !== null) (this.#byKey.get(keyOf) ?? this.#byKey.set(keyOf, new Set()).get(keyOf))?.add(letter);
    return letter;
  }

  #apply({ event, id }: LetterEvent): void {
    const letter = this.#open.get(id);
    if (letter === undefined) return;
    if (event === 'superseded') letter.superseded = true;
    else if (event === 'published') letter.published = true;
    else {
      this.#open.delete(id);
      this.#dealtWith.add(id);
      const same = letter.keyOf === null ? undefined : this.#byKey.get(letter.keyOf);
      same?.delete(letter);
      if (same?.size === 0) this.#byKey.delete(letter.keyOf as string);
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

/** Destination and key as one string: bytes as they are, one character each. */
export function letterKey(destination: string, key: Buffer): string {
  return `${destination}\n${key.toString('latin1')}`;
}
