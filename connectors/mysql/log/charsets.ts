/**
 * Character sets. Text of the Unicode ones is converted here; of every other one the server itself is the authority: it is asked once what each of its
 * characters is (`charset-tables.ts`), because no two programs agree on the rare ones.
 */

/** How bytes of a character set become UTF-8. */
export const TEXT = { utf8: 0, utf16: 1, utf16le: 2, utf32: 3, mapped: 4, ascii: 5 } as const;
export type Text = (typeof TEXT)[keyof typeof TEXT];

const UNICODE: Readonly<Record<string, Text>> = {
  utf8mb4: TEXT.utf8,
  utf8mb3: TEXT.utf8,
  utf8: TEXT.utf8,
  ascii: TEXT.ascii,
  ucs2: TEXT.utf16,
  utf16: TEXT.utf16,
  utf16le: TEXT.utf16le,
  utf32: TEXT.utf32,
};

/** Characters of a set that is not Unicode, as the server converts them. */
export class CharsetTable {
  /** Code points of single bytes; 0xFFFF: no character, or the first byte of one. */
  readonly single: Uint16Array;
  /** Code points by first byte × 256 + second byte; 0 = none. */
  readonly double: Uint32Array | null;
  /** The same behind a first byte 0x8F. */
  readonly triple: Uint32Array | null;
  #doubled: ReadonlySet<number> | null = null;

  constructor(single: Uint16Array, double: Uint32Array | null, triple: Uint32Array | null) {
    this.single = single;
    this.double = double;
    this.triple = triple;
  }

  /** Whether the text has a character that the set has more than once (as cp932 and eucjpms have some): what bytes it was is not known by it. */
  isAmbiguous(text: string): boolean {
    this.#doubled ??= doubled([this.single.filter((point) => point !== NO_CHARACTER), this.double ?? [], this.triple ?? []]);
    if (this.#doubled.size === 0) return false;
    for (const character of text) if (this.#doubled.has(character.codePointAt(0) as number)) return true;
    return false;
  }
}

function doubled(tables: readonly Iterable<number>[]): ReadonlySet<number> {
  const once = new Set<number>();
  const found = new Set<number>();
  for (const table of tables) {
    for (const point of table) {
      if (point === 0) continue;
      if (once.has(point)) found.add(point);
      once.add(point);
    }
  }
  return found;
}

export const NO_CHARACTER = 0xffff;

/** A column's character set. */
export interface Charset {
  readonly name: string;
  readonly text: Text;
  /** Of `mapped`. */
  readonly table: CharsetTable | null;
  /** Most bytes of a character. */
  readonly width: number;
}

export function unicodeCharset(name: string, width: number): Charset | null {
  const text = UNICODE[name];
  return text === undefined ? null : { name, text, table: null, width };
}

/** Bytes that the UTF-8 text of `length` bytes has at most. */
export function textBytes({ text }: Charset, length: number): number {
  return text === TEXT.utf8 || text === TEXT.ascii ? length : 3 * length;
}

/** A call costs more than the loop for what is short, as most texts are. */
const SHORT = 24;

/** Copies bytes and returns their end. */
export function copyBytes(to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (end - start > SHORT) from.copy(to, at, start, end);
  else for (let index = start; index < end; index++) to[at + index - start] = from[index] as number;
  return at + end - start;
}

/** Writes text as UTF-8 and returns its end; −1: there is a character that has no form in Unicode. */
export function writeText(to: Buffer, at: number, from: Buffer, start: number, end: number, { text, table }: Charset): number {
  switch (text) {
    case TEXT.utf8:
      return copyBytes(to, at, from, start, end);
    case TEXT.ascii:
      // MariaDB lets any bytes into such columns.
      for (let index = start; index < end; index++) {
        const byte = from[index] as number;
        if (byte > 0x7f) return -1;
        to[at++] = byte;
      }
      return at;
    case TEXT.utf16:
      return writeUtf16(to, at, from, start, end, 0);
    case TEXT.utf16le:
      return writeUtf16(to, at, from, start, end, 1);
    case TEXT.utf32:
      for (let index = start; index + 4 <= end; index += 4) {
        const point = from.readUInt32BE(index);
        // Halves of surrogate pairs, which MariaDB lets in.
        if (point >= 0xd800 && point <= 0xdfff) return -1;
        at = writePoint(to, at, point);
      }
      return at;
    case TEXT.mapped:
      return writeMapped(to, at, from, start, end, table as CharsetTable);
  }
}

function writeUtf16(to: Buffer, at: number, from: Buffer, start: number, end: number, swapped: 0 | 1): number {
  const unit = (index: number): number => ((from[index + swapped] as number) << 8) | (from[index + 1 - swapped] as number);
  for (let index = start; index + 2 <= end; index += 2) {
    const first = unit(index);
    if (first < 0xd800 || first > 0xdfff) {
      at = writePoint(to, at, first);
      continue;
    }
    index += 2;
    if (index + 2 > end || first > 0xdbff) return -1;
    const second = unit(index);
    if (second < 0xdc00 || second > 0xdfff) return -1;
    at = writePoint(to, at, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
  }
  return at;
}

function writeMapped(to: Buffer, at: number, from: Buffer, start: number, end: number, { single, double, triple }: CharsetTable): number {
  for (let index = start; index < end; index++) {
    const byte = from[index] as number;
    const alone = single[byte] as number;
    if (alone !== NO_CHARACTER) {
      at = writePoint(to, at, alone);
      continue;
    }
    if (double === null || index + 1 >= end) return -1;
    let point = double[byte * 256 + (from[index + 1] as number)] as number;
    index++;
    if (point === 0 && triple !== null && byte === 0x8f && index + 1 < end) {
      point = triple[(from[index] as number) * 256 + (from[index + 1] as number)] as number;
      index++;
    }
    if (point === 0) return -1;
    at = writePoint(to, at, point);
  }
  return at;
}

function writePoint(to: Buffer, at: number, point: number): number {
  if (point < 0x80) {
    to[at] = point;
    return at + 1;
  }
  if (point < 0x800) {
    to[at] = 0xc0 | (point >> 6);
    to[at + 1] = 0x80 | (point & 63);
    return at + 2;
  }
  if (point < 0x10000) {
    to[at] = 0xe0 | (point >> 12);
    to[at + 1] = 0x80 | ((point >> 6) & 63);
    to[at + 2] = 0x80 | (point & 63);
    return at + 3;
  }
  to[at] = 0xf0 | (point >> 18);
  to[at + 1] = 0x80 | ((point >> 12) & 63);
  to[at + 2] = 0x80 | ((point >> 6) & 63);
  to[at + 3] = 0x80 | (point & 63);
  return at + 4;
}
