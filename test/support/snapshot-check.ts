/** Rebuilds tables from what arrived, and says where a key went back in time or differs from the source at the end. */
import pg from 'pg';
import { readStream, type StoredMessage } from './stream-ledger.ts';

const UNAVAILABLE = '__debezium_unavailable_value';

type Row = Readonly<Record<string, unknown>>;

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

const FETCH = 50_000;

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
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('BEGIN');
    for (const table of tables) await this.#compare(client, table);
    await client.end();
    return { messages: this.#messages, read: this.#read, marks: this.#marks, readTwice: this.#readTwice, problems: this.#problems };
  }

  async #compare(client: pg.Client, table: string): Promise<void> {
    const left = new Set<string>();
    for (const { row } of this.#tables.get(table)?.values() ?? []) if (row !== null) left.add(row);
    const [missing, arrived] = [[] as string[], left.size];
    await client.query(`DECLARE rows_of_${table} CURSOR FOR SELECT to_jsonb(t) AS row FROM ${table} t`);
    for (;;) {
      const { rows } = await client.query<{ row: Row }>(`FETCH ${FETCH} FROM rows_of_${table}`);
      if (rows.length === 0) break;
      for (const { row } of rows) {
        const text = canonical(row);
        if (!left.delete(text)) missing.push(text);
      }
    }
    const count = arrived - left.size + missing.length;
    if (missing.length > 0) this.#problems.push(`${table}: ${missing.length} rows of ${count} are missing, such as ${missing[0]?.slice(0, 200)}`);
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

function canonical(row: Row): string {
  return JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Everything of a NATS stream. */
export async function rebuildFromStream(servers: string, stream: string, url: string, tables: readonly string[]): Promise<Rebuilt> {
  const rebuild = new Rebuild();
  await readStream(servers, stream, (message) => rebuild.add(message), { headers: false });
  return rebuild.finish(url, tables);
}
