/**
 * A segment: `SLSG`, its version, then entries of (u32 length, u32 CRC-32C of length and payload, payload), little endian. A file that was cut off while
 * it was written ends in a part of an entry; everything before it is whole.
 */
import { crc32c } from '../record/crc32c.ts';

const MAGIC = 0x47534c53;
const VERSION = 1;
export const SEGMENT_HEADER_BYTES = 8;
const ENTRY_HEADER_BYTES = 8;

export function segmentHeader(): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  return header;
}

export function segmentEntry(payload: Uint8Array): Buffer {
  const entry = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + payload.length);
  entry.writeUInt32LE(payload.length, 0);
  entry.set(payload, ENTRY_HEADER_BYTES);
  entry.writeUInt32LE(checksum(entry, payload.length), 4);
  return entry;
}

/** What a segment's bytes hold: whole entries up to `end`, and what is wrong there; null: they go to the end. */
export interface SegmentScan {
  readonly end: number;
  readonly wrong: string | null;
}

/** Visits each whole entry with its offset. The payload is a view of `bytes`. */
export function scanSegment(bytes: Buffer, visit: (payload: Buffer, offset: number) => void): SegmentScan {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { end: 0, wrong: bytes.length === 0 ? null : 'its header is cut off' };
  if (bytes.readUInt32LE(0) !== MAGIC) return { end: 0, wrong: 'it is no segment' };
  if (bytes.readUInt32LE(4) !== VERSION) return { end: 0, wrong: `it has version ${bytes.readUInt32LE(4)}, known is ${VERSION}` };
  let at = SEGMENT_HEADER_BYTES;
  while (at < bytes.length) {
    const payload = entryAt(bytes, at);
    if (payload === null) return { end: at, wrong: 'an entry is cut off or changed' };
    visit(payload, at);
    at += ENTRY_HEADER_BYTES + payload.length;
  }
  return { end: at, wrong: null };
}

/** The payload of the entry at an offset, null if there is no whole one. */
export function entryAt(bytes: Buffer, at: number): Buffer | null {
  if (at + ENTRY_HEADER_BYTES > bytes.length) return null;
  const length = bytes.readUInt32LE(at);
  if (length > bytes.length - at - ENTRY_HEADER_BYTES) return null;
  const entry = bytes.subarray(at, at + ENTRY_HEADER_BYTES + length);
  return checksum(entry, length) === entry.readUInt32LE(4) ? entry.subarray(ENTRY_HEADER_BYTES) : null;
}

/** Over the length and the payload, so that zeros (a file that was grown and not written) are no entry. */
function checksum(entry: Buffer, length: number): number {
  return crc32c(entry.subarray(ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + length), crc32c(entry.subarray(0, 4)));
}
