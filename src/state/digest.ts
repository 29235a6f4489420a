import { hash } from 'node:crypto';
import type { Operation } from './key-value.ts';

const MODULUS = 2 ** 48;

/**
 * The sum of all entries' hashes. A damaged LevelDB log can lose writes from its middle and keep later ones, the newest generation among
 * them: only something that depends on every entry notices. A sum of SHA-256 prefixes, not an exclusive or of checksums: two connectors that
 * lose the same change must not cancel out.
 */
export class Digest {
  readonly #hashes = new Map<string, number>();
  #sum = 0;

  /** 0 … 2⁴⁸ − 1. */
  get sum(): number {
    return this.#sum;
  }

  apply(operation: Operation): void {
    const old = this.#hashes.get(operation.key);
    if (old !== undefined) {
      this.#sum = (this.#sum - old + MODULUS) % MODULUS;
      this.#hashes.delete(operation.key);
    }
    if (operation.type === 'del') return;
    const entry = Buffer.concat([Buffer.from(`${operation.key}\0`), operation.value]);
    const part = hash('sha256', entry, 'buffer').readUIntBE(0, 6);
    this.#hashes.set(operation.key, part);
    this.#sum = (this.#sum + part) % MODULUS;
  }
}
