import type { LogicalType } from './types.ts';

/** One column of a table as the log had it. */
export interface ColumnShape {
  readonly name: string;
  readonly type: LogicalType;
  /** The server's own type name, for people and for schemas: `numeric(12,2)`, `timestamp with time zone`. */
  readonly typeName: string;
  /** Of a domain over a type that is `other` to us: the name of that type. */
  readonly baseName?: string;
  /** Digits after the decimal point (decimal) or of the second (temporal); null = not declared. */
  readonly scale: number | null;
  /** Total digits (decimal) or length; null = not declared. */
  readonly precision: number | null;
  /** The log itself says that the column is never null; left out: it does not say. */
  readonly required?: boolean;
  /** Of an `array`: what its elements are. */
  readonly element?: Omit<ColumnShape, 'name' | 'sourceType' | 'facts'>;
  /** Only where the tables are described (`TableRegistry`), and as far as the source knows. */
  readonly sourceType?: SourceType;
  /** Only where the tables are described (`TableRegistry`), and as far as the source knows. */
  readonly facts?: ColumnFacts;
}

/** A column's type as the system has it, in Debezium's words (`column.propagate.source.type`). */
export interface SourceType {
  readonly name: string;
  /** Characters, digits or bits; null: not said. */
  readonly length: number | null;
  readonly scale: number | null;
}

/** What neither cells nor keys depend on, only schemas: as the catalogue had it when the log showed the table. */
export interface ColumnFacts {
  /** The column is never null. */
  readonly required: boolean;
  /** The constant that it has by default, in the cell form; null = there is none, or it is no constant. */
  readonly default: string | null;
  /** It has a default that the server computes for each row. */
  readonly computed: boolean;
  /** Labels of an enum, of the column or of its elements, in their order; null = it is none. */
  readonly labels: readonly string[] | null;
  /** What the system knows the column by, whatever its name; null = not told. */
  readonly id: string | null;
}

/** What the system says of a table beside its columns. */
export interface TableFacts {
  /** What the system knows the table by, whatever its name; a table made anew has another. */
  readonly id: string;
  /** What of an old row the log carries, in the system's words. */
  readonly replicaIdentity: string;
}

/** Where the log showed a version for the first time. */
export interface Since {
  /** Of the transaction, as the system spells positions. */
  readonly position: string;
  /** When it was committed, by the source's clock, microseconds since the epoch. */
  readonly micros: number;
}

/** Which table it is, whatever its columns. */
export interface TableIdentity {
  /**
   * `message` is the pseudo-table of logical decoding messages: columns `prefix` and `content`; `definition` that of statements which changed the definition of tables
   * (`DEFINITION_COLUMNS`).
   */
  readonly kind: 'table' | 'message' | 'definition';
  /** The database. */
  readonly catalog: string;
  /** Empty where the system has no schemas below the database. */
  readonly schema: string;
  readonly name: string;
}

/** What identifies a version of a table: two equal shapes are the same version. */
export interface TableShape extends TableIdentity {
  readonly columns: readonly ColumnShape[];
  /** Indexes into `columns`, in key order; empty = the table has no key. */
  readonly key: readonly number[];
  /** Only where the tables are described (`TableRegistry`), and as far as the source knows. */
  readonly facts?: TableFacts;
}

/** A table shape with the number that the engine gave it. One object per version, so that prepared encoders can be kept by identity. */
export interface TableVersion extends TableShape {
  /** 1, 2, … per table, in the order in which the log showed them; the same after any replay. */
  readonly version: number;
  /** `schema.name`, of the database where the system has no schemas; of what is no table `name` alone: for logs, metrics and patterns. */
  readonly label: string;
  /** Left out: a copy showed it before the log did. */
  readonly since?: Since;
}

/** The shape as canonical text: equal text = same version. */
export function fingerprint(shape: TableShape): string {
  const about: unknown[] = [shape.kind, shape.catalog, shape.schema, shape.name, shape.key, shape.columns.map(columnFingerprint)];
  if (shape.facts !== undefined) about.push(shape.facts.id, shape.facts.replicaIdentity);
  return JSON.stringify(about);
}

function columnFingerprint({ name, type, typeName, scale, precision, baseName, required, element, sourceType, facts }: ColumnShape): unknown[] {
  const about: unknown[] = [name, type, typeName, scale, precision];
  if (baseName !== undefined) about.push(baseName);
  if (required !== undefined) about.push(required);
  if (element !== undefined) about.push([element.type, element.typeName, element.scale, element.precision]);
  if (sourceType !== undefined) about.push({ name: sourceType.name, length: sourceType.length, scale: sourceType.scale });
  if (facts !== undefined) about.push([facts.required, facts.default, facts.computed, facts.labels, facts.id]);
  return about;
}

/** Whether rows of the one are rows of the other: they differ in facts at most, which cells do not depend on. */
export function haveSameRows(one: TableShape, other: TableShape): boolean {
  return one === other || fingerprint(withoutFacts(one)) === fingerprint(withoutFacts(other));
}

/** Whether it is a version that rows are of. A TRUNCATE shows no row, and of some systems' the log does not tell the columns: its version has none. */
export function showsRows({ kind, columns }: TableShape): boolean {
  return kind === 'table' && columns.length > 0;
}

export function tableLabel({ kind, catalog, schema, name }: TableIdentity): string {
  if (kind !== 'table') return name;
  return `${schema === '' ? catalog : schema}.${name}`;
}

/**
 * Versions that are kept of each table. A message carries its shape or that of its schema, so older ones are for people only; but a table that goes back to a shape
 * that is forgotten gets a new number.
 */
const KEPT_VERSIONS = 200;

/** What the schema history has to store and to forget. */
export interface HistoryChanges {
  readonly put: readonly TableVersion[];
  readonly drop: readonly TableVersion[];
}

/** Numbers table versions. Filled from the schema history at start; what it numbers anew is saved before a message names it, so that a replay gives the same numbers (I4). */
export class TableRegistry {
  /** The format writes schemas: source types and facts of the columns are part of a version. Else they are left out, so that no version depends on them. */
  readonly described: boolean;
  readonly #byFingerprint = new Map<string, TableVersion>();
  /** What each table is now. */
  readonly #current = new Map<string, TableVersion>();
  /** Tables of which a version was asked for, not only restored. */
  readonly #asked = new Set<string>();
  /** Versions of each table, oldest first. */
  readonly #histories = new Map<string, TableVersion[]>();
  #unsaved: TableVersion[] = [];
  #forgotten: TableVersion[] = [];

  constructor({ described = false }: { readonly described?: boolean } = {}) {
    this.described = described;
  }

  /** Adds a version that was stored before; those of one table in order. */
  restore(table: TableVersion): void {
    this.#byFingerprint.set(fingerprint(table), table);
    this.#historyOf(table).push(table);
    this.#current.set(tableId(table), table);
  }

  /** The same structure gives the same object. `since`: where the log shows it. */
  version(given: TableShape, since: Since | null = null): TableVersion {
    const shape = this.described ? given : withoutFacts(given);
    const text = fingerprint(shape);
    const known = this.#byFingerprint.get(text);
    this.#asked.add(tableId(shape));
    if (known !== undefined) {
      this.#current.set(tableId(known), known);
      return known;
    }
    const history = this.#historyOf(shape);
    const version = (history.at(-1)?.version ?? 0) + 1;
    const table: TableVersion = Object.freeze({ ...shape, version, label: tableLabel(shape), ...(since === null ? {} : { since }) });
    this.#byFingerprint.set(text, table);
    this.#unsaved.push(table);
    history.push(table);
    this.#current.set(tableId(table), table);
    if (history.length > KEPT_VERSIONS) this.#forget(history.shift() as TableVersion);
    return table;
  }

  /**
   * The version that was asked for last, or stored last; null: none. `micros`, when something of the table was committed that shows no version: until one is asked for, it is the last one that the
   * log showed by then, for what is read once more may stand before a version that is stored (I4).
   */
  current(table: TableIdentity, micros = Number.POSITIVE_INFINITY): TableVersion | null {
    const id = tableId(table);
    if (this.#asked.has(id) || micros === Number.POSITIVE_INFINITY) return this.#current.get(id) ?? null;
    const history = this.#histories.get(id) ?? [];
    return history.findLast(({ since }) => since === undefined || since.micros <= micros) ?? history[0] ?? null;
  }

  /** A version by the table's label; null: it is not kept any more. */
  find(label: string, version: number): TableVersion | null {
    for (const history of this.#histories.values()) {
      if (history[0]?.label === label) return history.find((table) => table.version === version) ?? null;
    }
    return null;
  }

  get hasChanges(): boolean {
    return this.#unsaved.length > 0 || this.#forgotten.length > 0;
  }

  /** What is new since the last call. */
  takeChanges(): HistoryChanges {
    const taken = { put: this.#unsaved, drop: this.#forgotten };
    this.#unsaved = [];
    this.#forgotten = [];
    return taken;
  }

  #historyOf(shape: TableShape): TableVersion[] {
    const id = tableId(shape);
    const known = this.#histories.get(id);
    if (known !== undefined) return known;
    const history: TableVersion[] = [];
    this.#histories.set(id, history);
    return history;
  }

  #forget(table: TableVersion): void {
    this.#byFingerprint.delete(fingerprint(table));
    this.#forgotten.push(table);
  }
}

function withoutFacts(shape: TableShape): TableShape {
  if (shape.facts === undefined && shape.columns.every(({ sourceType, facts }) => sourceType === undefined && facts === undefined)) return shape;
  const { facts: _, ...rest } = shape;
  return { ...rest, columns: shape.columns.map(({ sourceType: __, facts: ___, ...column }) => column) };
}

/** The same for all versions of a table, and for no other table. */
export function tableId(shape: TableIdentity): string {
  return JSON.stringify([shape.kind, shape.catalog, shape.schema, shape.name]);
}
