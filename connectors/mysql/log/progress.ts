/** What of the log was read so far, transaction by transaction. */
import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import { HEADER_BYTES } from './events.ts';
import { type LogPosition, parseGtids, type System } from './position.ts';
import { readPreviousGtids } from './previous-gtids.ts';

/** Transactions by their GTIDs. */
class Executed {
  readonly #mysql: GtidSet | null;
  readonly #mariadb: MariadbGtidPosition | null;

  /** Throws a TypeError for what is no GTID set of the system. */
  constructor(text: string, system: System) {
    const parsed = parseGtids(text, system);
    if (parsed === null) throw new TypeError('no GTID set');
    this.#mysql = parsed instanceof GtidSet ? parsed : null;
    this.#mariadb = parsed instanceof MariadbGtidPosition ? parsed : null;
  }

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

/**
 * Where the log has transactions without GTIDs (MySQL), the set of those that were read says not all. It does again in a file that has none of them: each file
 * says first which GTIDs stand in those before it.
 */
export class LogProgress {
  readonly #readsFiles: boolean;
  readonly #system: System;
  #executed: Executed;
  #by: LogPosition['by'];
  /** All of the file that is read has GTIDs so far, and it was read from its beginning. */
  #isNamed = false;
  #nameless = 0;

  constructor({ gtid, system, by }: LogPosition) {
    this.#system = system;
    this.#executed = new Executed(gtid, system);
    this.#by = by;
    this.#readsFiles = by === 'file';
  }

  get by(): LogPosition['by'] {
    return this.#by;
  }

  get gtid(): string {
    return this.#executed.toString();
  }

  /** Where it goes on behind the transaction that is being read, as an operator may set it; `gtid` is empty where it has none, and it begins at `from`. */
  beyond(gtid: string, from: { readonly file: string; readonly pos: number }): string {
    const { file, pos } = from;
    if (gtid === '') return `${file}:<End_log_pos of its last event, by SHOW BINLOG EVENTS IN '${file}' FROM ${pos}>`;
    const executed = new Executed(this.gtid, this.#system);
    executed.add(gtid);
    return executed.toString();
  }

  /** How many transactions without a GTID have ended. */
  get nameless(): number {
    return this.#nameless;
  }

  /** A PREVIOUS_GTIDS event. Throws a RangeError if it is none. */
  fileBegins(bytes: Buffer, end: number): void {
    // Asked for by GTIDs the server begins at the head of a file, which need not know what was read elsewhere.
    if (!this.#readsFiles) return;
    this.#executed = new Executed(readPreviousGtids(bytes, HEADER_BYTES, end), this.#system);
    this.#isNamed = true;
  }

  /** A transaction has ended; null: one without a GTID. */
  end(gtid: string | null): void {
    if (gtid === null) {
      this.#nameless++;
      this.#isNamed = false;
      this.#by = 'file';
    } else {
      this.#executed.add(gtid);
      if (this.#isNamed) this.#by = 'gtid';
    }
  }
}
