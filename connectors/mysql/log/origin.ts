import { type BatchWriter, NULL, type OriginColumn } from '#plugin';
import { writeNumber } from './digits.ts';

/** Debezium's columns of `source`, in its order. `row` counts the rows of one event. */
export const ORIGIN_COLUMNS: readonly OriginColumn[] = [
  { name: 'server_id', type: 'int64', required: true },
  { name: 'gtid', type: 'text' },
  { name: 'file', type: 'text', required: true },
  { name: 'pos', type: 'int64', required: true },
  { name: 'row', type: 'int32', required: true },
  { name: 'thread', type: 'int64' },
  { name: 'query', type: 'text' },
];

/** Columns that all records of an event have alike. */
const SHARED = 5;
/** Of these, the statement. */
const QUERY = 4;
const NUMBER_BYTES = 20;

/** Writes records' origins. What the records of an event share is written into each batch once. */
export class OriginCells {
  serverId = 0;
  /** −1: the log does not tell it. */
  thread = -1;
  /** The statement that the rows behind it are of, kept in the log; null: it is not told. */
  query: Buffer | null = null;
  readonly #shared = new Int32Array(2 * SHARED);

  /** Writes the shared part into the batch: before an event's first record there. `gtid` null: the rows are no transaction's. */
  share(writer: BatchWriter, gtid: string | null, file: string, pos: number): void {
    const name = Buffer.from(file, 'utf8');
    const { query } = this;
    writer.reserve((gtid?.length ?? 0) + name.length + (query?.length ?? 0) + 2 * NUMBER_BYTES);
    const to = writer.arena;
    let at = writer.arenaLength;
    at = this.#put(0, at, writeNumber(to, at, this.serverId));
    at = gtid === null ? this.#putNull(1, at) : this.#put(1, at, at + to.write(gtid, at, 'latin1'));
    to.set(name, at);
    at = this.#put(2, at, at + name.length);
    at = this.#put(3, at, writeNumber(to, at, pos));
    if (query === null) this.#putNull(QUERY, at);
    else {
      to.set(query, at);
      at = this.#put(QUERY, at, at + query.length);
    }
    writer.arenaLength = at;
  }

  #put(column: number, start: number, end: number): number {
    this.#shared[2 * column] = start;
    this.#shared[2 * column + 1] = end;
    return end;
  }

  #putNull(column: number, at: number): number {
    this.#put(column, NULL, NULL);
    return at;
  }

  /** The cells of `ORIGIN_COLUMNS` for the last record. */
  write(writer: BatchWriter, row: number): void {
    writer.image('origin');
    for (let at = 0; at < 2 * QUERY; at += 2) writer.cell(this.#shared[at] as number, this.#shared[at + 1] as number);
    writer.reserve(2 * NUMBER_BYTES);
    number(writer, row);
    if (this.thread < 0) writer.mark(NULL);
    else number(writer, this.thread);
    writer.cell(this.#shared[2 * QUERY] as number, this.#shared[2 * QUERY + 1] as number);
  }
}

function number(writer: BatchWriter, value: number): void {
  const start = writer.arenaLength;
  writer.arenaLength = writeNumber(writer.arena, start, value);
  writer.cell(start, writer.arenaLength);
}
