/** Rebuilds tables from what arrived, and says where a key went back in time or differs from the source at the end. */
import { type Row, snapshotDatabase } from './snapshot-database.ts';
import { readStream, type StoredMessage } from './stream-ledger.ts';

const UNAVAILABLE = '__debezium_unavailable_value';

export interface Rebuilt {
  readonly messages: number;
  /** `op: r`, by table. */
  readonly read: Readonly<Record<string, number>>;
  /** Marks in `source.snapshot`, counted. */
  readonly marks: Readonly<Record<string, number>>;
  /** Rows that were copied more than once. */
  readonly readTwice: number;
  /** What is wrong; empty: nothing. */
  readonly problems: readonly string[];
}

/** Rows as text: there may be ten millions of them. */
interface Seen {
  row: string | null;
  version: number;
}

export class Rebuild {
  readonly #tables = new Map<string, Map<string, Seen>>();
  readonly #read: Record<string, number> = {};
  readonly #marks: Record<string, number> = {};
  readonly #copied = new Map<string, Set<string>>();
  readonly #problems: string[] = [];
  /** By table, what was deleted last: a row that moves to another key is deleted and created, and takes along what was left out. */
  readonly #deleted = new Map<string, string | null>();
  #messages = 0;
  #readTwice = 0;

  add({ subject, key, value, sequence }: Pick<StoredMessage, 'subject' | 'key' | 'value' | 'sequence'>): void {
    this.#messages++;
    if (value === null || key === null) return;
    const table = subject.slice(subject.lastIndexOf('.') + 1);
    const rows = this.#tables.get(table) ?? new Map<string, Seen>();
    this.#tables.set(table, rows);
    const { op, after } = value;
    const mark = String(value.source['snapshot']);
    this.#marks[mark] = (this.#marks[mark] ?? 0) + 1;
    if (op === 'r') this.#countRead(table, key);
    const known = rows.get(key);
    if (op === 'd') {
      this.#deleted.set(table, known?.row ?? null);
      if (known !== undefined) known.row = null;
      return;
    }
    const version = Number(after?.['v'] ?? 0);
    const where = `${table} ${key} at ${sequence} (${op})`;
    if (known !== undefined && version !== 0) {
      if (version < known.version) this.#problems.push(`${where}: version ${version} after ${known.version}`);
      if (known.row === null && version <= known.version) this.#problems.push(`${where}: version ${version} came back after it was deleted`);
    }
    let row: Row = after ?? {};
    if (Object.values(row).includes(UNAVAILABLE)) {
      const text = op === 'c' ? this.#deleted.get(table) : known?.row;
      const whole = (typeof text === 'string' ? JSON.parse(text) : {}) as Row;
      row = Object.fromEntries(Object.entries(row).map(([column, cell]) => [column, cell === UNAVAILABLE ? (whole[column] ?? cell) : cell]));
    }
    const text = canonical(row);
    if (known === undefined) rows.set(key, { row: text, version });
    else {
      known.row = text;
      known.version = Math.max(version, known.version);
    }
  }

  /** Compares with the source as it is now. */
  async finish(url: string, tables: readonly string[]): Promise<Rebuilt> {
    const left = new Map(tables.map((table) => [table, this.#rowsOf(table)]));
    const missing = new Map(tables.map((table) => [table, [] as string[]]));
    for await (const { table, rows } of snapshotDatabase(url).rows(tables)) {
      for (const row of rows) {
        const text = canonical(row);
        if (left.get(table)?.delete(text) !== true) missing.get(table)?.push(text);
      }
    }
    for (const table of tables) this.#report(table, left.get(table) as Set<string>, missing.get(table) as string[]);
    return { messages: this.#messages, read: this.#read, marks: this.#marks, readTwice: this.#readTwice, problems: this.#problems };
  }

  #rowsOf(table: string): Set<string> {
    return new Set([...(this.#tables.get(table)?.values() ?? [])].flatMap(({ row }) => (row === null ? [] : [row])));
  }

  #report(table: string, left: ReadonlySet<string>, missing: readonly string[]): void {
    if (missing.length > 0) this.#problems.push(`${table}: ${missing.length} rows are missing, such as ${missing[0]?.slice(0, 200)}`);
    const [extra] = left;
    if (extra !== undefined) this.#problems.push(`${table}: ${left.size} rows are not in the source, such as ${extra.slice(0, 200)}`);
  }

  #countRead(table: string, key: string): void {
    this.#read[table] = (this.#read[table] ?? 0) + 1;
    const copied = this.#copied.get(table) ?? new Set();
    this.#copied.set(table, copied);
    if (copied.has(key)) this.#readTwice++;
    copied.add(key);
  }
}

/** Values as text: drivers give large numbers so. */
function canonical(row: Row): string {
  const texts = Object.entries(row).map(([column, value]) => [column, typeof value === 'object' ? value : String(value)] as const);
  return JSON.stringify(Object.fromEntries(texts.sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Everything of a NATS stream. */
export async function rebuildFromStream(servers: string, stream: string, url: string, tables: readonly string[]): Promise<Rebuilt> {
  const rebuild = new Rebuild();
  await readStream(servers, stream, (message) => rebuild.add(message), { headers: false });
  return rebuild.finish(url, tables);
}
