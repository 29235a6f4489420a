/** A smaller batch is no load for the garbage collector. */
const LEAST_BYTES = 64 * 1024;
/** A buffer that is larger than this many times what is needed is not taken. */
const FITS = 2;
const KEPT_BYTES = 16 * 1024 * 1024;

/**
 * Memory of record batches that are answered, for the next ones. Were each in memory of its own, V8 would look for garbage every few megabytes of them
 * ("external memory pressure"), and the kernel would clear each page before its first use: together a fifth of the CPU of a busy sink.
 */
export class BatchMemory {
  /** Last given last. */
  readonly #kept: Buffer[] = [];
  #keptBytes = 0;

  /** At least so many bytes, of any content. */
  take(bytes: number): Buffer {
    if (bytes < LEAST_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const at = this.#kept.findLastIndex((buffer) => buffer.length >= bytes && buffer.length <= FITS * bytes);
    if (at < 0) return Buffer.allocUnsafeSlow(Math.ceil(bytes / LEAST_BYTES) * LEAST_BYTES);
    const [buffer] = this.#kept.splice(at, 1) as [Buffer];
    this.#keptBytes -= buffer.length;
    return buffer;
  }

  /** Nobody reads the buffer any more, of which `part` is a part or the whole: no socket, and no later attempt. */
  give(part: Buffer): void {
    const buffer = Buffer.from(part.buffer as ArrayBuffer);
    if (buffer.length < LEAST_BYTES || buffer.length > KEPT_BYTES) return;
    this.#kept.push(buffer);
    this.#keptBytes += buffer.length;
    while (this.#keptBytes > KEPT_BYTES) this.#keptBytes -= (this.#kept.shift() as Buffer).length;
  }
}
