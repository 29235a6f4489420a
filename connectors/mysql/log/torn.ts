/**
 * What a crash of MariaDB leaves at the end of its log's file: the beginning of a transaction that was rolled back. The server sends it all the same, and gives its GTID to
 * another one afterwards. (MySQL cuts it off when it starts again.) While a file is written to, only whole transactions of it are sent.
 */
import { EVENT, type MariadbGtidEvent } from './events.ts';
import { Question } from './table-map.ts';

/** A file of the log begins of which it is not known which transactions are whole. */
export class UnknownFileEnd extends Question {
  readonly file: string;

  constructor(file: string) {
    super(`the end of ${file}`);
    this.file = file;
  }
}

export class FileEnds {
  /** By file, the last whole transaction of each domain and server; null: all that are sent are whole. */
  readonly #ends = new Map<string, ReadonlyMap<string, bigint> | null>();
  #torn: 'no' | 'transaction' | 'statement' = 'no';

  /** @param list what the next file says in its beginning, `0-1-5,0-2-7`; null: there is no next one */
  know(file: string, list: string | null): void {
    this.#ends.set(file, list === null ? null : sequences(list));
  }

  /** A GTID event. True: nothing of what it begins has happened. Throws UnknownFileEnd. */
  begins(file: string, server: number, { domain, sequence, standalone }: MariadbGtidEvent): boolean {
    const end = this.#ends.get(file);
    if (end === undefined) throw new UnknownFileEnd(file);
    const isWhole = end === null || (end.get(`${domain}-${server}`) ?? -1n) >= sequence;
    this.#torn = isWhole ? 'no' : standalone ? 'statement' : 'transaction';
    return !isWhole;
  }

  /** What is being read has not happened. */
  get isTorn(): boolean {
    return this.#torn !== 'no';
  }

  /** Whether an event is part of what has not happened. Throws a RangeError if that has an end: then it is none. */
  hides(type: number): boolean {
    if (this.#torn === 'no') return false;
    if (type === EVENT.mariadbGtid || type === EVENT.rotate || type === EVENT.format) this.#torn = 'no';
    else if (type === EVENT.xid || (type === EVENT.query && this.#torn === 'statement'))
      throw new RangeError('a transaction ends that its server does not count among those of its file');
    return this.#torn !== 'no';
  }
}

function sequences(list: string): Map<string, bigint> {
  const gtids = [...list.matchAll(/(\d+-\d+)-(\d+)/g)];
  return new Map(gtids.map(([, from, sequence]) => [from as string, BigInt(sequence as string)]));
}
