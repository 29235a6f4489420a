import type { ColumnShape, TableShape } from '../../src/record/table.ts';

const column = (name: string, type: 'int32' | 'text'): ColumnShape => ({ name, type, typeName: type, scale: null, precision: null });

function shape(name: string, columns: readonly ColumnShape[], key: readonly number[]): TableShape {
  return { kind: 'table', catalog: 'shop', schema: 'public', name, columns, key };
}

const ID = column('id', 'int32');
const VALUE = column('v', 'text');

/** Each table with its shapes in the order in which the log may show them. The last column but for the added ones is the value. */
export const TABLES: readonly (readonly TableShape[])[] = [
  [shape('orders', [ID, VALUE], [0]), shape('orders', [ID, VALUE, column('note', 'text')], [0])],
  [shape('lines', [column('a', 'int32'), column('b', 'int32'), VALUE], [0, 1])],
  [shape('audit', [ID, VALUE], []), shape('audit', [ID, VALUE, column('who', 'text')], [])],
  [shape('items', [ID, VALUE], [0])],
];

/** The same of a system that has no schemas below the database. */
export const TABLES_WITHOUT_SCHEMAS: typeof TABLES = TABLES.map((shapes) => shapes.map((each) => ({ ...each, schema: '' })));

/** Cells of a row: its key is made of one small number, so that keys come again. */
export function cellsOf(table: TableShape, key: number, value: string): readonly string[] {
  return table.columns.map(({ name, type }, index) => {
    if (name === 'v') return value;
    if (type === 'int32') return String(index === 0 ? key : key % 3);
    return `more of ${key}`;
  });
}

/** The key as the format writes it; null: the table has none. */
export function keyText(table: TableShape, key: number): string | null {
  if (table.key.length === 0) return null;
  const cells = cellsOf(table, key, '');
  return `{${table.key.map((index) => `"${table.columns[index]?.name}":${cells[index]}`).join(',')}}`;
}
