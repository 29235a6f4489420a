import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copyRow, keyOfRow } from '../../../../../connectors/postgres/snapshot/copy-text.ts';
import { NORMALISE } from '../../../../../connectors/postgres/types.ts';
import { BatchWriter, OP } from '../../../../../src/record/batch.ts';
import { TableRegistry } from '../../../../../src/record/table.ts';
import type { LogicalType } from '../../../../../src/record/types.ts';
import { column, tableShape } from '../../../../support/encoded.ts';

const ESCAPED: Readonly<Record<string, string>> = { '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\' };

/** As the server writes a row (manual, COPY, "Text Format"). */
function line(values: readonly (string | null)[]): Buffer {
  const cells = values.map((value) => (value === null ? '\\N' : value.replace(/[\b\f\n\r\t\v\\]/g, (found) => ESCAPED[found] as string)));
  return Buffer.from(`${cells.join('\t')}\n`);
}

function read(bytes: Buffer, forms: Uint8Array): (string | null)[] | null {
  const batch = new BatchWriter(new TableRegistry(), () => undefined, 16);
  // Another row behind it, as in what a socket gives.
  const start = batch.append(Buffer.concat([bytes, Buffer.from('\\N\tother\n')]));
  if (!copyRow(batch, start, start + bytes.length, forms)) return null;
  expect(batch.arenaLength).toBe(start + bytes.length);
  expect(batch.arena.toString('utf8', batch.arenaLength, batch.arenaLength + 9)).toBe('\\N\tother\n');
  return Array.from({ length: batch.cellCount }, (_, cell) => {
    const [start, end] = [batch.cells[cell * 2] as number, batch.cells[cell * 2 + 1] as number];
    return start < 0 ? null : batch.arena.toString('utf8', start, end);
  });
}

describe('rows of COPY', () => {
  it('are the values, whatever these hold', () => {
    const value = fc.option(fc.string({ unit: fc.constantFrom('a', 'N', '\\', '\t', '\n', '\r', '\b', '\f', '\v', 'é', '😀', ' ') }), { nil: null });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 6 }), (values) => {
        expect(read(line(values), new Uint8Array(values.length))).toEqual(values);
      }),
    );
  });

  it('of tables without columns are empty lines', () => {
    expect(read(Buffer.from('\n'), new Uint8Array(0))).toEqual([]);
  });

  it.each([
    ['too few columns', 'a\n'],
    ['too many columns', 'a\tb\tc\n'],
    ['no newline at the end', 'a\tb'],
    ['a newline in the middle', 'a\nb\n'],
    ['an escape that the server does not write', 'a\\qb\tc\n'],
    ['NULL behind something', 'a\\N\tb\n'],
    ['nothing', ''],
  ])('are refused with %s', (_, text) => {
    expect(read(Buffer.from(text), new Uint8Array(2))).toBeNull();
  });

  it('have the form of their cells, as in the log (I11)', () => {
    const forms = Uint8Array.of(NORMALISE.bytea, NORMALISE.timestamptz, NORMALISE.date, NORMALISE.money);
    expect(read(line(['\\x6869', '2024-02-29 12:34:56.5+00', '0044-03-15 BC', '-$1,234.56']), forms)).toEqual([
      'hi',
      '2024-02-29T12:34:56.5Z',
      '-0043-03-15',
      '-1234.56',
    ]);
  });
});

describe('keys of rows', () => {
  it.each<[string, LogicalType, number, string, string]>([
    ['numbers', 'int64', NORMALISE.none, '-7', '-7'],
    ['bytes', 'bytes', NORMALISE.bytea, '\\xdeadbeef', '\\xdeadbeef'],
    ['dates before Christ', 'date', NORMALISE.date, '0044-03-15 BC', '0044-03-15 BC'],
    ['the first year before Christ', 'date', NORMALISE.date, '0001-03-15 BC', '0001-03-15 BC'],
    ['moments', 'timestamp', NORMALISE.timestamp, '2024-02-29 12:34:56', '2024-02-29T12:34:56'],
    ['no moment at all', 'timestamptz', NORMALISE.timestamptz, '-infinity', '-infinity'],
  ])('are texts that the server takes: %s', (_, type, form, written, expected) => {
    const batch = new BatchWriter(new TableRegistry(), () => undefined, 16);
    const table = batch.table(tableShape([column('id', type)]));
    batch.record(OP.read, table, { id: 't', commitMicros: 0 }, 0);
    batch.image('after');
    const bytes = line([written]);
    const start = batch.append(bytes);
    expect(copyRow(batch, start, start + bytes.length, Uint8Array.of(form))).toBe(true);
    expect(keyOfRow(table, batch, 0)).toEqual([expected]);
  });
});
