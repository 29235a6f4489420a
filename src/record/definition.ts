/** Statements that change the definition of tables, as records: what the log has of them, and what the tables are by them. */
import type { ColumnShape, TableShape } from './table.ts';

/** A table's definition, in Debezium's words. */
export interface TableDefinition {
  readonly charset: string | null;
  /** Names of the key's columns, in its order. */
  readonly key: readonly string[];
  readonly columns: readonly ColumnDefinition[];
}

export interface ColumnDefinition {
  readonly name: string;
  /** A number of `java.sql.Types`. */
  readonly jdbcType: number;
  readonly type: string;
  readonly charset: string | null;
  readonly length: number | null;
  readonly scale: number | null;
  readonly optional: boolean;
  readonly autoIncremented: boolean;
  readonly default: string | null;
  /** As they stand in SQL, in quotes; null: it has none. */
  readonly labels: readonly string[] | null;
}

/** What a statement did to one table. */
export interface TableChange {
  readonly kind: 'CREATE' | 'ALTER' | 'DROP';
  readonly database: string;
  readonly name: string;
  /** Null: it is gone. */
  readonly table: TableDefinition | null;
}

/** Cells of a record, in its `after`. */
export const DEFINITION = { text: 0, tables: 1, label: 2, changes: 3, version: 4 } as const;

/**
 * Of a record: the statement; names of the tables that it is about, as a JSON list; the label of the captured table that it waits with where that is stopped, empty =
 * none; its `TableChange`s as JSON; and, where it is no statement but what a row shows that the statements before it did not tell, the version of the row's table.
 */
const DEFINITION_COLUMNS: readonly ColumnShape[] = ['statement', 'tables', 'label', 'changes', 'version'].map((name) => ({
  name,
  type: 'text',
  typeName: 'text',
  scale: null,
  precision: null,
}));

/** The pseudo-table of the statements about a database. */
export function definitionTable(database: string): TableShape {
  return { kind: 'definition', catalog: database, schema: '', name: 'definition', columns: DEFINITION_COLUMNS, key: [] };
}
