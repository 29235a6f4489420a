import { base64Bytes, writeBase64 } from '../formats/base64.ts';
import { MINIMAL_ESCAPES, piece, stringBytes, writePiece, writeString } from '../formats/json-text.ts';
import { SluiceError } from '../plugin/error.ts';
import { ABSENT, BatchWriter, HEAD, HEAD_SIZE, NULL, type RecordBatch, type Transaction, UNAVAILABLE } from '../record/batch.ts';
import type { TableVersion } from '../record/table.ts';
import { MAPPING_VALUE } from './errors.ts';
import { type MappingRules, type Plan, planOf, type Slot } from './plan.ts';
import { nameOf, prefixOf } from './types.ts';

const OPEN = piece('{');
const CLOSE = piece('}');
const COMMA = piece(',');
const NOTHING = piece('null');
const NOT_SENT = piece('{"unavailable":true}');
const QUOTE = piece('"');

/**
 * Keeps an old shape of tables alive: what readers, formats and compatibility policies get of a version. Works on whole batches, in place: bytes that stay stay where they
 * are. The same row gives the same bytes, whatever road it came by (I11).
 */
export class Mapping {
  readonly #rules: MappingRules;
  readonly #plans = new Map<TableVersion, Plan>();
  /** Names of columns as JSON, by version. */
  readonly #names = new Map<TableVersion, readonly Uint8Array[]>();

  constructor(rules: MappingRules) {
    this.#rules = rules;
  }

  /** What readers get of a version; the same object for the same version. Throws SLUICE_MAPPING_NAME, SLUICE_MAPPING_TYPE, SLUICE_MAPPING_KEY. */
  table(version: TableVersion): TableVersion {
    return this.#planOf(version).table;
  }

  /** Throws as `table`, and SLUICE_MAPPING_VALUE. */
  apply(batch: RecordBatch): void {
    if (!(batch instanceof BatchWriter)) throw new TypeError('a batch that cannot be changed');
    const plans = batch.tables.map((table) => this.#planOf(table));
    const sources = batch.tables;
    if (plans.every(({ table }, index) => table === sources[index])) return;
    for (let record = 0; record < batch.count; record++) {
      const at = record * HEAD_SIZE;
      const index = batch.heads[at + HEAD.table] as number;
      const { slots } = plans[index] as Plan;
      if (slots === null) continue;
      const transaction = batch.transactions[batch.heads[at + HEAD.transaction] as number] as Transaction;
      for (const image of [HEAD.before, HEAD.after]) {
        const first = batch.heads[at + image] as number;
        if (first < 0) continue;
        const mapped = batch.cellCount;
        for (const slot of slots) this.#write(batch, sources[index] as TableVersion, first, slot, transaction);
        batch.heads[at + image] = mapped;
      }
    }
    batch.tables = plans.map(({ table }) => table);
  }

  #write(batch: BatchWriter, source: TableVersion, first: number, slot: Slot, transaction: Transaction): void {
    if (slot.kind === 'column') {
      const at = (first + slot.column) * 2;
      const [start, end] = [batch.cells[at] as number, batch.cells[at + 1] as number];
      if (slot.checked === null || start < 0) batch.cell(start, end);
      else this.#writeChecked(batch, source, slot.column, slot.checked, start, end, transaction);
    } else if (isKeyOnly(batch, source, first)) batch.mark(ABSENT);
    else if (slot.kind === 'rest') this.#writeRest(batch, source, first, slot.columns);
    else if (slot.bytes === null) batch.mark(NULL);
    else {
      const start = batch.append(slot.bytes);
      batch.cell(start, batch.arenaLength);
    }
  }

  #writeChecked(
    batch: BatchWriter,
    { columns, label }: TableVersion,
    column: number,
    to: NonNullable<Extract<Slot, { kind: 'column' }>['checked']>,
    start: number,
    end: number,
    { id }: Transaction,
  ): void {
    const length = prefixOf(batch.arena.toString('utf8', start, end), to);
    if (length < 0) {
      const parameters = { connector: this.#rules.connector, table: label, column: columns[column]?.name ?? '', to: nameOf(to), transaction: id };
      throw new SluiceError(MAPPING_VALUE, parameters, { table: label });
    }
    batch.cell(start, start + length);
  }

  /** One JSON object: text for each value, base64 for bytes, null, and what the log did not send by name. */
  #writeRest(batch: BatchWriter, source: TableVersion, first: number, columns: readonly number[]): void {
    const names = this.#namesOf(source);
    const from = batch.arenaLength;
    put(batch, OPEN);
    let isFirst = true;
    for (const column of columns) {
      const at = (first + column) * 2;
      const [start, end] = [batch.cells[at] as number, batch.cells[at + 1] as number];
      if (start === ABSENT) continue;
      if (!isFirst) put(batch, COMMA);
      isFirst = false;
      put(batch, names[column] as Uint8Array);
      if (start === NULL) put(batch, NOTHING);
      else if (start === UNAVAILABLE) put(batch, NOT_SENT);
      else writeText(batch, start, end, source.columns[column]?.type === 'bytes' || source.columns[column]?.type === 'geometry');
    }
    put(batch, CLOSE);
    batch.cell(from, batch.arenaLength);
  }

  #planOf(version: TableVersion): Plan {
    const known = this.#plans.get(version);
    if (known !== undefined) return known;
    const plan: Plan = version.kind === 'table' ? planOf(version, this.#rules) : { table: version, slots: null };
    this.#plans.set(version, plan);
    // It may be asked for once more, as what it was made to.
    if (plan.table !== version) this.#plans.set(plan.table, { table: plan.table, slots: null });
    return plan;
  }

  #namesOf(version: TableVersion): readonly Uint8Array[] {
    const known = this.#names.get(version);
    if (known !== undefined) return known;
    const names = version.columns.map(({ name }) => piece(`${JSON.stringify(name)}:`));
    this.#names.set(version, names);
    return names;
  }
}

/** An old row of which the log has the key alone. */
function isKeyOnly(batch: BatchWriter, { columns, key }: TableVersion, first: number): boolean {
  return key.length < columns.length && columns.every((_, column) => key.includes(column) || batch.cells[(first + column) * 2] === ABSENT);
}

function put(batch: BatchWriter, bytes: Uint8Array): void {
  batch.reserve(bytes.length);
  batch.arenaLength = writePiece(batch.arena, batch.arenaLength, bytes);
}

/** In quotes. */
function writeText(batch: BatchWriter, start: number, end: number, isBytes: boolean): void {
  if (!isBytes) {
    batch.reserve(stringBytes(batch.arena, start, end, MINIMAL_ESCAPES));
    batch.arenaLength = writeString(batch.arena, batch.arenaLength, batch.arena, start, end, MINIMAL_ESCAPES);
    return;
  }
  put(batch, QUOTE);
  batch.reserve(base64Bytes(end - start));
  batch.arenaLength = writeBase64(batch.arena, batch.arenaLength, batch.arena, start, end);
  put(batch, QUOTE);
}
