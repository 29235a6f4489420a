/** Positions in the log: the transactions that were read, as the servers themselves say it, and, for people, the file and the byte in it. */
import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import type { Position, Transaction } from '#plugin';

export type System = 'mysql' | 'mariadb';

/** Where the log source can start again. All values are text (`Position`). */
export interface LogPosition extends Position {
  readonly system: System;
  /** MySQL: the set of transactions that were read, `uuid:1-5,…`. MariaDB: the last one of each domain, `0-1-5,…`. */
  readonly gtid: string;
  /** The server that it was read from. */
  readonly server: string;
  /** For people: where the last transaction ended there. */
  readonly file: string;
  readonly pos: string;
  /** What was told of definitions of tables that no row was seen of since (`Definitions.told`); left out: of none. */
  readonly told?: string;
}

/** A transaction knows where it begins, in the log that it was read from. */
export interface LogTransaction extends Transaction {
  readonly file: string;
  readonly pos: number;
}

/** Reads a stored position; null if a field is missing or malformed, or if it is of the other system. */
export function readPosition(position: Position, system: System): LogPosition | null {
  const { gtid, server, file, pos } = position;
  if (position['system'] !== system || typeof gtid !== 'string') return null;
  if (typeof server !== 'string' || typeof file !== 'string' || typeof pos !== 'string') return null;
  if (parseGtids(gtid, system) === null) return null;
  const { told } = position;
  return { system, gtid, server, file, pos, ...(typeof told === 'string' ? { told } : {}) };
}

/** Null if the text is none of the system's. */
export function parseGtids(text: string, system: System): GtidSet | MariadbGtidPosition | null {
  try {
    return system === 'mysql' ? GtidSet.parse(text.replace(/\s/g, '')) : MariadbGtidPosition.parse(text.replace(/\s/g, ''));
  } catch {
    return null;
  }
}

/** What was read so far, transaction by transaction. */
export class Executed {
  readonly #mysql: GtidSet | null;
  readonly #mariadb: MariadbGtidPosition | null;

  /** Throws a TypeError for what is no GTID set of the system. */
  constructor(text: string, system: System) {
    const parsed = parseGtids(text, system);
    if (parsed === null) throw new TypeError('no GTID set');
    this.#mysql = parsed instanceof GtidSet ? parsed : null;
    this.#mariadb = parsed instanceof MariadbGtidPosition ? parsed : null;
  }

  /** The transaction has ended. */
  add(gtid: string): void {
    this.#mysql?.add(gtid);
    if (this.#mariadb === null) return;
    const [domain = '', server = '', sequence = ''] = gtid.split('-');
    this.#mariadb.add({ domainId: Number(domain), serverId: Number(server), seqNo: sequence });
  }

  toString(): string {
    return (this.#mysql ?? this.#mariadb ?? '').toString();
  }
}
