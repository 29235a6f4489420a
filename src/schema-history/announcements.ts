/** Messages that tell each change of a table's shape, in front of its first row in the new one. */

import { isoFromMicros } from '../formats/calendar.ts';
import { writeWhole } from '../formats/envelope.ts';
import { HEAD, HEAD_SIZE, OP, type RecordBatch, SNAPSHOT_MARK, type Transaction } from '../record/batch.ts';
import { SHAPE } from '../record/message-id.ts';
import { encodeHeaders, type MessageWriter } from '../record/messages.ts';
import type { ColumnShape, TableVersion } from '../record/table.ts';
import { showsRows, tableId } from '../record/table.ts';
import { schemaChanges } from './changes.ts';

/** Of each table, the number of the version that was announced last, by `tableId`. */
export type AnnouncedShapes = Readonly<Record<string, number>>;

/**
 * Knows which version of each table was announced last, as of the records that it has seen, which come in the order of the log; what was announced is saved with the checkpoint,
 * so that a change that is read again is told again, under the same id, and none twice (I1, I4). Rows of copies announce nothing: they stand beside that order.
 */
export class SchemaAnnouncements {
  readonly destination: string;
  readonly #connector: string;
  readonly #capture: string;
  readonly #current: Map<string, TableVersion | null>;
  /** Versions that differ in nothing that is told from the one that was announced. */
  readonly #alike = new Map<TableVersion, TableVersion>();

  /** `announced`: as of the checkpoint that is read from; `versions`: the schema history. */
  constructor(
    about: { readonly connector: string; readonly capture: string; readonly destination: string },
    announced: AnnouncedShapes,
    versions: readonly TableVersion[],
  ) {
    this.#connector = about.connector;
    this.#capture = about.capture;
    this.destination = about.destination;
    this.#current = new Map(
      Object.entries(announced).map(([id, number]) => [id, versions.find((table) => table.version === number && tableId(table) === id) ?? null]),
    );
  }

  /**
   * The first record at `from` or behind it that is of a shape not announced yet; −1: there is none. `refused`, by index of the table: null where its rows go; of the others
   * nothing is said before they do.
   */
  next(batch: RecordBatch, from: number, refused: readonly unknown[] | null): number {
    const { tables, heads, count } = batch;
    const isNews = tables.map((table, index) => table.kind === 'table' && (refused?.[index] ?? null) === null && this.#isNews(table));
    if (!isNews.includes(true)) return -1;
    for (let index = from; index < count; index++) {
      const at = index * HEAD_SIZE;
      if (isNews[heads[at + HEAD.table] as number] !== true || heads[at + HEAD.snapshot] !== SNAPSHOT_MARK.none) continue;
      // It shows no row, and so no shape: of some systems' the log does not tell the columns.
      if (heads[at + HEAD.op] !== OP.truncate) return index;
    }
    return -1;
  }

  #isNews(table: TableVersion): boolean {
    // Of a table that was truncated before it was seen no more is known.
    if (!showsRows(table)) return false;
    const id = tableId(table);
    const current = this.#current.get(id);
    if (current === table) return false;
    if (current == null) return true;
    if (this.#alike.get(table) === current) return false;
    if (schemaChanges(current, table).length > 0) return true;
    // Another version for what is not told: the catalogue, ahead of the log, said less of it. What it is compared with stays: it may be the next one that knows more again.
    this.#alike.set(table, current);
    return false;
  }

  /** Writes the message in front of a record that `next` gave, and returns what is announced by it. */
  write({ tables, heads, transactions }: RecordBatch, index: number, out: MessageWriter): AnnouncedShapes {
    const at = index * HEAD_SIZE;
    const table = tables[heads[at + HEAD.table] as number] as TableVersion;
    const transaction = transactions[heads[at + HEAD.transaction] as number] as Transaction;
    const id = tableId(table);
    const before = this.#current.get(id) ?? null;
    this.#current.set(id, table);
    const { catalog: db, schema, name, version } = table;
    const value = {
      connector: this.#connector,
      db,
      schema,
      table: name,
      version,
      previousVersion: before?.version ?? null,
      ts: isoFromMicros(transaction.commitMicros),
      transaction: transaction.id,
      changes: before === null ? [] : schemaChanges(before, table),
      before: before === null ? null : shapeOf(before),
      after: shapeOf(table),
    };
    writeWhole(out, {
      key: JSON.stringify({ db, schema, table: name }),
      value: JSON.stringify(value),
      headers: encodeHeaders([
        ['sluice.capture', this.#capture],
        ['sluice.schema', String(version)],
      ]),
      id: `${this.#connector}/${SHAPE}${version}/${transaction.id}/${heads[at + HEAD.ordinal]}/0`,
    });
    return { [id]: version };
  }
}

function shapeOf({ columns, key, facts }: TableVersion): unknown {
  return {
    columns: columns.map(columnOf),
    key: key.map((index) => columns[index]?.name),
    ...(facts === undefined ? {} : { replicaIdentity: facts.replicaIdentity }),
  };
}

function columnOf({ name, type, typeName, precision, scale, facts }: ColumnShape): unknown {
  const about = facts === undefined ? {} : { nullable: !facts.required, default: facts.default, computed: facts.computed, labels: facts.labels };
  return { name, type: typeName, logicalType: type, precision, scale, ...about };
}
