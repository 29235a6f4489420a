import type pg from 'pg';
import type { CustomType } from './types.ts';
import { FIRST_CUSTOM_OID } from './types.ts';

export interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  /** pg_attribute.atttypmod; −1 = none. */
  readonly typmod: number;
  readonly notNull: boolean;
  /** Computed from other columns (`GENERATED ALWAYS AS`): by default not in the log. */
  readonly generated: boolean;
}

export type TableKind = 'table' | 'partitioned' | 'view' | 'materialized view' | 'foreign table' | 'unlogged table';
export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index';

/** A table as today's catalog has it, which may be several DDLs ahead of the log (algorithms §5). */
export interface CatalogTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: TableKind;
  readonly replicaIdentity: ReplicaIdentity;
  readonly columns: readonly CatalogColumn[];
  /** Column names in the key's order; empty = no primary key. */
  readonly primaryKey: readonly string[];
  /** Column names of the index of REPLICA IDENTITY USING INDEX; empty = there is none (any more). */
  readonly identityIndex: readonly string[];
}

export interface CatalogType extends CustomType {
  readonly schema: string;
}

/** Today's facts, by OID. */
export interface Catalog {
  readonly tables: ReadonlyMap<number, CatalogTable>;
  /** Types that are not built in, of columns of whatever table: they are few. */
  readonly types: ReadonlyMap<number, CatalogType>;
}

const KINDS: Readonly<Record<string, TableKind>> = { r: 'table', p: 'partitioned', v: 'view', m: 'materialized view', f: 'foreign table' };
const IDENTITIES: Readonly<Record<string, ReplicaIdentity>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };
const TYPE_KINDS: Readonly<Record<string, CustomType['kind']>> = { e: 'enum', d: 'domain', c: 'composite', r: 'range', m: 'range', b: 'base' };

export function tableKindOf(relkind: string, persistence: string): TableKind {
  return persistence === 'u' ? 'unlogged table' : (KINDS[relkind] ?? 'table');
}

interface TableRow {
  oid: number;
  schema: string;
  name: string;
  relkind: string;
  persistence: string;
  identity: string;
  columns: [attnum: number, name: string, typeOid: string, typmod: number, notNull: boolean, generated: boolean][] | null;
  primary_key: string[] | null;
  identity_index: string[] | null;
}

// INCLUDE columns of an index are no part of its key: only the first indnkeyatts count. A primary key that is deferrable identifies nothing for
// replication, but is a key all the same.
const INDEX_COLUMNS = `(SELECT array_agg(a.attname::text ORDER BY k.position)
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = c.oid AND k.position <= i.indnkeyatts AND`;

const TABLES = `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS relkind, c.relpersistence::text AS persistence,
    c.relreplident::text AS identity,
    (SELECT json_agg(json_build_array(a.attnum, a.attname, a.atttypid::text, a.atttypmod, a.attnotnull, a.attgenerated <> '') ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    ${INDEX_COLUMNS} i.indisprimary AND i.indisvalid) AS primary_key,
    ${INDEX_COLUMNS} i.indisreplident AND i.indisvalid) AS identity_index
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = ANY($1::oid[])`;

// Row types of tables are left out, and arrays of them: there are as many as tables.
const TYPES = `SELECT t.oid, n.nspname::text AS schema, t.typname::text AS name, t.typbasetype AS base, t.typtypmod AS typmod, t.typtype::text AS kind,
    t.typcategory = 'A' AND t.typelem <> 0 AS is_array
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_class c ON c.oid = COALESCE(NULLIF(t.typrelid, 0), e.typrelid)
  WHERE t.oid >= ${FIRST_CUSTOM_OID} AND (c.oid IS NULL OR c.relkind = 'c') AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')`;

/** Reads tables by OID (those that do not exist any more are not in the result) and the types that are not built in. */
export async function loadCatalog(client: pg.Client, oids: readonly number[]): Promise<Catalog> {
  const { rows } = await client.query<TableRow>(TABLES, [oids]);
  const tables = new Map<number, CatalogTable>();
  for (const row of rows) tables.set(row.oid, catalogTable(row));
  const found = await client.query<{ oid: number; schema: string; name: string; base: number; typmod: number; kind: string; is_array: boolean }>(
    TYPES,
  );
  const types = new Map<number, CatalogType>();
  for (const { oid, schema, name, base, typmod, kind, is_array } of found.rows) {
    types.set(oid, { schema, name, baseOid: base, typmod, kind: is_array ? 'array' : (TYPE_KINDS[kind] ?? 'base') });
  }
  return { tables, types };
}

function catalogTable(row: TableRow): CatalogTable {
  return {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    kind: tableKindOf(row.relkind, row.persistence),
    replicaIdentity: IDENTITIES[row.identity] ?? 'nothing',
    columns: (row.columns ?? []).map(([attnum, name, typeOid, typmod, notNull, generated]) => ({
      attnum,
      name,
      typeOid: Number(typeOid),
      typmod,
      notNull,
      generated,
    })),
    primaryKey: row.primary_key ?? [],
    identityIndex: row.identity_index ?? [],
  };
}
