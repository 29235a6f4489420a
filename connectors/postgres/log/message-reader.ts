/** Reads the fields of one message. Reading past the end sets `ok` to false and gives zeros: the caller checks `complete` once, after all fields. */
export class MessageReader {
  whole: Buffer = Buffer.alloc(0);
  /** Where the next field starts. */
  at = 0;
  ok = true;

  /** Starts at the first field, after the message's type. */
  open(message: Buffer): void {
    this.whole = message;
    this.at = 1;
    this.ok = true;
  }

  /** Every field was there, and nothing is left over. */
  get complete(): boolean {
    return this.ok && this.at === this.whole.length;
  }

  uint8(): number {
    const start = this.bytes(1);
    return this.ok ? (this.whole[start] as number) : 0;
  }

  uint16(): number {
    const start = this.bytes(2);
    return this.ok ? this.whole.readUInt16BE(start) : 0;
  }

  int32(): number {
    const start = this.bytes(4);
    return this.ok ? this.whole.readInt32BE(start) : 0;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** Text that ends with a zero byte. */
  text(): string {
    const start = this.at;
    const end = this.ok ? this.whole.indexOf(0, start) : -1;
    if (end < 0) {
      this.ok = false;
      return '';
    }
    this.at = end + 1;
    return this.whole.toString('utf8', start, end);
  }

  /** Skips `length` bytes and returns where they start. */
  bytes(length: number): number {
    const start = this.at;
    if (length > this.whole.length - start) this.ok = false;
    if (this.ok) this.at = start + length;
    return start;
  }
}
