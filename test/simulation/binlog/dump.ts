/** What a server sends to one reader of its log: the packets, in their order. */

import { GtidSet } from '@vlasky/zongji';
import { EVENT } from '../../../connectors/mysql/log/events.ts';
import type { LogRequest } from '../../../connectors/mysql/log/library.ts';
import type { Random } from '../random.ts';
import { artificial, placed, rotateBody } from './events.ts';
import { CUT_OFF, type LogEvent, type LogFile } from './layout.ts';
import type { BinlogServer } from './server.ts';

const FIRST_EVENT = 4;

/** The server's own refusal. */
export class Refused extends Error {}

export class Sending {
  readonly #server: BinlogServer;
  readonly #random: Random;
  readonly #made: Buffer[] = [];
  /** Number of the next event; events behind `#until` are not sent: the server is gone. */
  #at: number;
  #until = Number.POSITIVE_INFINITY;
  readonly #isByGtid: boolean = false;
  /** Transactions that are not wanted. */
  readonly #known: readonly (boolean | undefined)[] = [];
  #file: LogFile;
  #hasSkipped = false;

  /** Throws Refused. */
  constructor(server: BinlogServer, random: Random, { gtidSet, filename = '', position = 0 }: LogRequest) {
    this.#server = server;
    this.#random = random;
    const { layout, files } = server;
    if (gtidSet === undefined) {
      const file = files.find(({ name }) => name === filename);
      if (file === undefined) throw new Refused('Could not find first log file name in binary log index file');
      this.#at = layout.eventAt(filename, position);
      if (this.#at < 0) throw new Refused('Client requested source to start replication from impossible position');
      this.#file = file;
      this.#begin(position);
      return;
    }
    if (!server.hasGtids)
      throw new Refused('The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.');
    this.#isByGtid = true;
    const count = layout.states.get(gtidSet);
    if (count === undefined) throw new Refused(`the set ${gtidSet} is none that the log ever had`);
    const set = layout.isMariadb ? null : GtidSet.parse(gtidSet);
    this.#known = layout.groups.map(({ gtid }, group) => (set === null ? group < count : gtid !== null && set.contains(gtid)));
    // Only what has a GTID counts.
    const isBehind = ({ firstGroup }: LogFile): boolean =>
      layout.groups.slice(0, firstGroup).every(({ gtid }, group) => gtid === null || this.#known[group]);
    const file = files.filter(isBehind).at(-1);
    if (file === undefined) throw new Refused('the source has purged binary logs containing GTIDs that the replica requires');
    this.#at = file.firstEvent;
    this.#file = file;
    this.#begin(FIRST_EVENT);
  }

  /** Number of the file that is sent. */
  get file(): number {
    return this.#server.layout.files.indexOf(this.#file);
  }

  /** The server is gone: no more than stands there now comes. */
  stop(): void {
    this.#until = this.#server.events;
  }

  #begin(pos: number): void {
    const { layout } = this.#server;
    this.#made.push(artificial(EVENT.rotate, rotateBody(this.#file.name, pos)));
    if (pos === FIRST_EVENT) return;
    // The first event of the file, as it is sent where the stream does not begin with it.
    const format = Buffer.from((layout.events[this.#file.firstEvent] as LogEvent).bytes);
    this.#made.push(placed(format, 0));
  }

  /** The next event; null: all of them are sent. Throws Refused. */
  next(): Buffer | null {
    const made = this.#made.shift();
    if (made !== undefined) return made;
    const { layout, events } = this.#server;
    for (;;) {
      if (this.#at >= Math.min(events, this.#until)) return null;
      const event = layout.events[this.#at] as LogEvent;
      if (event.file !== this.#file) {
        this.#file = event.file;
        return artificial(EVENT.rotate, rotateBody(event.file.name, FIRST_EVENT));
      }
      const { group } = event;
      if (group === CUT_OFF) throw new Refused('binlog truncated in the middle of event; consider out of disk space on master');
      if (this.#isByGtid && layout.groups[group]?.gtid === null)
        throw new Refused('Cannot replicate anonymous transaction when AUTO_POSITION = 1, at file binlog.000002, position 4');
      if (this.#known[group] === true) {
        this.#at++;
        this.#hasSkipped = true;
        continue;
      }
      if (this.#hasSkipped) {
        this.#hasSkipped = false;
        // What was passed over the server tells by a heartbeat, if that took it long.
        if (this.#random.chance(0.3)) return this.heartbeat();
      }
      this.#at++;
      return event.bytes;
    }
  }

  /** The server lives, and stands here. */
  heartbeat(): Buffer {
    const before = this.#server.layout.events[this.#at - 1];
    const pos = before === undefined || before.file !== this.#file ? FIRST_EVENT : before.pos + before.bytes.length;
    return artificial(EVENT.heartbeat, Buffer.from(this.#file.name), pos);
  }
}
