/** Batches of the log, with its checkpoints as LSNs. */
import { BatchQueue, type Position, type QueueOptions } from '#plugin';

/** A place in the log as integers: it becomes a position only when a batch carries it. */
export interface Mark {
  hi: number;
  lo: number;
  /** End of the last commit before it; hi −1: none was seen. */
  commitHi: number;
  commitLo: number;
  commitMicros: number;
}

export interface LogQueueOptions extends Omit<QueueOptions, 'position'> {
  /** Where reading begins: no checkpoint is before it (I6). */
  readonly start: bigint;
  readonly position: (mark: Mark) => Position;
}

export class LogQueue extends BatchQueue {
  readonly #mark: Mark;

  constructor({ start, position, ...options }: LogQueueOptions) {
    // The server decodes from further back, and its keepalives tell how far it is there: saved, they would set the offset back (I6).
    const mark = { hi: Number(start >> 32n), lo: Number(start & 0xffffffffn), commitHi: -1, commitLo: 0, commitMicros: 0 };
    super({ ...options, position: () => position(mark) });
    this.#mark = mark;
  }

  /** Everything up to here is complete: a commit's end, or a later place with no transaction open (I6). Ignored if it is not ahead. */
  checkpointAt(hi: number, lo: number, commitHi: number, commitLo: number, commitMicros: number): void {
    const mark = this.#mark;
    if (hi < mark.hi || (hi === mark.hi && lo <= mark.lo)) return;
    mark.hi = hi;
    mark.lo = lo;
    mark.commitHi = commitHi;
    mark.commitLo = commitLo;
    mark.commitMicros = commitMicros;
    this.checkpoint();
  }

  /** Whether everything before `lsn` was read. */
  reached(lsn: bigint): boolean {
    return ((BigInt(this.#mark.hi) << 32n) | BigInt(this.#mark.lo)) >= lsn;
  }
}
