import { ABSENT, NULL, UNAVAILABLE } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import type { ColumnShape } from '../../record/table.ts';
import { JACKSON_ESCAPES, jsonString, piece, writePiece } from '../json-text.ts';
import type { CellPlan } from './mapping.ts';
import type { ImageWriter } from './parts.ts';
import { isWide, smallBytes, valueBytes, writeValue } from './values.ts';

const NULL_TEXT = piece('null');

/** Sum of cell lengths up to which six bytes for each are reserved instead of counting. */
const SMALL_IMAGE_BYTES = 4096;

/** As one JSON object. */
export class ImageEncoder implements ImageWriter {
  readonly #columns: readonly number[];
  readonly #names: readonly Uint8Array[];
  readonly #plans: readonly CellPlan[];
  /** Per column: what stands for it where the image does not carry it. */
  readonly #absent: readonly Uint8Array[];
  readonly #fixedBytes: number;
  readonly #isCounted: boolean;

  /** `plans` and `absent` by column of the table; without `absent` it is null. */
  constructor(shape: readonly ColumnShape[], columns: readonly number[], plans: readonly CellPlan[], absent: readonly string[] | null = null) {
    const chosen = columns.map((column) => shape[column] as ColumnShape);
    this.#columns = columns;
    this.#names = chosen.map(({ name }, index) => piece(`${index === 0 ? '{' : ','}${jsonString(name, JACKSON_ESCAPES)}:`));
    this.#plans = columns.map((column) => plans[column] as CellPlan);
    this.#absent = columns.map((column) => (absent === null ? NULL_TEXT : piece(absent[column] as string)));
    this.#isCounted = this.#plans.some(isWide);
    this.#fixedBytes = 2 + this.#names.reduce((sum, name, index) => sum + name.length + this.#fixedBytesOf(index), 0);
  }

  #fixedBytesOf(index: number): number {
    const plan = this.#plans[index] as CellPlan;
    return Math.max(smallBytes(plan) + Math.abs(plan.scale), (this.#absent[index] as Uint8Array).length);
  }

  bytes(record: RecordCursor, image: number, fallback: number): number {
    let length = 0;
    for (let index = 0; index < this.#columns.length; index++) {
      const column = this.#columns[index] as number;
      const start = record.start(image, column);
      if (start >= 0) length += record.end(image, column) - start;
      else if (start === UNAVAILABLE && fallback >= 0 && record.start(fallback, column) >= 0)
        length += record.end(fallback, column) - record.start(fallback, column);
    }
    return length <= SMALL_IMAGE_BYTES && !this.#isCounted
      ? this.#fixedBytes + 6 * length
      : this.#fixedBytes + this.#countedBytes(record, image, fallback);
  }

  #countedBytes(record: RecordCursor, image: number, fallback: number): number {
    let length = 0;
    for (let index = 0; index < this.#columns.length; index++) {
      const column = this.#columns[index] as number;
      const from = record.start(image, column) === UNAVAILABLE && fallback >= 0 ? fallback : image;
      const start = record.start(from, column);
      if (start >= 0) length += valueBytes(this.#plans[index] as CellPlan, record.arena, start, record.end(from, column));
    }
    return length;
  }

  write(record: RecordCursor, image: number, fallback: number, to: Buffer, at: number): number {
    const arena = record.arena;
    const cells = record.cells;
    const columns = this.#columns;
    const count = columns.length;
    if (count === 0) to[at++] = 0x7b;
    for (let index = 0; index < count; index++) {
      at = writePiece(to, at, this.#names[index] as Uint8Array);
      const column = columns[index] as number;
      const plan = this.#plans[index] as CellPlan;
      let place = (image + column) * 2;
      if (cells[place] === UNAVAILABLE && fallback >= 0) {
        const other = (fallback + column) * 2;
        if ((cells[other] as number) >= NULL) place = other;
      }
      const start = cells[place] as number;
      if (start >= 0) at = writeValue(plan, to, at, arena, start, cells[place + 1] as number);
      else if (start === UNAVAILABLE) at = writePiece(to, at, plan.unavailable);
      else at = writePiece(to, at, start === ABSENT ? (this.#absent[index] as Uint8Array) : NULL_TEXT);
    }
    to[at] = 0x7d;
    return at + 1;
  }
}
