import type { LogicalType } from './types.ts';

/** One column of a table as the log had it. */
export interface ColumnShape {
  readonly name: string;
  readonly type: LogicalType;
  /** The server's own type name, for people and for schemas: `numeric(12,2)`, `timestamp with time zone`. */
  readonly typeName: string;
  /** Digits after the decimal point (decimal) or of the second (temporal); null = not declared. */
  readonly scale: number | null;
  /** Total digits (decimal) or length; null = not declared. */
  readonly precision: number | null;
}

/** Which table it is, whatever its columns. */
export interface TableIdentity {
  /** `message` is the pseudo-table of logical decoding messages: columns `prefix` and `content`. */
  readonly kind: 'table' | 'message';
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
}

/** A table shape with the number that the engine gave it. One object per version, so that prepared encoders can be kept by identity. */
export interface TableVersion extends TableShape {
  /** 1, 2, … per table, in the order in which the log showed them; the same after any replay. */
  readonly version: number;
  /** `schema.name`, or `name` without a schema: for logs, metrics and patterns. */
  readonly label: string;
}

/** The shape as canonical text: equal text = same version. */
export function fingerprint(shape: TableShape): string {
  return JSON.stringify([
    shape.kind,
    shape.catalog,
    shape.schema,
    shape.name,
    shape.key,
    shape.columns.map((column) => [column.name, column.type, column.typeName, column.scale, column.precision]),
  ]);
}

export function tableLabel(table: { readonly schema: string; readonly name: string }): string {
  return table.schema === '' ? table.name : `${table.schema}.${table.name}`;
}

/** Numbers table versions. Filled from the schema history at start; what it numbers anew is saved with the next checkpoint (algorithms §3). */
export class TableRegistry {
  readonly #byFingerprint = new Map<string, TableVersion>();
  readonly #newest = new Map<string, number>();
  #unsaved: TableVersion[] = [];

  /** Adds a version that was stored before. */
  restore(table: TableVersion): void {
    this.#byFingerprint.set(fingerprint(table), table);
    const id = tableId(table);
    this.#newest.set(id, Math.max(this.#newest.get(id) ?? 0, table.version));
  }

  /** The same structure gives the same object. */
  version(shape: TableShape): TableVersion {
    const text = fingerprint(shape);
    const known = this.#byFingerprint.get(text);
    if (known !== undefined) return known;
    const id = tableId(shape);
    const version = (this.#newest.get(id) ?? 0) + 1;
    const table: TableVersion = Object.freeze({ ...shape, version, label: tableLabel(shape) });
    this.#byFingerprint.set(text, table);
    this.#newest.set(id, version);
    this.#unsaved.push(table);
    return table;
  }

  /** Versions numbered since the last call. */
  takeUnsaved(): readonly TableVersion[] {
    const taken = this.#unsaved;
    this.#unsaved = [];
    return taken;
  }
}

function tableId(shape: TableShape): string {
  return JSON.stringify([shape.kind, shape.catalog, shape.schema, shape.name]);
}
