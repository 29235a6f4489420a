/** LZ4 and Snappy as Kafka's producers write them, only for reading. */

const LZ4_MAGIC = 0x184d2204;
/** Java's framing of Snappy: this header, then blocks behind their length. Other clients write one bare block. */
const SNAPPY_JAVA = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);

/** Takes one or more LZ4 frames apart. */
export function decompressLz4(bytes: Buffer): Buffer {
  const out: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.readUInt32LE(at) !== LZ4_MAGIC) throw new Error('this is no LZ4 frame');
    const flags = bytes[at + 4] as number;
    // Behind the two descriptor bytes: the content's size, a dictionary's number, a checksum byte.
    at += 6 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0) + 1;
    for (;;) {
      const size = bytes.readUInt32LE(at);
      at += 4;
      if (size === 0) break;
      const length = size & 0x7fffffff;
      const block = bytes.subarray(at, at + length);
      if (size >>> 31 === 1) append(out, block);
      else lz4Block(block, out);
      at += length + (flags & 0x10 ? 4 : 0);
    }
    at += flags & 0x04 ? 4 : 0;
  }
  return Buffer.from(out);
}

function lz4Block(block: Buffer, out: number[]): void {
  let at = 0;
  const extended = (start: number) => {
    let length = start;
    if (start < 15) return length;
    for (;;) {
      const byte = block[at++] as number;
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = extended(token >> 4);
    append(out, block.subarray(at, at + literals));
    at += literals;
    // The last sequence has no match.
    if (at >= block.length) return;
    const offset = block.readUInt16LE(at);
    at += 2;
    repeat(out, offset, extended(token & 15) + 4);
  }
}

/** Takes Snappy apart, in Java's framing or bare. */
export function decompressSnappy(bytes: Buffer): Buffer {
  const out: number[] = [];
  if (!bytes.subarray(0, SNAPPY_JAVA.length).equals(SNAPPY_JAVA)) {
    snappyBlock(bytes, out);
    return Buffer.from(out);
  }
  // Behind the header: two version numbers.
  for (let at = SNAPPY_JAVA.length + 8; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    snappyBlock(bytes.subarray(at + 4, at + 4 + length), out);
    at += 4 + length;
  }
  return Buffer.from(out);
}

function snappyBlock(block: Buffer, out: number[]): void {
  let at = 0;
  while ((block[at++] as number) >= 0x80); // The length of the content.
  const number = (bytes: number) => {
    const value = block.readUIntLE(at, bytes);
    at += bytes;
    return value;
  };
  while (at < block.length) {
    const tag = block[at++] as number;
    const high = tag >> 2;
    switch (tag & 3) {
      case 0: {
        const length = (high < 60 ? high : number(high - 59)) + 1;
        append(out, block.subarray(at, at + length));
        at += length;
        break;
      }
      case 1:
        repeat(out, ((tag >> 5) << 8) | number(1), (high & 7) + 4);
        break;
      case 2:
        repeat(out, number(2), high + 1);
        break;
      default:
        repeat(out, number(4), high + 1);
    }
  }
}

function append(out: number[], bytes: Buffer): void {
  for (const byte of bytes) out.push(byte);
}

/** Copies what was written `offset` bytes ago; it may reach into what it writes. */
function repeat(out: number[], offset: number, length: number): void {
  if (offset === 0 || offset > out.length) throw new Error('the compressed data is damaged');
  for (let count = 0; count < length; count++) out.push(out[out.length - offset] as number);
}
