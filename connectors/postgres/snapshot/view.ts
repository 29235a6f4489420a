/** One moment of the database: a transaction on a connection of its own, in which every query sees the same rows. */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import {
  type BatchLimits,
  BatchPool,
  type BatchWriter,
  type CopiedRows,
  type CopyTable,
  HEAD,
  HEAD_SIZE,
  type KeyText,
  NULL,
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
import { quoteTable } from '../client.ts';
import { parseLsn } from '../log/position.ts';
import { copyRows, MalformedRows, type RowUse } from './copy-rows.ts';
import { copyRow, keyOfRow, textsOfRow } from './copy-text.ts';
import { copyCondition, copyMalformed, copyRefused, tableChanged, tableNotReadable } from './errors.ts';
import { PublishedTables } from './published.ts';
import { boundsSql, type ReadableTable, type ReadOptions, readTable, rowsSql, type TableName } from './readable-table.ts';

/** Tables with fewer rows are not parted. */
const ROWS_WORTH_PARTING = 20_000;
/** A sample is of so many rows for each part, as far as the table has them: bounds are then off by some per cent. */
const SAMPLE_ROWS_PER_PART = 1_000;
/** The sample of a large table takes longer than a question may. */
const BOUNDS_TIMEOUT_MS = 600_000;

export interface Moment {
  /** Of which transactions of the log what they did is seen. */
  readonly shows: (transaction: Transaction) => boolean | null;
  /** The log has shown all of these once it was read up to here. */
  readonly end: bigint;
  /** By the server's clock, microseconds since the epoch: the commit time of what is copied. */
  readonly micros: number;
  /** Where the log begins behind it, as `source.lsn` says it; null: beside the log. */
  readonly lsn: bigint | null;
}

export interface ViewOptions extends ReadOptions {
  readonly publications: readonly string[];
  readonly user: string;
  readonly copy: BatchLimits;
  readonly tableName: (label: string) => TableName | undefined;
  /** Gives the connection back; `usable`: another view may be opened on it. */
  readonly release: (client: pg.Client, usable: boolean) => Promise<void>;
  readonly toError: (error: unknown, doing: string) => SluiceError;
}

export class PostgresView implements SnapshotView {
  readonly #client: pg.Client;
  readonly #moment: Moment;
  readonly #options: ViewOptions;
  readonly #pool: BatchPool;
  readonly #published: PublishedTables;
  readonly #token = randomBytes(9).toString('base64url');
  #batches = 0;
  #usable = true;
  #closed = false;

  constructor(client: pg.Client, moment: Moment, options: ViewOptions) {
    this.#client = client;
    this.#moment = moment;
    this.#options = options;
    this.#pool = new BatchPool(options.copy);
    this.#published = new PublishedTables(options.publications, options.version);
  }

  shows(transaction: Transaction): boolean | null {
    return this.#moment.shows(transaction);
  }

  passedBy(position: Position): boolean {
    const lsn = parseLsn(position['lsn'] ?? '');
    return lsn !== null && lsn >= this.#moment.end;
  }

  open(label: string, surrogateKey: string | null = null): Promise<ReadableTable> {
    const name = this.#options.tableName(label);
    if (name === undefined) return Promise.reject(changed(label, 'it is not captured any more'));
    return this.#try(label, () => readTable(this.#client, name, this.#options, this.#published, surrogateKey));
  }

  keyOf(table: TableVersion, batch: RecordBatch, image: number): KeyText {
    return keyOfRow(table, batch, image);
  }

  async bounds(table: CopyTable, parts: number): Promise<readonly KeyText[]> {
    const readable = table as ReadableTable;
    if (parts < 2 || readable.key.length === 0 || readable.estimatedRows < ROWS_WORTH_PARTING) return [];
    const percent = Math.min(100, (100 * parts * SAMPLE_ROWS_PER_PART) / readable.estimatedRows);
    const query = { text: boundsSql(readable, parts, percent), query_timeout: BOUNDS_TIMEOUT_MS };
    const { rows } = await this.#try(table.label, () => this.#client.query<{ key: string[] }>(query));
    return rows.map(({ key }) => key);
  }

  async *rows(table: CopyTable, request: RowRequest): AsyncGenerator<CopiedRows, void, undefined> {
    const readable = table as ReadableTable;
    const writer = new RowWriter(readable, request.mark, this.#moment);
    let isWhole = false;
    try {
      await this.#client.query('SAVEPOINT row');
      const use: RowUse = {
        begin: (batch) => writer.begin(this.#transaction(), batch),
        row: (batch, start, end) => writer.write(batch, start, end),
      };
      for await (const batch of copyRows(this.#client, rowsSql(readable, request), this.#pool, use)) {
        yield { batch, lastKey: this.#lastKey(readable, batch) };
      }
      isWhole = true;
    } catch (error) {
      isWhole = !(error instanceof MalformedRows) && (await this.#recovered());
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

  #lastKey({ version, orderIndexes }: ReadableTable, batch: RecordBatch): KeyText | null {
    if (version.key.length === 0) return null;
    return textsOfRow(version, orderIndexes, batch, batch.heads[(batch.count - 1) * HEAD_SIZE + HEAD.after] as number);
  }

  #transaction(): Transaction {
    return { id: `${SNAPSHOT}${this.#token}.${this.#batches++}`, commitMicros: this.#moment.micros };
  }

  /** Runs what may fail for this table alone, without the view's end. */
  async #try<T>(label: string, use: () => Promise<T>): Promise<T> {
    try {
      await this.#client.query('SAVEPOINT row');
      return await use();
    } catch (error) {
      if (!(await this.#recovered())) this.#usable = false;
      throw this.#toError(error, label, null);
    }
  }

  /** After an error of the server: whether the view goes on. */
  async #recovered(): Promise<boolean> {
    try {
      await this.#client.query('ROLLBACK TO SAVEPOINT row');
      return true;
    } catch {
      return false;
    }
  }

  #toError(error: unknown, label: string, where: string | null): SluiceError {
    if (error instanceof SluiceError) return error;
    const { connector } = this.#options;
    if (error instanceof MalformedRows) return new SluiceError(copyMalformed, { table: label, what: error.message, connector }, { table: label });
    const { code = '', severity, message = '' } = error as { code?: string; severity?: string; message?: string };
    const isServers = severity !== undefined && /^[0-9A-Z]{5}$/.test(code);
    if (!isServers) return this.#options.toError(error, 'a copy of rows');
    // A column or the table is gone, or the plan was overtaken by an ALTER. A condition that names no column is wrong at every attempt.
    if (code === '42P01' || (code === '42703' && where === null)) return changed(label, message);
    if (code === '42501') {
      const name = this.#options.tableName(label);
      const sql = /row-level security/.test(message)
        ? `ALTER ROLE "${this.#options.user}" BYPASSRLS`
        : `GRANT SELECT ON ${name === undefined ? label : quoteTable(name)} TO "${this.#options.user}"`;
      return new SluiceError(tableNotReadable, { table: label, detail: message, sql, connector }, { table: label, cause: error });
    }
    // Syntax, names, types and what is computed of values: ours are right without the condition.
    if (where !== null && /^(42|22)/.test(code)) {
      return new SluiceError(copyCondition, { table: label, detail: message, sqlstate: code, connector }, { table: label, cause: error });
    }
    if (/^(57|08|53|40|58|25)/.test(code)) return this.#options.toError(error, 'a copy of rows');
    return new SluiceError(copyRefused, { table: label, detail: message, sqlstate: code, connector }, { table: label, cause: error });
  }
}

function changed(label: string, detail: string): SluiceError {
  return new SluiceError(tableChanged, { table: label, detail }, { table: label });
}

/** Writes the rows of one copy as records. */
class RowWriter {
  readonly #table: ReadableTable;
  readonly #version: TableVersion;
  readonly #mark: SnapshotMark;
  readonly #sequence: Buffer;
  readonly #lsnLength: number;
  #transaction!: Transaction;
  #sequenceStart: number = NULL;
  #sequenceEnd: number = NULL;
  #lsnStart: number = NULL;
  #lsnEnd: number = NULL;

  constructor(table: ReadableTable, mark: SnapshotMark, { lsn }: Moment) {
    this.#table = table;
    this.#version = table.version;
    this.#mark = mark;
    const digits = lsn === null ? '' : String(lsn);
    this.#lsnLength = digits.length;
    this.#sequence = Buffer.from(lsn === null ? '' : `[null,"${digits}"]`);
  }

  /** A batch begins: what all its rows have in common stands in it once. */
  begin(transaction: Transaction, batch: BatchWriter): void {
    this.#transaction = transaction;
    if (this.#sequence.length === 0) return;
    const start = batch.append(this.#sequence);
    this.#sequenceStart = start;
    this.#sequenceEnd = start + this.#sequence.length;
    this.#lsnEnd = this.#sequenceEnd - '"]'.length;
    this.#lsnStart = this.#lsnEnd - this.#lsnLength;
  }

  write(batch: BatchWriter, start: number, end: number): boolean {
    batch.record(OP.read, this.#version, this.#transaction, batch.count);
    batch.snapshot(this.#mark);
    batch.image('after');
    if (!copyRow(batch, start, end, this.#table.forms)) return false;
    batch.image('origin');
    batch.cell(this.#sequenceStart, this.#sequenceEnd);
    batch.mark(NULL);
    batch.cell(this.#lsnStart, this.#lsnEnd);
    batch.mark(NULL);
    batch.mark(NULL);
    batch.mark(NULL);
    return true;
  }
}
