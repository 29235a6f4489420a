/** Loads for MySQL and MariaDB: pgbench's standard transaction, and sysbench's oltp_read_write. */
import { differencesOfKeyless, differencesOfRows } from './compare-rows.ts';
import { historyText } from './compare-tpcb.ts';
import type { StreamLedger } from './stream-ledger.ts';
import { TPCB_KEYS, TPCB_TABLES } from './tpcb.ts';

export type Query = <T = Record<string, unknown>>(sql: string) => Promise<T[]>;

export interface MysqlLoad {
  readonly tables: readonly string[];
  readonly create: string;
  /** Statements that fill the tables, one transaction each. */
  fill(): Iterable<string>;
  /** One transaction, several statements in one text. */
  transaction(): string;
  differences(query: Query, ledger: StreamLedger): Promise<readonly string[]>;
}

const ROWS_AT_ONCE = 10_000;
/** 1 to `below`. */
const pick = (below: number): number => 1 + Math.floor(Math.random() * below);

function* inserts(into: string, count: number, row: (number: number) => string): Generator<string> {
  for (let from = 1; from <= count; from += ROWS_AT_ONCE) {
    const rows = Array.from({ length: Math.min(ROWS_AT_ONCE, count - from + 1) }, (_, index) => row(from + index));
    yield `INSERT INTO ${into} VALUES ${rows.join(', ')}`;
  }
}

/** @param accounts of each branch */
export function tpcbLoad(scale: number, accounts: number): MysqlLoad {
  return {
    tables: TPCB_TABLES,
    create: `
      CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime datetime(6), filler char(22));
      CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84));
      CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84));
      CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88));`,
    *fill() {
      yield* inserts('pgbench_branches (bid, bbalance)', scale, (bid) => `(${bid}, 0)`);
      yield* inserts('pgbench_tellers (tid, bid, tbalance)', scale * 10, (tid) => `(${tid}, ${Math.ceil(tid / 10)}, 0)`);
      yield* inserts('pgbench_accounts', scale * accounts, (aid) => `(${aid}, ${Math.ceil(aid / accounts)}, 0, '')`);
    },
    transaction: () => {
      const [aid, tid, bid, delta] = [pick(scale * accounts), pick(scale * 10), pick(scale), pick(10_000) - 5000];
      return `BEGIN;
        UPDATE pgbench_accounts SET abalance = abalance + ${delta} WHERE aid = ${aid};
        SELECT abalance FROM pgbench_accounts WHERE aid = ${aid};
        UPDATE pgbench_tellers SET tbalance = tbalance + ${delta} WHERE tid = ${tid};
        UPDATE pgbench_branches SET bbalance = bbalance + ${delta} WHERE bid = ${bid};
        INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (${tid}, ${bid}, ${aid}, ${delta}, CURRENT_TIMESTAMP(6));
        COMMIT`;
    },
    differences: async (query, ledger) => {
      const differences: string[] = [];
      for (const [table, key] of Object.entries(TPCB_KEYS)) {
        differences.push(...differencesOfRows(table, key, await query(`SELECT * FROM ${table}`), ledger));
      }
      const history = await query<{ row: string; n: string }>(
        `SELECT CONCAT('[', CONCAT_WS(',', tid, bid, aid, delta, CAST(UNIX_TIMESTAMP(mtime) * 1000000 AS SIGNED)), ']') AS \`row\`, COUNT(*) AS n
         FROM pgbench_history GROUP BY tid, bid, aid, delta, mtime`,
      );
      return [...differences, ...differencesOfKeyless('pgbench_history', history, ledger, historyText)];
    },
  };
}

const SBTESTS = ['sbtest1', 'sbtest2', 'sbtest3'] as const;
/** Of all transactions. */
const TRUNCATES = 1 / 300;
const digits = (count: number): string => Array.from({ length: count }, () => Math.floor(Math.random() * 10)).join('');
const groups = (count: number): string => Array.from({ length: count }, () => digits(11)).join('-');

/**
 * As sysbench's oltp_read_write.lua does it: ten reads by key and four of ranges, an indexed column changed, another one, and a row deleted and inserted again under its key; and
 * beyond it a row that moves to another key, one transaction in twenty that is rolled back, and now and then a TRUNCATE of the last table.
 */
export function oltpLoad(rows: number): MysqlLoad {
  /** Some rows are hot, as with sysbench's "special" distribution. */
  const id = (): number => (Math.random() < 0.5 ? pick(Math.ceil(rows / 100)) : pick(rows));
  const write = (table: string): string[] => {
    const [one, other, gone, moved] = [id(), id(), id(), id()];
    return [
      `UPDATE ${table} SET k = k + 1 WHERE id = ${one}`,
      `UPDATE ${table} SET c = '${groups(10)}' WHERE id = ${other}`,
      `DELETE FROM ${table} WHERE id = ${gone}`,
      `INSERT INTO ${table} (id, k, c, pad) VALUES (${gone}, ${pick(rows)}, '${groups(10)}', '${groups(5)}')`,
      `UPDATE IGNORE ${table} SET id = IF(id > ${rows}, id - ${rows}, id + ${rows}) WHERE id IN (${moved}, ${moved + rows})`,
    ];
  };
  const read = (table: string): string[] => {
    const range = (): string => {
      const from = id();
      return `id BETWEEN ${from} AND ${from + 99}`;
    };
    return [
      ...Array.from({ length: 10 }, () => `SELECT c FROM ${table} WHERE id = ${id()}`),
      `SELECT c FROM ${table} WHERE ${range()}`,
      `SELECT SUM(k) FROM ${table} WHERE ${range()}`,
      `SELECT c FROM ${table} WHERE ${range()} ORDER BY c`,
      `SELECT DISTINCT c FROM ${table} WHERE ${range()} ORDER BY c`,
    ];
  };
  return {
    tables: SBTESTS,
    create: SBTESTS.map(
      (table) =>
        `CREATE TABLE ${table} (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, k int NOT NULL DEFAULT 0, c char(120) NOT NULL DEFAULT '', pad char(60) NOT NULL DEFAULT '', KEY (k))`,
    ).join(';'),
    *fill() {
      for (const table of SBTESTS)
        yield* inserts(`${table} (id, k, c, pad)`, rows, (number) => `(${number}, ${pick(rows)}, '${groups(10)}', '${groups(5)}')`);
    },
    transaction: () => {
      if (Math.random() < TRUNCATES) return `TRUNCATE TABLE ${SBTESTS.at(-1)}`;
      const table = SBTESTS[Math.floor(Math.random() * SBTESTS.length)] as string;
      return ['BEGIN', ...read(table), ...write(table), Math.random() < 0.05 ? 'ROLLBACK' : 'COMMIT'].join(';\n');
    },
    differences: async (query, ledger) => {
      const differences: string[] = [];
      for (const table of SBTESTS) differences.push(...differencesOfRows(table, 'id', await query(`SELECT * FROM ${table}`), ledger));
      return differences;
    },
  };
}
