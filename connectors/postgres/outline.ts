/** What the catalogue says of captured tables that formats may ask of them. */
import type pg from 'pg';
import type { TableOutline } from '#plugin';
import type { ServerFacts } from './server.ts';
import type { CapturedTable } from './tables.ts';

interface Row {
  oid: number;
  whole: boolean;
  columns: string[];
  identity: string[];
}

// What an old row has in the log: the columns of its replica identity, INCLUDE columns of an index left out (RelationGetIndexAttrBitmap in the server's sources).
const TABLES = `SELECT c.oid, c.relreplident = 'f' AS whole,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
    ARRAY(SELECT a.attname::text FROM pg_index i
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
      WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS identity
  FROM pg_class c WHERE c.oid = ANY($1::oid[])`;

/** Tables that were dropped meanwhile are without columns. */
export async function readOutlines(client: pg.Client, tables: readonly CapturedTable[], { database }: ServerFacts): Promise<TableOutline[]> {
  const oids = [...new Set(tables.flatMap(({ oid, holders }) => [oid, ...holders]))];
  const { rows } = await client.query<Row>(TABLES, [oids]);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  return tables.map((table) => {
    const identity = { kind: 'table', catalog: database, schema: table.schema, name: table.name } as const;
    const found = byOid.get(table.oid);
    return found === undefined ? identity : { ...identity, columnNames: found.columns, oldColumnNames: oldColumns(table, found, byOid) };
  });
}

/** A partitioned table sends what its own identity names of what the identity of the row's partition has put into the log. */
function oldColumns({ oid, holders, insertOnly }: CapturedTable, { columns }: Row, byOid: ReadonlyMap<number, Row>): readonly string[] | null {
  if (insertOnly) return null;
  const identities = [oid, ...holders].flatMap((each) => byOid.get(each) ?? []);
  return columns.filter((column) => identities.every(({ whole, identity }) => whole || identity.includes(column)));
}
