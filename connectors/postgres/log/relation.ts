/** What a Relation message says about a table, and the plan by which its rows are decoded. Everything that can be decided once is decided here. */
import type { ColumnFacts, ColumnShape, TableFacts, TableShape, TableVersion } from '#plugin';
import { columnFacts } from '../column-facts.ts';
import { builtInOid, builtInType, type ColumnType, type CustomType, customType, NORMALISE } from '../types.ts';

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Part of the replica identity. Under REPLICA IDENTITY FULL every column is flagged, so it says nothing about the key there. */
  readonly isIdentity: boolean;
}

/** A Relation message ("R"), PostgreSQL manual 55.9. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relreplident: d = primary key, i = index, f = full, n = nothing. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

/** A Type message ("Y"): the name of a type that is not built in; for a domain, the name of the type below it. */
export interface TypeName {
  readonly schema: string;
  readonly name: string;
}

/** What the decoder asks of the catalogue. Synchronous: what is missing is loaded while the stream is held. */
export interface CatalogFacts {
  table(oid: number): CatalogTable | undefined;
  type(oid: number): CustomType | undefined;
}

interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  readonly notNull?: boolean;
  /** As `pg_get_expr` spells it; null = none. */
  readonly default?: string | null;
}

export interface CatalogTable {
  readonly columns: readonly CatalogColumn[];
  /** Column names in key order; empty = none. */
  readonly primaryKey: readonly string[];
  /** Columns of the index of REPLICA IDENTITY USING INDEX, in index order; empty = none. */
  readonly identityIndex: readonly string[];
}

/** How rows of one version of a table are decoded. */
export interface TablePlan {
  readonly relation: Relation;
  /** Null: the table is not captured, its rows are counted and dropped (I2). */
  readonly table: TableVersion | null;
  readonly columnCount: number;
  /** Per column, a `Normalise`. */
  readonly normalise: Uint8Array;
  /** Per column, 1 = a key-only old image carries it. */
  readonly isIdentity: Uint8Array;
  /** Per column, 1 = part of the record's key. */
  readonly isKey: Uint8Array;
}

/**
 * Whether the catalogue must be asked before the relation can be planned. What was learned of a table before is not enough: a Relation message comes
 * when something about the table changed, and that may be its key. `described`: what only the catalogue says of the columns is wanted too.
 */
export function needsCatalog(relation: Relation, facts: CatalogFacts, described = false): boolean {
  if (described) return true;
  for (const column of relation.columns)
    if (builtInType(column.typeOid, column.typmod) === null && facts.type(column.typeOid) === undefined) return true;
  if (relation.identity === 'f' || relation.identity === 'n') return true;
  // The flags say which columns are the key; only the order of several is not in the log.
  return relation.columns.filter((column) => column.isIdentity).length > 1;
}

/**
 * The key of the record, as indexes of columns. Facts of today's catalogue may be several DDLs ahead of the log: they count where they still match the relation
 * (algorithms §5). Else the key is what the log says; under FULL and NOTHING, where it says nothing, the key that the table had before, then today's, if its columns are
 * there: rows without a key would have no order (I3, docs/decisions/0012).
 */
export function keyOf(relation: Relation, facts: CatalogFacts, before: TableShape | null = null): number[] {
  const known = facts.table(relation.oid);
  if (relation.identity === 'd' || relation.identity === 'i') {
    const ordered = orderOf(relation, known);
    if (ordered !== null) return ordered;
    return relation.columns.flatMap((column, index) => (column.isIdentity ? [index] : []));
  }
  const today = known === undefined ? [] : indexesOf(relation, known.primaryKey);
  if (known !== undefined && matches(relation, known)) return today;
  const kept = keyBefore(relation, before);
  return kept.length > 0 ? kept : today;
}

function keyBefore(relation: Relation, before: TableShape | null): number[] {
  if (before === null) return [];
  return indexesOf(
    relation,
    before.key.map((index) => before.columns[index]?.name ?? ''),
  );
}

/** Empty unless all of them are there. */
function indexesOf({ columns }: Relation, names: readonly string[]): number[] {
  const indexes = names.map((name) => columns.findIndex((column) => column.name === name));
  return indexes.includes(-1) ? [] : indexes;
}

/** The flagged columns in the order of the catalogue's index, if it has exactly these. */
function orderOf(relation: Relation, known: CatalogTable | undefined): number[] | null {
  if (known === undefined) return null;
  const names = relation.identity === 'i' ? known.identityIndex : known.primaryKey;
  const order = names.map((name) => relation.columns.findIndex((column) => column.isIdentity && column.name === name));
  const flagged = relation.columns.filter((column) => column.isIdentity).length;
  return order.length === flagged && !order.includes(-1) ? order : null;
}

/** Every column of the relation stands in the catalogue as it was, in the same order; there may be more (generated ones, column lists, added since). */
function matches(relation: Relation, known: CatalogTable): boolean {
  let at = 0;
  for (const column of relation.columns) {
    while (at < known.columns.length && known.columns[at]?.name !== column.name) at++;
    const found = known.columns[at++];
    if (found === undefined || found.typeOid !== column.typeOid || found.typmod !== column.typmod) return false;
  }
  return true;
}

/** The types of a relation's columns; `named` are the Type messages of this session, `before` is what the table was last. */
export function typesOf(
  relation: Relation,
  facts: CatalogFacts,
  named: ReadonlyMap<number, TypeName>,
  before: TableShape | null = null,
): DescribedType[] {
  const known = facts.table(relation.oid);
  return columnTypes(relation, facts, named).map((type, index) => {
    const column = relation.columns[index] as RelationColumn;
    // Today's catalogue may be several DDLs ahead of the log: it counts only where the column is the same (algorithms §5).
    const today = known?.columns.find(({ name, typeOid, typmod }) => name === column.name && typeOid === column.typeOid && typmod === column.typmod);
    if (today !== undefined) return { ...type, facts: columnFacts(type, today.attnum, today.notNull === true, today.default ?? null) };
    const kept = factsBefore(column.name, type, before?.facts?.id === String(relation.oid) ? before : null, known);
    return kept === null ? type : { ...type, facts: { ...kept, labels: type.labels ?? null } };
  });
}

/**
 * Where today's catalogue does not fit: what was known of the column, if it is the same in the table as it was last. Null where it was NOT NULL and is not any more: the log does
 * not say from which row on.
 */
function factsBefore(name: string, type: ColumnType, before: TableShape | null, known: CatalogTable | undefined): ColumnFacts | null {
  const same = before?.columns.find((column) => column.name === name);
  if (same?.facts === undefined || same.type !== type.type || same.typeName !== type.typeName) return null;
  if (same.precision !== type.precision || same.scale !== type.scale) return null;
  const { facts } = same;
  return facts.required && known?.columns.find(({ attnum }) => String(attnum) === facts.id)?.notNull !== true ? null : facts;
}

/** What the log says of a column's type, and the catalogue of the column. */
type DescribedType = ColumnType & Pick<ColumnShape, 'facts'>;

function columnTypes(relation: Relation, facts: CatalogFacts, named: ReadonlyMap<number, TypeName>): ColumnType[] {
  return relation.columns.map(({ typeOid, typmod }) => {
    const builtIn = builtInType(typeOid, typmod);
    if (builtIn !== null) return builtIn;
    const custom = facts.type(typeOid);
    if (custom !== undefined) return customType(custom, typmod, (oid) => facts.type(oid));
    // Dropped since. The log still names a domain's base type.
    const said = named.get(typeOid);
    const base = said?.schema === 'pg_catalog' ? builtInOid(said.name) : undefined;
    const domain = base === undefined ? null : builtInType(base, typmod);
    return domain ?? { type: 'other', typeName: said?.name ?? `type ${typeOid}`, precision: null, scale: null, normalise: NORMALISE.none };
  });
}

/** pg_class.relreplident in the words of ALTER TABLE. */
const IDENTITY_WORDS: Readonly<Record<string, string>> = { d: 'default', i: 'index', f: 'full', n: 'nothing' };

export function tableFacts({ oid, identity }: Relation): TableFacts {
  return { id: String(oid), replicaIdentity: IDENTITY_WORDS[identity] as string };
}

export function columnShapes(relation: Relation, types: readonly DescribedType[]): ColumnShape[] {
  return relation.columns.map(({ name }, index) => {
    const { normalise: _, labels: __, ...type } = types[index] as DescribedType;
    return { name, ...type };
  });
}

export function planTable(relation: Relation, table: TableVersion | null, types: readonly ColumnType[]): TablePlan {
  const columnCount = relation.columns.length;
  const isKey = new Uint8Array(columnCount);
  for (const index of table?.key ?? []) isKey[index] = 1;
  return {
    relation,
    table,
    columnCount,
    normalise: Uint8Array.from(relation.columns, (_, index) => types[index]?.normalise ?? NORMALISE.none),
    isIdentity: Uint8Array.from(relation.columns, (column) => (column.isIdentity ? 1 : 0)),
    isKey,
  };
}

/** Logical messages, as a table of their own: schema, name and columns do not vary. */
export function messageTable(catalog: string): TableShape {
  const column = { scale: null, precision: null };
  return {
    kind: 'message',
    catalog,
    schema: '',
    name: 'message',
    columns: [
      { name: 'prefix', type: 'text', typeName: 'text', ...column },
      { name: 'content', type: 'bytes', typeName: 'bytea', ...column },
    ],
    key: [0],
  };
}
