/** pgoutput messages made by hand, field by field as in the manual (55.9), and the decoder with what it fills. */

import { ORIGIN_COLUMNS } from '../../connectors/postgres/log/origin.ts';
import { ASK, PgoutputDecoder } from '../../connectors/postgres/log/pgoutput.ts';
import { LogQueue, type Mark } from '../../connectors/postgres/log/queue.ts';
import type { CatalogFacts, CatalogTable } from '../../connectors/postgres/log/relation.ts';
import type { CustomType } from '../../connectors/postgres/types.ts';
import { ABSENT, HEAD, HEAD_SIZE, NULL, OP_NAMES, type RecordBatch, UNAVAILABLE } from '../../src/record/batch.ts';
import { TableRegistry } from '../../src/record/table.ts';
import { FakeRuntime } from './fake-runtime.ts';

export type Field = Buffer;
export const u8 = (value: number): Field => Buffer.from([value]);
export const u16 = (value: number): Field => Buffer.from([value >> 8, value & 255]);
export const i32 = (value: number): Field => {
  const field = Buffer.alloc(4);
  field.writeInt32BE(value | 0);
  return field;
};
export const i64 = (value: bigint): Field => {
  const field = Buffer.alloc(8);
  field.writeBigInt64BE(value);
  return field;
};
export const text = (value: string): Field => Buffer.from(`${value}\0`);
const tag = (letter: string): Field => Buffer.from(letter);
const message = (letter: string, ...fields: Field[]): Buffer => Buffer.concat([tag(letter), ...fields]);

/** `null`, an unchanged out-of-line value, or text. */
export const TOAST = Symbol('unchanged');
export type Cell = string | Buffer | null | typeof TOAST;

export function tuple(cells: readonly Cell[]): Field {
  const parts: Field[] = [u16(cells.length)];
  for (const cell of cells) {
    if (cell === null) parts.push(tag('n'));
    else if (cell === TOAST) parts.push(tag('u'));
    else {
      const bytes = Buffer.from(cell as string);
      parts.push(tag('t'), i32(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

export interface ColumnMessage {
  readonly name: string;
  readonly type?: number;
  readonly typmod?: number;
  readonly key?: boolean;
}

export const begin = (commit: bigint, micros: bigint, xid: number): Buffer => message('B', i64(commit), i64(micros), i32(xid));
export const commit = (lsn: bigint, end: bigint, micros: bigint): Buffer => message('C', u8(0), i64(lsn), i64(end), i64(micros));
export const originOf = (lsn: bigint, name: string): Buffer => message('O', i64(lsn), text(name));
export const typeOf = (oid: number, schema: string, name: string): Buffer => message('Y', i32(oid), text(schema), text(name));
export const relation = (oid: number, schema: string, name: string, identity: string, columns: readonly ColumnMessage[]): Buffer =>
  message(
    'R',
    i32(oid),
    text(schema),
    text(name),
    tag(identity),
    u16(columns.length),
    ...columns.flatMap((column) => [u8(column.key ? 1 : 0), text(column.name), i32(column.type ?? 25), i32(column.typmod ?? -1)]),
  );
export const insert = (oid: number, cells: readonly Cell[]): Buffer => message('I', i32(oid), tag('N'), tuple(cells));
export const update = (oid: number, cells: readonly Cell[], old?: { kind: 'K' | 'O'; cells: readonly Cell[] }): Buffer =>
  message('U', i32(oid), ...(old === undefined ? [] : [tag(old.kind), tuple(old.cells)]), tag('N'), tuple(cells));
export const remove = (oid: number, kind: 'K' | 'O', cells: readonly Cell[]): Buffer => message('D', i32(oid), tag(kind), tuple(cells));
export const truncate = (oids: readonly number[], flags = 0): Buffer => message('T', i32(oids.length), u8(flags), ...oids.map(i32));
export const logicalMessage = (isTransactional: boolean, lsn: bigint, prefix: string, content: Buffer | string): Buffer =>
  message('M', u8(isTransactional ? 1 : 0), i64(lsn), text(prefix), i32(Buffer.byteLength(content)), Buffer.from(content));

/** What a record looks like to a test: marks by name, cells as latin1 text. */
export interface Seen {
  readonly op: string;
  readonly table: string;
  readonly transaction: string;
  readonly ordinal: number;
  readonly before: Record<string, string | null> | null;
  readonly after: Record<string, string | null> | null;
  readonly origin: Record<string, string | null>;
}

const MARKS: Readonly<Record<number, string | null>> = { [NULL]: null, [UNAVAILABLE]: '<unavailable>', [ABSENT]: '<absent>' };

export function recordsOf(batch: RecordBatch, encoding: BufferEncoding = 'utf8'): Seen[] {
  const seen: Seen[] = [];
  for (let i = 0; i < batch.count; i++) {
    const head = (field: keyof typeof HEAD): number => batch.heads[i * HEAD_SIZE + HEAD[field]] as number;
    const table = batch.tables[head('table')] as RecordBatch['tables'][number];
    const image = (first: number, columns: readonly { readonly name: string }[]): Record<string, string | null> | null =>
      first < 0 ? null : Object.fromEntries(columns.map(({ name }, column) => [name, cellOf(batch, first + column, encoding)]));
    seen.push({
      op: OP_NAMES[head('op')] as string,
      table: table.label,
      transaction: batch.transactions[head('transaction')]?.id ?? '',
      ordinal: head('ordinal'),
      before: image(head('before'), table.columns),
      after: image(head('after'), table.columns),
      origin: image(head('origin'), ORIGIN_COLUMNS) ?? {},
    });
  }
  return seen;
}

function cellOf(batch: RecordBatch, cell: number, encoding: BufferEncoding): string | null {
  const start = batch.cells[cell * 2] as number;
  if (start < 0) return MARKS[start] as string | null;
  return batch.arena.toString(encoding, start, batch.cells[cell * 2 + 1]);
}

export interface Bench {
  readonly decoder: PgoutputDecoder;
  readonly queue: LogQueue;
  readonly tables: TableRegistry;
  readonly marks: Mark[];
  /** Answers of the catalogue: what `learned` finds. */
  readonly known: { tables: Map<number, CatalogTable>; types: Map<number, CustomType> };
  /** Decodes a message that arrives at `lsn`, asking the catalogue where the decoder wants to. */
  feed(lsn: bigint, bytes: Buffer): void;
  /** What has been decoded since the last call. */
  take(encoding?: BufferEncoding): Promise<Seen[]>;
}

export interface BenchOptions {
  readonly lastCommit?: { hi: number; lo: number; micros: number };
  readonly prefixes?: readonly string[];
  readonly captures?: (schema: string, name: string) => boolean;
  readonly maxRecords?: number;
  readonly described?: boolean;
}

/** A decoder that fills a real queue. */
export function decoderBench(options: BenchOptions = {}): Bench {
  const tables = new TableRegistry();
  const marks: Mark[] = [];
  const known = { tables: new Map<number, CatalogTable>(), types: new Map<number, CustomType>() };
  const facts: CatalogFacts = { table: (oid) => known.tables.get(oid), type: (oid) => known.types.get(oid) };
  const queue = new LogQueue({
    runtime: new FakeRuntime(),
    tables,
    maxRecords: options.maxRecords ?? 1000,
    maxBytes: 1 << 20,
    maxBufferedBytes: 1 << 30,
    start: 0n,
    position: (mark) => {
      marks.push({ ...mark });
      return { lsn: String(mark.lo) };
    },
    pause: () => undefined,
    resume: () => undefined,
  });
  const decoder = new PgoutputDecoder({
    systemId: '7000',
    catalog: 'shop',
    captures: options.captures ?? (() => true),
    prefixes: new Set(options.prefixes ?? []),
    facts,
    described: options.described ?? false,
    target: queue,
    lastCommit: options.lastCommit ?? null,
  });
  return {
    decoder,
    queue,
    tables,
    marks,
    known,
    feed(lsn, bytes) {
      if (decoder.decode(bytes, Number(lsn >> 32n), Number(lsn & 0xffffffffn)) === ASK) decoder.learned();
    },
    async take(encoding) {
      const seen: Seen[] = [];
      while (queue.bufferedBytes > 0) {
        const batch = (await queue.next()) as RecordBatch;
        seen.push(...recordsOf(batch, encoding));
        batch.release();
      }
      return seen;
    },
  };
}
