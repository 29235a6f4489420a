/** A whole binary log, laid out before anything of it is committed: what of it stands there by now its server says. */
import { GtidSet, MariadbGtidPosition } from '@vlasky/zongji';
import { EVENT } from '../../../connectors/mysql/log/events.ts';
import { event, formatBody, gtidListBody, placed, previousGtidsBody, rotateBody, uint } from './events.ts';

/**
 * What a server's transactions are named by: MySQL's GTIDs, its files and places in them (anonymous transactions), first the one, then the other, then the first again (`gtid_mode` is
 * changed), MariaDB's GTIDs.
 */
export type Dialect = 'gtid' | 'file' | 'mixed' | 'mariadb';

export const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
/** What the server had executed before its log begins. */
const EXECUTED = { gtid: `${UUID}:1-20`, mixed: `${UUID}:1-20`, file: '', mariadb: '0-1-20' } as const;
const FIRST_EVENT = 4;
const BEGUN_S = 1_790_000_000;

/** An event of no transaction; one of a transaction that was rolled back by a crash; the beginning of one that the crash has cut off. */
export const NO_GROUP = -1;
export const TORN = -2;
export const CUT_OFF = -3;

export interface LogEvent {
  readonly bytes: Buffer;
  readonly file: LogFile;
  readonly pos: number;
  /** Number of its transaction, captured or not, or what else it is of. */
  readonly group: number;
}

export interface LogFile {
  readonly name: string;
  /** Seconds since the epoch. */
  readonly created: number;
  /** Where it begins in the log as a whole. */
  readonly base: number;
  /** Number of its first event, and how many transactions stand before it. */
  readonly firstEvent: number;
  readonly firstGroup: number;
  /** MariaDB: the last transaction of each domain and server before it. */
  readonly list: readonly string[];
}

export interface Group {
  /** Null: an anonymous one. */
  readonly gtid: string | null;
  /** In the log as a whole. */
  readonly begin: number;
  readonly end: number;
}

/** What comes to stand in the log as one: up to here. */
export interface Unit {
  readonly end: number;
  /** How many events stand there then. */
  readonly events: number;
  /** The server was started anew. */
  readonly restarts: boolean;
  /** Transactions have GTIDs. */
  readonly isNamed: boolean;
}

export class Layout {
  readonly dialect: Dialect;
  readonly files: LogFile[] = [];
  readonly events: LogEvent[] = [];
  readonly groups: Group[] = [];
  readonly units: Unit[] = [];
  /** By how many transactions were read, what the server calls them. */
  readonly sets: string[] = [];
  /** The other way; not where some have no GTIDs. */
  readonly states = new Map<string, number>();
  isNamed: boolean;
  readonly executed: string;
  readonly #set: GtidSet | MariadbGtidPosition | null;
  readonly #last = new Map<string, string>();
  #pos = FIRST_EVENT;
  #base = 0;
  #number = 1;

  constructor(dialect: Dialect) {
    this.dialect = dialect;
    this.executed = EXECUTED[dialect];
    this.#set = dialect === 'mariadb' ? MariadbGtidPosition.parse(this.executed) : dialect === 'file' ? null : GtidSet.parse(this.executed);
    this.isNamed = dialect !== 'file';
    if (dialect === 'mariadb') this.#last.set('0-1', this.executed);
    this.#note();
    this.#beginFile();
    this.unit(false);
  }

  get isMariadb(): boolean {
    return this.dialect === 'mariadb';
  }

  /** What was read of it as the server says it. */
  get state(): string {
    return this.#set?.toString() ?? '';
  }

  /** Where the next event will stand in the log as a whole. */
  get end(): number {
    return this.#base + this.#pos;
  }

  get pos(): number {
    return this.#pos;
  }

  get file(): LogFile {
    return this.files.at(-1) as LogFile;
  }

  /** Of what is written now: each transaction and file has its own. */
  get seconds(): number {
    return BEGUN_S + 10 * this.#number + this.groups.length;
  }

  /** @param told where it ends is said */
  add(type: number, body: Buffer, group: number, told = true, serverId = 1): void {
    const bytes = event({ type, seconds: this.seconds, serverId }, body);
    const pos = this.#pos;
    this.#pos += bytes.length;
    this.events.push({ bytes: placed(bytes, told ? this.#pos : 0), file: this.file, pos, group });
  }

  /** A transaction's events; `write` gets its number. */
  transaction(gtid: string | null, write: (group: number) => void): Group {
    const begin = this.end;
    write(this.groups.length);
    const group = { gtid, begin, end: this.end };
    this.groups.push(group);
    if (gtid !== null) this.#executed(gtid);
    this.#note();
    this.unit(false);
    return group;
  }

  #note(): void {
    this.sets.push(this.state);
    this.states.set(this.state, this.groups.length);
  }

  #executed(gtid: string): void {
    if (this.#set instanceof GtidSet) this.#set.add(gtid);
    if (!(this.#set instanceof MariadbGtidPosition)) return;
    const [domain = '', server = '', sequence = ''] = gtid.split('-');
    this.#set.add({ domainId: Number(domain), serverId: Number(server), seqNo: sequence });
    this.#last.set(`${domain}-${server}`, gtid);
  }

  /** The next file. `how` a server's end leaves one: in order, or as it is. */
  rotate(how: 'rotated' | 'stopped' | 'crashed'): void {
    if (how === 'rotated') this.add(EVENT.rotate, rotateBody(this.#nameOf(this.#number + 1), FIRST_EVENT), NO_GROUP);
    if (how === 'stopped') this.add(EVENT.stop, Buffer.alloc(0), NO_GROUP);
    this.#base += this.#pos;
    this.#pos = FIRST_EVENT;
    this.#number++;
    this.#beginFile();
    this.unit(how !== 'rotated');
  }

  unit(restarts: boolean): void {
    this.units.push({ end: this.end, events: this.events.length, restarts, isNamed: this.isNamed });
  }

  #nameOf(number: number): string {
    return `binlog.${String(number).padStart(6, '0')}`;
  }

  #beginFile(): void {
    const list = [...this.#last.values()];
    this.files.push({
      name: this.#nameOf(this.#number),
      created: this.seconds,
      base: this.#base,
      firstEvent: this.events.length,
      firstGroup: this.groups.length,
      list,
    });
    this.add(EVENT.format, formatBody(), NO_GROUP);
    if (!this.isMariadb) this.add(EVENT.previousGtids, previousGtidsBody(this.state), NO_GROUP);
    else {
      this.add(EVENT.mariadbGtidList, gtidListBody(list), NO_GROUP);
      const name = Buffer.from(this.file.name);
      this.add(EVENT.binlogCheckpoint, Buffer.concat([uint(name.length, 4), name]), NO_GROUP);
    }
  }

  /** Number of the event that begins there; −1: none does. Where the file ends it is that of the next one. */
  eventAt(file: string, pos: number): number {
    const at = this.files.findIndex(({ name }) => name === file);
    const found = this.files[at];
    if (found === undefined) return -1;
    const end = this.files[at + 1]?.firstEvent ?? this.events.length;
    for (let index = found.firstEvent; index < end; index++) {
      const event = this.events[index] as LogEvent;
      if (event.pos === pos) return index;
      if (index === end - 1 && event.pos + event.bytes.length === pos) return end;
    }
    return -1;
  }

  /** Of a log's place; −1: there is no such file. */
  offsetOf(file: string, pos: number): number {
    const found = this.files.find(({ name }) => name === file);
    return found === undefined ? -1 : found.base + pos;
  }

  /** How many transactions end at or before an offset. */
  groupsBefore(offset: number): number {
    let low = 0;
    let high = this.groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.groups[middle] as Group).end <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
