import type { PostgresServer } from '../servers/index.ts';
import { differencesOfKeyless, differencesOfRows } from './compare-rows.ts';
import type { StreamLedger } from './stream-ledger.ts';
import { TPCB_KEYS } from './tpcb.ts';

/** What differs between the source's tables and what was rebuilt from the stream; empty = they are equal (I7). */
export async function differencesOfTpcb(postgres: PostgresServer, database: string, ledger: StreamLedger): Promise<string[]> {
  const differences: string[] = [];
  for (const [table, key] of Object.entries(TPCB_KEYS)) {
    differences.push(...differencesOfRows(table, key, await postgres.query<Record<string, unknown>>(`select * from ${table}`, database), ledger));
  }
  const history = await postgres.query<{ row: unknown; n: string }>(
    `select json_build_array(tid, bid, aid, delta, (extract(epoch from mtime) * 1000000)::bigint) as row, count(*) as n from pgbench_history group by tid, bid, aid, delta, mtime`,
    database,
  );
  const rows = history.map(({ row, n }) => ({ row: JSON.stringify(row), n }));
  return [...differences, ...differencesOfKeyless('pgbench_history', rows, ledger, historyText)];
}

export function historyText({ tid, bid, aid, delta, mtime }: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([tid, bid, aid, delta, mtime]);
}
