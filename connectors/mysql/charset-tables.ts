/** Character sets as the server has them: it is asked what each character of a set is, once for each set that the log shows. */
import { SluiceError } from '#plugin';
import type { Client } from './client.ts';
import { type Charset, CharsetTable, NO_CHARACTER, TEXT, unicodeCharset } from './log/charsets.ts';
import { charsetUnknown } from './log/errors.ts';
import type { CharsetOf } from './log/table-map.ts';

type Range = readonly [from: number, to: number];

/** Which bytes begin a character of two, and which follow. */
interface Pairs {
  readonly first: readonly Range[];
  readonly second: readonly Range[];
  /** Behind 0x8F: pairs of these make characters of three bytes. */
  readonly third?: readonly Range[];
}

const SJIS: Pairs = {
  first: [
    [0x81, 0x9f],
    [0xe0, 0xfc],
  ],
  second: [
    [0x40, 0x7e],
    [0x80, 0xfc],
  ],
};
const EUC: Pairs = {
  first: [
    [0x8e, 0x8e],
    [0xa1, 0xfe],
  ],
  second: [[0xa1, 0xfe]],
  third: [[0xa1, 0xfe]],
};
const PAIRS: Readonly<Record<string, Pairs>> = {
  sjis: SJIS,
  cp932: SJIS,
  ujis: EUC,
  eucjpms: EUC,
  big5: {
    first: [[0xa1, 0xf9]],
    second: [
      [0x40, 0x7e],
      [0xa1, 0xfe],
    ],
  },
  gbk: {
    first: [[0x81, 0xfe]],
    second: [
      [0x40, 0x7e],
      [0x80, 0xfe],
    ],
  },
  gb2312: { first: [[0xa1, 0xf7]], second: [[0xa1, 0xfe]] },
  euckr: {
    first: [[0x81, 0xfe]],
    second: [
      [0x41, 0x5a],
      [0x61, 0x7a],
      [0x81, 0xfe],
    ],
  },
};

const BINARY = 'binary';
/** What the server writes for a character that the other set does not have; the character itself is 0x3F too. */
const QUESTION = 0x3f;
/** Characters that one question asks for: its text stays well below the smallest max_allowed_packet that servers have. */
const CHUNK = 4096;

export class Charsets {
  readonly #names: ReadonlyMap<number, { readonly name: string; readonly width: number }>;
  readonly #widths: ReadonlyMap<string, number>;
  readonly #loaded = new Map<string, Charset>();

  private constructor(names: ReadonlyMap<number, { readonly name: string; readonly width: number }>, widths: ReadonlyMap<string, number>) {
    this.#names = names;
    this.#widths = widths;
  }

  /** Asks for the numbers of the server's collations. MariaDB lists those without a number of their own by their character sets elsewhere. */
  static async load(client: Client, isMariadb: boolean): Promise<Charsets> {
    const widths = await client.rows<{ name: string; width: string }>(
      'its character sets',
      'SELECT CHARACTER_SET_NAME AS name, MAXLEN AS width FROM information_schema.CHARACTER_SETS',
    );
    const widthOf = new Map(widths.map(({ name, width }) => [name, Number(width)]));
    const view = isMariadb ? 'COLLATION_CHARACTER_SET_APPLICABILITY' : 'COLLATIONS';
    const rows = await client.rows<{ id: string; name: string }>(
      'its collations',
      `SELECT ID AS id, CHARACTER_SET_NAME AS name FROM information_schema.${view} WHERE ID IS NOT NULL`,
    );
    return new Charsets(new Map(rows.map(({ id, name }) => [Number(id), { name, width: widthOf.get(name) ?? 1 }])), widthOf);
  }

  /** For the decoder. */
  readonly of: CharsetOf = (collation) => {
    const known = this.#names.get(collation);
    if (known === undefined) return undefined;
    return known.name === BINARY ? null : (unicodeCharset(known.name, known.width) ?? this.#loaded.get(known.name));
  };

  /** For statements: a set of which the characters cannot be asked for is null too, since no row depends on them. */
  readonly ofStatement: CharsetOf = (collation) => {
    const known = this.#names.get(collation);
    if (known === undefined || (known.width > 1 && PAIRS[known.name] === undefined)) return this.of(collation) ?? null;
    return this.of(collation);
  };

  /** Asks the server for the characters of a collation's set. Throws a SluiceError if they cannot be known. */
  async learn(client: Client, collation: number, table: string): Promise<void> {
    const known = this.#names.get(collation);
    if (known === undefined) throw new SluiceError(charsetUnknown, { table, why: `the server does not know its collation ${collation}` }, { table });
    await this.#learn(client, known.name, known.width, table);
  }

  /** A character set by its name, which is asked for if need be; null: bytes. Throws a SluiceError if its characters cannot be known. */
  async named(client: Client, name: string, table: string): Promise<Charset | null> {
    if (name === BINARY) return null;
    const width = this.#widths.get(name) ?? 1;
    const unicode = unicodeCharset(name, width);
    if (unicode !== null) return unicode;
    if (!this.#loaded.has(name)) await this.#learn(client, name, width, table);
    return this.#loaded.get(name) as Charset;
  }

  async #learn(client: Client, name: string, width: number, table: string): Promise<void> {
    const pairs = PAIRS[name];
    if (width > 1 && pairs === undefined) throw new SluiceError(charsetUnknown, { table, why: `${name} is not read` }, { table });
    const single = new Uint16Array(256).fill(NO_CHARACTER);
    const begins = new Set(pairs === undefined ? [] : [...bytesOf(pairs.first), 0x8f]);
    const alone = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !begins.has(byte));
    const points = await this.#ask(client, name, alone, 1);
    for (const [index, byte] of alone.entries()) {
      const point = points[index] as number;
      if (point !== QUESTION || byte === QUESTION) single[byte] = point;
    }
    const double = pairs === undefined ? null : await this.#pairs(client, name, pairs.first, pairs.second, []);
    const triple = pairs?.third === undefined ? null : await this.#pairs(client, name, pairs.third, pairs.third, [0x8f]);
    this.#loaded.set(name, { name, text: TEXT.mapped, table: new CharsetTable(single, double, triple), width });
  }

  async #pairs(client: Client, name: string, first: readonly Range[], second: readonly Range[], prefix: readonly number[]): Promise<Uint32Array> {
    const found = new Uint32Array(65_536);
    const codes = bytesOf(first).flatMap((high) => bytesOf(second).map((low) => high * 256 + low));
    for (let start = 0; start < codes.length; start += CHUNK) {
      const some = codes.slice(start, start + CHUNK);
      const points = await this.#ask(client, name, some, 2, prefix);
      // A question mark is no character of two bytes: it stands for none.
      for (const [index, code] of some.entries()) if (points[index] !== QUESTION) found[code] = points[index] as number;
    }
    return found;
  }

  /** Code points of characters of one set, each of so many bytes. */
  async #ask(client: Client, name: string, codes: readonly number[], bytes: 1 | 2, prefix: readonly number[] = []): Promise<number[]> {
    const width = bytes + prefix.length;
    const text = Buffer.alloc(codes.length * width);
    for (const [index, code] of codes.entries()) {
      for (const [at, byte] of prefix.entries()) text[index * width + at] = byte;
      text.writeUIntBE(code, index * width + prefix.length, bytes);
    }
    const sql = `SELECT HEX(CONVERT(CONVERT(x'${text.toString('hex')}' USING ${name}) USING utf32)) AS points`;
    const [row] = await client.rows<{ points: string | null }>(`the characters of ${name}`, sql);
    const points = Buffer.from(row?.points ?? '', 'hex');
    if (points.length !== codes.length * 4) {
      if (codes.length === 1) return [QUESTION];
      // Some are no characters at all: the halves are asked for by themselves.
      const half = codes.length >> 1;
      return [
        ...(await this.#ask(client, name, codes.slice(0, half), bytes, prefix)),
        ...(await this.#ask(client, name, codes.slice(half), bytes, prefix)),
      ];
    }
    return codes.map((_, index) => points.readUInt32BE(index * 4));
  }
}

function bytesOf(ranges: readonly Range[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}
