/**
 * Kafka's record batch, version 2 (documentation, "Message Format"), written from message bytes to request bytes: no object per record. The client
 * library would make several; and only a batch of our own making is the same bytes under the same sequence number whatever connection carries it.
 */
import { compressionsAlgorithms, crc32c } from '@platformatic/kafka';
import { type MessageBatch, SPAN, SPAN_SIZE } from '#plugin';
import { type RecordSet, recordBytesOf } from '../driver.ts';
import type { BatchMemory } from './batch-memory.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4';

const HEAD_BYTES = 61;
const MAGIC = 2;
/** Where what the length counts begins, and what the checksum covers. */
const LENGTH_FROM = 12;
const CRC_FROM = 21;

const ID_HEADER = Buffer.concat([Buffer.from([9 * 2]), Buffer.from('sluice.id', 'latin1')]);
const NULL_LENGTH = 0x01;

/** The whole batch, in memory that the caller gives back. Throws what the compression throws. */
export function encodeRecordBatch(set: RecordSet, compression: Compression, memory: BatchMemory): Buffer {
  const writer = new RecordWriter(memory.take(roomFor(set)));
  for (const { batch, indexes } of set.runs) writer.run(batch, indexes);
  const { bytes, at } = writer;
  if (compression === 'none') return withHead(bytes.subarray(0, at), set, 0);
  const algorithm = compressionsAlgorithms[compression];
  const packed = algorithm.compressSync(bytes.subarray(HEAD_BYTES, at)) as Buffer;
  memory.give(bytes);
  const whole = memory.take(HEAD_BYTES + packed.length).subarray(0, HEAD_BYTES + packed.length);
  packed.copy(whole, HEAD_BYTES);
  return withHead(whole, set, algorithm.bitmask);
}

/** An upper bound of the uncompressed batch. */
function roomFor({ runs }: RecordSet): number {
  let room = HEAD_BYTES;
  for (const { batch, indexes } of runs) {
    for (let index = 0; index < indexes.length; index++) room += recordBytesOf(batch, indexes[index] as number) + ID_HEADER.length;
  }
  return room;
}

function withHead(bytes: Buffer, { count, timestampMs, identity }: RecordSet, compression: number): Buffer {
  bytes.fill(0, 0, 8);
  bytes.writeInt32BE(bytes.length - LENGTH_FROM, 8);
  // Partition leader epoch: the broker fills it in.
  bytes.writeInt32BE(-1, 12);
  bytes[16] = MAGIC;
  bytes.writeInt16BE(compression, 21);
  bytes.writeInt32BE(count - 1, 23);
  bytes.writeBigInt64BE(BigInt(timestampMs), 27);
  bytes.writeBigInt64BE(BigInt(timestampMs), 35);
  bytes.writeBigInt64BE(identity?.producerId ?? -1n, 43);
  bytes.writeInt16BE(identity?.epoch ?? -1, 51);
  bytes.writeInt32BE(identity?.sequence ?? -1, 53);
  bytes.writeInt32BE(count, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(CRC_FROM)) >>> 0, 17);
  return bytes;
}

class RecordWriter {
  readonly bytes: Buffer;
  at = HEAD_BYTES;
  #record = 0;
  /** Headers that many messages share, in Kafka's form. */
  #batch: MessageBatch | null = null;
  #headersStart = -1;
  #headers: Uint8Array = new Uint8Array(0);
  #headerCount = 0;

  /** `room`: as large as `roomFor` says, or larger. */
  constructor(room: Buffer) {
    this.bytes = room;
  }

  run(batch: MessageBatch, indexes: Int32Array): void {
    for (let index = 0; index < indexes.length; index++) this.#write(batch, (indexes[index] as number) * SPAN_SIZE);
  }

  #write(batch: MessageBatch, at: number): void {
    const { spans } = batch;
    const keyStart = spans[at + SPAN.keyStart] as number;
    const keyLength = keyStart < 0 ? -1 : (spans[at + SPAN.keyEnd] as number) - keyStart;
    const valueStart = spans[at + SPAN.valueStart] as number;
    const valueLength = valueStart < 0 ? -1 : (spans[at + SPAN.valueEnd] as number) - valueStart;
    const idStart = spans[at + SPAN.idStart] as number;
    const idLength = (spans[at + SPAN.idEnd] as number) - idStart;
    this.#prepareHeaders(batch, spans[at + SPAN.headersStart] as number, spans[at + SPAN.headersEnd] as number);
    const headerCount = this.#headerCount + 1;
    const record = this.#record++;
    const length =
      2 +
      varintBytes(record) +
      partBytes(keyLength) +
      partBytes(valueLength) +
      varintBytes(headerCount) +
      this.#headers.length +
      ID_HEADER.length +
      partBytes(idLength);
    this.#varint(length);
    // Attributes and the distance of the time to the first one's: none.
    this.bytes[this.at++] = 0;
    this.bytes[this.at++] = 0;
    this.#varint(record);
    this.#part(batch, keyStart, keyLength);
    this.#part(batch, valueStart, valueLength);
    this.#varint(headerCount);
    this.bytes.set(this.#headers, this.at);
    this.at += this.#headers.length;
    this.bytes.set(ID_HEADER, this.at);
    this.at += ID_HEADER.length;
    this.#part(batch, idStart, idLength);
  }

  #part(batch: MessageBatch, start: number, length: number): void {
    if (length < 0) {
      this.bytes[this.at++] = NULL_LENGTH;
      return;
    }
    this.#varint(length);
    batch.bytes.copy(this.bytes, this.at, start, start + length);
    this.at += length;
  }

  /** `value` ≥ 0, in zigzag form. */
  #varint(value: number): void {
    let rest = value * 2;
    while (rest > 127) {
      this.bytes[this.at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  /** From (u16 length, name, u32 length, value) to (varint length, name, varint length, value). */
  #prepareHeaders(batch: MessageBatch, start: number, end: number): void {
    if (batch === this.#batch && start === this.#headersStart) return;
    this.#batch = batch;
    this.#headersStart = start;
    const { bytes } = batch;
    const parts: Buffer[] = [];
    this.#headerCount = 0;
    for (let at = start; at >= 0 && at < end; ) {
      const nameEnd = at + 2 + bytes.readUInt16BE(at);
      const valueEnd = nameEnd + 4 + bytes.readUInt32BE(nameEnd);
      parts.push(varint(nameEnd - at - 2), bytes.subarray(at + 2, nameEnd), varint(valueEnd - nameEnd - 4), bytes.subarray(nameEnd + 4, valueEnd));
      at = valueEnd;
      this.#headerCount++;
    }
    this.#headers = new Uint8Array(Buffer.concat(parts));
  }
}

/** Bytes of a part with its length; −1 = null. */
function partBytes(length: number): number {
  return length < 0 ? 1 : varintBytes(length) + length;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value * 2; rest > 127; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
