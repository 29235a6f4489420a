/** Keys of the user's choice: `message.key.columns`. */
import { SluiceError } from '../../plugin/error.ts';
import { errorFinding, type Finding, findingOf } from '../../plugin/finding.ts';
import type { TableOutline } from '../../plugin/outline.ts';
import { ABSENT, UNAVAILABLE } from '../../record/batch.ts';
import type { RecordCursor } from '../../record/cursor.ts';
import { type TableIdentity, type TableShape, tableLabel } from '../../record/table.ts';
import { keyColumnMissing, keyNotInLog } from './errors.ts';
import { keyUnused } from './findings.ts';
import { type KeyEntry, parseKeyEntry } from './key-entry.ts';
import type { DebeziumConfig } from './options.ts';
import { qualifiedName } from './patterns.ts';

type KeyConfig = Pick<DebeziumConfig, 'messageKeyColumns' | 'skippedOperations'>;

/** The message key of a table version. */
export interface MessageKey {
  /** Indexes of columns, in key order; empty: messages have no key. */
  readonly columns: readonly number[];
  /** Columns beside the table's own key are in it: the log must carry whole old rows. */
  readonly isForeign: boolean;
}

/** The key of a table's messages. Throws if the table does not have what is asked for. */
export function messageKeyOf(table: TableShape, config: Pick<KeyConfig, 'messageKeyColumns'>): MessageKey {
  const entries = entriesFor(table, config);
  if (entries.length === 0) return { columns: table.key, isForeign: false };
  const names = table.columns.map(({ name }) => name);
  const missing = missingColumn(entries, names);
  if (missing !== null) throw missingError(table, missing);
  const columns = keyNames(entries).map((name) => names.indexOf(name));
  return { columns, isForeign: columns.some((column) => !table.key.includes(column)) };
}

/** Stops at an update or delete whose old key the log does not carry: under another one it would be lost for whoever goes by keys (I8). */
export function demandOldKey(record: RecordCursor, key: readonly number[]): void {
  for (let index = 0; index < key.length; index++) {
    const start = record.before < 0 ? ABSENT : record.start(record.before, key[index] as number);
    if (start !== ABSENT && start !== UNAVAILABLE) continue;
    const { table } = record;
    throw notInLog(
      table,
      key.filter((column) => !table.key.includes(column)).map((column) => table.columns[column]?.name ?? ''),
    );
  }
}

/** What the entries ask of the captured tables, and they do not have; entries that match none of them. */
export function keyFindings(config: KeyConfig, tables: readonly TableOutline[]): readonly Finding[] {
  const matched = new Set(tables.flatMap((table) => entriesFor(table, config).map(({ text }) => text)));
  const unused = config.messageKeyColumns.filter((text) => !matched.has(text)).map((entry) => findingOf(keyUnused, { entry }));
  const isOldKeyNeeded = !['u', 'd'].every((letter) => config.skippedOperations.includes(letter));
  const wrong = tables.flatMap((table) => {
    const entries = entriesFor(table, config);
    if (entries.length === 0 || table.columnNames === undefined) return [];
    const missing = missingColumn(entries, table.columnNames);
    if (missing !== null) return [errorFinding(missingError(table, missing))];
    const old = isOldKeyNeeded ? (table.oldColumnNames ?? null) : null;
    const lacking = old === null ? [] : keyNames(entries).filter((name) => !old.includes(name));
    return lacking.length === 0 ? [] : [errorFinding(notInLog(table, lacking))];
  });
  return [...wrong, ...unused];
}

/** As Debezium, the columns of all entries that match, in the order in which they are written. */
function entriesFor(table: TableIdentity, { messageKeyColumns }: Pick<KeyConfig, 'messageKeyColumns'>): readonly KeyEntry[] {
  const name = qualifiedName(table);
  return messageKeyColumns.map(parseKeyEntry).filter((entry): entry is KeyEntry => 'tables' in entry && entry.tables.test(name));
}

function keyNames(entries: readonly KeyEntry[]): readonly string[] {
  return [...new Set(entries.flatMap(({ columns }) => columns))];
}

function missingColumn(entries: readonly KeyEntry[], names: readonly string[]): { readonly entry: string; readonly column: string } | null {
  for (const { text, columns } of entries) {
    const column = columns.find((each) => !names.includes(each));
    if (column !== undefined) return { entry: text, column };
  }
  return null;
}

function missingError(table: TableIdentity, missing: { readonly entry: string; readonly column: string }): SluiceError {
  const label = tableLabel(table);
  return new SluiceError(keyColumnMissing, { table: label, ...missing }, { table: label });
}

function notInLog(table: TableIdentity, columns: readonly string[]): SluiceError {
  const label = tableLabel(table);
  return new SluiceError(keyNotInLog, { table: label, columns: columns.map((name) => `"${name}"`).join(', ') }, { table: label });
}
