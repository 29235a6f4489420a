/** Cells of arrays (`record/types.ts`) as JSON arrays, for every format: what an element is stays the format's. */
import { piece, writePiece } from './json-text.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const NULL_TEXT = piece('null');

let scratch = Buffer.allocUnsafeSlow(1024);

/** Writes the JSON of an element, whose cell stands from `start` to `end`, at `at` and returns its end. */
export type WriteElement<E> = (element: E, to: Buffer, at: number, from: Buffer, start: number, end: number) => number;

/** `{…,…}` as a JSON array; nested braces as nested arrays. Bounds in front say nothing that JSON could. */
export function writeArray<E>(element: E, write: WriteElement<E>, to: Buffer, at: number, from: Buffer, start: number, end: number): number {
  let index = start;
  while (from[index] !== OPEN) index++;
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
      at = write(element, to, at, scratch, 0, length);
    } else {
      const inside = index;
      while (from[index] !== COMMA && from[index] !== CLOSE) index++;
      at = isNull(from, inside, index) ? writePiece(to, at, NULL_TEXT) : write(element, to, at, from, inside, index);
      continue;
    }
    index++;
  }
  return at;
}

function isNull(from: Uint8Array, start: number, end: number): boolean {
  return end - start === 4 && from[start] === 0x4e && from[start + 1] === 0x55 && from[start + 2] === 0x4c && from[start + 3] === 0x4c;
}

/** At least as many as the array has: commas in texts count too. */
export function elementsAtMost(from: Uint8Array, start: number, end: number): number {
  let elements = 1;
  for (let index = start; index < end; index++) if (from[index] === COMMA) elements++;
  return elements;
}
