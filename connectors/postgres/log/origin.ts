/** The `origin` image of a record: what Debezium's `source` block says about its place in the log. */
import { type BatchWriter, NULL, type OriginColumn } from '#plugin';
import { writeDecimal } from './position.ts';

/** The columns that `OriginWriter` fills, in its order. */
export const ORIGIN_COLUMNS: readonly OriginColumn[] = [
  { name: 'sequence', type: 'text' },
  { name: 'txId', type: 'int64' },
  { name: 'lsn', type: 'int64' },
  { name: 'xmin', type: 'int64' },
  { name: 'origin', type: 'text' },
  { name: 'origin_lsn', type: 'int64' },
];

/** Decimal digits of the largest 64-bit number. */
const MAX_DIGITS = 20;

const EMPTY = Buffer.alloc(0);

/**
 * Writes six cells per record: sequence, txId, lsn, xmin, origin, origin_lsn. What does not change within a transaction is written once per batch and
 * pointed to; `lsn` is a range of `sequence`.
 */
export class OriginWriter {
  readonly #target: { readonly batchNumber: number };
  /** −1: none (a message outside transactions). */
  #xid = -1;
  #lastHi = -1;
  #lastLo = 0;
  #name: Buffer = EMPTY;
  #originHi = 0;
  #originLo = 0;
  /** The batch in whose arena the ranges below are; 0 = none yet. */
  #batch = 0;
  #xidStart: number = NULL;
  #xidEnd: number = NULL;
  #nameStart: number = NULL;
  #nameEnd: number = NULL;
  #originStart: number = NULL;
  #originEnd: number = NULL;
  #prefixStart = 0;
  #prefixEnd = 0;
  /** The last record's, and the LSN that it is for. */
  #hi = -1;
  #lo = 0;
  #sequenceStart = 0;
  #sequenceEnd = 0;
  #lsnStart = 0;
  #lsnEnd = 0;

  constructor(target: { readonly batchNumber: number }) {
    this.#target = target;
  }

  /** A transaction begins (`xid` null: a message outside any); the last commit before it ended at `lastHi`, `lastLo` (−1: none was seen). */
  begin(xid: number | null, lastHi: number, lastLo: number): void {
    this.#xid = xid ?? -1;
    this.#lastHi = lastHi;
    this.#lastLo = lastLo;
    this.#name = EMPTY;
    this.#batch = 0;
  }

  /** The transaction was replicated to the server from elsewhere, where it was committed at this LSN. */
  replicatedFrom(hi: number, lo: number, name: string): void {
    this.#originHi = hi;
    this.#originLo = lo;
    this.#name = Buffer.from(name, 'utf8');
    this.#batch = 0;
  }

  write(writer: BatchWriter, hi: number, lo: number): void {
    if (this.#batch !== this.#target.batchNumber) this.#writeShared(writer);
    // The rows of one COPY record share an LSN.
    if (this.#hi !== hi || this.#lo !== lo) this.#writeSequence(writer, hi, lo);
    writer.image('origin');
    writer.cell(this.#sequenceStart, this.#sequenceEnd);
    writer.cell(this.#xidStart, this.#xidEnd);
    writer.cell(this.#lsnStart, this.#lsnEnd);
    // Debezium fills xmin only when it polls pg_replication_slots for it.
    writer.mark(NULL);
    writer.cell(this.#nameStart, this.#nameEnd);
    writer.cell(this.#originStart, this.#originEnd);
  }

  /** `["<last commit>","<lsn>"]`, or `[null,"<lsn>"]`. */
  #writeSequence(writer: BatchWriter, hi: number, lo: number): void {
    const length = this.#prefixEnd - this.#prefixStart;
    writer.reserve(length + MAX_DIGITS + 2);
    const { arena } = writer;
    let at = writer.arenaLength;
    this.#sequenceStart = at;
    for (let from = this.#prefixStart; from < this.#prefixEnd; from++) arena[at++] = arena[from] as number;
    this.#lsnStart = at;
    at = writeDecimal(arena, at, hi, lo);
    this.#lsnEnd = at;
    arena[at++] = 0x22;
    arena[at++] = 0x5d;
    this.#sequenceEnd = at;
    writer.arenaLength = at;
    this.#hi = hi;
    this.#lo = lo;
  }

  #writeShared(writer: BatchWriter): void {
    this.#batch = this.#target.batchNumber;
    this.#hi = -1;
    writer.reserve(3 * MAX_DIGITS + 16 + this.#name.length);
    const { arena } = writer;
    let at = writer.arenaLength;
    this.#prefixStart = at;
    if (this.#lastHi < 0) at += arena.write('[null,"', at, 'latin1');
    else {
      at += arena.write('["', at, 'latin1');
      at = writeDecimal(arena, at, this.#lastHi, this.#lastLo);
      at += arena.write('","', at, 'latin1');
    }
    this.#prefixEnd = at;
    this.#xidStart = this.#xidEnd = this.#nameStart = this.#nameEnd = this.#originStart = this.#originEnd = NULL;
    if (this.#xid >= 0) {
      this.#xidStart = at;
      at = writeDecimal(arena, at, 0, this.#xid);
      this.#xidEnd = at;
    }
    if (this.#name.length > 0) {
      this.#nameStart = at;
      at += this.#name.copy(arena, at);
      this.#nameEnd = at;
      this.#originStart = at;
      at = writeDecimal(arena, at, this.#originHi, this.#originLo);
      this.#originEnd = at;
    }
    writer.arenaLength = at;
  }
}
