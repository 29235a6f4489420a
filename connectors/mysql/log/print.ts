import { crc32 } from 'node:zlib';

/** By which an event is known again. Without its checksum: that of bytes with their own is the same for all. */
export function printOf(bytes: Buffer, end: number): string {
  return crc32(bytes.subarray(0, end)).toString(16);
}
