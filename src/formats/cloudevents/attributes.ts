import type { FormatContext } from '../../plugin/format.ts';
import type { CloudEventsHeaders } from '../../plugin/sink.ts';
import { type Op, SNAPSHOT_MARKS, type Transaction } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { encodeHeaders } from '../../record/messages.ts';
import type { TableVersion } from '../../record/table.ts';
import { isoFromMicros } from '../calendar.ts';
import { LETTERS } from '../debezium/batch-clock.ts';
import { clockTexts } from '../debezium/source-block.ts';
import { JACKSON_ESCAPES, jsonString, piece, writePiece, writeString } from '../json-text.ts';
import { headerName, headerValue, writeHeader } from './header-text.ts';

/** Structured mode: attributes stand in the value. */
export const IN_VALUE = null;

/** Beside the origin's columns. */
const FIXED_BYTES = 64;
/** What a name is made of in CloudEvents. */
const NOT_IN_NAMES = /[^a-z0-9]/g;

function nameOf(field: string): string {
  return `iodebezium${field.toLowerCase().replace(NOT_IN_NAMES, '')}`;
}

/**
 * The attributes of a table's events: the id first, which each has for itself, then what is the same for all of one transaction, operation and kind of copy, prepared
 * once, then the origin's columns. Attributes without a value are left out.
 */
export class Attributes {
  readonly #form: CloudEventsHeaders | typeof IN_VALUE;
  readonly #context: FormatContext;
  readonly #version: string;
  readonly #table: TableVersion;
  readonly #idName: Uint8Array;
  /** By column of the origin. */
  readonly #names: readonly Uint8Array[];
  #transaction: Transaction | null = null;
  /** At operation × marks + mark. */
  readonly #heads: (Uint8Array | undefined)[] = [];

  constructor(context: FormatContext, version: string, table: TableVersion, form: CloudEventsHeaders | typeof IN_VALUE) {
    this.#form = form;
    this.#context = context;
    this.#version = version;
    this.#table = table;
    this.#idName = form === IN_VALUE ? piece('{"id":') : headerName(`${form.prefix}id`);
    this.#names = context.origin.columns.map(({ name }) =>
      form === IN_VALUE ? piece(`,${jsonString(nameOf(name), JACKSON_ESCAPES)}:`) : headerName(form.prefix + nameOf(name)),
    );
  }

  /** Call first for each record. */
  prepare(transaction: Transaction): void {
    if (transaction === this.#transaction) return;
    this.#transaction = transaction;
    this.#heads.length = 0;
  }

  /** Upper bound of what `write` writes, but for the id. */
  bytes(record: RecordCursor, op: Op): number {
    let length = this.#head(op, record.snapshot).length + FIXED_BYTES;
    for (let column = 0; column < this.#names.length; column++) {
      length += (this.#names[column] as Uint8Array).length + 6;
      if (record.origin >= 0 && record.start(record.origin, column) >= 0)
        length += 6 * (record.end(record.origin, column) - record.start(record.origin, column));
    }
    return length;
  }

  /** The id stands in the same bytes from `idStart` to `idEnd`. In structured mode the object is left open. */
  write(record: RecordCursor, op: Op, to: Buffer, at: number, idStart: number, idEnd: number): number {
    at = this.#writeOne(this.#idName, to, at, to, idStart, idEnd);
    at = writePiece(to, at, this.#head(op, record.snapshot));
    if (record.origin < 0) return at;
    for (let column = 0; column < this.#names.length; column++) {
      const start = record.start(record.origin, column);
      if (start < 0) continue;
      at = this.#writeOne(this.#names[column] as Uint8Array, to, at, record.arena, start, record.end(record.origin, column));
    }
    return at;
  }

  #writeOne(name: Uint8Array, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
    if (this.#form === IN_VALUE) return writeString(to, writePiece(to, at, name), from, start, end, JACKSON_ESCAPES);
    return writeHeader(name, this.#form.isPercentEncoded, to, at, from, start, end);
  }

  #head(op: Op, mark: number): Uint8Array {
    const at = op * SNAPSHOT_MARKS.length + mark;
    const known = this.#heads[at];
    if (known !== undefined) return known;
    const made = this.#makeHead(op, mark);
    this.#heads[at] = made;
    return made;
  }

  #makeHead(op: Op, mark: number): Uint8Array {
    const { system } = this.#context.origin;
    const { connector } = this.#context;
    const { catalog, schema, name, kind } = this.#table;
    const { commitMicros } = this.#transaction as Transaction;
    const { millis, micros, nanos } = clockTexts(commitMicros);
    const attributes: (readonly [name: string, value: string])[] = [
      ['source', `/debezium/${system}/${connector}`],
      ['specversion', '1.0'],
      ['type', `io.debezium.connector.${system}.DataChangeEvent`],
      ['time', isoFromMicros(commitMicros)],
      ['datacontenttype', 'application/json'],
      [nameOf('op'), LETTERS[op]],
      [nameOf('version'), this.#version],
      [nameOf('connector'), system],
      [nameOf('name'), connector],
      [nameOf('ts_ms'), millis],
      [nameOf('snapshot'), SNAPSHOT_MARKS[mark] as string],
      [nameOf('db'), catalog],
      [nameOf('ts_us'), micros],
      [nameOf('ts_ns'), nanos],
    ];
    if (kind !== 'message' && schema !== '') attributes.push([nameOf('schema'), schema]);
    if (kind !== 'message') attributes.push([nameOf('table'), name]);
    return this.#form === IN_VALUE ? asJson(attributes) : asHeaders(attributes, this.#form);
  }
}

function asJson(attributes: readonly (readonly [string, string])[]): Uint8Array {
  return piece(attributes.map(([name, value]) => `,"${name}":${jsonString(value, JACKSON_ESCAPES)}`).join(''));
}

/** The type of the content has a header of its own name in every binding. */
function asHeaders(attributes: readonly (readonly [string, string])[], { prefix, isPercentEncoded }: CloudEventsHeaders): Uint8Array {
  const named = attributes.map(
    ([name, value]) => [name === 'datacontenttype' ? 'content-type' : prefix + name, headerValue(value, isPercentEncoded)] as const,
  );
  return new Uint8Array(encodeHeaders(named));
}
