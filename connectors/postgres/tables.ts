import type pg from 'pg';
import { type Finding, findingOf, SluiceError } from '#plugin';
import { type TableKind, tableKindOf } from './catalog.ts';
import { quoteTable } from './client.ts';
import type { PostgresConfig } from './config.ts';
import { noReplicaIdentity, noTables, tableKind, tableMissing } from './errors.ts';
import { insertsOnly, partitionedWhole, patternMatchesNothing, rowSecurity, tableSkipped } from './findings.ts';
import { parsePatterns } from './patterns.ts';
import { signalTableProblem } from './snapshot/signal-table.ts';

/** A table that is captured: an ordinary table, a partition of a table that is not captured, or a partitioned table as a whole. */
export interface CapturedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `schema.name`. */
  readonly label: string;
  readonly partitioned: boolean;
  /** Only inserts and truncates are published: it has no replica identity and is named in `insertOnly`. */
  readonly insertOnly: boolean;
  /** The role owns it, or is a member of the role that does: it may put it into a publication. */
  readonly owned: boolean;
  /** OIDs of the tables that hold its rows: its partitions, or itself. */
  readonly holders: readonly number[];
  /** Partitioned tables that this one is a partition of, nearest first, `schema.name`. */
  readonly ancestors: readonly string[];
}

export interface Matched {
  readonly tables: readonly CapturedTable[];
  /** What makes capturing impossible. */
  readonly problems: readonly SluiceError[];
  readonly findings: readonly Finding[];
  /** Whether a relation of the log is captured: by its name as the log had it. */
  captures(schema: string, name: string): boolean;
  /** Whether the configuration names it. */
  matches(schema: string, name: string): boolean;
  /** Whether there is a relation of this OID. */
  exists(oid: number): boolean;
}

interface Relation {
  oid: number;
  schema: string;
  name: string;
  relkind: string;
  persistence: string;
  identity: string;
  has_key: boolean;
  has_identity_index: boolean;
  row_security: boolean;
  owned: boolean;
  /** Nearest first. */
  ancestors: number[] | null;
}

// A deferrable primary key is no replica identity (RelationGetIndexList in the server's sources). row_security_active is false where the role bypasses it.
const RELATIONS = `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS relkind, c.relpersistence::text AS persistence,
    c.relreplident::text AS identity,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid AND i.indimmediate) AS has_key,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid AND i.indimmediate) AS has_identity_index,
    c.relrowsecurity AND row_security_active(c.oid) AS row_security, pg_has_role(c.relowner, 'USAGE') AS owned,
    CASE WHEN c.relispartition THEN ARRAY(SELECT a.relid::oid FROM pg_partition_ancestors(c.oid) WITH ORDINALITY AS a(relid, position) WHERE a.relid <> c.oid ORDER BY a.position) END AS ancestors
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  ORDER BY 2, 3`;

/**
 * Finds the tables that the patterns match. A partitioned table is captured as a whole, under its own name (`publish_via_partition_root`), so
 * that partitions made later are in; its partitions are then not captured once more by themselves.
 */
export async function matchTables(
  client: pg.Client,
  config: Pick<PostgresConfig, 'tables' | 'insertOnly' | 'snapshot'>,
  database: string,
): Promise<Matched> {
  const { rows } = await client.query<Relation>(RELATIONS);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  const patterns = parsePatterns(config.tables);
  const insertOnlyPatterns = parsePatterns(config.insertOnly);
  const { signalTable } = config.snapshot;
  const matches = (schema: string, name: string): boolean =>
    patterns.some((pattern) => pattern.matches(schema, name)) || `${schema}.${name}` === signalTable;
  const problems: SluiceError[] = [];
  const findings: Finding[] = [];
  const matched = new Map<number, Relation>();
  for (const pattern of patterns) {
    const found = rows.filter((row) => pattern.matches(row.schema, row.name));
    if (found.length === 0) {
      if (pattern.exact) problems.push(missing(pattern.text, rows, database));
      else findings.push(nothingMatched(pattern.text));
    }
    for (const row of found) {
      const kind = tableKindOf(row.relkind, row.persistence);
      if (kind === 'table' || kind === 'partitioned') matched.set(row.oid, row);
      else if (pattern.exact) problems.push(wrongKind(row, kind));
      else findings.push(skipped(row, kind));
    }
  }
  const signals = rows.find((row) => `${row.schema}.${row.name}` === signalTable);
  const isNone = [...matched.keys()].every((oid) => oid === signals?.oid);
  if (isNone && problems.length === 0) problems.push(new SluiceError(noTables, { database }));
  if (signalTable !== undefined) {
    const problem = await signalTableProblem(client, signalTable, signals ?? null, database);
    if (problem !== null) problems.push(problem);
    else if (signals !== undefined) matched.set(signals.oid, signals);
  }
  const tables: CapturedTable[] = [];
  for (const row of matched.values()) {
    if ((row.ancestors ?? []).some((oid) => matched.has(oid))) continue;
    const table = capturedTable(
      row,
      rows,
      byOid,
      insertOnlyPatterns.some((pattern) => pattern.matches(row.schema, row.name)),
    );
    tables.push(table.captured);
    problems.push(...table.problems);
    findings.push(...table.findings);
  }
  return { tables, problems, findings, captures: matches, matches, exists: (oid) => byOid.has(oid) };
}

function capturedTable(
  row: Relation,
  rows: readonly Relation[],
  byOid: ReadonlyMap<number, Relation>,
  insertOnlyNamed: boolean,
): { captured: CapturedTable; problems: SluiceError[]; findings: Finding[] } {
  const label = `${row.schema}.${row.name}`;
  const partitioned = row.relkind === 'p';
  const problems: SluiceError[] = [];
  const findings: Finding[] = [];
  // The server asks for an identity of the table that holds the row: each partition has its own (CheckCmdReplicaIdentity).
  const holders = partitioned ? rows.filter((other) => other.relkind === 'r' && (other.ancestors ?? []).includes(row.oid)) : [row];
  const without = holders.find((holder) => identityGap(holder) !== null);
  const gap = without === undefined ? (partitioned && holders.length === 0 ? identityGap(row) : null) : identityGap(without);
  if (gap !== null && !insertOnlyNamed) {
    const culprit = without ?? row;
    const parameters = {
      table: label,
      sql: quoteTable(culprit),
      detail: culprit === row ? gap : `its partition ${culprit.schema}.${culprit.name}: ${gap}`,
    };
    problems.push(new SluiceError(noReplicaIdentity, parameters, { table: label }));
  }
  if (gap !== null && insertOnlyNamed) findings.push(findingOf(insertsOnly, { table: label, sql: quoteTable(row) }, { table: label }));
  if (partitioned) findings.push(findingOf(partitionedWhole, { table: label }, { table: label }));
  if (row.row_security) findings.push(findingOf(rowSecurity, { table: label }, { table: label }));
  const ancestors = (row.ancestors ?? []).map((oid) => byOid.get(oid)).filter((ancestor) => ancestor !== undefined);
  const captured: CapturedTable = {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    label,
    partitioned,
    owned: row.owned,
    insertOnly: gap !== null && insertOnlyNamed,
    holders: holders.map(({ oid }) => oid),
    ancestors: ancestors.map((ancestor) => `${ancestor.schema}.${ancestor.name}`),
  };
  return { captured, problems, findings };
}

/** Why the server would refuse updates of the table once they are published (manual, ALTER TABLE … REPLICA IDENTITY); null = it would not. */
function identityGap(row: Relation): string | null {
  switch (row.identity) {
    case 'f':
      return null;
    case 'd':
      return row.has_key ? null : 'no primary key that is not deferrable';
    case 'i':
      return row.has_identity_index ? null : 'the index of its REPLICA IDENTITY USING INDEX is gone';
    default:
      return 'REPLICA IDENTITY NOTHING';
  }
}

function missing(text: string, rows: readonly Relation[], database: string): SluiceError {
  const near = rows.find((row) => `${row.schema}.${row.name}`.toLowerCase() === text.toLowerCase());
  return new SluiceError(
    tableMissing,
    { table: text, database, hint: near === undefined ? '' : `; there is ${near.schema}.${near.name}` },
    { table: text },
  );
}

function wrongKind(row: Relation, kind: TableKind): SluiceError {
  const table = `${row.schema}.${row.name}`;
  const hint =
    kind === 'unlogged table'
      ? `, or run: ALTER TABLE ${quoteTable(row)} SET LOGGED`
      : kind === 'foreign table'
        ? ''
        : ', and name the tables it reads';
  return new SluiceError(tableKind, { table, kind: withArticle(kind), hint }, { table });
}

function nothingMatched(pattern: string): Finding {
  return findingOf(patternMatchesNothing, { pattern, of: '', what: 'table', where: '"tables"' });
}

function skipped(row: Relation, kind: TableKind): Finding {
  const table = `${row.schema}.${row.name}`;
  const remedy = kind === 'unlogged table' ? `ALTER TABLE ${quoteTable(row)} SET LOGGED;` : 'Nothing to do.';
  return findingOf(tableSkipped, { table, kind: withArticle(kind), remedy }, { table });
}

function withArticle(kind: TableKind): string {
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`;
}
