import { unreachable } from '../../../connectors/mysql/errors.ts';
import { type LogPosition, readPosition } from '../../../connectors/mysql/log/position.ts';
import { printOf } from '../../../connectors/mysql/log/print.ts';
import { SluiceError } from '../../../src/plugin/error.ts';
import type { Position } from '../../../src/record/position.ts';
import type { Checks } from '../checks.ts';
import type { Log } from '../log.ts';
import type { Plan } from '../plan.ts';
import { Server } from '../server.ts';
import type { Owner, World } from '../world.ts';
import { type Layout, type LogEvent, type LogFile, TORN } from './layout.ts';

const CHECKSUM_BYTES = 4;
/** A connection that gets no answer is given up. */
const SILENCE_MS = 1200;

/** A dump of the log that the server has under way. */
export interface Dump {
  /** Number of the file that it reads. */
  readonly file: number;
  /** The server is gone: it ends with an error, or nobody says so. */
  cutOff(isSilent: boolean): void;
}

/** A server with a binary log, which outlives the processes that read it. What was committed stays (`sync_binlog = 1`). */
export class BinlogServer extends Server {
  readonly layout: Layout;
  readonly dumps = new Set<Dump>();
  /** Where the last acknowledged offset was: what an operator knows who wrote it down. */
  noted: Position | null = null;
  restarts = 0;
  purged = 0;
  /** It starts until then. */
  downUntil = 0;
  readonly #world: World;
  #unit = 0;
  #complains = true;

  constructor(world: World, log: Log, checks: Checks, plan: Plan, layout: Layout) {
    super(world, log, checks, plan);
    this.#world = world;
    this.layout = layout;
  }

  get system(): LogPosition['system'] {
    return this.layout.isMariadb ? 'mariadb' : 'mysql';
  }

  /** How many events stand in the log by now. */
  get events(): number {
    return this.layout.units[this.#unit]?.events ?? 0;
  }

  /** The log is sent by GTIDs: `gtid_mode` is not turned on again before what has none was read. */
  get hasGtids(): boolean {
    const { layout } = this;
    if (layout.units[this.#unit]?.isNamed !== true) return false;
    const last = layout.groups.findLast(({ gtid, end }) => gtid === null && end <= this.log.head);
    return last === undefined || this.settled >= last.end;
  }

  /** The files that it has. */
  get files(): readonly LogFile[] {
    return this.layout.files.slice(this.purged).filter(({ firstEvent }) => firstEvent < this.events);
  }

  /** Nobody tells the server. */
  override get settled(): number {
    return this.checks.synced;
  }

  override wake(): void {
    const { units } = this.layout;
    for (let next = units[this.#unit + 1]; next !== undefined && next.end <= this.log.head; next = units[this.#unit + 1]) {
      if (next.restarts) this.#restart();
      this.#unit++;
    }
    if (this.#world.random.chance(0.1)) this.#purge();
    super.wake();
  }

  #restart(): void {
    const { random, now } = this.#world;
    this.restarts++;
    this.#world.tell('the server starts anew');
    this.downUntil = now + random.next() * 600;
    for (const dump of [...this.dumps]) dump.cutOff(!this.isCalm && random.chance(0.3));
  }

  /** Files that nobody needs any more. */
  #purge(): void {
    const { files } = this.layout;
    if (this.checks.isDamaged) return;
    const needed = Math.min(this.confirmed, this.checks.synced);
    const next = files[this.purged + 1];
    if (next === undefined || next.base >= needed || [...this.dumps].some(({ file }) => file <= this.purged)) return;
    this.#world.tell(`${files[this.purged]?.name} is purged`);
    this.purged++;
  }

  acknowledged(position: Position): void {
    const number = this.numberOf(position);
    this.checks.acknowledge(number);
    this.noted = position;
    if (number <= this.confirmed) return;
    this.confirmed = number;
    this.checks.acknowledged = number;
    this.checks.progress();
  }

  /** It answers after a while, or never. Rejects with a SluiceError. */
  reach(owner: Owner, what: string): Promise<void> {
    return new Promise((resolve, reject) =>
      this.ask(owner, what, resolve, () => reject(new SluiceError(unreachable, { address: 'sim', detail: what }))),
    );
  }

  ask(owner: Owner, what: string, done: () => void, failed: () => void): void {
    const world = this.#world;
    world.after(owner, this.latency(), what, () => {
      if (this.isLost() || world.now < this.downUntil) {
        failed();
        return;
      }
      if (world.now >= this.cutUntil) {
        done();
        return;
      }
      const silent = Math.min(SILENCE_MS, this.cutUntil - world.now);
      world.after(owner, silent, 'silence of the source', () => (world.now >= this.cutUntil && world.random.chance(0.5) ? done() : failed()));
    });
  }

  /**
   * Where a position is in the log as a whole: behind the transactions that it says were read. What it says must be true, the whole of it: the set of transactions is one that the log
   * had at some time, the place is none within a transaction, and what stands there is what it says.
   */
  override numberOf(position: Position, complains = true): number {
    this.#complains = complains;
    const known = readPosition(position, this.system);
    if (known === null) return this.#wrong('is none of this server', position);
    const { by, file, pos } = known;
    const place = file === '' ? -1 : this.layout.offsetOf(file, Number(pos));
    if (file !== '' && Number(pos) > 0) this.#checkPlace(known, place);
    if (by === 'file') return place;
    const isMixed = this.layout.dialect === 'mixed';
    const count = isMixed ? this.layout.groupsBefore(place) : this.layout.states.get(known.gtid);
    if (count === undefined || this.layout.sets[count] !== known.gtid)
      return this.#wrong('has a set of transactions that the log never had', position);
    const end = this.layout.groups[count - 1]?.end ?? 0;
    const next = this.layout.groups[count]?.begin ?? Number.POSITIVE_INFINITY;
    if (place >= 0 && Number(pos) > 0 && place < end) return this.#wrong('has a place before its last transaction', position);
    if (place > next) return this.#wrong('has a place behind its transactions', position);
    return end;
  }

  #checkPlace({ file, pos, created, lastPos, lastPrint }: LogPosition, place: number): void {
    const { layout } = this;
    const found = layout.files.find(({ name }) => name === file);
    const say = (what: string): number => this.#wrong(what, { file, pos, created, lastPos });
    const index = layout.eventAt(file, Number(pos));
    if (found === undefined || index < 0) return void say('has a place where no event ends');
    if (layout.groups.some(({ begin, end }) => begin < place && place < end)) return void say('has a place within a transaction');
    if (created !== '' && created !== String(found.created)) return void say('has another time of its file');
    const last = lastPos === '' ? undefined : (layout.events[layout.eventAt(file, Number(lastPos))] as LogEvent);
    if (last === undefined) return;
    const isLast = last.pos + last.bytes.length === Number(pos) && last.file === found;
    if (!isLast || printOf(last.bytes, last.bytes.length - CHECKSUM_BYTES) !== lastPrint) say('has a proof of another event');
    if (last.group === TORN) say('has a place in what was rolled back');
  }

  #wrong(what: string, position: unknown): number {
    if (this.#complains) this.#world.violated('I6', `the position ${what}: ${JSON.stringify(position)}`);
    return -1;
  }
}
