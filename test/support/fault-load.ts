/** A load whose every change is written down in the same transaction: what was committed is known without asking Sluice. */
import type { LoadClient } from './fault-source.ts';

export const FAULT_TABLES = `
  CREATE TABLE item (id bigint PRIMARY KEY, version bigint NOT NULL, note text NOT NULL);
  ALTER TABLE item REPLICA IDENTITY FULL;
  CREATE TABLE entry (writer int NOT NULL, n bigint NOT NULL);
  CREATE TABLE ledger (id bigint NOT NULL, version bigint NOT NULL, op text NOT NULL, PRIMARY KEY (id, version));
  CREATE TABLE entry_ledger (writer int NOT NULL, n bigint NOT NULL, PRIMARY KEY (writer, n));`;

const ITEMS_PER_WRITER = 60;
const RETRY_MS = 100;

/** Several connections that change rows of their own, roll some changes back, and go on after every loss of the server. */
export class FaultLoad {
  transactions = 0;
  readonly #connect: () => Promise<LoadClient>;
  readonly #pauseMs: number;
  readonly #bytes: number;
  readonly #writers: Promise<void>[];
  #running = true;

  /** `pauseMs`: between two transactions of a writer; `bytes`: of each item's note. */
  constructor(connect: () => Promise<LoadClient>, { writers = 3, pauseMs = 4, bytes = 20 } = {}) {
    this.#connect = connect;
    this.#pauseMs = pauseMs;
    this.#bytes = bytes;
    this.#writers = Array.from({ length: writers }, (_, writer) => this.#write(writer));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#writers);
  }

  async #write(writer: number): Promise<void> {
    while (this.#running) {
      let client: LoadClient | null = null;
      try {
        client = await this.#connect();
        await this.#transactions(client, writer);
      } catch {
        // The server is gone; whether the last transaction was committed is read from the tables, not remembered.
        await sleep(RETRY_MS);
      } finally {
        await client?.end().catch(() => undefined);
      }
    }
  }

  async #transactions(client: LoadClient, writer: number): Promise<void> {
    const state = await readState(client, writer);
    while (this.#running) {
      const statements = this.#statements(writer, state);
      await client.query(statements.join(';'));
      this.transactions++;
      await sleep(this.#pauseMs);
    }
  }

  /** One transaction as one string: it arrives at the server whole or not at all. */
  #statements(writer: number, state: WriterState): string[] {
    const statements = ['BEGIN'];
    const changes = 1 + Math.floor(Math.random() * 8);
    for (let change = 0; change < changes; change++) statements.push(...this.#change(writer, state));
    if (Math.random() < 0.15) statements.push('SAVEPOINT s', `INSERT INTO item VALUES (${-1 - writer}, -1, 'phantom')`, 'ROLLBACK TO SAVEPOINT s');
    statements.push('COMMIT');
    if (Math.random() < 0.1) statements.push('BEGIN', `INSERT INTO item VALUES (${-1 - writer}, -1, 'phantom')`, 'ROLLBACK');
    return statements;
  }

  #change(writer: number, state: WriterState): string[] {
    if (Math.random() < 0.2) {
      const n = ++state.entries;
      return [`INSERT INTO entry VALUES (${writer}, ${n})`, `INSERT INTO entry_ledger VALUES (${writer}, ${n})`];
    }
    const id = writer * 1000 + Math.floor(Math.random() * ITEMS_PER_WRITER);
    const version = (state.versions.get(id) ?? 0) + 1;
    const exists = state.exists.has(id);
    const note = `'${'x'.repeat(this.#bytes)}'`;
    state.versions.set(id, version);
    if (!exists) {
      state.exists.add(id);
      return [`INSERT INTO item VALUES (${id}, ${version}, ${note})`, ledger(id, version, 'c')];
    }
    if (Math.random() < 0.1) {
      state.exists.delete(id);
      // The version stands in the old image (REPLICA IDENTITY FULL): the row gets it first.
      state.versions.set(id, version + 1);
      return [
        `UPDATE item SET version = ${version} WHERE id = ${id}`,
        ledger(id, version, 'u'),
        `DELETE FROM item WHERE id = ${id}`,
        ledger(id, version + 1, 'd'),
      ];
    }
    return [`UPDATE item SET version = ${version}, note = ${note} WHERE id = ${id}`, ledger(id, version, 'u')];
  }
}

interface WriterState {
  readonly versions: Map<number, number>;
  readonly exists: Set<number>;
  entries: number;
}

async function readState(client: LoadClient, writer: number): Promise<WriterState> {
  const range = `id BETWEEN ${writer * 1000} AND ${writer * 1000 + 999}`;
  const versions = await client.query<{ id: string; version: string }>(`SELECT id, max(version) AS version FROM ledger WHERE ${range} GROUP BY id`);
  const items = await client.query<{ id: string }>(`SELECT id FROM item WHERE ${range}`);
  const [entries] = await client.query<{ n: string }>(`SELECT coalesce(max(n), 0) AS n FROM entry_ledger WHERE writer = ${writer}`);
  return {
    versions: new Map(versions.map(({ id, version }) => [Number(id), Number(version)])),
    exists: new Set(items.map(({ id }) => Number(id))),
    entries: Number(entries?.n),
  };
}

function ledger(id: number, version: number, op: string): string {
  return `INSERT INTO ledger VALUES (${id}, ${version}, '${op}')`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** For tests that start the daemon many times: enough for every step to meet a change, little enough for two cores. */
export const LIGHT = { writers: 2, pauseMs: 15 };
