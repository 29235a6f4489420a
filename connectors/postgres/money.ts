/**
 * Type money is a whole number of the smallest unit; how many digits of it stand after the point is nowhere stored: each session takes `lc_monetary`
 * at the moment (`cash_in`, `cash_out` in the server's sources). Ours is C, two digits. In a database whose own is of another currency the same number
 * means another amount: 1235 yen would be read as 12.35, without a sign of it. So there it is refused (I8, I11).
 */
import type pg from 'pg';
import { SluiceError } from '#plugin';
import { loadCatalog } from './catalog.ts';
import { quoteIdentifier, quoteTable } from './client.ts';
import { moneyDigits } from './errors.ts';
import type { MoneyFacts, ServerFacts } from './server.ts';
import type { CapturedTable } from './tables.ts';
import { type CustomType, MONEY_OIDS } from './types.ts';

/** What `lc_monetary` C prints. */
const READ_DIGITS = 2;

interface Columns {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
}

/** Why a table with these columns cannot be read where money has so many digits; null = it can. */
export function moneyProblem(table: Columns, money: MoneyFacts, type: (oid: number) => CustomType | undefined): SluiceError | null {
  if (money.digits === READ_DIGITS) return null;
  const column = table.columns.find(({ typeOid }) => isMoney(typeOid, type));
  if (column === undefined) return null;
  const label = `${table.schema}.${table.name}`;
  const { digits, locale } = money;
  return new SluiceError(
    moneyDigits,
    { table: label, column: column.name, digits, locale, sqlTable: quoteTable(table), sqlColumn: quoteIdentifier(column.name) },
    { table: label },
  );
}

/** The same of everything captured, as today's catalogue has it. */
export async function moneyProblems(client: pg.Client, { money }: ServerFacts, tables: readonly CapturedTable[]): Promise<SluiceError[]> {
  if (money.digits === READ_DIGITS) return [];
  const catalog = await loadCatalog(
    client,
    tables.map(({ oid }) => oid),
  );
  return [...catalog.tables.values()].flatMap((table) => moneyProblem(table, money, (oid) => catalog.types.get(oid)) ?? []);
}

/** Money, an array of it, or a domain over either. */
function isMoney(oid: number, type: (oid: number) => CustomType | undefined): boolean {
  let at = oid;
  for (let depth = 0; depth < 32; depth++) {
    if (MONEY_OIDS.has(at)) return true;
    const found = type(at);
    if (found?.kind !== 'domain') return false;
    at = found.baseOid;
  }
  return false;
}
