/** The length-encoded integers of the protocol: one byte, or a mark and two, three or eight. Beyond 2⁵³ nothing is counted. */
export function readPackedInteger(bytes: Buffer, at: number): { readonly value: number; readonly end: number } {
  const first = bytes.readUInt8(at);
  switch (first) {
    case 0xfc:
      return { value: bytes.readUInt16LE(at + 1), end: at + 3 };
    case 0xfd:
      return { value: bytes.readUIntLE(at + 1, 3), end: at + 4 };
    case 0xfe:
      return { value: Number(bytes.readBigUInt64LE(at + 1)), end: at + 9 };
    default:
      return { value: first, end: at + 1 };
  }
}

/** Whether the first `count` bits are ones. */
export function isFull(bytes: Buffer, at: number, count: number): boolean {
  for (let index = 0; index < count >> 3; index++) if (bytes[at + index] !== 0xff) return false;
  const mask = (1 << (count & 7)) - 1;
  return mask === 0 || ((bytes[at + (count >> 3)] as number) & mask) === mask;
}
