/**
 * A load that runs for hours at one rate: inserts, updates and deletes of recent rows. Every change raises its key's version by one, and every transaction writes into
 * a ledger how many changes it made and a sum over them, so that what was committed is known without asking Sluice.
 */
import pg from 'pg';

/** The old image stands in updates and deletes (REPLICA IDENTITY FULL): a delete says the version that it ended. */
export const SOAK_TABLES = `
  CREATE TABLE item (id bigint PRIMARY KEY, v int NOT NULL, note text NOT NULL);
  ALTER TABLE item REPLICA IDENTITY FULL;
  CREATE TABLE ledger (xid bigint PRIMARY KEY, changes int NOT NULL, hash bigint NOT NULL);`;

const WRITERS = 4;
/** Rows of one writer that may still be changed; one that falls out of them stays as it is. So the load remembers little, however long it runs. */
const RECENT = 400;
const GRAVES = 100;
const FILLER = Array.from({ length: 600 }, () => Math.random().toString(36).slice(2)).join('');
/** Plans for single rows by the key, whatever the statistics of a table that has just begun to grow. */
const SETTINGS = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`;

interface Row {
  readonly id: number;
  readonly v: number;
  readonly note: string;
}

/** Of one change: a sum of these over a transaction does not depend on their order. */
export function changeHash(op: string, { id, v, note }: Row): number {
  let hash = op.charCodeAt(0);
  for (const part of [id, v]) hash = Math.imul(hash ^ part, 0x85ebca6b) ^ (hash >>> 15);
  return mixed(hash ^ textHash(note));
}

export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

function mixed(value: number): number {
  const once = Math.imul(value ^ (value >>> 16), 0xc2b2ae35);
  return (once ^ (once >>> 13)) >>> 0;
}

export class SoakLoad {
  rows = 0;
  transactions = 0;
  /** How far the slowest writer was ever behind the clock. */
  latestMs = 0;
  readonly #rate: number;
  readonly #ended: Promise<void>;
  readonly #startMs = performance.now();
  #running = true;
  #failure: Error | null = null;

  constructor(url: string, rowsPerSecond: number) {
    this.#rate = rowsPerSecond / WRITERS;
    const writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(url, writer));
    this.#ended = Promise.all(writers).then(
      () => undefined,
      (error: Error) => {
        this.#failure = error;
        this.#running = false;
      },
    );
  }

  /** Ends it where it stands. @throws what ended a writer before */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#ended;
    this.check();
  }

  check(): void {
    if (this.#failure !== null) throw new Error(`the load has ended: ${this.#failure.message}`, { cause: this.#failure });
  }

  async #write(url: string, writer: number): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.query(SETTINGS);
      const rows = new WriterRows(writer);
      for (let written = 0; this.#running; ) {
        // By the clock and not by pauses: what one transaction took too long, the next ones make up for.
        const waitMs = this.#startMs + (written / this.#rate) * 1000 - performance.now();
        if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, 1000)));
        if (waitMs > 1000) continue;
        this.latestMs = Math.max(this.latestMs, -waitMs);
        if (Math.random() < 0.02) await client.query(`BEGIN; INSERT INTO item VALUES (${-1 - writer}, 1, 'rolled back'); ROLLBACK`);
        written += await this.#transaction(client, rows);
      }
    } finally {
      await client.end();
    }
  }

  async #transaction(client: pg.Client, rows: WriterRows): Promise<number> {
    let changes = 0;
    let hash = 0;
    await client.query('BEGIN');
    for (const { op, sql, changed, values } of rows.statements(50 + Math.floor(Math.random() * 51))) {
      const { rowCount } = await client.query(sql, values);
      if (rowCount !== changed.length) throw new Error(`${sql} changed ${rowCount} rows and not ${changed.length}`);
      changes += changed.length;
      for (const row of changed) hash = (hash + changeHash(op, row)) >>> 0;
    }
    await client.query('INSERT INTO ledger VALUES (pg_current_xact_id()::text::bigint, $1, $2)', [changes, hash]);
    await client.query('COMMIT');
    this.rows += changes;
    this.transactions++;
    return changes;
  }
}

interface Statement {
  readonly op: 'c' | 'u' | 'd';
  readonly sql: string;
  readonly values: unknown[];
  /** For a delete with the version that it makes and the text that it removes. */
  readonly changed: readonly Row[];
}

const SQL = {
  c: 'INSERT INTO item SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[])',
  u: 'UPDATE item SET v = n.v, note = n.note FROM unnest($1::bigint[], $2::int[], $3::text[]) AS n(id, v, note) WHERE item.id = n.id AND item.v = n.v - 1',
  d: 'DELETE FROM item WHERE id = ANY($1::bigint[])',
};

/** The rows of one writer; no other one touches them. */
class WriterRows {
  readonly #writer: number;
  readonly #live: Row[] = [];
  readonly #graves: Row[] = [];
  #keys = 0;

  constructor(writer: number) {
    this.#writer = writer;
  }

  /** About 40 % inserts, 35 % updates and 25 % deletes; a row may be made, changed twice and removed in one transaction. */
  *statements(size: number): Generator<Statement> {
    const inserts = Math.round(size * 0.4);
    const deletes = Math.round(size * 0.25);
    yield statement('c', this.#insert(inserts));
    const again = Math.round(size * 0.07);
    yield statement('u', this.#update(size - inserts - deletes - again));
    yield statement('u', this.#update(again));
    yield statement('d', this.#delete(deletes));
  }

  #insert(count: number): Row[] {
    const rows: Row[] = [];
    for (let index = 0; index < count; index++) {
      // Now and then a key comes back.
      const grave = Math.random() < 0.05 ? this.#graves.pop() : undefined;
      const row =
        grave === undefined ? { id: this.#keys++ * WRITERS + this.#writer, v: 1, note: note() } : { ...grave, v: grave.v + 1, note: note() };
      rows.push(row);
    }
    for (const row of rows) {
      if (this.#live.length < RECENT) this.#live.push(row);
      else this.#live[Math.floor(Math.random() * RECENT)] = row;
    }
    return rows;
  }

  #update(count: number): Row[] {
    const picked = this.#pick(count);
    for (let at = 0; at < picked; at++) {
      const row = this.#live[at] as Row;
      this.#live[at] = { id: row.id, v: row.v + 1, note: note() };
    }
    return this.#live.slice(0, picked);
  }

  #delete(count: number): Row[] {
    const gone = this.#live.splice(0, this.#pick(count)).map((row) => ({ ...row, v: row.v + 1 }));
    this.#graves.push(...gone);
    this.#graves.splice(0, this.#graves.length - GRAVES);
    return gone;
  }

  /** Brings so many random rows to the front. */
  #pick(count: number): number {
    const live = this.#live;
    const picked = Math.min(count, live.length);
    for (let at = 0; at < picked; at++) {
      const other = at + Math.floor(Math.random() * (live.length - at));
      [live[at], live[other]] = [live[other] as Row, live[at] as Row];
    }
    return picked;
  }
}

function statement(op: 'c' | 'u' | 'd', changed: Row[]): Statement {
  const ids = changed.map(({ id }) => id);
  return { op, sql: SQL[op], changed, values: op === 'd' ? [ids] : [ids, changed.map(({ v }) => v), changed.map((row) => row.note)] };
}

function note(): string {
  const length = 40 + Math.floor(Math.random() * 80);
  const at = Math.floor(Math.random() * (FILLER.length - length));
  return FILLER.slice(at, at + length);
}
