/** Kafka's record batches (format 2), written and read by hand, so that tests see what a broker holds and not what a client makes of it. */
import * as zlib from 'node:zlib';
import { WireReader, WireWriter } from '../servers/kafka-protocol.ts';
import { decompressLz4, decompressSnappy } from './kafka-compression.ts';

export interface NewRecord {
  key: Buffer | string | null;
  value: Buffer | string | null;
  headers?: Record<string, Buffer | string>;
}

export interface StoredRecord {
  partition: number;
  offset: bigint;
  timestamp: bigint;
  key: Buffer | null;
  value: Buffer | null;
  /** In their order; a name may come twice. */
  headers: [string, Buffer | null][];
  compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  /** -1 where the producer was not idempotent. */
  producerId: bigint;
  producerEpoch: number;
  /** The record's own, not its batch's; -1 without a producer id. */
  sequence: number;
}

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const HEADER_BYTES = 12;
const CONTROL = 0x20;

/** The records of the batches in a fetch answer (markers of transactions left out) and the offset after the last batch that is whole. */
export function decodeBatches(bytes: Buffer, partition: number): { records: StoredRecord[]; next: bigint } {
  const records: StoredRecord[] = [];
  let next = -1n;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readInt32BE(at + 8);
    // The last batch may be cut off.
    if (at + HEADER_BYTES + length > bytes.length) break;
    next = decodeBatch(bytes.subarray(at, at + HEADER_BYTES + length), partition, records);
    at += HEADER_BYTES + length;
  }
  return { records, next };
}

function decodeBatch(bytes: Buffer, partition: number, records: StoredRecord[]): bigint {
  const reader = new WireReader(bytes);
  const baseOffset = reader.int64();
  reader.take(8); // length, leader epoch
  const magic = reader.int8();
  if (magic !== 2) throw new Error(`record batches of format ${magic} are not read here`);
  if (reader.int32() !== (crc32c(bytes.subarray(21)) | 0)) throw new Error(`the batch at ${baseOffset} does not match its checksum`);
  const attributes = reader.int16();
  const next = baseOffset + BigInt(reader.int32()) + 1n;
  const baseTimestamp = reader.int64();
  reader.int64(); // the latest timestamp
  const batch = { partition, producerId: reader.int64(), producerEpoch: reader.int16(), sequence: reader.int32() };
  const count = reader.int32();
  if ((attributes & CONTROL) !== 0) return next;
  const compression = CODECS[attributes & 7] as StoredRecord['compression'];
  const body = new VarintReader(decompress(reader.take(reader.left), compression));
  for (let index = 0; index < count; index++) {
    body.varint(); // length
    body.take(1); // attributes
    const timestamp = baseTimestamp + body.varint();
    const delta = body.varint();
    records.push({
      ...batch,
      compression,
      timestamp,
      offset: baseOffset + delta,
      sequence: batch.sequence < 0 ? -1 : (batch.sequence + Number(delta)) % 2 ** 31,
      key: body.sized(),
      value: body.sized(),
      headers: Array.from({ length: Number(body.varint()) }, () => [String(body.sized()), body.sized()]),
    });
  }
  return next;
}

/** Of an idempotent producer's batch. */
export interface BatchIdentity {
  producerId: bigint;
  epoch: number;
  /** Of the first record. */
  sequence: number;
}

const NO_IDENTITY: BatchIdentity = { producerId: -1n, epoch: -1, sequence: -1 };

/** One uncompressed batch. */
export function encodeBatch(records: readonly NewRecord[], { producerId, epoch, sequence }: BatchIdentity = NO_IDENTITY): Buffer {
  const now = BigInt(Date.now());
  const bodies = records.map((record, index) => {
    const headers = Object.entries(record.headers ?? {});
    const body = Buffer.concat([
      Buffer.from([0]),
      varint(0n),
      varint(BigInt(index)),
      sized(record.key),
      sized(record.value),
      varint(BigInt(headers.length)),
      ...headers.flatMap(([name, value]) => [sized(name), sized(value)]),
    ]);
    return Buffer.concat([varint(BigInt(body.length)), body]);
  });
  const last = records.length - 1;
  const head = new WireWriter()
    .int16(0)
    .int32(last)
    .int64(now)
    .int64(now)
    .int64(producerId)
    .int16(epoch)
    .int32(sequence)
    .int32(records.length)
    .done();
  const checked = Buffer.concat([head, ...bodies]);
  const front = new WireWriter()
    .int64(0n)
    .int32(9 + checked.length)
    .int32(-1)
    .int8(2);
  return front
    .int32(crc32c(checked) | 0)
    .raw(checked)
    .done();
}

function decompress(bytes: Buffer, compression: StoredRecord['compression']): Buffer {
  switch (compression) {
    case 'none':
      return bytes;
    case 'gzip':
      return zlib.gunzipSync(bytes);
    case 'snappy':
      return decompressSnappy(bytes);
    case 'lz4':
      return decompressLz4(bytes);
    case 'zstd': {
      // Node has it from 22.15 on.
      const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync?: (input: Buffer) => Buffer };
      if (zstdDecompressSync === undefined) throw new Error(`Node ${process.version} cannot read records compressed with zstd`);
      return zstdDecompressSync(bytes);
    }
  }
}

/** Numbers of a length that depends on their value, the sign in the last bit. */
class VarintReader extends WireReader {
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.int8() & 0xff;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
  }

  sized(): Buffer | null {
    const length = Number(this.varint());
    return length < 0 ? null : this.take(length);
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function sized(value: Buffer | string | null): Buffer {
  if (value === null) return varint(-1n);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC32C[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
