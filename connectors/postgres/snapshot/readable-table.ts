/** A table as one view of the database shows it, with everything that reading its rows takes. */
import type pg from 'pg';
import { type CopyTable, type KeyRange, type KeyText, type RowRequest, SluiceError, type TableRegistry } from '#plugin';
import { type CatalogColumn, type CatalogTable, loadCatalog } from '../catalog.ts';
import { quoteIdentifier, quoteLiteral, quoteTable } from '../client.ts';
import { columnShapes, keyOf, type Relation, tableFacts, typesOf } from '../log/relation.ts';
import { surrogateKeyUnfit, tableChanged, tableGone } from './errors.ts';
import type { PublishedTables } from './published.ts';

interface KeyColumn {
  /** Quoted. */
  readonly name: string;
  /** Its operators by name, and behind a constant its type: '' where the server finds them by itself in pg_catalog. */
  readonly operators: { readonly greater: string; readonly less: string; readonly equal: string; readonly cast: string } | null;
}

export interface ReadableTable extends CopyTable {
  readonly oid: number;
  /** Per column, how its text becomes a cell. */
  readonly forms: Uint8Array;
  readonly key: readonly KeyColumn[];
  /** What its rows are ordered by: the key, with the surrogate key in front if it was opened with one. */
  readonly order: readonly KeyColumn[];
  /** The same as indexes of columns. */
  readonly orderIndexes: readonly number[];
  readonly from: string;
  readonly columns: string;
  /** The publication's row filter; null: none. */
  readonly filter: string | null;
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
  readonly label: string;
}

export interface ReadOptions {
  readonly connector: string;
  readonly registry: TableRegistry;
  /** Name of the database. */
  readonly catalog: string;
  readonly version: number;
  /** Why the rows of a table with these columns cannot be read; null: they can. */
  readonly refuses: (relation: Relation, catalog: Awaited<ReturnType<typeof loadCatalog>>) => SluiceError | null;
}

const IDENTITY_LETTER = { default: 'd', nothing: 'n', full: 'f', index: 'i' } as const;

interface Found {
  oid: number;
  partitioned: boolean;
  rows: number;
}

// Partitioned tables are counted by their partitions: nothing counts the whole but ANALYZE.
const FIND = `SELECT c.oid, c.relkind = 'p' AS partitioned,
    CASE WHEN c.relkind = 'p' THEN (SELECT sum(GREATEST(p.reltuples, 0)) FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid AND p.relkind = 'r')
      ELSE c.reltuples END::float8 AS rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`;

// The catalogue's rows are those of the view; the function looks at the table of now.
const REWRITTEN = `SELECT count(*)::int AS count FROM pg_class c
  WHERE c.relkind = 'r' AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
    AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid)`;

/**
 * Locks the table against rewriting (ACCESS SHARE, until the view ends) and reads how it is to be read. Throws SluiceErrors of the table; what the driver throws
 * (no right to read) goes through.
 */
export async function readTable(
  client: pg.Client,
  { schema, name, label }: TableName,
  options: ReadOptions,
  publications: PublishedTables,
  surrogateKey: string | null,
): Promise<ReadableTable> {
  const { rows: found } = await client.query<Found>(FIND, [schema, name]);
  const [row] = found;
  const changed = (detail: string): SluiceError => new SluiceError(tableChanged, { table: label, detail }, { table: label });
  if (row === undefined) throw gone({ schema, name, label }, 'there is no such table', options);
  const from = `${row.partitioned ? '' : 'ONLY '}${quoteTable({ schema, name })}`;
  await client.query(`SELECT FROM ${from} LIMIT 0`);
  const rewritten = await client.query<{ count: number }>(REWRITTEN, [row.oid]);
  if ((rewritten.rows[0]?.count ?? 0) > 0) throw changed('its rows stand in a new file');
  const catalog = await loadCatalog(client, [row.oid]);
  const table = catalog.tables.get(row.oid);
  if (table === undefined) throw gone({ schema, name, label }, 'there is no such table', options);
  const published = await publications.of(client, { schema, name });
  if (published === null) throw gone({ schema, name, label }, 'it stands in no publication', options);
  // Generated columns are in no log before 18, though 15 lists them as published.
  const mayHave = ({ generated }: CatalogColumn): boolean => !generated || (published.columns !== null && options.version >= 180000);
  const columns = table.columns.filter((column) => mayHave(column) && (published.columns?.has(column.name) ?? true));
  const relation = relationOf(table, columns);
  const problem = options.refuses(relation, catalog);
  if (problem !== null) throw problem;
  const facts = { table: (oid: number) => catalog.tables.get(oid), type: (oid: number) => catalog.types.get(oid) };
  const types = typesOf(relation, facts, new Map());
  const key = keyOf(relation, facts);
  const shape = {
    kind: 'table',
    catalog: options.catalog,
    schema,
    name,
    columns: columnShapes(relation, types),
    key,
    facts: tableFacts(relation),
  } as const;
  const version = options.registry.version(shape);
  const forms = Uint8Array.from(types, ({ normalise }) => normalise);
  const orderIndexes = surrogateKey === null ? key : orderOf(label, key, columns, surrogateKey);
  const operators = await readOperators(
    client,
    orderIndexes.map((index) => relation.columns[index]?.typeOid ?? 0),
  );
  const order = orderIndexes.map((index, at) => ({ name: quoteIdentifier(relation.columns[index]?.name ?? ''), operators: operators[at] ?? null }));
  return {
    label,
    version,
    estimatedRows: row.rows,
    oid: row.oid,
    forms,
    from,
    columns: relation.columns.map((column) => quoteIdentifier(column.name)).join(', '),
    filter: published.filter,
    key: key.map((index) => order[orderIndexes.indexOf(index)] as KeyColumn),
    order,
    orderIndexes,
  };
}

/** The surrogate key and, so that no two rows have the same place, the key behind it. */
function orderOf(label: string, key: readonly number[], columns: CatalogTable['columns'], surrogateKey: string): readonly number[] {
  const unfit = (detail: string): SluiceError => new SluiceError(surrogateKeyUnfit, { table: label, detail }, { table: label });
  if (key.length === 0) throw unfit('the table has no key by which its rows could be told from each other, and is read whole');
  const index = columns.findIndex(({ name }) => name === surrogateKey);
  if (index < 0) throw unfit('there is no such column, or it is not published');
  if (columns[index]?.notNull !== true) throw unfit('the column may be null, and has no order then');
  return [index, ...key.filter((column) => column !== index)];
}

function gone({ label }: TableName, detail: string, { connector }: ReadOptions): SluiceError {
  return new SluiceError(tableGone, { table: label, detail, connector }, { table: label });
}

/** As the Relation message would describe it. */
function relationOf(table: CatalogTable, columns: CatalogTable['columns']): Relation {
  const identity = IDENTITY_LETTER[table.replicaIdentity];
  const flagged = new Set(identity === 'd' ? table.primaryKey : identity === 'i' ? table.identityIndex : []);
  return {
    oid: table.oid,
    schema: table.schema,
    name: table.name,
    identity,
    columns: columns.map(({ name, typeOid, typmod }) => ({ name, typeOid, typmod, isIdentity: identity === 'f' || flagged.has(name) })),
  };
}

interface OperatorRow {
  at: number;
  cast: string;
  /** By strategy of a B-tree (manual, 36.16.2). */
  less: string;
  equal: string;
  greater: string;
}

// ORDER BY takes the type's default operator class wherever it stands; an operator in a query is looked for along search_path, where citext's would not be found and
// text's taken instead. A type without a class of its own (an enum, an array, varchar) has that of a pseudo-type or of text, in pg_catalog. A composite type has that of
// records; of a constant without a type the server makes a record of no type, which it cannot read.
const OPERATORS = `WITH RECURSIVE base AS (
    SELECT k.at, k.oid FROM unnest($1::oid[]) WITH ORDINALITY AS k(oid, at)
    UNION ALL SELECT base.at, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typbasetype <> 0)
  SELECT base.at::int AS at, format('%I.%I', tn.nspname, t.typname) AS cast,
    max(format('%I.%s', n.nspname, o.oprname)) FILTER (WHERE a.amopstrategy = 1) AS less,
    max(format('%I.%s', n.nspname, o.oprname)) FILTER (WHERE a.amopstrategy = 3) AS equal,
    max(format('%I.%s', n.nspname, o.oprname)) FILTER (WHERE a.amopstrategy = 5) AS greater
  FROM base JOIN pg_type t ON t.oid = base.oid JOIN pg_namespace tn ON tn.oid = t.typnamespace
    JOIN pg_opclass c ON c.opcintype = CASE t.typtype WHEN 'c' THEN 'pg_catalog.record'::regtype ELSE t.oid END AND c.opcdefault JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
    JOIN pg_amop a ON a.amopfamily = c.opcfamily AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
    JOIN pg_operator o ON o.oid = a.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
  WHERE n.nspname <> 'pg_catalog' OR t.typtype = 'c' GROUP BY 1, 2`;

async function readOperators(client: pg.Client, types: readonly number[]): Promise<(KeyColumn['operators'] | null)[]> {
  const found: (KeyColumn['operators'] | null)[] = types.map(() => null);
  if (types.length === 0) return found;
  const { rows } = await client.query<OperatorRow>(OPERATORS, [types]);
  for (const { at, less, equal, greater, cast } of rows) {
    found[at - 1] = { less: `OPERATOR(${less})`, equal: `OPERATOR(${equal})`, greater: `OPERATOR(${greater})`, cast: `::${cast}` };
  }
  return found;
}

/** The query of a COPY. */
export function rowsSql(table: ReadableTable, request: RowRequest): string {
  const conditions: string[] = [];
  if (table.filter !== null) conditions.push(`(${table.filter})`);
  // On lines of its own: a comment in it ends with it.
  if (request.where !== null) conditions.push(`(\n${request.where}\n)`);
  if (request.keys !== undefined) conditions.push(`(${request.keys.map((key) => `(${equals(table.key, key)})`).join(' OR ')})`);
  if (request.range !== null) conditions.push(...rangeConditions(table, request.range));
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = request.range === null ? '' : ` ORDER BY ${table.order.map(({ name }) => name).join(', ')}`;
  const limit = request.limit === undefined ? '' : ` LIMIT ${request.limit}`;
  return `COPY (SELECT ${table.columns} FROM ${table.from}${where}${order}${limit}) TO STDOUT`;
}

function rangeConditions(table: ReadableTable, { after, upTo }: KeyRange): string[] {
  const conditions: string[] = [];
  if (after !== null) conditions.push(compare(table.order, after, 'greater', false));
  if (upTo !== null) conditions.push(compare(table.order, upTo, 'less', true));
  return conditions;
}

function equals(key: readonly KeyColumn[], values: KeyText): string {
  return key.map(({ name, operators }, at) => `${name} ${operators?.equal ?? '='} ${constant(values[at], operators)}`).join(' AND ');
}

function constant(value: string | undefined, operators: KeyColumn['operators']): string {
  return `${quoteLiteral(value ?? '')}${operators?.cast ?? ''}`;
}

/** Key before or behind a given one, in the order of ORDER BY; a row comparison where the server's own operators are meant: an index serves it. */
function compare(key: readonly KeyColumn[], values: KeyText, which: 'less' | 'greater', orEqual: boolean): string {
  const plain = which === 'less' ? '<' : '>';
  if (key.every(({ operators }) => operators === null)) {
    const names = key.map(({ name }) => name).join(', ');
    const constants = key.map((_, at) => constant(values[at], null)).join(', ');
    return `ROW(${names}) ${plain}${orEqual ? '=' : ''} ROW(${constants})`;
  }
  const steps = key.map(({ name, operators }, at) => {
    const first = at === 0 ? '' : `${equals(key.slice(0, at), values)} AND `;
    return `(${first}${name} ${operators?.[which] ?? plain} ${constant(values[at], operators)})`;
  });
  if (orEqual) steps.push(`(${equals(key, values)})`);
  return `(${steps.join(' OR ')})`;
}

/**
 * Keys that part the table: from a sample of its pages where the server believes it to be large. Sampling reads at most `SAMPLE_PAGES` pages, whatever the size.
 */
export function boundsSql(table: ReadableTable, parts: number, percent: number): string {
  const names = table.order.map(({ name }) => name).join(', ');
  const texts = table.order.map(({ name }) => `${name}::text`).join(', ');
  // Nothing of the table goes by its own name outside the inner query: a column may be called "row" or "count".
  return `SELECT key FROM (
    SELECT ARRAY[${texts}], row_number() OVER (ORDER BY ${names}), count(*) OVER () FROM ${table.from} TABLESAMPLE SYSTEM (${percent}) REPEATABLE (1)
  ) s(key, row, count) WHERE row > 1 AND (row - 1) * ${parts} / count <> (row - 2) * ${parts} / count ORDER BY row`;
}
