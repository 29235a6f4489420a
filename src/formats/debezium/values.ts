import { elementsAtMost, writeArray } from '../array-text.ts';
import { JACKSON_ESCAPES, stringBytes, writePiece } from '../json-text.ts';
import { CELL, cellBytes, SMALL_CELL_BYTES, writeCell } from './cells.ts';
import type { CellPlan } from './mapping.ts';
import { isZeroDate } from './temporal.ts';

/** Cells of every kind: arrays, whose elements are cells, and the others. */

export function writeValue(plan: CellPlan, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  if (plan.zero !== null && isZeroDate(from, start)) return writePiece(to, at, plan.zero);
  return plan.element === null
    ? writeCell(plan.cell, plan.scale, to, at, from, start, end)
    : writeArray(plan.element, writeElement, to, at, from, start, end);
}

function writeElement({ cell, scale }: CellPlan, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  return writeCell(cell, scale, to, at, from, start, end);
}

/** Room that a large value needs: exact for strings and bytes, so that 100 MB do not reserve 600. */
export function valueBytes(plan: CellPlan, from: Buffer, start: number, end: number): number {
  const { element } = plan;
  if (element === null) return cellBytes(plan.cell, plan.scale, from, start, end);
  const elements = elementsAtMost(from, start, end);
  // What is escaped in the array is longer there than by itself.
  if (element.cell === CELL.string) return stringBytes(from, start, end, JACKSON_ESCAPES) + 2 * elements;
  const each = elements * (smallBytes(element) + Math.abs(element.scale));
  return each + cellBytes(element.cell, element.scale, from, start, end);
}

/** Room for any value but those whose size grows with their text. */
export function smallBytes({ cell, unavailable }: CellPlan): number {
  return Math.max(cell === CELL.point || cell === CELL.geometryPoint ? 4 * SMALL_CELL_BYTES : SMALL_CELL_BYTES, unavailable.length);
}

/** More than six bytes for one are possible: small images are counted too. */
export function isWide({ cell, element }: CellPlan): boolean {
  return element !== null || cell === CELL.map || cell === CELL.mapText;
}
