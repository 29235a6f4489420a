import { describe, expect, it } from 'vitest';
import {
  type CatalogFacts,
  type CatalogTable,
  columnShapes,
  type Relation,
  tableFacts,
  typesOf,
} from '../../../../../connectors/postgres/log/relation.ts';
import type { ColumnFacts, TableShape } from '../../../../../src/plugin/index.ts';

const INT4 = 23;
const INT8 = 20;

const relation = (name: string, typeOid: number, oid = 1): Relation => ({
  oid,
  schema: 'public',
  name: 't',
  identity: 'd',
  columns: [{ name, typeOid, typmod: -1, isIdentity: false }],
});

/** A catalogue that has the one column of table 1. */
function catalogue(name: string, typeOid: number, notNull: boolean, attnum = 1): CatalogFacts {
  const table: CatalogTable = { columns: [{ attnum, name, typeOid, typmod: -1, notNull, default: '7' }], primaryKey: [], identityIndex: [] };
  return { table: () => table, type: () => undefined };
}

/** What was known of the table as it was last. */
function known(name: string, typeOid: number, notNull: boolean): TableShape {
  const told = relation(name, typeOid);
  const columns = columnShapes(told, typesOf(told, catalogue(name, typeOid, notNull), new Map()));
  return { kind: 'table', catalog: 'db', schema: 'public', name: 't', columns, key: [], facts: tableFacts(told) };
}

const factsOf = (told: Relation, facts: CatalogFacts, before: TableShape | null): ColumnFacts | undefined =>
  typesOf(told, facts, new Map(), before)[0]?.facts;

describe('what is said of a column that the catalogue has changed since (algorithms §5)', () => {
  it('is what was known of it, so that its rows are of the version that they were', () => {
    const before = known('a', INT4, true);
    expect(factsOf(relation('a', INT4), catalogue('a', INT8, true), before)).toEqual(before.columns[0]?.facts);
    expect(before.columns[0]?.facts).toMatchObject({ required: true, default: '7' });
    // Renamed since: it is known by its number.
    expect(factsOf(relation('a', INT4), catalogue('b', INT4, true), before)).toEqual(before.columns[0]?.facts);
  });

  it('is nothing where it may be null by now: the log does not say from which row on', () => {
    expect(factsOf(relation('a', INT4), catalogue('a', INT8, false), known('a', INT4, true))).toBeUndefined();
    // It may be another column by now.
    expect(factsOf(relation('a', INT4), catalogue('a', INT8, true, 2), known('a', INT4, true))).toBeUndefined();
    expect(factsOf(relation('a', INT4), { table: () => undefined, type: () => undefined }, known('a', INT4, true))).toBeUndefined();
  });

  it('may be null where it was', () => {
    const before = known('a', INT4, false);
    for (const notNull of [true, false])
      expect(factsOf(relation('a', INT4), catalogue('a', INT8, notNull), before)).toEqual(before.columns[0]?.facts);
  });

  it('is nothing of another column or another table', () => {
    expect(factsOf(relation('a', INT8), catalogue('a', INT4, true), known('a', INT4, true))).toBeUndefined();
    expect(factsOf(relation('c', INT4), catalogue('a', INT8, true), known('a', INT4, true))).toBeUndefined();
    expect(factsOf(relation('a', INT4, 2), catalogue('a', INT8, true), known('a', INT4, true))).toBeUndefined();
    expect(factsOf(relation('a', INT4), catalogue('a', INT8, true), null)).toBeUndefined();
  });
});
