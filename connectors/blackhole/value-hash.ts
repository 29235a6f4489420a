const PRIME = 0x01000193;
/** Two different starting points make two 32-bit hashes, and those one of 64 bits. */
const FIRST_BASIS = 0x811c9dc5;
const SECOND_BASIS = 0x050c5d1f;

/**
 * A hash of many values whose order does not matter, so that it can be compared with one made from a table: the sum, modulo 2^32 each, of two FNV-1a
 * hashes of each value, mixed at the end (murmur3's finaliser) so that sums of similar values do not cancel out.
 */
export class ValueHash {
  #first = 0;
  #second = 0;

  add(bytes: Uint8Array, start: number, end: number): void {
    let first = FIRST_BASIS;
    let second = SECOND_BASIS;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      first = Math.imul(first ^ byte, PRIME);
      second = Math.imul(second ^ byte, PRIME);
    }
    this.#first = (this.#first + mix(first)) | 0;
    this.#second = (this.#second + mix(second ^ (end - start))) | 0;
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex(this.#first) + hex(this.#second);
  }
}

function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
