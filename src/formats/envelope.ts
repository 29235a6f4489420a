import type { FormatContext } from '../plugin/format.ts';
import type { Transaction } from '../record/batch.ts';
import { encodeHeaders, type MessageWriter } from '../record/messages.ts';
import type { TableVersion } from '../record/table.ts';
import { piece, writeInteger, writePiece } from './json-text.ts';

/** Ordinal, part and their slashes. */
const ID_NUMBERS_BYTES = 40;

/**
 * What stands around key and value in every format: the message id (algorithms §1) and the headers. The shared header range is written once for each
 * batch, the beginning of the id prepared once for each transaction.
 */
export class Envelope {
  readonly #prefix: string;
  readonly #headers: Uint8Array;
  #transaction: Transaction | null = null;
  #id: Uint8Array = new Uint8Array(0);
  #batch = -1;
  /** Where the shared headers stand in the batch that is being written. */
  headersStart = 0;
  headersEnd = 0;

  /** `more`: further headers that all its messages have. */
  constructor(context: FormatContext, table: TableVersion, more: readonly (readonly [name: string, value: string])[] = []) {
    this.#prefix = `${context.connector}/`;
    this.#headers = encodeHeaders([['sluice.capture', context.capture], ['sluice.schema', String(table.version)], ...more]);
  }

  /** Room that one id and the headers of one record need. */
  get bytes(): number {
    return this.#id.length + ID_NUMBERS_BYTES + this.#headers.length;
  }

  /** Call first for each record. `batch` is a number that each batch has for itself. */
  prepare(out: MessageWriter, transaction: Transaction, batch: number): void {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction;
      this.#id = piece(`${this.#prefix}${transaction.id}/`);
    }
    if (batch === this.#batch) return;
    this.#batch = batch;
    out.reserve(this.#headers.length);
    this.headersStart = out.bytesLength;
    this.headersEnd = writePiece(out.bytes, out.bytesLength, this.#headers);
    out.bytesLength = this.headersEnd;
  }

  /** Writes a copy of the shared headers, to which the caller adds others. */
  writeHeaders(to: Uint8Array, at: number): number {
    return writePiece(to, at, this.#headers);
  }

  /** `<connector>/<transaction id>/<ordinal>/<part>` */
  writeId(to: Uint8Array, at: number, ordinal: number, part: number): number {
    at = writePiece(to, at, this.#id);
    at = writeInteger(to, at, ordinal);
    to[at] = 0x2f;
    return writeInteger(to, at + 1, part);
  }
}

/**
 * Numbers of the messages that one record can make. They do not depend on options, so that turning tombstones off gives no message another's id.
 */
export const PART = { first: 0, tombstone: 1, newKey: 2 } as const;

/** A message that is made as texts: for what is no row. */
export interface WholeMessage {
  readonly key: string;
  readonly value: string;
  readonly headers: Uint8Array;
  readonly id: string;
}

export function writeWhole(out: MessageWriter, { key, value, headers, id }: WholeMessage): void {
  const [keyBytes, valueBytes, idBytes] = [piece(key), piece(value), piece(id)];
  out.reserve(keyBytes.length + valueBytes.length + headers.length + idBytes.length);
  const keyStart = out.bytesLength;
  const valueStart = writePiece(out.bytes, keyStart, keyBytes);
  const headersStart = writePiece(out.bytes, valueStart, valueBytes);
  const idStart = writePiece(out.bytes, headersStart, headers);
  out.bytesLength = writePiece(out.bytes, idStart, idBytes);
  out.message(keyStart, valueStart, valueStart, headersStart, headersStart, idStart, idStart, out.bytesLength);
}
