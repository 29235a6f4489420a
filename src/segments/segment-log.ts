import { SluiceError } from '../plugin/error.ts';
import type { FileState, Files } from '../plugin/runtime.ts';
import { SEGMENTS_DAMAGED, SEGMENTS_FULL } from './errors.ts';
import { entryAt, SEGMENT_HEADER_BYTES, scanSegment, segmentEntry, segmentHeader } from './segment.ts';

/** Where an entry begins. */
export interface Address {
  readonly segment: number;
  readonly offset: number;
}

export function isBefore(a: Address, b: Address): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}

/** How far a log was confirmed. Kept apart from it (in LevelDB), so that a log that lost its tail is told from one whose last write was cut off. */
export interface Mark {
  /** The oldest segment that must be there. */
  readonly first: number;
  readonly segment: number;
  /** Length of that segment. */
  readonly end: number;
}

export interface SegmentLogOptions {
  readonly files: Files;
  readonly connector: string;
  readonly directory: string;
  /** A new segment is begun when one has reached this length. */
  readonly segmentBytes: number;
  /** Of all segments together. */
  readonly maxBytes: number;
  readonly mark: { get(): Promise<Mark | null>; set(mark: Mark): Promise<void> };
}

interface AppendOptions {
  readonly bounded?: boolean;
  readonly unconfirmed?: boolean;
}

/**
 * An append-only log of byte strings in a directory: segments with checksums, synced before `append` resolves. A tail that was cut off by a crash is
 * repaired when it is opened; anything less than what was confirmed is a typed stop (I8), and so is a file that somebody else has cut, replaced or removed
 * while it is open: the one that is written to is looked at before and after each append, of the others one in turn.
 */
export class SegmentLog {
  readonly #options: SegmentLogOptions;
  #first = 1;
  #segment = 1;
  #end = 0;
  #bytes = 0;
  /** The segments' files as they were left. */
  readonly #left = new Map<number, FileState>();
  /** Of the segments before the last the one that was looked at last. */
  #looked = 0;
  #failed: unknown = null;
  /** What was read last. */
  #read: { readonly segment: number; readonly bytes: Buffer } | null = null;
  #tail: Promise<void> = Promise.resolve();
  /** Of all that was appended; null: there is something newer. */
  #confirmation: Promise<void> | null = Promise.resolve();

  private constructor(options: SegmentLogOptions) {
    this.#options = options;
  }

  /** Opens and repairs it; `visit` gets every entry in order. Throws SLUICE_SEGMENTS_DAMAGED. */
  static async open(options: SegmentLogOptions, visit: (payload: Buffer, address: Address) => void): Promise<SegmentLog> {
    const log = new SegmentLog(options);
    await log.#open(visit);
    return log;
  }

  /** Removes all that stands there, readable or not. What comes then begins a segment of its own: an address of before is never one of what comes. */
  static async forget({ files, directory, mark }: Pick<SegmentLogOptions, 'files' | 'directory' | 'mark'>): Promise<void> {
    const names = (await files.list(directory)) ?? [];
    const next = Math.max((await mark.get())?.segment ?? 0, segmentNumbers(names).at(-1) ?? 0) + 1;
    await mark.set({ first: next, segment: next, end: 0 });
    for (const name of names) await files.remove(`${directory}/${name}`);
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the next entry will stand. */
  get end(): Address {
    return { segment: this.#segment, offset: this.#end };
  }

  /**
   * Adds entries in order; durable when it resolves, each with its address. Calls that overlap are done in call order. After a throw it must be opened anew.
   * `unconfirmed`: the entries are synced, but that they must be there is said only by the next mark (`confirm`), which takes several times as long.
   */
  append(payloads: readonly Uint8Array[], { bounded = true, unconfirmed = false }: AppendOptions = {}): Promise<readonly Address[]> {
    const done = this.#tail.then(() => this.#append(payloads, bounded, unconfirmed));
    this.#tail = done.then(
      () => undefined,
      (error: unknown) => {
        this.#failed ??= error;
      },
    );
    return done;
  }

  /** Resolves when the mark says of all that was appended until now that it must be there. */
  async confirm(): Promise<void> {
    this.#confirmation ??= this.#options.mark.set({ first: this.#first, segment: this.#segment, end: this.#end });
    await this.#confirmation;
  }

  /** The entry at an address. Throws SLUICE_SEGMENTS_DAMAGED if it cannot be read. */
  async read({ segment, offset }: Address): Promise<Buffer> {
    // Entries are read one behind the other: the file is read once for many of them.
    let payload = this.#read?.segment === segment ? entryAt(this.#read.bytes, offset) : null;
    if (payload === null) {
      const bytes = await this.#options.files.read(this.#path(segment));
      this.#read = bytes === null ? null : { segment, bytes };
      payload = bytes === null ? null : entryAt(bytes, offset);
    }
    if (payload === null) throw this.#damaged(segment, offset, 'the entry cannot be read any more');
    return payload;
  }

  /** Reads all that stands there. Throws SLUICE_SEGMENTS_DAMAGED if it could not be opened again. */
  async verify(): Promise<void> {
    await this.#tail;
    for (const [segment, { length }] of [...this.#left]) {
      await this.#check(segment);
      const bytes = await this.#options.files.read(this.#path(segment));
      // It may have been trimmed meanwhile, and the last one goes on.
      if (segment < this.#first) continue;
      const { end, wrong } = scanSegment((bytes ?? Buffer.alloc(0)).subarray(0, length), () => undefined);
      if (end < length) throw this.#damaged(segment, end, wrong ?? 'it is shorter than it was');
    }
  }

  /** Removes the segments before this one: nothing in them is needed any more. */
  async trim(before: number): Promise<void> {
    const { mark } = this.#options;
    const until = Math.min(before, this.#segment);
    if (until <= this.#first) return;
    const first = this.#first;
    this.#first = until;
    await mark.set({ first: until, segment: this.#segment, end: this.#end });
    for (let segment = first; segment < until; segment++) {
      this.#bytes -= this.#left.get(segment)?.length ?? 0;
      this.#left.delete(segment);
      await this.#options.files.remove(this.#path(segment));
    }
  }

  /** Removes every entry; the next one begins a new segment. */
  async clear(): Promise<void> {
    await this.#tail;
    this.#segment++;
    this.#end = 0;
    await this.trim(this.#segment);
  }

  async #open(visit: (payload: Buffer, address: Address) => void): Promise<void> {
    const { files, directory, mark } = this.#options;
    await files.makeDirectory(directory);
    const confirmed = await mark.get();
    const numbers = segmentNumbers((await files.list(directory)) ?? []);
    this.#first = confirmed?.first ?? numbers[0] ?? 1;
    const last = Math.max(confirmed?.segment ?? this.#first, numbers.at(-1) ?? 0);
    this.#segment = this.#first;
    for (let segment = this.#first; segment <= last; segment++) await this.#openSegment(segment, last, confirmed, visit);
    // Left over from a trim that was cut off.
    for (const old of numbers) if (old < this.#first) await files.remove(this.#path(old));
  }

  async #openSegment(segment: number, last: number, confirmed: Mark | null, visit: (payload: Buffer, address: Address) => void): Promise<void> {
    const { files } = this.#options;
    const path = this.#path(segment);
    const bytes = await files.read(path);
    const isConfirmed = confirmed !== null && segment <= confirmed.segment;
    const needed = confirmed === null || segment > confirmed.segment ? 0 : segment === confirmed.segment ? confirmed.end : 1;
    if (bytes === null) {
      if (isConfirmed && needed > 0) throw this.#damaged(segment, 0, 'it is gone', confirmed);
      return;
    }
    const { end, wrong } = scanSegment(bytes, (payload, offset) => visit(payload, { segment, offset }));
    const mustBeWhole = isConfirmed && segment < confirmed.segment;
    if (end < needed || (mustBeWhole && wrong !== null)) throw this.#damaged(segment, end, wrong ?? 'it is shorter than it was', confirmed);
    if (wrong !== null && segment < last && !isConfirmed) throw this.#damaged(segment, end, wrong, confirmed);
    if (wrong !== null) await files.truncate(path, end);
    this.#segment = segment;
    this.#end = end;
    await this.#leave(end);
    this.#bytes += end;
  }

  async #append(payloads: readonly Uint8Array[], bounded: boolean, unconfirmed: boolean): Promise<readonly Address[]> {
    if (this.#failed !== null) throw this.#failed;
    const { files, connector, directory, maxBytes, segmentBytes } = this.#options;
    const entries = payloads.map(segmentEntry);
    const length = entries.reduce((sum, entry) => sum + entry.length, 0);
    if (bounded && this.#bytes + length > maxBytes)
      throw new SluiceError(SEGMENTS_FULL, { connector, directory, bytes: this.#bytes, limit: maxBytes });
    if (this.#end >= segmentBytes) {
      this.#segment++;
      this.#end = 0;
    }
    await this.#check(this.#segment);
    await this.#checkOlder();
    const isNew = this.#end === 0;
    const bytes = Buffer.concat(isNew ? [segmentHeader(), ...entries] : entries);
    await files.append(this.#path(this.#segment), bytes);
    await this.#leave(this.#end + bytes.length);
    let at = isNew ? SEGMENT_HEADER_BYTES : this.#end;
    const addresses: Address[] = [];
    for (const entry of entries) {
      addresses.push({ segment: this.#segment, offset: at });
      at += entry.length;
    }
    this.#bytes += at - this.#end;
    this.#end = at;
    this.#confirmation = null;
    if (!unconfirmed) await this.confirm();
    return addresses;
  }

  /** Notes the file of the last segment as it is left: with that length, and as the same file as before. */
  async #leave(length: number): Promise<void> {
    const now = await this.#options.files.state(this.#path(this.#segment));
    this.#left.set(this.#segment, { length, identity: this.#left.get(this.#segment)?.identity ?? now?.identity ?? '' });
    this.#compare(this.#segment, now);
  }

  async #checkOlder(): Promise<void> {
    if (this.#first === this.#segment) return;
    this.#looked = this.#looked < this.#first || this.#looked + 1 >= this.#segment ? this.#first : this.#looked + 1;
    await this.#check(this.#looked);
  }

  /** Throws SLUICE_SEGMENTS_DAMAGED unless a segment's file is as it was left. */
  async #check(segment: number): Promise<void> {
    const now = await this.#options.files.state(this.#path(segment));
    // It may have been trimmed meanwhile.
    if (segment >= this.#first) this.#compare(segment, now);
  }

  #compare(segment: number, now: FileState | null): void {
    const left = this.#left.get(segment);
    if (now?.length === left?.length && now?.identity === left?.identity) return;
    const reason =
      now === null
        ? 'it is gone'
        : now.identity !== left?.identity
          ? 'another file stands in its place'
          : `it has ${now.length} bytes, and ${left.length} were written`;
    throw this.#damaged(segment, Math.min(now?.length ?? 0, left?.length ?? 0), `${reason}: somebody else has changed it`);
  }

  #damaged(segment: number, offset: number, reason: string, confirmed: Mark | null = null): SluiceError {
    const { connector, directory } = this.#options;
    const expected = confirmed === null ? this.#end : confirmed.end;
    const at = confirmed === null ? this.#segment : confirmed.segment;
    return new SluiceError(SEGMENTS_DAMAGED, { path: this.#path(segment), connector, offset, reason, expected, segment: at, directory });
  }

  #path(segment: number): string {
    return segmentPath(this.#options.directory, segment);
  }
}

export function segmentPath(directory: string, segment: number): string {
  return `${directory}/${String(segment).padStart(8, '0')}.segment`;
}

function segmentNumbers(names: readonly string[]): readonly number[] {
  return names
    .flatMap((name) => /^(\d{8})\.segment$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}
