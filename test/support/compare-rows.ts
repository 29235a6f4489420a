/** What differs between the source's tables and what was rebuilt from the messages (I7). */
import type { StreamLedger } from './stream-ledger.ts';

type Row = Readonly<Record<string, unknown>>;

/** More is not told. */
const ENOUGH = 20;

export function differencesOfRows(table: string, key: string, rows: readonly Row[], ledger: StreamLedger): string[] {
  const differences: string[] = [];
  const rebuilt = ledger.rows(table);
  if (rebuilt.size !== rows.length) differences.push(`${table}: ${rebuilt.size} rows rebuilt, ${rows.length} in the source`);
  for (const row of rows) {
    const arrived = rebuilt.get(JSON.stringify({ [key]: row[key] }));
    if (JSON.stringify(arrived) !== JSON.stringify(row)) differences.push(`${table} ${key} ${String(row[key])} differs`);
    if (differences.length > ENOUGH) break;
  }
  return differences;
}

/** Of a table without a key: how often each row is there. `textOf` is the text of one that arrived, as `rows` has it. */
export function differencesOfKeyless(
  table: string,
  rows: readonly { readonly row: string; readonly n: string | number }[],
  ledger: StreamLedger,
  textOf: (row: Row) => string,
): string[] {
  const differences: string[] = [];
  const arrived = new Map([...(ledger.keyless.get(table) ?? [])].map(([text, count]) => [textOf(JSON.parse(text) as Row), count]));
  if (arrived.size !== rows.length) differences.push(`${table}: ${arrived.size} different rows arrived, ${rows.length} in the source`);
  for (const { row, n } of rows) {
    if (arrived.get(row) !== Number(n)) differences.push(`${table}: a row is there ${n} times and arrived ${arrived.get(row) ?? 0} times`);
    if (differences.length > ENOUGH) break;
  }
  return differences;
}
