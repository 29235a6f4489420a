/** One moment of the database: a transaction on a connection of its own, in which every query sees the same rows. */
import { randomBytes } from 'node:crypto';
import {
  type BatchLimits,
  BatchPool,
  type BatchWriter,
  type CopiedRows,
  type CopyTable,
  HEAD,
  HEAD_SIZE,
  type KeyText,
  OP,
  type Position,
  type RecordBatch,
  type RowRequest,
  SluiceError,
  SNAPSHOT,
  type SnapshotMark,
  type SnapshotView,
  type TableVersion,
  type Transaction,
} from '#plugin';
import type { Client } from '../client.ts';
import { OriginCells } from '../log/origin.ts';
import { ValueRefused } from '../log/row-reader.ts';
import type { TableName } from './catalogue.ts';
import { copyRows, MalformedRows, type RowUse } from './copy-rows.ts';
import { RowText } from './copy-text.ts';
import { columnNotCopied, copyCondition, copyMalformed, copyRefused, tableChanged, tableGone, tableNotReadable } from './errors.ts';
import { type ReadableTable, type ReadOptions, readTable } from './readable-table.ts';
import { endsSql, quoted, rowsSql, textsOfRow } from './rows-sql.ts';

/** Tables with fewer rows are not parted. */
const ROWS_WORTH_PARTING = 20_000;

/** The server's numbers (its manual, error reference). */
const NUMBER = {
  gone: new Set([1146, 1049]),
  /** Its definition is younger than the view, or somebody is about to change it. */
  changed: new Set([1412, 1205, 1054, 4020]),
  denied: new Set([1142, 1143, 1044]),
  /** Syntax, names, types, and what is computed of values: ours are right without the condition. */
  condition: new Set([1064, 1054, 1305, 1630, 1690, 1365, 1210, 1267, 1241, 1242, 1111, 1139, 3141, 1292]),
} as const;

export interface Moment {
  /** Of which transactions of the log what they did is seen for sure. Of others it may be, too: what the log shows of them is newer all the same, because it tells whole rows. */
  readonly shows: (transaction: Transaction) => boolean;
  readonly passedBy: (position: Position) => boolean;
  /** Where the log stood. */
  readonly file: string;
  readonly pos: string;
  /** By the server's clock, microseconds since the epoch: the commit time of what is copied. */
  readonly micros: number;
}

export interface ViewOptions extends ReadOptions {
  readonly user: string;
  readonly limits: BatchLimits;
  readonly tableName: (label: string) => TableName | undefined;
  /** Gives the connection back; `usable`: another view may be opened on it. */
  readonly release: (client: Client, usable: boolean) => Promise<void>;
  readonly toError: (error: unknown, doing: string) => SluiceError;
}

export class MysqlView implements SnapshotView {
  readonly #client: Client;
  readonly #moment: Moment;
  readonly #options: ViewOptions;
  readonly #pool: BatchPool;
  readonly #token = randomBytes(9).toString('base64url');
  #batches = 0;
  #usable = true;
  #closed = false;

  constructor(client: Client, moment: Moment, options: ViewOptions) {
    this.#client = client;
    this.#moment = moment;
    this.#options = options;
    this.#pool = new BatchPool(options.limits);
  }

  shows(transaction: Transaction): boolean {
    return this.#moment.shows(transaction);
  }

  passedBy(position: Position): boolean {
    return this.#moment.passedBy(position);
  }

  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText {
    return textsOfRow(table, table.key, batch, image);
  }

  async open(label: string, surrogateKey: string | null = null): Promise<ReadableTable> {
    const name = this.#options.tableName(label);
    if (name === undefined) throw changed(label, 'it is not captured any more');
    try {
      return await readTable(this.#client, name, this.#options, surrogateKey);
    } catch (error) {
      throw this.#toError(error, label, null);
    }
  }

  /** By the values of whole numbers, as if they were evenly spread; a table with another key is not parted. */
  async bounds(table: CopyTable, parts: number): Promise<readonly KeyText[]> {
    const readable = table as ReadableTable;
    const [first] = readable.order;
    if (parts < 2 || first === undefined || readable.estimatedRows < ROWS_WORTH_PARTING) return [];
    if (!/^u?int\d+$/.test(first.plan.shape.type)) return [];
    try {
      const [ends] = await this.#client.ask<{ low: string | null; high: string | null }>(endsSql(readable));
      return ends?.low == null || ends.high == null ? [] : spread(BigInt(ends.low), BigInt(ends.high), parts);
    } catch (error) {
      throw this.#toError(error, table.label, null);
    }
  }

  async *rows(table: CopyTable, request: RowRequest): AsyncGenerator<CopiedRows, void, undefined> {
    const readable = table as ReadableTable;
    const writer = new RowWriter(readable, request.mark, this.#moment);
    let isWhole = false;
    try {
      const use: RowUse = {
        begin: (batch) => writer.begin(this.#transaction(), batch),
        row: (batch, start, end) => writer.write(batch, start, end),
      };
      for await (const batch of copyRows(this.#client.driver, rowsSql(readable, request), this.#pool, use)) {
        yield { batch, lastKey: this.#lastKey(readable, batch) };
      }
      isWhole = true;
    } catch (error) {
      isWhole = isServers(error);
      throw this.#toError(error, readable.label, request.where);
    } finally {
      // Rows of a copy that nobody reads any more are still on their way.
      if (!isWhole) this.#usable = false;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#options.release(this.#client, this.#usable);
  }

  #lastKey({ version, orderIndexes }: ReadableTable, batch: BatchWriter): KeyText | null {
    if (version.key.length === 0) return null;
    return textsOfRow(version, orderIndexes, batch, batch.heads[(batch.count - 1) * HEAD_SIZE + HEAD.after] as number);
  }

  #transaction(): Transaction {
    return { id: `${SNAPSHOT}${this.#token}.${this.#batches++}`, commitMicros: this.#moment.micros };
  }

  #toError(error: unknown, label: string, where: string | null): SluiceError {
    if (error instanceof SluiceError) return error;
    const { connector } = this.#options;
    const about = { table: label, cause: error };
    if (error instanceof MalformedRows) return new SluiceError(copyMalformed, { table: label, what: error.message, connector }, { table: label });
    if (error instanceof ValueRefused)
      return new SluiceError(columnNotCopied, { table: label, column: error.column, why: error.message }, { table: label });
    if (!isServers(error)) {
      this.#usable = false;
      return this.#options.toError(error, 'a copy of rows');
    }
    const { errno: number, message: detail } = error;
    if (where !== null && NUMBER.condition.has(number)) return new SluiceError(copyCondition, { table: label, detail, number, connector }, about);
    if (NUMBER.gone.has(number)) return new SluiceError(tableGone, { table: label, detail, connector }, about);
    if (NUMBER.changed.has(number)) return changed(label, detail);
    if (NUMBER.denied.has(number)) {
      const name = this.#options.tableName(label);
      const sql = `GRANT SELECT ON ${name === undefined ? label : `${quoted(name.database)}.${quoted(name.name)}`} TO '${this.#options.user}'@'%'`;
      return new SluiceError(tableNotReadable, { table: label, detail, sql, connector }, about);
    }
    const typed = this.#options.toError(error, 'a copy of rows');
    return typed.kind.retry === 'auto' ? typed : new SluiceError(copyRefused, { table: label, detail, number, connector }, about);
  }
}

function isServers(error: unknown): error is { readonly errno: number; readonly message: string } {
  const { errno, sqlState } = (error ?? {}) as { errno?: unknown; sqlState?: unknown };
  return typeof errno === 'number' && typeof sqlState === 'string';
}

function changed(label: string, detail: string): SluiceError {
  return new SluiceError(tableChanged, { table: label, detail }, { table: label });
}

/** Values that part a range of whole numbers evenly. */
export function spread(low: bigint, high: bigint, parts: number): KeyText[] {
  const bounds: KeyText[] = [];
  for (let part = 1n; part < BigInt(parts); part++) {
    const bound = low + ((high - low) * part) / BigInt(parts);
    if (bound < high && bounds.at(-1)?.[0] !== String(bound)) bounds.push([String(bound)]);
  }
  return bounds;
}

/** Writes the rows of one copy as records. */
class RowWriter {
  readonly #version: TableVersion;
  readonly #mark: SnapshotMark;
  readonly #text: RowText;
  readonly #moment: Moment;
  readonly #origin = new OriginCells();
  #transaction!: Transaction;

  constructor(table: ReadableTable, mark: SnapshotMark, moment: Moment) {
    this.#version = table.version;
    this.#mark = mark;
    this.#text = new RowText(table.plans);
    this.#moment = moment;
  }

  /** A batch begins: what all its rows have in common stands in it once. */
  begin(transaction: Transaction, batch: BatchWriter): void {
    this.#transaction = transaction;
    this.#origin.share(batch, null, this.#moment.file, Number(this.#moment.pos));
  }

  write(batch: BatchWriter, start: number, end: number): void {
    batch.record(OP.read, this.#version, this.#transaction, batch.count);
    batch.snapshot(this.#mark);
    batch.image('after');
    this.#text.read(batch, start, end);
    this.#origin.write(batch, 0);
  }
}
