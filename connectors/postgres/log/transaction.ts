import type { Transaction } from '#plugin';

const NOT_ENDED = -1;

/** A committed transaction. Its names for Debezium are made when they are asked for: most formats never do. */
export class LogTransaction implements Transaction {
  readonly id: string;
  readonly commitMicros: number;
  readonly #xid: number;
  readonly #beginHi: number;
  readonly #beginLo: number;
  #endHi = NOT_ENDED;
  #endLo = 0;

  /** `beginHi`, `beginLo`: the LSN of its Begin message, that of its first change. */
  constructor(id: string, commitMicros: number, xid: number, beginHi: number, beginLo: number) {
    this.id = id;
    this.commitMicros = commitMicros;
    this.#xid = xid;
    this.#beginHi = beginHi;
    this.#beginLo = beginLo;
  }

  /** Its Commit message has come; the LSN is the end of the commit. */
  ended(hi: number, lo: number): void {
    this.#endHi = hi;
    this.#endLo = lo;
  }

  /** `<xid>:<lsn>` */
  get beginId(): string {
    return this.#name(this.#beginHi, this.#beginLo);
  }

  /** The same of its end; undefined before that. */
  get endId(): string | undefined {
    return this.#endHi === NOT_ENDED ? undefined : this.#name(this.#endHi, this.#endLo);
  }

  #name(hi: number, lo: number): string {
    return `${this.#xid}:${(BigInt(hi) << 32n) | BigInt(lo)}`;
  }
}
