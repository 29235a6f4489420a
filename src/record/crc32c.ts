/**
 * CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; RFC 3720 appendix B.4): finds damage in what we store. Node has CRC-32 only, another
 * polynomial. Eight table look-ups a step ("slicing by eight") make it several times as fast as one byte at a time.
 */
const POLYNOMIAL = 0x82f63b78;
const TABLES = tables();

function tables(): Int32Array {
  const all = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * POLYNOMIAL);
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at++) {
    const previous = all[at - 256] as number;
    all[at] = (previous >>> 8) ^ (all[previous & 255] as number);
  }
  return all;
}

/** The checksum of `bytes`, 0 … 2³² − 1. `seed` is the checksum of what stands before them. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const t = TABLES;
  const end = bytes.length;
  const wholeEnd = end - (end % 8);
  let crc = ~seed;
  let at = 0;
  for (; at < wholeEnd; at += 8) {
    const low =
      crc ^ ((bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 255)] as number) ^
      (t[1536 + ((low >>> 8) & 255)] as number) ^
      (t[1280 + ((low >>> 16) & 255)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (bytes[at + 4] as number)] as number) ^
      (t[512 + (bytes[at + 5] as number)] as number) ^
      (t[256 + (bytes[at + 6] as number)] as number) ^
      (t[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 255] as number);
  return ~crc >>> 0;
}
