import { JACKSON_ESCAPES, piece, stringBytes, writePiece } from '../json-text.ts';
import { CELL, cellBytes, SMALL_CELL_BYTES, writeCell } from './cells.ts';
import type { CellPlan } from './mapping.ts';

/** Cells of every kind: arrays, whose elements are cells, and the others. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const NULL_TEXT = piece('null');

let scratch = Buffer.allocUnsafeSlow(1024);

export function writeValue(plan: CellPlan, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  return plan.element === null ? writeCell(plan.cell, plan.scale, to, at, from, start, end) : writeArray(plan.element, to, at, from, start, end);
}

/** `{…,…}` as a JSON array; nested braces as nested arrays. Bounds in front say nothing that JSON could. */
function writeArray(element: CellPlan, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let index = start;
  if (from[index] !== OPEN) while (from[index] !== OPEN) index++;
  while (index < end) {
    const byte = from[index] as number;
    if (byte === OPEN) to[at++] = 0x5b;
    else if (byte === CLOSE) to[at++] = 0x5d;
    else if (byte === COMMA) to[at++] = COMMA;
    else if (byte === QUOTE) {
      if (scratch.length < end - index) scratch = Buffer.allocUnsafeSlow(end - index);
      let length = 0;
      for (index++; from[index] !== QUOTE; index++) {
        if (from[index] === BACKSLASH) index++;
        scratch[length++] = from[index] as number;
      }
      at = writeCell(element.cell, element.scale, to, at, scratch, 0, length);
    } else {
      const inside = index;
      while (from[index] !== COMMA && from[index] !== CLOSE) index++;
      at = isNull(from, inside, index) ? writePiece(to, at, NULL_TEXT) : writeCell(element.cell, element.scale, to, at, from, inside, index);
      continue;
    }
    index++;
  }
  return at;
}

function isNull(from: Uint8Array, start: number, end: number): boolean {
  return end - start === 4 && from[start] === 0x4e && from[start + 1] === 0x55 && from[start + 2] === 0x4c && from[start + 3] === 0x4c;
}

/** Room that a large value needs: exact for strings and bytes, so that 100 MB do not reserve 600. */
export function valueBytes(plan: CellPlan, from: Buffer, start: number, end: number): number {
  const { element } = plan;
  if (element === null) return cellBytes(plan.cell, plan.scale, from, start, end);
  let elements = 1;
  for (let index = start; index < end; index++) if (from[index] === COMMA) elements++;
  // What is escaped in the array is longer there than by itself.
  if (element.cell === CELL.string) return stringBytes(from, start, end, JACKSON_ESCAPES) + 2 * elements;
  const each = elements * (smallBytes(element) + Math.abs(element.scale));
  return each + cellBytes(element.cell, element.scale, from, start, end);
}

/** Room for any value but those whose size grows with their text. */
export function smallBytes({ cell, unavailable }: CellPlan): number {
  return Math.max(cell === CELL.point ? 4 * SMALL_CELL_BYTES : SMALL_CELL_BYTES, unavailable.length);
}

/** More than six bytes for one are possible: small images are counted too. */
export function isWide({ cell, element }: CellPlan): boolean {
  return element !== null || cell === CELL.map || cell === CELL.mapText;
}
