/** What the publications let through of each table, as one view of the database shows it: the same for its rows as for its changes. */
import type pg from 'pg';

export interface Published {
  /** Null: every column that is not generated. */
  readonly columns: ReadonlySet<string> | null;
  /** SQL of the row filter; null: none. */
  readonly filter: string | null;
}

interface Row {
  schema: string;
  name: string;
  columns: string[] | null;
  filter: string | null;
}

export class PublishedTables {
  readonly #publications: readonly string[];
  readonly #version: number;
  #isAsked = false;
  #all: ReadonlyMap<string, readonly Row[]> | null = null;

  constructor(publications: readonly string[], version: number) {
    this.#publications = publications;
    this.#version = version;
  }

  /**
   * Null: the table stands in none. Most views are of one table; of a view of many all are read with the second one, because the server looks through all tables of
   * a publication for each question. `client`: the view's own connection, always the same one.
   */
  async of(client: pg.Client, { schema, name }: { readonly schema: string; readonly name: string }): Promise<Published | null> {
    if (!this.#isAsked) {
      this.#isAsked = true;
      return merge(await this.#read(client, ' AND schemaname = $2 AND tablename = $3', [schema, name]));
    }
    this.#all ??= byTable(await this.#read(client, '', []));
    return merge(this.#all.get(keyOf({ schema, name })) ?? []);
  }

  async #read(client: pg.Client, condition: string, values: readonly string[]): Promise<readonly Row[]> {
    // Column lists and row filters came with 15.
    const extra = this.#version >= 150000 ? 'attnames::text[] AS columns, rowfilter AS filter' : 'NULL::text[] AS columns, NULL::text AS filter';
    const { rows } = await client.query<Row>(
      `SELECT schemaname AS schema, tablename AS name, ${extra} FROM pg_publication_tables WHERE pubname = ANY($1::text[])${condition}`,
      [this.#publications, ...values],
    );
    return rows;
  }
}

function keyOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}

function byTable(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const tables = new Map<string, Row[]>();
  for (const row of rows) {
    const others = tables.get(keyOf(row));
    if (others === undefined) tables.set(keyOf(row), [row]);
    else others.push(row);
  }
  return tables;
}

function merge(rows: readonly Row[]): Published | null {
  if (rows.length === 0) return null;
  const named = rows.flatMap(({ columns }) => columns ?? []);
  const filters = rows.map(({ filter }) => filter);
  return {
    columns: named.length === 0 ? null : new Set(named),
    filter: filters.includes(null) ? null : filters.map((filter) => `(${filter})`).join(' OR '),
  };
}
