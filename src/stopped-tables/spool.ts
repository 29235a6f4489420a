/** The changes of one stopped table on the local disk, in the order in which they were committed. */
import { createHash } from 'node:crypto';
import { SluiceError } from '../plugin/error.ts';
import type { Runtime } from '../plugin/runtime.ts';
import { messagesFromBytes, messagesToBytes } from '../record/message-bytes.ts';
import { parseMessageId, rankOf } from '../record/message-id.ts';
import { idAt, type MessageBatch, type MessageWriter } from '../record/messages.ts';
import { SEGMENTS_FULL } from '../segments/errors.ts';
import { type Address, isBefore, type Mark, SegmentLog, type SegmentLogOptions } from '../segments/segment-log.ts';
import { writeError } from '../state/errors.ts';
import type { StateStore } from '../state/state-store.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Of a directory's name; file systems allow 255. */
const LONGEST_NAME = 200;

export interface SpoolOptions {
  readonly connector: string;
  /** Label of the table. */
  readonly table: string;
  readonly dataDir: string;
  readonly runtime: Runtime;
  readonly store: StateStore;
  /** Of what waits: what was sent stands on the disk for as long as it may come again, and takes no room. */
  readonly maxBytes: number;
}

/** One append: messages of the table out of one batch. */
export interface SpoolEntry {
  readonly address: Address;
  readonly messages: number;
  readonly bytes: number;
}

/** What an entry has of one transaction. */
interface Part {
  /** Of the last message of it. */
  readonly rank: number;
  readonly address: Address;
  /** That one is the entry's last. */
  readonly isEnd: boolean;
}

/**
 * A segment log whose entries are messages of one table. It counts as durable for the offset: what was appended is synced, and is in the checkpoint's place
 * up to where it is covered; what stands beyond comes again after a crash and is recognised by its id (I1, I4).
 */
export class Spool {
  readonly #options: SpoolOptions;
  /** Not sent yet, in order. */
  readonly #waiting: SpoolEntry[] = [];
  /** What stands beyond the place: per transaction the highest rank in each entry that has some of it. */
  readonly #beyond = new Map<string, Part[]>();
  #log!: SegmentLog;
  /** Of what stands beyond the place the last entry. */
  #lastBeyond: Address | null = null;
  /** The last entry that was ever put here. */
  last: Address | null = null;
  /** The last entry that the saved checkpoint covers: what is behind it may come again, and must be recognised. */
  #covered: Address | null;
  /** Messages that wait. */
  messages = 0;
  /** Bytes that wait. */
  #waitingBytes = 0;

  private constructor(options: SpoolOptions, covered: Address | null) {
    this.#options = options;
    this.#covered = covered;
  }

  /**
   * Throws SLUICE_SEGMENTS_DAMAGED.
   * @param place the last entry that the checkpoint covers; null: it covers none
   * @param sent the last entry that was sent; null: none was
   */
  static async open(options: SpoolOptions, place: string | null, sent: Address | null): Promise<Spool> {
    const covered = place === null ? null : parseAddress(place);
    const spool = new Spool(options, covered);
    spool.#log = await spool.#disk(
      SegmentLog.open(logOf(options), (payload, address) => {
        spool.last = address;
        const isWaiting = sent === null || isBefore(sent, address);
        const isBeyond = covered === null || isBefore(covered, address);
        if (isBeyond) spool.#lastBeyond = address;
        if (isWaiting || isBeyond) spool.#take(messagesFromBytes(payload), { address, bytes: payload.length }, isWaiting, isBeyond);
      }),
    );
    return spool;
  }

  /** Removes all that stands there, readable or not. */
  static async forget(options: SpoolOptions): Promise<void> {
    await SegmentLog.forget(logOf(options));
  }

  get directory(): string {
    return spoolDirectory(this.#options.dataDir, this.#options.connector, this.#options.table);
  }

  get bytes(): number {
    return this.#log.bytes;
  }

  /**
   * Null: the message was not put here by a run before this one. Else the value of the place that covers its entry if it is the last one there, '' if others of the
   * entry are still to come: batches are not cut where they were cut before.
   */
  holds(id: string): string | null {
    const parsed = this.#beyond.size === 0 ? null : parseMessageId(id, `${this.#options.connector}/`);
    if (parsed === null) return null;
    const rank = rankOf(parsed);
    const part = this.#beyond.get(parsed.transaction)?.find((each) => rank <= each.rank);
    if (part === undefined) return null;
    if (!part.isEnd || rank !== part.rank) return '';
    if (part.address === this.#lastBeyond) this.passed();
    return formatAddress(part.address);
  }

  /** A message of the table has come that is behind all that was put here by a run before this one. */
  passed(): void {
    this.#beyond.clear();
  }

  /** True when nothing that was put here by a run before this one can come again. */
  get isPassed(): boolean {
    return this.#beyond.size === 0;
  }

  /**
   * Durable when it resolves, with the address of the entry (a value of the place). Calls are done in their order. Throws SLUICE_SEGMENTS_FULL before anything is written;
   * it can be called again when some of it was sent.
   */
  async append(batch: MessageBatch, indexes: readonly number[]): Promise<string> {
    const bytes = messagesToBytes(batch, indexes);
    const { connector, maxBytes } = this.#options;
    if (this.#waitingBytes + bytes.length > maxBytes)
      throw new SluiceError(SEGMENTS_FULL, { connector, directory: this.directory, bytes: this.#waitingBytes, limit: maxBytes });
    const [address] = (await this.#disk(this.#log.append([bytes], { bounded: false }))) as [Address];
    this.#wait({ address, messages: indexes.length, bytes: bytes.length });
    this.last = address;
    return formatAddress(address);
  }

  /** The oldest entries that were not sent: at least one, if there is one, and no more messages and bytes than these beside it. */
  next(maxMessages: number, maxBytes: number): readonly SpoolEntry[] {
    let [messages, bytes] = [0, 0];
    const end = this.#waiting.findIndex((entry, index) => {
      messages += entry.messages;
      bytes += entry.bytes;
      return index > 0 && (messages > maxMessages || bytes > maxBytes);
    });
    return this.#waiting.slice(0, end < 0 ? undefined : end);
  }

  async read({ address }: SpoolEntry): Promise<MessageWriter> {
    return messagesFromBytes(await this.#disk(this.#log.read(address)));
  }

  /** The oldest entries were sent, and that is saved. */
  async sent(entries: number): Promise<void> {
    for (const { messages, bytes } of this.#waiting.splice(0, entries)) {
      this.messages -= messages;
      this.#waitingBytes -= bytes;
    }
    await this.#trim();
  }

  /** A checkpoint with this value in its place is saved. */
  async covers(place: string): Promise<void> {
    this.#covered = parseAddress(place);
    await this.#trim();
  }

  /** Lets go what was sent and is covered: by the rest is recognised what comes again after a crash (I4). */
  async #trim(): Promise<void> {
    if (this.#covered === null) return;
    const waiting = this.#waiting[0]?.address.segment ?? this.#log.end.segment;
    await this.#disk(this.#log.trim(Math.min(waiting, this.#covered.segment)));
  }

  /** Removes everything. */
  async clear(): Promise<void> {
    this.#waiting.length = 0;
    this.messages = 0;
    this.#waitingBytes = 0;
    this.last = null;
    await this.#disk(this.#log.clear());
  }

  #take(messages: MessageBatch, { address, bytes }: Pick<SpoolEntry, 'address' | 'bytes'>, isWaiting: boolean, isBeyond: boolean): void {
    if (isWaiting) this.#wait({ address, messages: messages.count, bytes });
    if (isBeyond) for (let index = 0; index < messages.count; index++) this.#note(idAt(messages, index), address, index === messages.count - 1);
  }

  #wait(entry: SpoolEntry): void {
    this.#waiting.push(entry);
    this.messages += entry.messages;
    this.#waitingBytes += entry.bytes;
  }

  /** Entries are in the order of the log: of a transaction only the last rank in each counts. */
  #note(id: string, address: Address, isEnd: boolean): void {
    const parsed = parseMessageId(id, `${this.#options.connector}/`);
    if (parsed === null) return;
    const parts = this.#beyond.get(parsed.transaction) ?? [];
    if (parts.at(-1)?.address === address) parts.pop();
    parts.push({ rank: rankOf(parsed), address, isEnd });
    this.#beyond.set(parsed.transaction, parts);
  }

  async #disk<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof SluiceError ? error : writeError(this.#options.dataDir, error);
    }
  }
}

function logOf({ connector, table, dataDir, runtime, store, maxBytes }: SpoolOptions): SegmentLogOptions {
  const name = `spool/${table}`;
  return {
    files: runtime.files,
    connector,
    directory: spoolDirectory(dataDir, connector, table),
    segmentBytes: SEGMENT_BYTES,
    maxBytes,
    mark: { get: async () => (await store.getMark(connector, name)) as Mark | null, set: (mark) => store.setMark(connector, name, mark) },
  };
}

/** Where the spools of a connector are. */
export function spoolsDirectory(dataDir: string, connector: string): string {
  return `${dataDir}/spool/${connector}`;
}

export function spoolDirectory(dataDir: string, connector: string, table: string): string {
  const name = encodeURIComponent(table);
  const short = name.length <= LONGEST_NAME ? name : createHash('sha256').update(table).digest('hex');
  return `${spoolsDirectory(dataDir, connector)}/${short}`;
}

export function formatAddress({ segment, offset }: Address): string {
  return `${segment}:${offset}`;
}

function parseAddress(text: string): Address {
  const [segment, offset] = text.split(':').map(Number) as [number, number];
  return { segment, offset };
}
