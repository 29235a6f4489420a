/** Rows of `COPY … TO STDOUT` in its text format (manual, COPY, "Text Format"), into cells: one pass over them in the arena. */
import { type BatchWriter, type ColumnShape, type KeyText, type LogicalType, NULL, type RecordBatch, type TableVersion } from '#plugin';
import { MALFORMED, normalise } from '../log/cells.ts';
import { NORMALISE, type Normalise } from '../types.ts';

const TAB = 0x09;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const NULL_LETTER = 0x4e;

/** What a backslash and this letter stand for; 0 = the server writes no such thing. */
const ESCAPES = new Uint8Array(256);
for (const [letter, byte] of [
  ['b', 0x08],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['v', 0x0b],
  ['\\', 0x5c],
] as const) {
  ESCAPES[letter.charCodeAt(0)] = byte;
}

/**
 * Decodes one row, which stands in the writer's arena from `from` to `end` with the newline at its end, as one image: a cell for each entry of `forms`. Where it
 * stands: only a cell with escapes is moved together. False: it is no such row, and the writer is spoilt.
 */
export function copyRow(writer: BatchWriter, from: number, end: number, forms: Uint8Array): boolean {
  const { arena } = writer;
  const columns = forms.length;
  if (end <= from || arena[end - 1] !== NEWLINE) return false;
  writer.arenaLength = end;
  if (columns === 0) return end === from + 1;
  let start = from;
  let to = from;
  let column = 0;
  let isNull = false;
  for (let at = from; at < end; at++) {
    const byte = arena[at] as number;
    // Nearly all of them: NEWLINE is the last of the bytes that mean something, but for BACKSLASH.
    if (byte > NEWLINE && byte !== BACKSLASH) {
      if (to !== at) arena[to] = byte;
      to++;
    } else if (byte === TAB || byte === NEWLINE) {
      if (column >= columns || (byte === NEWLINE && at !== end - 1)) return false;
      if (isNull) writer.mark(NULL);
      else {
        const form = forms[column] as Normalise;
        const stop = form === NORMALISE.none ? to : normalise(form, arena, start, to);
        if (stop === MALFORMED) return false;
        writer.cell(start, stop);
      }
      isNull = false;
      start = at + 1;
      to = start;
      column++;
    } else if (byte !== BACKSLASH) arena[to++] = byte;
    else if (arena[at + 1] === NULL_LETTER && to === start) {
      isNull = true;
      at++;
    } else {
      const meant = ESCAPES[arena[++at] as number] as number;
      if (meant === 0) return false;
      arena[to++] = meant;
    }
  }
  return column === columns;
}

/** The text of a cell as the server reads it: what `normalise` did is undone where the server would not take it. */
function sqlText(type: LogicalType, cell: Buffer): string {
  if (type === 'bytes') return `\\x${cell.toString('hex')}`;
  const text = cell.toString('utf8');
  if (type !== 'date' && type !== 'timestamp' && type !== 'timestamptz') return text;
  // Year 0 of the astronomical count is 1 BC.
  const parts = /^(-?)(\d+)(-\d\d-\d\d.*)$/.exec(text);
  if (parts === null) return text;
  const [, sign, year = '', rest = ''] = parts;
  return sign === '-' || Number(year) === 0 ? `${String(Number(year) + 1).padStart(4, '0')}${rest} BC` : text;
}

/** The key of a row as the server reads it, by the first cell of the row's image. */
export function keyOfRow(table: TableVersion, batch: RecordBatch, image: number): KeyText {
  return textsOfRow(table, table.key, batch, image);
}

/** The same of any of its columns that have a value. */
export function textsOfRow({ columns }: TableVersion, indexes: readonly number[], { arena, cells }: RecordBatch, image: number): KeyText {
  return indexes.map((index) => {
    const at = (image + index) * 2;
    return sqlText((columns[index] as ColumnShape).type, arena.subarray(cells[at] as number, cells[at + 1] as number));
  });
}
