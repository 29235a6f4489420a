/** Packets of the servers' protocol out of a connection's bytes (MySQL internals, "Packet Structure"): a length of three bytes, a number, and what is in it. */

const HEADER = 4;
/** A packet of this length goes on in the next one. */
const LONGEST = 0xff_ff_ff;
const NOTHING = Buffer.alloc(0);

export class Packets {
  readonly #packet: (bytes: Buffer, start: number, end: number) => void;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;
  /** What has come of a packet that is not whole yet, or of several that are one. */
  #begun: Buffer = NOTHING;
  #have = 0;
  /** Bytes of the packet at hand that are yet to come. */
  #left = 0;
  #goesOn = false;

  /** `packet`: what is in one, from `start` to `end`; the memory is used again: it is read here and now. */
  constructor(packet: (bytes: Buffer, start: number, end: number) => void) {
    this.#packet = packet;
  }

  /** The next bytes of the connection, the first ones at the beginning of a packet. */
  push(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#headerBytes === 0 && this.#have === 0 && !this.#goesOn && at + HEADER <= piece.length) {
        const length = piece.readUIntLE(at, 3);
        const end = at + HEADER + length;
        if (length < LONGEST && end <= piece.length) {
          this.#packet(piece, at + HEADER, end);
          at = end;
          continue;
        }
      }
      at = this.#collect(piece, at);
    }
  }

  /** Takes what belongs to a packet that comes in several pieces; returns how far. */
  #collect(piece: Buffer, from: number): number {
    let at = from;
    if (this.#headerBytes < HEADER) {
      const taken = piece.copy(this.#header, this.#headerBytes, at, at + HEADER - this.#headerBytes);
      this.#headerBytes += taken;
      at += taken;
      if (this.#headerBytes < HEADER) return at;
      this.#left = this.#header.readUIntLE(0, 3);
      this.#goesOn = this.#left === LONGEST;
      this.#reserve(this.#have + this.#left);
    }
    const taken = piece.copy(this.#begun, this.#have, at, Math.min(piece.length, at + this.#left));
    this.#have += taken;
    this.#left -= taken;
    if (this.#left > 0) return at + taken;
    this.#headerBytes = 0;
    if (this.#goesOn) return at + taken;
    const [whole, end] = [this.#begun, this.#have];
    this.#begun = NOTHING;
    this.#have = 0;
    this.#packet(whole, 0, end);
    return at + taken;
  }

  /** Room for all of it as soon as its length is known: a large row is here once (I9). */
  #reserve(bytes: number): void {
    if (this.#begun.length >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(bytes);
    this.#begun.copy(larger, 0, 0, this.#have);
    this.#begun = larger;
  }
}
