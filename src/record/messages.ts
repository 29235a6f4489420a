/** Integers of a message in `spans`, at message × SPAN_SIZE: byte ranges in `bytes`. A start of −1: there is none (key: no key; value: tombstone). */
export const SPAN = {
  keyStart: 0,
  keyEnd: 1,
  valueStart: 2,
  valueEnd: 3,
  headersStart: 4,
  headersEnd: 5,
  idStart: 6,
  idEnd: 7,
  destination: 8,
  /** Index into `tables`. */
  table: 9,
  /**
   * Where a message without a key goes: a number ≥ 0 made from its table's label, the same for all its messages; −1: to every partition (TRUNCATE of
   * a table with a key).
   */
  spread: 10,
  /** As `OP` of the record that it was made of. */
  op: 11,
} as const;
export const SPAN_SIZE = 12;

/**
 * Encoded messages. Kept, unchanged, until durable: a retry sends the same bytes (I4).
 *
 * Headers are a sequence of (u16 length, name, u32 length, value), big endian, UTF-8; several messages may share one range. They do not hold the
 * message id: each sink writes that under its own name (`sluice.id`, `Nats-Msg-Id`).
 */
export interface MessageBatch {
  readonly count: number;
  readonly bytes: Buffer;
  readonly bytesLength: number;
  readonly spans: Int32Array;
  /** Names that `destination` spans index. */
  readonly destinations: readonly string[];
  /** Labels that `table` spans index: of the tables that the messages are of; '' = of none. */
  readonly tables: readonly string[];
  /** Another number for each batch that the same object is, one after the other: what was kept of it is of one filling only. */
  readonly filling: number;
}

const NO_TABLE: readonly string[] = [''];

/** Collects messages into growing memory that the pipeline recycles once they are durable. */
export class MessageWriter implements MessageBatch {
  count = 0;
  bytes: Buffer;
  /** End of what is written; encoders write at it and move it. */
  bytesLength = 0;
  spans: Int32Array;
  destinations: readonly string[] = [];
  tables: readonly string[] = NO_TABLE;
  filling = 0;
  /** Set by the pipeline before each record. */
  destination = 0;
  table = 0;
  spread = 0;
  op = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.spans = new Int32Array(SPAN_SIZE * 256);
  }

  /** Makes room for `length` more bytes. After it `bytes` may be another buffer. */
  reserve(length: number): void {
    const needed = this.bytesLength + length;
    if (needed <= this.bytes.length) return;
    const size = Math.max(needed, Math.min(this.bytes.length * 2, this.bytes.length + 16 * 1024 * 1024));
    const bytes = Buffer.allocUnsafeSlow(size);
    this.bytes.copy(bytes, 0, 0, this.bytesLength);
    this.bytes = bytes;
  }

  /** Adds a message whose parts were written before. A start of −1 with any end: there is no such part. */
  message(
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    headersStart: number,
    headersEnd: number,
    idStart: number,
    idEnd: number,
  ): void {
    let at = this.count * SPAN_SIZE;
    if (at + SPAN_SIZE > this.spans.length) {
      const larger = new Int32Array(this.spans.length * 2);
      larger.set(this.spans);
      this.spans = larger;
    }
    const spans = this.spans;
    spans[at++] = keyStart;
    spans[at++] = keyEnd;
    spans[at++] = valueStart;
    spans[at++] = valueEnd;
    spans[at++] = headersStart;
    spans[at++] = headersEnd;
    spans[at++] = idStart;
    spans[at++] = idEnd;
    spans[at++] = this.destination;
    spans[at++] = this.table;
    spans[at++] = this.spread;
    spans[at] = this.op;
    this.count++;
  }

  /** Memory that it has, filled or not (I9). */
  get reservedBytes(): number {
    return this.bytes.length + this.spans.byteLength;
  }

  reset(): void {
    this.filling++;
    this.count = 0;
    this.bytesLength = 0;
  }

  /** Leaves only these messages, which are given in order. Their bytes stay where they are. */
  retain(indexes: readonly number[]): void {
    for (let message = 0; message < indexes.length; message++) {
      const from = (indexes[message] as number) * SPAN_SIZE;
      this.spans.copyWithin(message * SPAN_SIZE, from, from + SPAN_SIZE);
    }
    this.count = indexes.length;
  }
}

/** The id of a message. */
export function idAt({ bytes, spans }: MessageBatch, message: number): string {
  const at = message * SPAN_SIZE;
  return bytes.toString('utf8', spans[at + SPAN.idStart], spans[at + SPAN.idEnd]);
}

/** The topic or subject of a message. */
export function destinationAt({ spans, destinations }: MessageBatch, message: number): string {
  return destinations[spans[message * SPAN_SIZE + SPAN.destination] as number] as string;
}

/** The label of the table that a message is of; '' = of none. */
export function tableAt({ spans, tables }: MessageBatch, message: number): string {
  return tables[spans[message * SPAN_SIZE + SPAN.table] as number] as string;
}

/** Calls back for each header of a message. For sinks that need them one by one. */
export function eachHeader(batch: MessageBatch, message: number, use: (name: string, value: string) => void): void {
  const at = message * SPAN_SIZE;
  eachHeaderOf(batch.bytes, batch.spans[at + SPAN.headersStart] as number, batch.spans[at + SPAN.headersEnd] as number, use);
}

/** Calls back for each header of a header section, which stands in `bytes` from `start` to `end`; a start of −1: there is none. */
export function eachHeaderOf(bytes: Buffer, start: number, end: number, use: (name: string, value: string) => void): void {
  let at = start;
  while (at >= 0 && at < end) {
    const nameLength = bytes.readUInt16BE(at);
    const name = bytes.toString('latin1', at + 2, at + 2 + nameLength);
    at += 2 + nameLength;
    const valueLength = bytes.readUInt32BE(at);
    use(name, bytes.toString('utf8', at + 4, at + 4 + valueLength));
    at += 4 + valueLength;
  }
}

/** The header section in its stored form. */
export function encodeHeaders(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of headers) {
    const nameBytes = Buffer.from(name, 'latin1');
    const valueBytes = Buffer.from(value, 'utf8');
    const lengths = Buffer.alloc(6);
    lengths.writeUInt16BE(nameBytes.length, 0);
    lengths.writeUInt32BE(valueBytes.length, 2);
    parts.push(lengths.subarray(0, 2), nameBytes, lengths.subarray(2), valueBytes);
  }
  return Buffer.concat(parts);
}
