/** Takes the data of a COPY, the log's messages or rows, out of a connection's bytes: past the driver's parser, which makes an object, a view and an event of each. */

/** Type byte and length of a message of the protocol (PostgreSQL manual 55.7); the length counts itself, not the type. */
const HEADER = 5;
const COPY_DATA = 0x64;
const XLOG_DATA = 0x77;
const NOTHING = Buffer.alloc(0);
/** The memory of longer messages is given back as soon as they are decoded: what waits for the collector would be one more of a very large row (I9). */
const LARGE = 1024 * 1024;
/** In Node since 20; TypeScript has it in the library of ES2024. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const ResizableBuffer = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable;
/** Tag, start, end and clock before the log's own message (manual 55.4). */
const XLOG_HEADER = 25;

export interface FrameEvents {
  /**
   * `log`: a message of the log, and its LSN in two halves. `rows`: what one copy message holds, which the server makes one row (manual 55.2.7), and zeros. The bytes
   * from `start` to `end`; the memory is used again: it is decoded here and now.
   */
  data(bytes: Buffer, start: number, end: number, hi: number, lo: number): void;
  /** Any other message, whole: keepalives, errors, the end of the copy. */
  other(message: Buffer): void;
  /** What comes is not the protocol. Nothing more is told. */
  broken(): void;
}

export class CopyFrames {
  readonly #events: FrameEvents;
  readonly #isLog: boolean;
  /** The beginning of a message that has not come whole. It has room for all of it as soon as its length is known: a large row is here once (I9). */
  #begun: Buffer = NOTHING;
  #have = 0;
  /** Bytes that the message takes, as far as is known. */
  #need = HEADER;
  #broken = false;

  constructor(kind: 'log' | 'rows', events: FrameEvents) {
    this.#isLog = kind === 'log';
    this.#events = events;
  }

  /** The next bytes of the connection, the first ones at the beginning of a message. */
  push(piece: Buffer): void {
    if (this.#broken) return;
    let at = 0;
    while (this.#have > 0) {
      const end = Math.min(piece.length, at + this.#need - this.#have);
      // The driver's socket may fill this memory again.
      piece.copy(this.#begun, this.#have, at, end);
      this.#have += end - at;
      at = end;
      if (this.#have < this.#need) return;
      const message = this.#begun;
      this.#need = this.#lengthOf(message, 0);
      if (this.#broken) return;
      if (this.#need > this.#have) {
        this.#begun = memoryFor(this.#need);
        message.copy(this.#begun);
        continue;
      }
      this.#begun = NOTHING;
      this.#have = 0;
      this.#read(message, 0);
      if (message.length > LARGE) (message.buffer as Resizable).resize(0);
    }
    this.#read(piece, at);
  }

  #read(bytes: Buffer, from: number): void {
    let at = from;
    let need = HEADER;
    while (at + HEADER <= bytes.length) {
      need = this.#lengthOf(bytes, at);
      if (this.#broken) return;
      const end = at + need;
      if (end > bytes.length) break;
      const tag = at + HEADER;
      if (bytes[at] !== COPY_DATA) this.#events.other(bytes.subarray(at, end));
      else if (!this.#isLog) this.#events.data(bytes, tag, end, 0, 0);
      else if (bytes[tag] === XLOG_DATA && need - HEADER >= XLOG_HEADER) {
        this.#events.data(bytes, tag + XLOG_HEADER, end, bytes.readUInt32BE(tag + 1), bytes.readUInt32BE(tag + 5));
      } else this.#events.other(bytes.subarray(at, end));
      at = end;
      need = HEADER;
    }
    if (at === bytes.length) return;
    this.#begun = memoryFor(need);
    this.#have = bytes.copy(this.#begun, 0, at);
    this.#need = need;
  }

  #lengthOf(bytes: Buffer, at: number): number {
    const length = bytes.readInt32BE(at + 1);
    if (length >= HEADER - 1) return 1 + length;
    this.#broken = true;
    this.#events.broken();
    return HEADER;
  }
}

/** A buffer that can be made smaller gives its memory back at once; it costs more to make. */
function memoryFor(bytes: number): Buffer {
  return bytes > LARGE ? Buffer.from(new ResizableBuffer(bytes, { maxByteLength: bytes }), 0, bytes) : Buffer.allocUnsafe(bytes);
}
