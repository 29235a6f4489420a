import { type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';

/** Header that marks a tombstone, whose body is empty: an empty body alone could be an empty value. */
export const TOMBSTONE_HEADER = 'sluice.tombstone';
/** Header that holds the message's key, in base64 where keys are no text: JetStream has none of its own. */
export const KEY_HEADER = 'sluice.key';

/** What the message says about the stream's end, so that the server refuses what would change the order (algorithms §4). */
export const EXPECT = { lastMessageId: 0, lastSequence: 1, lastSubjectSequence: 2 } as const;
export type Expectation = (typeof EXPECT)[keyof typeof EXPECT];

const BEGIN = Buffer.from('NATS/1.0\r\nNats-Msg-Id: ');
const EXPECTATIONS = [
  Buffer.from('\r\nNats-Expected-Last-Msg-Id: '),
  Buffer.from('\r\nNats-Expected-Last-Sequence: '),
  Buffer.from('\r\nNats-Expected-Last-Subject-Sequence: '),
] as const;
const KEY = Buffer.from(`\r\n${KEY_HEADER}: `);
const TOMBSTONE = Buffer.from(`\r\n${TOMBSTONE_HEADER}: true`);
const END = Buffer.from('\r\n\r\n');
/** All but id, key and own headers, generously. */
const FIXED_BYTES = 256;
/** Runs shorter than this are copied faster by a loop than by a call into C++. */
const SHORT_BYTES = 64;
const CR = 13;
const LF = 10;

/** Bytes of a message (its id, key or headers) hold CR or LF: they would end the header that they stand in and begin another. */
export class UnsafeHeader extends Error {
  readonly part: 'its id' | 'its key' | 'its headers';
  constructor(part: 'its id' | 'its key' | 'its headers') {
    super(part);
    this.part = part;
  }
}

/**
 * Assembles the header section of messages as bytes. The client's own header objects cost half of its time; it only calls `encode()` on what it is
 * given, so that one object with that method serves all messages.
 *
 * The client keeps a reference to the bytes until it writes to its socket, in a microtask after the first or as soon as 32 KiB wait. They therefore
 * stand in a ring that is much larger than what may wait.
 */
export class HeaderWriter {
  readonly #isBinary: boolean;
  #ring: Buffer;
  #at = 0;
  #start = 0;
  #idStart = 0;
  #idEnd = 0;
  #batch: MessageBatch | null = null;
  #filling = 0;
  readonly #own = new Map<number, Uint8Array>();

  /** `isBinary`: keys are no text. */
  constructor(ringBytes = 1024 * 1024, isBinary = false) {
    this.#isBinary = isBinary;
    this.#ring = Buffer.allocUnsafeSlow(ringBytes);
  }

  /** Length of the section that was assembled last. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** The section that was assembled last; the client calls this. */
  encode(): Uint8Array {
    return this.#ring.subarray(this.#start, this.#at);
  }

  /**
   * Assembles the section of one message. `sequence` belongs to the expectation; for `lastMessageId` it is the id of the message that was assembled
   * before. Throws UnsafeHeader, and then that id is the one before still.
   */
  assemble(batch: MessageBatch, message: number, expect: Expectation, sequence: number): void {
    const spans = batch.spans;
    const from = message * SPAN_SIZE;
    const keyStart = spans[from + SPAN.keyStart] as number;
    const keyEnd = spans[from + SPAN.keyEnd] as number;
    const idStart = spans[from + SPAN.idStart] as number;
    const idEnd = spans[from + SPAN.idEnd] as number;
    const own = this.#ownHeaders(batch, spans[from + SPAN.headersStart] as number, spans[from + SPAN.headersEnd] as number);
    const previous = this.#ring;
    this.#reserve(FIXED_BYTES + (idEnd - idStart) + (this.#idEnd - this.#idStart) + own.length + (keyStart < 0 ? 0 : 2 * (keyEnd - keyStart)));
    this.#start = this.#at;
    this.#put(BEGIN);
    const id = this.#at;
    if (!this.#putChecked(batch.bytes, idStart, idEnd)) throw this.#unsafe('its id');
    const end = this.#at;
    this.#put(EXPECTATIONS[expect] as Buffer);
    if (expect === EXPECT.lastMessageId) this.#putRange(previous, this.#idStart, this.#idEnd);
    else this.#at += this.#ring.write(String(sequence), this.#at, 'latin1');
    this.#putRange(own, 0, own.length);
    if (keyStart >= 0) {
      this.#put(KEY);
      if (this.#isBinary) this.#at += this.#ring.write(batch.bytes.toString('base64', keyStart, keyEnd), this.#at, 'latin1');
      else if (!this.#putChecked(batch.bytes, keyStart, keyEnd)) throw this.#unsafe('its key');
    }
    if ((spans[from + SPAN.valueStart] as number) < 0) this.#put(TOMBSTONE);
    this.#put(END);
    this.#idStart = id;
    this.#idEnd = end;
  }

  #unsafe(part: 'its id' | 'its key'): UnsafeHeader {
    this.#at = this.#start;
    return new UnsafeHeader(part);
  }

  /** Room for one section, at the ring's beginning if it does not fit the rest. */
  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#ring.length) return;
    // What the client may still refer to is at most 32 KiB of the newest; the beginning is much older, unless one section is a large part of it.
    if (bytes > this.#ring.length / 4) this.#ring = Buffer.allocUnsafeSlow(bytes * 4);
    this.#at = 0;
  }

  #put(bytes: Uint8Array): void {
    const ring = this.#ring;
    let at = this.#at;
    for (let i = 0; i < bytes.length; i++) ring[at++] = bytes[i] as number;
    this.#at = at;
  }

  #putRange(bytes: Uint8Array, start: number, end: number): void {
    if (end - start <= SHORT_BYTES) {
      const ring = this.#ring;
      let at = this.#at;
      for (let i = start; i < end; i++) ring[at++] = bytes[i] as number;
      this.#at = at;
    } else {
      this.#ring.set(bytes.subarray(start, end), this.#at);
      this.#at += end - start;
    }
  }

  /** Copies, and returns false if there is a line break in it. */
  #putChecked(bytes: Uint8Array, start: number, end: number): boolean {
    const ring = this.#ring;
    let at = this.#at;
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte === CR || byte === LF) return false;
      ring[at++] = byte;
    }
    this.#at = at;
    return true;
  }

  /** The message's own headers on the wire, each with its line break in front. Messages share ranges, so that this is done once per range. */
  #ownHeaders(batch: MessageBatch, start: number, end: number): Uint8Array {
    // One object serves many batches, one after the other: in an idle connector each of them.
    if (this.#batch !== batch || this.#filling !== batch.filling) {
      this.#batch = batch;
      this.#filling = batch.filling;
      this.#own.clear();
    }
    if (start < 0 || start === end) return NONE;
    let own = this.#own.get(start);
    if (own === undefined) {
      own = encodeOwn(batch.bytes, start, end);
      this.#own.set(start, own);
    }
    return own;
  }
}

const NONE = new Uint8Array(0);

/** From the stored form (see `MessageBatch`) to lines. */
function encodeOwn(bytes: Buffer, start: number, end: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = start;
  while (at < end) {
    const nameEnd = at + 2 + bytes.readUInt16BE(at);
    const name = bytes.subarray(at + 2, nameEnd);
    const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd);
    const value = bytes.subarray(nameEnd + 4, valueEnd);
    if (name.length === 0 || name.includes(0x3a) || hasBreak(name) || hasBreak(value)) throw new UnsafeHeader('its headers');
    parts.push(LINE_BREAK, name, COLON, value);
    at = valueEnd;
  }
  return Buffer.concat(parts);
}

const LINE_BREAK = Buffer.from('\r\n');
const COLON = Buffer.from(': ');

function hasBreak(bytes: Uint8Array): boolean {
  return bytes.includes(CR) || bytes.includes(LF);
}
