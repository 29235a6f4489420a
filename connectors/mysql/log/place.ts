/** Where in the log an event stands: the file, and the byte in it. For people and for `source.file` and `source.pos`; nothing is found again by it. */
import { EVENT, FLAG_ARTIFICIAL, HEADER_BYTES } from './events.ts';

export class Place {
  file: string;
  /** Where the event at hand begins. */
  pos = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** Before an event is read. False: it stands nowhere in the log. */
  enter(type: number, flags: number, bytes: Buffer): boolean {
    if (type === EVENT.rotate || (flags & FLAG_ARTIFICIAL) !== 0 || type === EVENT.heartbeat || type === EVENT.heartbeatV2) return false;
    // MariaDB tells no end inside transactions, and neither server tells more than 32 bits of it.
    const told = bytes.readUInt32LE(13);
    if (told === 0) return true;
    let end = this.pos - (this.pos % 2 ** 32) + told;
    if (end < this.pos - 2 ** 31) end += 2 ** 32;
    this.pos = Math.max(0, end - bytes.length);
    return true;
  }

  /** A heartbeat: how far the server has looked through the log, with what it leaves out. */
  heard(place: { readonly file: string; readonly pos: number }): void {
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
