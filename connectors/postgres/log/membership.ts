/**
 * Which captured tables stand in the publications. A table that is taken out is no longer sent, and the log does not say so: without a look at the
 * catalogue its changes would be lost silently (I1, I8). What was there last is remembered beside the slot's intent.
 */
import type pg from 'pg';
import { SluiceError } from '#plugin';
import { quoteIdentifier, quoteTable } from '../client.ts';
import { tableUnpublished } from '../errors.ts';

interface Member {
  /** Of the table; a table that was made anew under the same name has another one. */
  readonly table: string;
  /** Of its row in pg_publication_rel; it is another one once the table was taken out and put back. Null: published with all tables or its schema. */
  readonly entry: string | null;
}

/** Publication → `schema.name` → what stands there. */
export type Memberships = Readonly<Record<string, Readonly<Record<string, Member>>>>;

interface MemberRow {
  publication: string;
  /** Null: the publication holds no table. */
  schema: string | null;
  name: string;
  table: string;
  entry: string | null;
}

const MEMBERS = `SELECT p.pubname::text AS publication, t.schemaname::text AS schema, t.tablename::text AS name, c.oid::text AS "table", r.oid::text AS entry
  FROM pg_publication p
    LEFT JOIN (pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename)
      ON t.pubname = p.pubname
    LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
  WHERE p.pubname = ANY($1::text[]) ORDER BY 1, 2, 3`;

/** What stands in those of the publications that exist now, of the tables that are captured. */
export async function readMemberships(
  client: pg.Client,
  publications: readonly string[],
  captures: (schema: string, name: string) => boolean,
): Promise<Memberships> {
  const { rows } = await client.query<MemberRow>(MEMBERS, [publications]);
  const members: Record<string, Record<string, Member>> = {};
  for (const { publication, schema, name, table, entry } of rows) {
    members[publication] ??= {};
    if (schema !== null && captures(schema, name)) members[publication][JSON.stringify([schema, name])] = { table, entry };
  }
  return members;
}

/**
 * A table that was published and now is not, or was not for a while. One that does not exist any more has no changes that could be missed; one that was made anew under
 * the same name is a new table. Null: none.
 */
export async function unpublishedTable(
  client: pg.Client,
  before: Memberships,
  now: Memberships,
  captures: (schema: string, name: string) => boolean,
  connector: string,
): Promise<SluiceError | null> {
  for (const [publication, members] of Object.entries(before)) {
    // It is no longer read, or gone: which is said before.
    const current = now[publication];
    if (current === undefined) continue;
    for (const [label, was] of Object.entries(members)) {
      const [schema, name] = JSON.parse(label) as [string, string];
      const is = current[label];
      if (!captures(schema, name) || (is !== undefined && (is.table !== was.table || is.entry === was.entry))) continue;
      const table = quoteTable({ schema, name });
      const { rows } = await client.query<{ oid: string | null }>('SELECT to_regclass($1)::oid::text AS oid', [table]);
      if (rows[0]?.oid !== was.table) continue;
      const detail = is === undefined ? 'is no longer in' : 'was taken out of';
      const sql = is === undefined ? `ALTER PUBLICATION ${quoteIdentifier(publication)} ADD TABLE ${table}; then ` : '';
      const shown = `${schema}.${name}`;
      return new SluiceError(tableUnpublished, { table: shown, publication, detail, sql, connector }, { table: shown });
    }
  }
  return null;
}

/** SQL that makes a publication with the tables that it held. */
export function publicationSql(publication: string, members: Memberships, operations: string): string {
  const tables = Object.keys(members[publication] ?? {}).map((label) => {
    const [schema, name] = JSON.parse(label) as [string, string];
    return quoteTable({ schema, name });
  });
  const list = tables.length === 0 ? '' : ` FOR TABLE ${tables.join(', ')}`;
  return `CREATE PUBLICATION ${quoteIdentifier(publication)}${list} WITH (publish = '${operations}', publish_via_partition_root = true);`;
}
