/** Random schema changes on a live MySQL or MariaDB. */
import type { MysqlServer } from '../servers/index.ts';
import type { Random, Storm } from './ddl-database.ts';
import { COLUMNS, connectStorm, putRow, type StormClient } from './ddl-mysql-client.ts';
import { type MysqlColumn, readDefinition } from './ddl-mysql-values.ts';

const TYPES = [
  'tinyint',
  'smallint unsigned',
  'mediumint',
  'int',
  'int unsigned',
  'bigint',
  'bigint unsigned',
  'decimal(12,2)',
  'float',
  'double',
  'bit(12)',
  'year',
  'date',
  'time(3)',
  'datetime(6)',
  'timestamp(3) NULL',
  'char(12)',
  'varchar(40)',
  'varchar(300) CHARACTER SET latin1',
  'text',
  'binary(5)',
  'varbinary(20)',
  'blob',
  'json',
  "enum('mood-0','mood-1')",
  "set('a','b','c')",
];
const DEFAULTS: Readonly<Record<string, string>> = {
  int: '5',
  bigint: '6',
  'decimal(10,2)': '1.50',
  'varchar(30)': "'given'",
  'datetime(6)': 'CURRENT_TIMESTAMP(6)',
  "enum('x','y')": "'y'",
};
/** Whatever stands in the column can be read as the other type, mostly: else the server refuses it. */
const CASTS: Readonly<Record<string, readonly string[]>> = {
  tinyint: ['smallint', 'int', 'varchar(30)'],
  smallint: ['int', 'bigint', 'decimal(20,3)'],
  mediumint: ['int', 'bigint'],
  int: ['bigint', 'decimal(20,3)', 'varchar(30)', 'double'],
  bigint: ['decimal(30,1)', 'varchar(40)'],
  decimal: ['decimal(20,4)', 'varchar(40)', 'double'],
  float: ['double'],
  double: ['varchar(60)'],
  date: ['datetime', 'datetime(3)', 'varchar(30)'],
  datetime: ['datetime(6)', 'datetime(2)', 'varchar(40)', 'date'],
  timestamp: ['datetime(6)', 'timestamp(6) NULL'],
  time: ['time(6)', 'varchar(40)'],
  char: ['varchar(60)', 'char(20)', 'text'],
  varchar: ['varchar(200)', 'varchar(301)', 'text', 'varchar(310) CHARACTER SET latin1', 'varchar(60) CHARACTER SET utf16'],
  text: ['mediumtext', 'varchar(400)'],
  varbinary: ['varbinary(300)', 'blob'],
  blob: ['mediumblob'],
  enum: ["enum('x','y','mood-0','mood-1','mood-2')", "enum('mood-2','mood-1','mood-0','y','x')", 'varchar(20)'],
  set: ["set('z','a','b','c')", 'varchar(20)'],
};

/** So often in a row nothing is refused by chance. */
const MANY = 500;

interface StormOptions {
  readonly server: MysqlServer;
  readonly database: string;
  readonly altered: readonly string[];
  readonly replaced: readonly string[];
  readonly random: Random;
}

export class MysqlDdlStorm implements Storm {
  readonly #options: StormOptions;
  readonly #random: Random;
  #client: StormClient | null = null;
  #named = 0;
  /** By kind. */
  readonly made: Record<string, number> = {};
  refused = 0;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#random = options.random;
  }

  close(): Promise<void> {
    this.#client?.close();
    return Promise.resolve();
  }

  async change(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const [kind, make] = this.#pick(Object.entries(this.#kinds));
      try {
        this.#client ??= await connectStorm(this.#options.server, this.#options.database);
        const sql = await make(this.#client);
        if (sql === null) continue;
        if (sql !== '') await this.#client.query(sql);
        this.made[kind] = (this.made[kind] ?? 0) + 1;
        return;
      } catch (error) {
        if (tries > MANY) throw error;
        this.refused++;
        // Also where the connection was lost.
        this.#client?.close();
        this.#client = null;
      }
    }
  }

  /** What is done; null: nothing can be; empty: it was. */
  readonly #kinds: Readonly<Record<string, (client: StormClient) => Promise<string | null>>> = {
    add: async () => `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} ${this.#pick(TYPES)}${this.#place()}`,
    addWithDefault: async () => {
      const type = this.#pick(Object.keys(DEFAULTS));
      return `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} ${type} ${this.#random() < 0.5 ? 'NOT NULL' : ''} DEFAULT ${DEFAULTS[type]}`;
    },
    addInvisible: async () =>
      `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} int ${this.#isMysql ? 'DEFAULT 3 INVISIBLE' : 'INVISIBLE DEFAULT 3'}`,
    // MariaDB from 11 on leaves generated columns out of updates: such tables are refused.
    addComputed: async () =>
      this.#isMysql
        ? `ALTER TABLE ${this.#table()} ADD ${this.#fresh()} int GENERATED ALWAYS AS (kind + 1) ${this.#pick(['VIRTUAL', 'STORED'])}`
        : null,
    drop: (client) => this.#onColumn(client, (table, { name }) => `ALTER TABLE ${table} DROP ${name}`),
    rename: (client) => this.#onColumn(client, (table, { name }) => `ALTER TABLE ${table} RENAME COLUMN ${name} TO ${this.#fresh()}`),
    renameAndType: (client) =>
      this.#onColumn(client, (table, column) => {
        const type = this.#castOf(column);
        return type === null ? null : `ALTER TABLE ${table} CHANGE ${column.name} ${this.#fresh()} ${type}`;
      }),
    swapNames: (client) =>
      this.#onColumns(
        client,
        (table, one, other) => `ALTER TABLE ${table} RENAME COLUMN ${one.name} TO ${other.name}, RENAME COLUMN ${other.name} TO ${one.name}`,
      ),
    nameOfDropped: (client) =>
      this.#onColumns(
        client,
        (table, one, other) => `ALTER TABLE ${table} DROP ${one.name}; ALTER TABLE ${table} RENAME COLUMN ${other.name} TO ${one.name}`,
      ),
    sameNameAnew: (client) => this.#onColumn(client, (table, { name }) => `ALTER TABLE ${table} DROP ${name}, ADD ${name} ${this.#pick(TYPES)}`),
    reorder: (client) =>
      this.#onColumns(client, (table, one, other) => {
        const place = this.#random() < 0.4 ? 'FIRST' : `AFTER ${other.name}`;
        return one.isGenerated ? null : `ALTER TABLE ${table} MODIFY ${one.name} ${one.definition} ${place}`;
      }),
    reorderKey: async (client) => {
      const table = this.#table();
      const [other] = await this.#columns(client, table);
      return `ALTER TABLE ${table} MODIFY id int NOT NULL ${other === undefined ? 'FIRST' : `AFTER ${other.name}`}`;
    },
    type: (client) =>
      this.#onColumn(client, (table, column) => {
        const type = this.#castOf(column);
        return type === null ? null : `ALTER TABLE ${table} MODIFY ${column.name} ${type}`;
      }),
    charset: async () => `ALTER TABLE ${this.#table()} CONVERT TO CHARACTER SET ${this.#pick(['utf8mb4', 'utf8mb4 COLLATE utf8mb4_bin'])}`,
    setDefault: (client) =>
      this.#onColumn(client, (table, { name, type }) => (type.startsWith('varchar') ? `ALTER TABLE ${table} ALTER ${name} SET DEFAULT 'set'` : null)),
    key: async () => `ALTER TABLE ${this.#table()} DROP PRIMARY KEY, ADD PRIMARY KEY (${this.#pick(['id', 'id, kind', 'kind, id'])})`,
    index: (client) => this.#onColumn(client, (table, { name }) => `ALTER TABLE ${table} ADD INDEX ${this.#fresh()} (${name})`),
    force: async () => `ALTER TABLE ${this.#table()} FORCE`,
    comment: async () => `ALTER TABLE ${this.#table()} COMMENT 'ADD x int, DROP y; -- ${++this.#named}'`,
    partition: async () =>
      `ALTER TABLE parted ${this.#pick(['PARTITION BY HASH (id) PARTITIONS 2', 'PARTITION BY KEY (id) PARTITIONS 3', 'ADD PARTITION PARTITIONS 1', 'COALESCE PARTITION 1', 'REMOVE PARTITIONING'])}`,
    truncate: async () => `TRUNCATE TABLE ${this.#table()}`,
    betweenRows: async (client) => {
      const table = this.#table();
      const id = 1_000_000 + ++this.#named * 3;
      const column = this.#fresh();
      await this.#put(client, table, id);
      await client.query(`ALTER TABLE ${table} ADD ${column} varchar(20) DEFAULT 'within' FIRST`);
      await this.#put(client, table, id + 1);
      await client.query(`ALTER TABLE ${table} RENAME COLUMN ${column} TO ${this.#fresh()}`);
      await this.#put(client, table, id);
      return '';
    },
    awayAndBack: async () => {
      const table = this.#table();
      return `RENAME TABLE ${table} TO away; ALTER TABLE away ADD ${this.#fresh()} int; RENAME TABLE away TO ${table}`;
    },
    swapTable: async () => {
      const table = this.#pick(this.#options.replaced);
      return `CREATE TABLE ${table}_new LIKE ${table}; ALTER TABLE ${table}_new ADD ${this.#fresh()} ${this.#pick(TYPES)} FIRST;
        RENAME TABLE ${table} TO ${table}_old, ${table}_new TO ${table}; DROP TABLE ${table}_old`;
    },
    swapTwoTables: async () => {
      const [one, other] = this.#options.replaced;
      return `RENAME TABLE ${one} TO away, ${other} TO ${one}, away TO ${other}`;
    },
    madeAnew: async () => {
      const table = this.#pick(this.#options.replaced);
      return `DROP TABLE ${table}; CREATE TABLE ${table} ${COLUMNS}; ALTER TABLE ${table} ADD ${this.#fresh()} ${this.#pick(TYPES)}`;
    },
  };

  get #isMysql(): boolean {
    return this.#options.server.system === 'mysql';
  }

  async #put(client: StormClient, table: string, id: number): Promise<void> {
    await client.query('BEGIN');
    await putRow(client, table, id);
    await client.query('COMMIT');
  }

  #table(): string {
    return this.#pick([...this.#options.altered, ...this.#options.replaced]);
  }

  #fresh(): string {
    return `c${++this.#named}`;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #place(): string {
    return this.#pick(['', '', ' FIRST', ' AFTER id']);
  }

  #castOf({ type, isGenerated }: MysqlColumn): string | null {
    const to = CASTS[type.replace(/[( ].*/, '')];
    return to === undefined || isGenerated ? null : this.#pick(to);
  }

  /** Those that may come and go. */
  async #columns(client: StormClient, table: string): Promise<MysqlColumn[]> {
    const [shown] = await client.query(`SHOW CREATE TABLE ${table}`);
    const { columns } = readDefinition(Object.values(shown ?? {})[1] ?? '');
    return columns.filter(({ name }) => !['id', 'kind', 'stamp'].includes(name));
  }

  async #onColumn(client: StormClient, use: (table: string, column: MysqlColumn) => string | null): Promise<string | null> {
    const table = this.#table();
    const columns = await this.#columns(client, table);
    return columns.length === 0 ? null : use(table, this.#pick(columns));
  }

  async #onColumns(client: StormClient, use: (table: string, one: MysqlColumn, other: MysqlColumn) => string | null): Promise<string | null> {
    const table = this.#table();
    const columns = await this.#columns(client, table);
    const one = this.#pick(columns);
    const other = this.#pick(columns);
    return columns.length < 2 || one === other ? null : use(table, one, other);
  }
}
