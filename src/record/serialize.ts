import { HEAD_SIZE, type RecordBatch, type Transaction } from './batch.ts';
import { crc32c } from './crc32c.ts';
import type { Position, Progress } from './position.ts';
import type { TableVersion } from './table.ts';

/**
 * A batch as bytes that need nothing else to be read. All integers are 32 bits, little endian:
 *
 * `SLRB` · version · length of all · records · cells · arena bytes · JSON bytes | heads | cells | arena | JSON (UTF-8) | CRC-32C of all before it
 *
 * The JSON holds the table versions, the transactions, the checkpoint and the progress of copies. Ids are in it and in the heads; origin images are cells as any other.
 */
const MAGIC = 0x42524c53;
const VERSION = 2;
const FIXED_BYTES = 28;
const CHECKSUM_BYTES = 4;

interface Described {
  readonly tables: readonly TableVersion[];
  readonly transactions: readonly Transaction[];
  readonly checkpoint: Position | null;
  readonly checkpointRecords: number;
  readonly progress: Progress | null;
}

/** The bytes are no batch, damaged, or of a version that is not known. */
export class BatchFormatError extends Error {
  override readonly name = 'BatchFormatError';
}

/** Everything of the batch; it may be released afterwards. */
export function batchToBytes(batch: RecordBatch): Buffer {
  const { tables, checkpoint, checkpointRecords, progress } = batch;
  // One by one: a source may make the last two when they are asked for.
  const transactions = batch.transactions.map(({ id, commitMicros, beginId, endId }): Transaction => ({ id, commitMicros, beginId, endId }));
  const json = Buffer.from(JSON.stringify({ tables, transactions, checkpoint, checkpointRecords, progress } satisfies Described));
  const headCount = batch.count * HEAD_SIZE;
  const cellInts = batch.cellCount * 2;
  const length = FIXED_BYTES + (headCount + cellInts) * 4 + batch.arenaLength + json.length + CHECKSUM_BYTES;
  const bytes = Buffer.allocUnsafeSlow(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const fixed = [MAGIC, VERSION, length, batch.count, batch.cellCount, batch.arenaLength, json.length];
  for (let i = 0; i < fixed.length; i++) view.setUint32(i * 4, fixed[i] as number, true);
  let at = FIXED_BYTES;
  at = writeInts(view, at, batch.heads, headCount);
  at = writeInts(view, at, batch.cells, cellInts);
  bytes.set(batch.arena.subarray(0, batch.arenaLength), at);
  at += batch.arenaLength;
  bytes.set(json, at);
  view.setUint32(length - CHECKSUM_BYTES, crc32c(bytes.subarray(0, length - CHECKSUM_BYTES)), true);
  return bytes;
}

/**
 * The batch as it was. Its arena is a view of `bytes`, which therefore must not change while it is read; its table versions are new objects, one
 * per version. `release` has nothing to give back. Throws BatchFormatError.
 */
export function batchFromBytes(bytes: Uint8Array): RecordBatch {
  const length = bytes.length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  if (length < FIXED_BYTES + CHECKSUM_BYTES || view.getUint32(0, true) !== MAGIC) throw new BatchFormatError('these bytes are no record batch');
  const version = view.getUint32(4, true);
  if (version !== VERSION) throw new BatchFormatError(`the record batch has version ${version}, known is ${VERSION}`);
  if (view.getUint32(8, true) !== length)
    throw new BatchFormatError(`the record batch should have ${view.getUint32(8, true)} bytes, it has ${length}`);
  const checksum = view.getUint32(length - CHECKSUM_BYTES, true);
  if (checksum !== crc32c(bytes.subarray(0, length - CHECKSUM_BYTES)))
    throw new BatchFormatError('the record batch is damaged (its checksum differs)');
  const count = view.getUint32(12, true);
  const cellCount = view.getUint32(16, true);
  const arenaLength = view.getUint32(20, true);
  const cellsAt = FIXED_BYTES + count * HEAD_SIZE * 4;
  const arenaAt = cellsAt + cellCount * 8;
  const jsonAt = arenaAt + arenaLength;
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  const described = JSON.parse(whole.toString('utf8', jsonAt, jsonAt + view.getUint32(24, true))) as Described;
  return {
    count,
    arena: whole.subarray(arenaAt, jsonAt),
    arenaLength,
    cells: readInts(view, cellsAt, cellCount * 2),
    cellCount,
    heads: readInts(view, FIXED_BYTES, count * HEAD_SIZE),
    tables: described.tables.map((table) => Object.freeze(table)),
    transactions: described.transactions,
    checkpoint: described.checkpoint,
    checkpointRecords: described.checkpointRecords,
    progress: described.progress,
    release: () => undefined,
  };
}

function writeInts(view: DataView, at: number, ints: Int32Array, count: number): number {
  for (let i = 0; i < count; i++) view.setInt32(at + i * 4, ints[i] as number, true);
  return at + count * 4;
}

function readInts(view: DataView, at: number, count: number): Int32Array {
  const ints = new Int32Array(count);
  for (let i = 0; i < count; i++) ints[i] = view.getInt32(at + i * 4, true);
  return ints;
}
