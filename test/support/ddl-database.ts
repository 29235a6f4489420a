/** What a storm of schema changes needs of a database: clients that change it, and a ledger of what they wrote. */

/** From 0 to 1. */
export type Random = () => number;

/** One write, as the database had it in the same transaction. */
export interface Written {
  readonly tab: string;
  readonly id: number;
  readonly row: Readonly<Record<string, string | null>>;
  /** Of the columns. */
  readonly types: Readonly<Record<string, string>>;
  /** Columns of the primary key, where `types` is in the order of the columns and both are to be compared; null: not. */
  readonly key: readonly string[] | null;
  /** Its transaction, and when it was written. */
  readonly xid: string;
  readonly at: string;
  arrived: number;
}

/** Makes one change after the other; those that the server refuses are not counted. */
export interface Storm {
  readonly made: Readonly<Record<string, number>>;
  readonly refused: number;
  change(): Promise<void>;
  close(): Promise<void>;
}

export interface StormDatabase {
  /** For the connector's file. */
  readonly source: Readonly<Record<string, unknown>>;
  /** What stands before the names of tables. */
  readonly schema: string;
  readonly tables: readonly string[];
  /** Those of them that are made anew: of their rows some are gone without a delete. */
  readonly replaced: readonly string[];
  storm(random: Random): Promise<Storm>;
  load(clients: number, rows: number): { readonly transactions: number; stop(): Promise<void> };
  /** Writes one more row. */
  put(table: string): Promise<unknown>;
  lastStamp(): Promise<number>;
  /** By stamp. */
  ledger(): Promise<Map<string, Written>>;
  rows(table: string): Promise<readonly { readonly id: number; readonly stamp: string }[]>;
  /** kill -9 and a new start. */
  restart(): Promise<void>;
}
