/** Random schema changes on a live database, and clients that write what a ledger of the server's own describes, column by column. */
import pg from 'pg';
import type { Random, Storm } from './ddl-database.ts';

/** Tables that are only ever altered: nothing of them may be missing. */
export const ALTERED_TABLES: readonly string[] = ['t0', 't1', 't2', 'parted'];
/** Tables that are made anew or swapped under their name, too: their rows are copied then. */
export const REPLACED_TABLES: readonly string[] = ['r0', 'r1'];
const ALL_TABLES = [...ALTERED_TABLES, ...REPLACED_TABLES];

/**
 * The ledger is written by triggers, in the transaction of the row: what the row was, as the server prints it, and the types of its columns then. Each write has a stamp
 * of its own. `storm.put` writes whatever columns the table has.
 */
export const STORM_SQL = `
  CREATE SCHEMA storm;
  CREATE SEQUENCE storm.stamps;
  CREATE TYPE public.mood AS ENUM ('mood-0');
  CREATE TABLE storm.ledger (n bigserial PRIMARY KEY, tab text NOT NULL, id int NOT NULL, stamp bigint NOT NULL, row jsonb NOT NULL, types jsonb NOT NULL, xid bigint NOT NULL DEFAULT txid_current(), at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE INDEX ON storm.ledger (stamp);
  CREATE FUNCTION storm.texts(v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
    $$ SELECT jsonb_object_agg(key, CASE WHEN jsonb_typeof(value) IN ('object', 'array') THEN to_jsonb(value::text) WHEN jsonb_typeof(value) = 'null' THEN value ELSE to_jsonb(value #>> '{}') END) FROM jsonb_each(v) $$;
  CREATE FUNCTION storm.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO storm.ledger (tab, id, stamp, row, types) SELECT TG_ARGV[0], NEW.id, NEW.stamp, storm.texts(to_jsonb(NEW)),
      (SELECT jsonb_object_agg(attname, format_type(atttypid, atttypmod)) FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped);
    RETURN NULL;
  END $$;
  CREATE FUNCTION storm.value(col name, typ text, required boolean) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT CASE
    WHEN NOT required AND random() < 0.1 THEN 'NULL'
    WHEN typ ~ '^(smallint|integer|bigint|numeric)' THEN (random() * 9999)::int::text
    WHEN typ ~ '^(text|character varying)' THEN quote_literal(left(col || '-' || (random() * 999)::int, 12))
    WHEN typ = 'boolean' THEN (random() < 0.5)::text
    WHEN typ = 'date' THEN quote_literal('2026-01-01'::date + (random() * 300)::int)
    WHEN typ ~ '^timestamp' THEN quote_literal('2026-01-01 00:00:00.123456+00'::timestamptz + random() * interval '300 days')
    WHEN typ = 'jsonb' THEN quote_literal(jsonb_build_object(col, (random() * 99)::int)::text)
    WHEN typ ~ 'mood$' THEN quote_literal((SELECT l[1 + floor(random() * array_length(l, 1))::int] FROM (SELECT enum_range(NULL::public.mood)::text[] AS l) s))
    ELSE 'NULL' END $$;
  CREATE FUNCTION storm.put(tab text, k int) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE names text; vals text; next bigint := nextval('storm.stamps');
  BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg(v, ', ' ORDER BY attnum) INTO names, vals
      FROM (SELECT attname, attnum, storm.value(attname, format_type(atttypid, atttypmod), attnotnull) AS v FROM pg_attribute
        WHERE attrelid = ('public.' || tab)::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'kind', 'stamp')) s;
    names := coalesce(', ' || names, ''); vals := coalesce(', ' || vals, '');
    EXECUTE format('UPDATE public.%I SET (stamp, kind%s) = ROW(%s, kind%s) WHERE id = %s AND kind = %s', tab, names, next, vals, k, k % 3);
    IF EXISTS (SELECT FROM storm.ledger WHERE stamp = next) THEN RETURN; END IF;
    EXECUTE format('INSERT INTO public.%I (id, kind, stamp%s) VALUES (%s, %s, %s%s)', tab, names, k, k % 3, next, vals);
  END $$;`;

const triggerSql = (table: string, as = table): string =>
  `CREATE TRIGGER note AFTER INSERT OR UPDATE ON public.${table} FOR EACH ROW EXECUTE FUNCTION storm.note('${as}')`;

export function stormTablesSql(): string {
  const plain = (table: string): string => `CREATE TABLE public.${table} ${COLUMNS}; ${triggerSql(table)};`;
  const parted = `CREATE TABLE public.parted (id int NOT NULL, kind int NOT NULL, stamp bigint NOT NULL, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
    CREATE TABLE public.parted_0 PARTITION OF public.parted FOR VALUES IN (0);
    CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES IN (1);
    CREATE TABLE public.parted_2 PARTITION OF public.parted FOR VALUES IN (2);
    ${triggerSql('parted')};`;
  return ALL_TABLES.map((table) => (table === 'parted' ? parted : plain(table))).join('\n');
}

const COLUMNS = '(id int NOT NULL UNIQUE, kind int NOT NULL, stamp bigint NOT NULL, PRIMARY KEY (id))';
const TYPES = ['int', 'bigint', 'smallint', 'numeric(12,2)', 'numeric', 'text', 'varchar(20)', 'boolean', 'date', 'timestamptz', 'jsonb', 'mood'];
const DEFAULTS: Readonly<Record<string, string>> = { int: '5', bigint: '6', numeric: '1.50', text: "'given'", boolean: 'true', date: "'2026-02-03'" };
/** Whatever stands in the column can be read as the other type. */
const CASTS: Readonly<Record<string, readonly string[]>> = {
  smallint: ['int', 'bigint', 'numeric', 'text'],
  integer: ['bigint', 'numeric(20,3)', 'text', 'varchar(20)'],
  bigint: ['numeric', 'text', 'int'],
  numeric: ['text', 'numeric(20,4)'],
  text: ['varchar(200)'],
  'character varying': ['text', 'varchar(100)'],
  date: ['text', 'timestamptz'],
  boolean: ['text'],
};

/** On PostgreSQL: alters until it has made as many changes as asked; those that the server refuses are not counted. */
export class DdlStorm implements Storm {
  readonly #client: pg.Client;
  readonly #random: Random;
  #named = 0;
  /** By kind. */
  readonly made: Record<string, number> = {};
  refused = 0;

  private constructor(client: pg.Client, random: Random) {
    this.#client = client;
    this.#random = random;
  }

  static async open(url: string, random: Random): Promise<DdlStorm> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    // Behind a writer's lock it gives way rather than to stop all others.
    await client.query('SET lock_timeout = 2000');
    return new DdlStorm(client, random);
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  async change(): Promise<void> {
    for (;;) {
      const [kind, make] = this.#pick(Object.entries(this.#kinds));
      const statements = await make();
      if (statements === null) continue;
      try {
        await this.#client.query(`BEGIN; ${statements}; COMMIT`);
        this.made[kind] = (this.made[kind] ?? 0) + 1;
        return;
      } catch {
        await this.#client.query('ROLLBACK');
        this.refused++;
      }
    }
  }

  readonly #kinds: Readonly<Record<string, () => Promise<string | null>>> = {
    add: async () => `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} ${this.#pick(TYPES)}`,
    addWithDefault: async () => {
      const type = this.#pick(Object.keys(DEFAULTS));
      return `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} ${type} ${this.#random() < 0.5 ? 'NOT NULL' : ''} DEFAULT ${DEFAULTS[type]}`;
    },
    addComputed: async () => `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} int DEFAULT (random() * 100)::int`,
    drop: () => this.#onColumn(async (table, { name }) => `ALTER TABLE ${table} DROP ${name}`),
    rename: () => this.#onColumn(async (table, { name }) => `ALTER TABLE ${table} RENAME ${name} TO ${this.#fresh()}`),
    swapNames: () =>
      this.#onColumn(
        async (table, { name }) => `ALTER TABLE ${table} RENAME ${name} TO ${this.#fresh()}; ALTER TABLE ${table} ADD ${name} ${this.#pick(TYPES)}`,
      ),
    sameNameAnew: () => this.#onColumn(async (table, { name }) => `ALTER TABLE ${table} DROP ${name}, ADD ${name} ${this.#pick(TYPES)}`),
    type: () =>
      this.#onColumn(async (table, { name, type }) => {
        const to = CASTS[type.replace(/\(.*\)/, '')];
        if (to === undefined) return null;
        const target = this.#pick(to);
        return `ALTER TABLE ${table} ALTER ${name} DROP DEFAULT, ALTER ${name} TYPE ${target} USING ${name}::${target}`;
      }),
    setDefault: () =>
      this.#onColumn(async (table, { name, type }) => (type === 'text' ? `ALTER TABLE ${table} ALTER ${name} SET DEFAULT 'set'` : null)),
    nullable: () => this.#onColumn(async (table, { name }) => `ALTER TABLE ${table} ALTER ${name} DROP NOT NULL`),
    key: async () => {
      const table = this.#pick(['t0', 't1', 't2', ...REPLACED_TABLES]);
      const key = this.#pick(['id', 'id, kind', 'kind, id']);
      const { rows } = await this.#client.query<{ name: string }>(
        `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'public.${table}'::regclass AND contype = 'p'`,
      );
      const drop = rows.map(({ name }) => `DROP CONSTRAINT ${name}, `).join('');
      return `ALTER TABLE public.${table} ${drop}ADD PRIMARY KEY (${key})`;
    },
    identity: async () =>
      `ALTER TABLE public.${this.#pick(['t0', 't1', 't2', ...REPLACED_TABLES])} REPLICA IDENTITY ${this.#pick(['FULL', 'DEFAULT'])}`,
    label: async () => `ALTER TYPE public.mood ADD VALUE 'mood-${++this.#named}'`,
    partition: async () => {
      const name = `public.parted_x${++this.#named}`;
      const value = 100 + this.#named;
      return `CREATE TABLE ${name} (LIKE public.parted INCLUDING DEFAULTS); ALTER TABLE public.parted ATTACH PARTITION ${name} FOR VALUES IN (${value});
        ALTER TABLE public.parted DETACH PARTITION ${name}; DROP TABLE ${name}; CREATE TABLE ${name} PARTITION OF public.parted FOR VALUES IN (${value})`;
    },
    betweenRows: async () => {
      const table = this.#table();
      const name = table.replace('public.', '');
      const id = 1_000_000 + ++this.#named * 3;
      const column = this.#fresh();
      return `SELECT storm.put('${name}', ${id}); ALTER TABLE ${table} ADD ${column} text DEFAULT 'within'; SELECT storm.put('${name}', ${id + 1});
        ALTER TABLE ${table} RENAME ${column} TO ${this.#fresh()}; SELECT storm.put('${name}', ${id})`;
    },
    swapTable: async () => {
      const table = this.#pick(REPLACED_TABLES);
      return `LOCK public.${table}; CREATE TABLE public.${table}_new (LIKE public.${table} INCLUDING DEFAULTS); INSERT INTO public.${table}_new SELECT * FROM public.${table};
        DROP TABLE public.${table}; ALTER TABLE public.${table}_new RENAME TO ${table}; ALTER TABLE public.${table} ADD PRIMARY KEY (id); ${triggerSql(table)}`;
    },
    madeAnew: async () => {
      const table = this.#pick(REPLACED_TABLES);
      return `DROP TABLE public.${table}; CREATE TABLE public.${table} ${COLUMNS}; ALTER TABLE public.${table} ADD ${this.#fresh()} ${this.#pick(TYPES)}; ${triggerSql(table)}`;
    },
  };

  #table(): string {
    return `public.${this.#pick(ALL_TABLES)}`;
  }

  #fresh(): string {
    return `c${++this.#named}`;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  /** With a column that may come and go; null: the table has none. */
  async #onColumn(use: (table: string, column: { name: string; type: string }) => Promise<string | null>): Promise<string | null> {
    const table = this.#table();
    const { rows } = await this.#client.query<{ name: string; type: string }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'kind', 'stamp')`,
      [table],
    );
    return rows.length === 0 ? null : use(table, this.#pick(rows));
  }
}

/** Clients that write and delete rows of their own ids until `stop`. A statement that meets a schema change is refused by the server, and forgotten. */
export class StormLoad {
  #stopping = false;
  readonly #clients: Promise<void>[] = [];
  transactions = 0;

  constructor(url: string, clients: number, rows: number) {
    for (let client = 0; client < clients; client++) this.#clients.push(this.#write(url, client, clients, rows));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #write(url: string, client: number, clients: number, rows: number): Promise<void> {
    const connection = new pg.Client({ connectionString: url });
    await connection.connect();
    while (!this.#stopping) {
      const statements = Array.from({ length: 1 + Math.floor(Math.random() * 4) }, () => {
        const table = ALL_TABLES[Math.floor(Math.random() * ALL_TABLES.length)];
        const id = Math.floor(Math.random() * rows) * clients + client;
        return Math.random() < 0.1 ? `DELETE FROM public.${table} WHERE id = ${id}` : `SELECT storm.put('${table}', ${id})`;
      });
      try {
        await connection.query(`BEGIN; ${statements.join('; ')}; ${Math.random() < 0.05 ? 'ROLLBACK' : 'COMMIT'}`);
        this.transactions++;
      } catch {
        await connection.query('ROLLBACK');
      }
    }
    await connection.end();
  }
}
