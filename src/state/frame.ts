import { crc32c } from '../record/crc32c.ts';

/**
 * A stored value: CRC-32C over length and payload (4 bytes, big endian), length of the payload (4 bytes, big endian), payload. LevelDB's own
 * checksums do not reach `get` (classic-level has no option for it), so that a flipped bit in a table file would come back as a value.
 */
const HEADER_BYTES = 8;

export function frame(payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  bytes.writeUInt32BE(payload.length, 4);
  bytes.set(payload, HEADER_BYTES);
  bytes.writeUInt32BE(crc32c(bytes.subarray(4)), 0);
  return bytes;
}

/** What is wrong with a stored value. Internal: the store turns it into a typed stop that names the directory. */
export class FrameError extends Error {}

/** The payload, as a view. Throws FrameError for any damage; `key` only names the value. */
export function unframe(key: string, bytes: Uint8Array): Buffer {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEADER_BYTES || view.readUInt32BE(4) !== view.length - HEADER_BYTES)
    throw new FrameError(`the value of ${key} has the wrong length`);
  if (view.readUInt32BE(0) !== crc32c(view.subarray(4))) throw new FrameError(`the value of ${key} has the wrong checksum`);
  return view.subarray(HEADER_BYTES);
}

export function frameJson(value: unknown): Buffer {
  return frame(Buffer.from(JSON.stringify(value)));
}

export function unframeJson(key: string, bytes: Uint8Array): unknown {
  return JSON.parse(unframe(key, bytes).toString());
}
