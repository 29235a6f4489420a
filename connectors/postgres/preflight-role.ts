/** What the role may do that it need not, and may not do that it must. */
import type pg from 'pg';
import { type Finding, findingOf, snapshotChoice } from '#plugin';
import { quoteIdentifier, quoteTable } from './client.ts';
import type { PostgresConfig } from './config.ts';
import { copyDenied, copyRowSecurity, excessRights, standbyLagUnseen, superuser } from './findings.ts';
import { type ServerFacts, withinLimit } from './server.ts';
import type { CapturedTable } from './tables.ts';
import type { Vitals } from './vitals.ts';

/** More names than that make no text any better. */
const SHOWN = 20;

interface TableRights {
  oid: number;
  /** Some column, if not the whole. */
  may_read: boolean;
  may_enter: boolean;
  row_security: boolean;
  /** Row-level security is on, whether or not the role bypasses it. */
  has_policies: boolean;
  /** Rights to change it, of a role that does not own it. */
  writes: string[];
}

const TABLE_RIGHTS = `SELECT c.oid, has_any_column_privilege(c.oid, 'SELECT') AS may_read, has_schema_privilege(n.oid, 'USAGE') AS may_enter,
    row_security_active(c.oid) AS row_security, c.relrowsecurity AS has_policies,
    CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN '{}'
      ELSE ARRAY(SELECT p FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p WHERE has_table_privilege(c.oid, p)) END::text[] AS writes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY($1::oid[])`;

export async function roleFindings(
  client: pg.Client,
  config: PostgresConfig,
  server: ServerFacts,
  vitals: Vitals,
  tables: readonly CapturedTable[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { rows } = await client.query<TableRights>(withinLimit(TABLE_RIGHTS, [tables.map(({ oid }) => oid)]));
  const rights = new Map(rows.map((row) => [row.oid, row]));
  const { user } = server;
  if (server.superuser) findings.push(findingOf(superuser, { user }));
  else findings.push(...excess(user, vitals, tables, rights));
  findings.push(...copyFindings(config, user, tables, rights));
  if (config.snapshot.maxStandbyLag !== undefined && !server.seesStatistics) findings.push(findingOf(standbyLagUnseen, { user }));
  return findings;
}

/** With the one statement that takes it all away. */
function excess(
  user: string,
  { attributes, memberships }: Vitals,
  tables: readonly CapturedTable[],
  rights: ReadonlyMap<number, TableRights>,
): Finding[] {
  const role = quoteIdentifier(user);
  // Where policies hide rows, copies need it.
  const isNeeded = (attribute: string): boolean => attribute === 'BYPASSRLS' && tables.some(({ oid }) => rights.get(oid)?.has_policies === true);
  const over = attributes.filter((attribute) => !isNeeded(attribute));
  const written = tables.filter(({ oid }) => (rights.get(oid)?.writes.length ?? 0) > 0);
  const words = [...new Set(written.flatMap(({ oid }) => rights.get(oid)?.writes ?? []))];
  // By membership in it every table can be written to.
  const isByRole = memberships.includes('pg_write_all_data');
  const sql = [
    ...(over.length === 0 ? [] : [`ALTER ROLE ${role} ${over.map((attribute) => `NO${attribute}`).join(' ')};`]),
    ...(memberships.length === 0 ? [] : [`REVOKE ${memberships.join(', ')} FROM ${role};`]),
    ...(written.length === 0 || isByRole ? [] : [`REVOKE ${words.join(', ')} ON ${written.map(quoteTable).join(', ')} FROM ${role};`]),
  ];
  if (sql.length === 0) return [];
  const changes = written.length === 0 || isByRole ? [] : [`${words.join(', ')} on ${named(written)}`];
  return [findingOf(excessRights, { user, rights: [...over, ...memberships, ...changes].join(', '), sql: sql.join(' ') })];
}

function copyFindings(
  { snapshot }: PostgresConfig,
  user: string,
  tables: readonly CapturedTable[],
  rights: ReadonlyMap<number, TableRights>,
): Finding[] {
  if (snapshot.mode === 'no_data' || snapshot.mode === 'never') return [];
  const choice = snapshotChoice(snapshot);
  const copied = tables.filter(({ schema, name }) => choice(schema, name).isCopied);
  const denied = copied.filter(({ oid }) => rights.get(oid)?.may_read === false || rights.get(oid)?.may_enter === false);
  const role = quoteIdentifier(user);
  const findings: Finding[] = [];
  if (denied.length > 0) {
    const schemas = [...new Set(denied.filter(({ oid }) => rights.get(oid)?.may_enter === false).map(({ schema }) => quoteIdentifier(schema)))];
    const enter = schemas.length === 0 ? '' : `GRANT USAGE ON SCHEMA ${schemas.join(', ')} TO ${role}; `;
    findings.push(
      findingOf(copyDenied, { user, tables: named(denied), sql: `${enter}GRANT SELECT ON ${denied.map(quoteTable).join(', ')} TO ${role};` }),
    );
  }
  for (const { oid, label } of copied) {
    if (rights.get(oid)?.row_security === true) findings.push(findingOf(copyRowSecurity, { user, table: label }, { table: label }));
  }
  return findings;
}

function named(tables: readonly CapturedTable[]): string {
  const labels = tables.slice(0, SHOWN).map(({ label }) => label);
  return tables.length > SHOWN ? `${labels.join(', ')} and ${tables.length - SHOWN} more` : labels.join(', ');
}
