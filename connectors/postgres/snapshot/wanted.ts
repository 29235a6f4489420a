/** What of the captured tables is copied without being asked for, and in which order. */
import type pg from 'pg';
import { snapshotChoice, type WantedTable } from '#plugin';
import type { PostgresConfig } from '../config.ts';
import { hasCome } from '../log/capture.ts';
import type { Memberships } from '../log/membership.ts';
import type { Noted } from '../log/remembered.ts';
import type { CapturedTable } from '../tables.ts';

export interface TableFacts {
  readonly members: Memberships;
  readonly left: Noted['left'];
  /** `tables` of the configuration at the last start; null: it is the first. */
  readonly patterns: readonly string[] | null;
}

// Partitions belong to the partitioned table, which has nothing itself.
const SIZES = `SELECT c.oid, CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_table_size(t.relid)) FROM pg_partition_tree(c.oid) t)
    ELSE pg_table_size(c.oid) END::float8 AS size FROM pg_class c WHERE c.oid = ANY($1::oid[])`;

export async function wantedTables(
  client: pg.Client,
  config: PostgresConfig,
  tables: readonly CapturedTable[],
  facts: TableFacts,
): Promise<readonly WantedTable[]> {
  const { signalTable } = config.snapshot;
  const choice = snapshotChoice(config.snapshot);
  const come = facts.patterns === null ? () => false : hasCome(config, facts.patterns);
  const copied = tables.filter(({ label }) => label !== signalTable);
  return (await inOrder(client, config, copied)).map((table) => ({
    label: table.label,
    identity: identityOf(table, facts),
    isNew: come(table),
    ...choice(table.schema, table.name),
  }));
}

/** The table, its place in the publications, and how often changes of it were dropped: with another one of these what was copied is not what is there. */
function identityOf({ oid, schema, name }: CapturedTable, { members, left }: TableFacts): string {
  const key = JSON.stringify([schema, name]);
  const entries = Object.values(members).flatMap((publication) => publication[key]?.entry ?? []);
  const times = left[oid];
  return [oid, ...entries, ...(times === undefined ? [] : [`left ${times}`])].join('/');
}

async function inOrder(client: pg.Client, { snapshot }: PostgresConfig, tables: readonly CapturedTable[]): Promise<readonly CapturedTable[]> {
  if (snapshot.order === 'listed') return tables;
  const { rows } = await client.query<{ oid: number; size: number | null }>(SIZES, [tables.map(({ oid }) => oid)]);
  const sizes = new Map(rows.map(({ oid, size }) => [oid, size ?? 0]));
  const direction = snapshot.order === 'smallest' ? 1 : -1;
  return [...tables].sort((a, b) => direction * ((sizes.get(a.oid) ?? 0) - (sizes.get(b.oid) ?? 0)));
}
