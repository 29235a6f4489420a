/** Where in the log an event stands: the file, and the byte in it. */
import { EVENT, FLAG_ARTIFICIAL, HEADER_BYTES } from './events.ts';
import { isDumpable, type LogPlace, type LogPosition } from './position.ts';
import { printOf } from './print.ts';

export class Place {
  file: string;
  /** Where the event at hand begins. */
  pos = 0;
  /** When the file was begun: the time of its first event, which a server sends before any other, wherever it begins. Empty: that is yet to come. */
  created = '';
  readonly #mustDump: boolean;
  #safe: LogPlace;
  /** Where the event at hand began, for as long as it is the last one. */
  #begun = 0;

  constructor({ file, pos, created, lastPos, lastPrint, by }: LogPosition) {
    this.file = file;
    this.#mustDump = by === 'file';
    this.#safe = { file, pos, created, lastPos, lastPrint };
  }

  /** Where the last transaction ended; another object once that has moved. */
  get safe(): LogPlace {
    return this.#safe;
  }

  /** Before an event is read. False: it stands nowhere in the log. */
  enter(type: number, flags: number, bytes: Buffer): boolean {
    if (type === EVENT.rotate || type === EVENT.heartbeat || type === EVENT.heartbeatV2) return false;
    if (type === EVENT.format) this.created = String(bytes.readUInt32LE(0));
    if ((flags & FLAG_ARTIFICIAL) !== 0) return false;
    // MariaDB tells no end inside transactions, and neither server tells more than 32 bits of it.
    const told = bytes.readUInt32LE(13);
    // Sent where the stream does not begin with it.
    if (told === 0 && type === EVENT.format) return false;
    if (told === 0) return true;
    let end = this.pos - (this.pos % 2 ** 32) + told;
    if (end < this.pos - 2 ** 31) end += 2 ** 32;
    this.pos = Math.max(0, end - bytes.length);
    return true;
  }

  /** Behind an event that stands in the log. */
  pass(length: number): void {
    this.#begun = this.pos;
    this.pos += length;
  }

  /** No transaction is open behind the event: it can be gone on with here. `end`: of the event without its checksum. */
  settle(type: number, bytes: Buffer, end: number): void {
    const { file, pos, created } = this;
    const here = { file, pos: String(pos) };
    // The server begins at the head of a file, before what was read of it; and a heartbeat says where it stood before.
    if (!isBefore(this.#safe, here)) return;
    // A file ends behind a transaction that is as large: the next one begins at once.
    if (this.#mustDump && !isDumpable(pos)) return;
    // What the server writes into the first event is not the same each time that it sends it; and a heartbeat is no event of the log.
    const isProof = type !== EVENT.format && type !== EVENT.heartbeat && type !== EVENT.heartbeatV2;
    const proof = isProof ? { lastPos: String(this.#begun), lastPrint: printOf(bytes, end) } : { lastPos: '', lastPrint: '' };
    this.#safe = { ...here, created, ...proof };
  }

  /** A heartbeat: how far the server has looked through the log, with what it leaves out; null: it does not say. */
  heard(place: { readonly file: string; readonly pos: number } | null): void {
    if (place === null) return;
    this.file = place.file;
    this.pos = place.pos;
  }

  /** A ROTATE event: its file ends, and names the next. */
  rotate(bytes: Buffer, end: number): void {
    this.file = bytes.toString('utf8', HEADER_BYTES + 8, end);
    this.pos = Number(bytes.readBigUInt64LE(HEADER_BYTES));
  }
}

/** Whether a log that ends at `end` never came to `place`; false where the two are not of one row of files. */
export function endsBefore(end: { readonly file: string; readonly pos: string }, place: { readonly file: string; readonly pos: string }): boolean {
  const rowOf = (name: string): string => name.replace(/\.\d+$/, '');
  if (end.file === place.file) return Number(end.pos) < Number(place.pos);
  return rowOf(end.file) === rowOf(place.file) && isLater(place.file, end.file);
}

/** Whether one place of a log stands before another one of it. */
export function isBefore(place: { readonly file: string; readonly pos: string }, end: { readonly file: string; readonly pos: string }): boolean {
  return place.file === end.file ? Number(place.pos) < Number(end.pos) : isLater(end.file, place.file);
}

/** Files of one log are numbered. */
function isLater(file: string, than: string): boolean {
  const number = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? -1);
  return number(file) > number(than);
}
