const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const EQUALS = 0x3d;

/** Above this the platform's encoder (vector instructions) is ahead of the loop in spite of the string that it makes. */
const LONG = 512;
/** A multiple of three; bounds the strings made for a large value. */
const CHUNK = 48 * 1024;

/** Length of base64 text with padding. */
export function base64Bytes(length: number): number {
  return Math.ceil(length / 3) * 4;
}

/** Bytes as base64 with padding (RFC 4648, section 4), without quotes. Returns where the text ends. */
export function writeBase64(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (end - start > LONG) {
    for (let index = start; index < end; index += CHUNK) at += to.write(from.toString('base64', index, Math.min(index + CHUNK, end)), at, 'latin1');
    return at;
  }
  let index = start;
  for (; index + 2 < end; index += 3) {
    const group = ((from[index] as number) << 16) | ((from[index + 1] as number) << 8) | (from[index + 2] as number);
    to[at] = ALPHABET[group >> 18] as number;
    to[at + 1] = ALPHABET[(group >> 12) & 63] as number;
    to[at + 2] = ALPHABET[(group >> 6) & 63] as number;
    to[at + 3] = ALPHABET[group & 63] as number;
    at += 4;
  }
  if (index === end) return at;
  const two = index + 1 < end;
  const group = ((from[index] as number) << 16) | (two ? (from[index + 1] as number) << 8 : 0);
  to[at] = ALPHABET[group >> 18] as number;
  to[at + 1] = ALPHABET[(group >> 12) & 63] as number;
  to[at + 2] = two ? (ALPHABET[(group >> 6) & 63] as number) : EQUALS;
  to[at + 3] = EQUALS;
  return at + 4;
}
