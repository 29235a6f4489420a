/**
 * Brings a value's text, as the server prints it under `SESSION_SETTINGS` (types.ts), into its cell form, in place. Every form is at most as long as
 * the text, so the cell begins where the text began and only its end moves.
 */
import { ARRAY_OF, NORMALISE, type Normalise } from '../types.ts';

/** The text is not what the session's settings make the server print. */
export const MALFORMED = -1;

const ZERO = 0x30;
const HYPHEN = 0x2d;
const COLON = 0x3a;

/** Rewrites bytes[start .. end) as a cell of the column's form and returns the cell's end, or MALFORMED. */
export function normalise(kind: Normalise, bytes: Uint8Array, start: number, end: number): number {
  switch (kind) {
    case NORMALISE.none:
      return end;
    case NORMALISE.bytea:
      return bytea(bytes, start, end);
    case NORMALISE.timestamptz:
      return moment(bytes, start, end, true);
    case NORMALISE.timestamp:
      return moment(bytes, start, end, false);
    case NORMALISE.date:
      return date(bytes, start, end);
    case NORMALISE.money:
      return money(bytes, start, end);
    default:
      return kind > ARRAY_OF ? array(kind - ARRAY_OF, bytes, start, end) : MALFORMED;
  }
}

/** Value of a hexadecimal digit by its character code; 255 = it is none. */
const HEX = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** `\x6869` → the two bytes. */
function bytea(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2 || ((end - start) & 1) !== 0 || bytes[start] !== 0x5c || bytes[start + 1] !== 0x78) return MALFORMED;
  let to = start;
  for (let at = start + 2; at < end; at += 2) {
    const high = HEX[bytes[at] as number] as number;
    const low = HEX[bytes[at + 1] as number] as number;
    if ((high | low) > 15) return MALFORMED;
    bytes[to++] = (high << 4) | low;
  }
  return to;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= 0x39;
}

/** `infinity` or `-infinity`: the only texts of dates and timestamps that do not begin with a digit. */
function infinite(bytes: Uint8Array, start: number, end: number): number {
  const word = bytes[start] === HYPHEN ? start + 1 : start;
  if (end - word !== 8) return MALFORMED;
  for (let i = 0; i < 8; i++) if (bytes[word + i] !== 'infinity'.charCodeAt(i)) return MALFORMED;
  return end;
}

function endsInBc(bytes: Uint8Array, end: number): boolean {
  return bytes[end - 1] === 0x43 && bytes[end - 2] === 0x42 && bytes[end - 3] === 0x20;
}

/** End of `YYYY-MM-DD` (four or more year digits) at `start`, or MALFORMED. */
function dateEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isDigit(bytes[at])) at++;
  if (at - start < 4 || at + 6 > end) return MALFORMED;
  const whole =
    bytes[at] === HYPHEN &&
    isDigit(bytes[at + 1]) &&
    isDigit(bytes[at + 2]) &&
    bytes[at + 3] === HYPHEN &&
    isDigit(bytes[at + 4]) &&
    isDigit(bytes[at + 5]);
  return whole ? at + 6 : MALFORMED;
}

/** `2024-02-29`, `0044-03-15 BC`, `infinity`. */
function date(bytes: Uint8Array, start: number, end: number): number {
  if (!isDigit(bytes[start])) return infinite(bytes, start, end);
  const bc = endsInBc(bytes, end);
  const stop = bc ? end - 3 : end;
  if (dateEnd(bytes, start, stop) !== stop) return MALFORMED;
  return bc ? beforeChrist(bytes, start, stop) : end;
}

/** `2024-02-29 12:34:56.789[+00][ BC]` → `2024-02-29T12:34:56.789[Z]`. */
function moment(bytes: Uint8Array, start: number, end: number, zoned: boolean): number {
  if (!isDigit(bytes[start])) return infinite(bytes, start, end);
  const bc = endsInBc(bytes, end);
  let stop = bc ? end - 3 : end;
  if (zoned) {
    // TimeZone is UTC: any other offset means that the session's settings are not ours, and the value would be wrong (I8).
    if (bytes[stop - 3] !== 0x2b || bytes[stop - 2] !== ZERO || bytes[stop - 1] !== ZERO) return MALFORMED;
    stop -= 3;
  }
  const day = dateEnd(bytes, start, stop);
  if (day === MALFORMED || bytes[day] !== 0x20 || !isTime(bytes, day + 1, stop)) return MALFORMED;
  bytes[day] = 0x54;
  if (zoned) bytes[stop++] = 0x5a;
  return bc ? beforeChrist(bytes, start, stop) : stop;
}

/** `HH:MM:SS[.f…]`. */
function isTime(bytes: Uint8Array, at: number, end: number): boolean {
  if (end - at < 8 || bytes[at + 2] !== COLON || bytes[at + 5] !== COLON) return false;
  if (!isDigit(bytes[at]) || !isDigit(bytes[at + 1]) || !isDigit(bytes[at + 3]) || !isDigit(bytes[at + 4]) || !isDigit(bytes[at + 6])) return false;
  if (!isDigit(bytes[at + 7])) return false;
  if (end - at === 8) return true;
  if (bytes[at + 8] !== 0x2e || end - at < 10) return false;
  for (let i = at + 9; i < end; i++) if (!isDigit(bytes[i])) return false;
  return true;
}

/** Year n BC is year 1 − n of the astronomical count: `0044-03-15` → `-0043-03-15`, `0001-…` → `0000-…`. The dropped ` BC` makes room for the sign. */
function beforeChrist(bytes: Uint8Array, start: number, end: number): number {
  let yearEnd = start;
  while (bytes[yearEnd] !== HYPHEN) yearEnd++;
  let borrow = yearEnd - 1;
  while (bytes[borrow] === ZERO && borrow > start) bytes[borrow--] = 0x39;
  if (bytes[borrow] === ZERO) return MALFORMED;
  bytes[borrow] = (bytes[borrow] as number) - 1;
  let isZero = true;
  for (let at = start; at < yearEnd; at++) if (bytes[at] !== ZERO) isZero = false;
  if (isZero) return end;
  bytes.copyWithin(start + 1, start, end);
  bytes[start] = HYPHEN;
  return end + 1;
}

/** `-$1,234.56` (lc_monetary C) → `-1234.56`. */
function money(bytes: Uint8Array, start: number, end: number): number {
  let to = start;
  let digits = 0;
  let point = -1;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (isDigit(byte)) digits++;
    else if (byte === 0x2c || byte === 0x24) continue;
    else if (byte === 0x2e && point < 0) point = to;
    else if (byte !== HYPHEN || at !== start) return MALFORMED;
    bytes[to++] = byte;
  }
  return digits > 2 && point === to - 3 ? to : MALFORMED;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;

/**
 * Each element of an array's text (manual, 8.15.6) in its own form, quoted as it was; the form is never longer than the text, and no escape that it
 * needs makes it so: what is longer without its escapes is bytes, whose text has two digits for each.
 */
function array(form: Normalise, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let to = start;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) {
      const inside = ++at;
      // The escapes are taken out in place first.
      let stop = inside;
      while (at < end && bytes[at] !== QUOTE) {
        if (bytes[at] === BACKSLASH) at++;
        bytes[stop++] = bytes[at++] as number;
      }
      if (at >= end) return MALFORMED;
      const formed = normalise(form, bytes, inside, stop);
      if (formed === MALFORMED) return MALFORMED;
      const written = quoted(bytes, to, inside, formed, ++at);
      if (written === MALFORMED) return MALFORMED;
      to = written;
    } else if (byte === OPEN || byte === CLOSE || byte === COMMA) bytes[to++] = bytes[at++] as number;
    else if (byte === 0x5b && at === start) {
      // Bounds: up to the equals sign.
      while (at < end && bytes[at] !== OPEN) bytes[to++] = bytes[at++] as number;
    } else {
      const inside = at;
      while (at < end && bytes[at] !== COMMA && bytes[at] !== CLOSE) at++;
      const isNull = at - inside === 4 && bytes[inside] === 0x4e;
      const formed = isNull ? at : normalise(form, bytes, inside, at);
      if (formed === MALFORMED) return MALFORMED;
      bytes.copyWithin(to, inside, formed);
      to += formed - inside;
    }
  }
  return to;
}

/** Writes bytes[from .. stop) in quotes at `to`; it has to end at `limit` at the latest. */
function quoted(bytes: Uint8Array, to: number, from: number, stop: number, limit: number): number {
  let escapes = 0;
  for (let at = from; at < stop; at++) if (bytes[at] === QUOTE || bytes[at] === BACKSLASH) escapes++;
  if (to + stop - from + escapes + 2 > limit) return MALFORMED;
  // At the end of the room the content is never overtaken by what is written of it.
  const content = limit - (stop - from);
  bytes.copyWithin(content, from, stop);
  bytes[to++] = QUOTE;
  for (let at = content; at < limit; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE || byte === BACKSLASH) bytes[to++] = BACKSLASH;
    bytes[to++] = byte;
  }
  bytes[to] = QUOTE;
  return to + 1;
}
