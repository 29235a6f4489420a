import { namePattern } from './patterns.ts';

/** One entry of `messageKeyColumns`. */
export interface KeyEntry {
  /** As the user wrote it. */
  readonly text: string;
  readonly tables: RegExp;
  readonly columns: readonly string[];
}

/** Reads `table:column,column`; what is wrong with it if it is none. */
export function parseKeyEntry(text: string): KeyEntry | { readonly message: string; readonly remedy: string } {
  const remedy = 'write schema.table:column,column, the table as a regular expression';
  // The table may have a colon in it, (?:…); a column cannot.
  const colon = text.lastIndexOf(':');
  const columns = text
    .slice(colon + 1)
    .split(',')
    .map((column) => column.trim());
  if (colon < 1 || text.slice(0, colon).trim() === '') return { message: 'names no table', remedy };
  if (text.includes(';')) return { message: 'has a semicolon', remedy: 'make each entry an element of the list' };
  if (columns.includes('')) return { message: 'has a column without a name', remedy };
  if (new Set(columns).size < columns.length) return { message: 'names a column twice', remedy: 'name it once' };
  const tables = namePattern(text.slice(0, colon).trim());
  return tables instanceof RegExp ? { text, tables, columns } : tables;
}
