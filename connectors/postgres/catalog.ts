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
  /** Its default as `pg_get_expr` spells it; null = there is none. */
  readonly default: string | null;
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
  columns: [attnum: number, name: string, typeOid: string, typmod: number, notNull: boolean, generated: boolean, byDefault: string | null][] | null;
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
    (SELECT json_agg(json_build_array(a.attnum, a.attname, a.atttypid::text, a.atttypmod, a.attnotnull, a.attgenerated <> '',
        CASE WHEN a.attgenerated <> '' THEN NULL WHEN a.attidentity <> '' THEN 'identity()' ELSE pg_get_expr(d.adbin, d.adrelid) END) ORDER BY a.attnum)
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
    ${INDEX_COLUMNS} i.indisprimary AND i.indisvalid) AS primary_key,
    ${INDEX_COLUMNS} i.indisreplident AND i.indisvalid) AS identity_index
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = ANY($1::oid[])`;

// Row types of tables are left out, and arrays of them: there are as many as tables.
const TYPES = `SELECT t.oid, n.nspname::text AS schema, t.typname::text AS name, t.typbasetype AS base, t.typtypmod AS typmod, t.typtype::text AS kind,
    CASE WHEN t.typcategory = 'A' THEN t.typelem::oid ELSE 0 END AS element,
    (SELECT array_agg(l.enumlabel::text ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid) AS labels
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN pg_class c ON c.oid = COALESCE(NULLIF(t.typrelid, 0), e.typrelid)
  WHERE t.oid >= ${FIRST_CUSTOM_OID} AND (c.oid IS NULL OR c.relkind = 'c') AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')`;

/** Reads tables by OID (those that do not exist any more are not in the result) and the types that are not built in. */
export async function loadCatalog(client: pg.Client, oids: readonly number[]): Promise<Catalog> {
  const { rows } = await client.query<TableRow>(TABLES, [oids]);
  const tables = new Map<number, CatalogTable>();
  for (const row of rows) tables.set(row.oid, catalogTable(row));
  const found = await client.query<{
    oid: number;
    schema: string;
    name: string;
    base: number;
    typmod: number;
    kind: string;
    element: number;
    labels: string[] | null;
  }>(TYPES);
  const types = new Map<number, CatalogType>();
  for (const { oid, schema, name, base, typmod, kind, element, labels } of found.rows) {
    const isArray = element !== 0;
    types.set(oid, { schema, name, baseOid: base, typmod, kind: isArray ? 'array' : (TYPE_KINDS[kind] ?? 'base'), elementOid: element, labels });
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
    columns: (row.columns ?? []).map(([attnum, name, typeOid, typmod, notNull, generated, byDefault]) => ({
      attnum,
      name,
      typeOid: Number(typeOid),
      typmod,
      notNull,
      generated,
      default: byDefault,
    })),
    primaryKey: row.primary_key ?? [],
    identityIndex: row.identity_index ?? [],
  };
}
