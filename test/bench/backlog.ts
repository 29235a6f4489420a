import type { PostgresServer } from '../servers/index.ts';

/** The benchmark's table: a bigint key, int, text, numeric(12,2), 60-character text, timestamptz. */
export const BENCH_TABLE = `create table bench(id bigint primary key, n int not null, name text not null, amount numeric(12,2) not null, body text not null, at timestamptz not null)`;

const INSERT = `insert into bench select i, (i % 2147483647)::int, 'customer ' || i, (i % 10000000) / 100.0, rpad(md5(i::text), 60, md5((i + 1)::text)),
  timestamptz '2026-01-01 00:00:00+00' + i * interval '1.000001 s' from generate_series(%from, %to) i`;

/** What arrived must give the same: the number of rows, and the sum of 52 bits of a digest of each, whatever their order. */
export interface Parity {
  readonly rows: number;
  readonly hash: string;
}

/** Writes `rows` rows in transactions of `perTransaction`, behind a slot that nobody reads: every consumer gets a copy of it. */
export async function writeBacklog(
  postgres: PostgresServer,
  database: string,
  rows: number,
  perTransaction: number,
): Promise<{ endLsn: string; parity: Parity }> {
  await postgres.query(`${BENCH_TABLE}; create publication bench for table bench`, database);
  // By itself: a slot cannot be made in a transaction that has written.
  await postgres.query(`select pg_create_logical_replication_slot('bench', 'pgoutput')`, database);
  const client = await postgres.connect(database);
  try {
    for (let from = 1; from <= rows; from += perTransaction) {
      await client.query(INSERT.replace('%from', String(from)).replace('%to', String(Math.min(rows, from + perTransaction - 1))));
    }
    const parity = await client.query<{ rows: string; hash: string }>(
      `select count(*) as rows, sum(('x' || substr(md5(concat_ws('|', id, n, name, amount, body, (extract(epoch from at) * 1000000)::bigint)), 1, 13))::bit(52)::bigint) as hash from bench`,
    );
    const { rows: lsn } = await client.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
    return { endLsn: lsn[0]?.lsn ?? '', parity: { rows: Number(parity.rows[0]?.rows), hash: parity.rows[0]?.hash ?? '' } };
  } finally {
    await client.end();
  }
}

/** A slot of its own for one consumer, at the beginning of the backlog. */
export async function copySlot(postgres: PostgresServer, database: string, name: string): Promise<void> {
  await postgres.query(`select pg_copy_logical_replication_slot('bench', '${name}')`, database);
}

export async function dropSlot(postgres: PostgresServer, database: string, name: string): Promise<void> {
  await postgres.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '${name}' and not active`, database);
}
