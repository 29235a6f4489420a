/** The tables that the log has described, by the numbers that its row events name them with. */
import type { ErrorKind, SluiceError, TableIdentity, TableShape, TableVersion } from '#plugin';
import { type ColumnPlan, planColumn, READ } from './columns.ts';
import { columnRefused, metadataMissing } from './errors.ts';
import { HEADER_BYTES } from './events.ts';
import type { System } from './position.ts';
import { RowReader } from './row-reader.ts';
import { type CharsetOf, MetadataMissing, type Names, readNames, readTableMap, type TableMap, UnknownBinaries, UnknownTable } from './table-map.ts';

/** A table as one TABLE_MAP event has it. */
export interface Mapped {
  readonly label: string;
  /** Null: it is not captured. */
  readonly table: TableVersion | null;
  /** Of a captured table. */
  readonly plans: readonly ColumnPlan[];
  /** Null: of a table that is not captured, a column cannot be passed over; its rows are not counted. */
  readonly rows: RowReader | null;
}

export interface TableMapsOptions {
  readonly system: System;
  readonly captures: (database: string, table: string) => boolean;
  readonly charsetOf: CharsetOf;
  readonly described: boolean;
  readonly versionOf: (shape: TableShape) => TableVersion;
  /** The version that the table had until now; null: it was never seen. */
  readonly currentOf: (table: TableIdentity) => TableVersion | null;
  /** Of a table with columns that look binary: whether it is known that they are (`UnknownBinaries.key`). */
  readonly areBinary: (key: string) => boolean;
  /** An error at the place that is being read. */
  readonly error: (kind: ErrorKind, parameters: Record<string, string>) => SluiceError;
}

export class TableMaps {
  readonly #options: TableMapsOptions;
  readonly #byId = new Map<number, Mapped & { readonly body: Buffer }>();
  /** Of which table it was asked last. */
  #asked = '';

  constructor(options: TableMapsOptions) {
    this.#options = options;
  }

  get(id: number): Mapped | undefined {
    return this.#byId.get(id);
  }

  /** A TABLE_MAP event. The same one again, as comes before each change, is known by its bytes. Throws SluiceError, Question. */
  see(bytes: Buffer, end: number): void {
    const id = bytes.readUIntLE(HEADER_BYTES, 6);
    const known = this.#byId.get(id)?.body;
    if (known?.length === end - HEADER_BYTES && bytes.compare(known, 0, known.length, HEADER_BYTES, end) === 0) return;
    const names = readNames(bytes, HEADER_BYTES + 8);
    const label = `${names.database}.${names.name}`;
    const plan = this.#options.captures(names.database, names.name) ? this.#captured(bytes, names, end, label) : this.#passedOver(bytes, names, end);
    this.#byId.set(id, { body: Buffer.from(bytes.subarray(HEADER_BYTES, end)), label, ...plan });
  }

  /**
   * Null: it is not captured. The log does not tell the columns of a table that is truncated: they are those that it had until now, so that nothing looks like a change of it. Those
   * of a table that was never seen the catalogue tells; if it is gone there, it has none. Throws a Question.
   */
  truncated(database: string, name: string): TableVersion | null {
    const { captures, currentOf, versionOf } = this.#options;
    if (!captures(database, name)) return null;
    const table: TableIdentity = { kind: 'table', catalog: database, schema: '', name };
    const current = currentOf(table);
    if (current !== null) return current;
    const label = `${database}.${name}`;
    if (this.#asked !== label) {
      this.#asked = label;
      throw new UnknownTable(database, name);
    }
    return versionOf({ ...table, columns: [], key: [] });
  }

  #captured(bytes: Buffer, names: Names, end: number, label: string): Pick<Mapped, 'table' | 'rows' | 'plans'> {
    const { charsetOf, described, system, versionOf, error } = this.#options;
    let map: TableMap;
    try {
      map = readTableMap(bytes, names, end, charsetOf, system === 'mariadb');
    } catch (cause) {
      if (cause instanceof MetadataMissing) throw error(metadataMissing, { table: label });
      throw cause;
    }
    const plans = map.columns.map((column) => {
      const plan = planColumn(column, described);
      if (typeof plan === 'string') throw error(columnRefused, { table: label, column: column.name, why: plan });
      return plan;
    });
    if (system === 'mariadb' && isSequence(map)) return { table: null, rows: new RowReader(plans), plans: [] };
    if (system === 'mariadb') this.#demandBinaries(map, plans);
    const columns = plans.map(({ shape }) => shape);
    const table = versionOf({ kind: 'table', catalog: map.database, schema: '', name: map.name, columns, key: map.key });
    return { table, rows: new RowReader(plans), plans };
  }

  /** MariaDB writes UUID, INET6 and INET4 as BINARY of 16 and 4 bytes, which is not their text: only the catalogue tells. */
  #demandBinaries({ database, name }: TableMap, plans: readonly ColumnPlan[]): void {
    const doubtful = plans.filter(({ read, detail }) => read === READ.paddedBytes && (detail === 16 || detail === 4));
    if (doubtful.length === 0) return;
    const question = new UnknownBinaries(
      database,
      name,
      doubtful.map(({ shape }) => shape.name),
    );
    if (!this.#options.areBinary(question.key)) throw question;
  }

  /** Rows of a table that is not captured are counted all the same, as far as that is possible: ordinals do not depend on what is captured. */
  #passedOver(bytes: Buffer, names: Names, end: number): Pick<Mapped, 'table' | 'rows' | 'plans'> {
    try {
      const map = readTableMap(bytes, names, end, () => null, this.#options.system === 'mariadb');
      const plans = map.columns.map((column) => planColumn(column, false));
      const known = plans.filter((plan) => typeof plan !== 'string');
      return { table: null, plans: [], rows: known.length === plans.length ? new RowReader(known) : null };
    } catch {
      return { table: null, plans: [], rows: null };
    }
  }
}

/** What MariaDB writes for a SEQUENCE, its one row each time: a table that nobody else can have made without a key and with these names by chance. */
const SEQUENCE = 'next_not_cached_value minimum_value maximum_value start_value increment cache_size cycle_option cycle_count';

function isSequence({ columns, key }: TableMap): boolean {
  return columns.length === 8 && key.length === 0 && columns.map(({ name }) => name).join(' ') === SEQUENCE;
}
