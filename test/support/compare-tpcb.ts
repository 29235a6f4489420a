import type { PostgresServer } from '../servers/index.ts';
import type { StreamLedger } from './stream-ledger.ts';
import { TPCB_KEYS } from './tpcb.ts';

/** What differs between the source's tables and what was rebuilt from the stream; empty = they are equal (I7). */
export async function differencesOfTpcb(postgres: PostgresServer, database: string, ledger: StreamLedger): Promise<string[]> {
  const differences: string[] = [];
  for (const [table, key] of Object.entries(TPCB_KEYS)) {
    const rows = await postgres.query<Record<string, unknown>>(`select * from ${table}`, database);
    const rebuilt = ledger.rows(table);
    if (rebuilt.size !== rows.length) differences.push(`${table}: ${rebuilt.size} rows rebuilt, ${rows.length} in the source`);
    for (const row of rows) {
      const arrived = rebuilt.get(JSON.stringify({ [key]: row[key] }));
      if (JSON.stringify(arrived) !== JSON.stringify(row)) differences.push(`${table} ${key} ${String(row[key])} differs`);
      if (differences.length > 20) return differences;
    }
  }
  const history = await postgres.query<{ row: string; n: string }>(
    `select json_build_array(tid, bid, aid, delta, (extract(epoch from mtime) * 1000000)::bigint) as row, count(*) as n from pgbench_history group by tid, bid, aid, delta, mtime`,
    database,
  );
  const arrived = new Map<string, number>();
  for (const [text, count] of ledger.keyless.get('pgbench_history') ?? []) {
    const { tid, bid, aid, delta, mtime } = JSON.parse(text) as Record<string, number>;
    arrived.set(JSON.stringify([tid, bid, aid, delta, mtime]), count);
  }
  if (arrived.size !== history.length) differences.push(`pgbench_history: ${arrived.size} different rows arrived, ${history.length} in the source`);
  for (const { row, n } of history) {
    if (arrived.get(JSON.stringify(row)) !== Number(n))
      differences.push(`pgbench_history: a row is there ${n} times and arrived ${arrived.get(JSON.stringify(row)) ?? 0} times`);
    if (differences.length > 20) break;
  }
  return differences;
}
