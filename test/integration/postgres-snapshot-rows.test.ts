/** A row that is copied and one that is streamed have the same version of their table and the same cells, for every type (I11). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SNAPSHOT_MARK } from '../../src/record/batch.ts';
import type { TableVersion } from '../../src/record/table.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { LogReader } from '../support/log-reader.ts';
import { recordsOf } from '../support/pgoutput.ts';
import { SCALARS, SCALARS_SQL } from '../support/postgres-values.ts';

const signal = new AbortController().signal;

const TABLES = `
  CREATE TABLE full_identity (id int PRIMARY KEY, v text); ALTER TABLE full_identity REPLICA IDENTITY FULL;
  CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL, v int); CREATE UNIQUE INDEX by_index_code ON by_index (code); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
  CREATE TABLE no_key (a int, b text); ALTER TABLE no_key REPLICA IDENTITY FULL;
  CREATE TABLE composite (a int, b text, v int, PRIMARY KEY (b, a));
  CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
  CREATE TABLE generated (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) STORED, w int);
  CREATE TABLE dropped (id int PRIMARY KEY, gone int, v text); ALTER TABLE dropped DROP COLUMN gone;
  CREATE TABLE times (at timestamptz, day date, bytes bytea, PRIMARY KEY (at, day, bytes));
  CREATE TYPE place AS (street text, "number" int); CREATE DOMAIN address AS place;
  CREATE TABLE by_record (at place, of address, PRIMARY KEY (at, of));
  CREATE TABLE seats ("row" int, "count" int, key int, PRIMARY KEY ("row", "count", key));
  CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Mixed ""Case"".T" ("Ünï" int PRIMARY KEY, "select" text);`;

const ROWS = `
  INSERT INTO scalars VALUES (1, ${SCALARS.map(([type, value]) => `(${value})::${type}`).join(', ')}, '\\x41425c'), (2 ${', NULL'.repeat(SCALARS.length + 1)});
  INSERT INTO full_identity VALUES (1, E'tab\t newline\n back\\slash'), (2, ''), (3, '\\N');
  INSERT INTO by_index VALUES (1, 'x', 1), (2, 'y', NULL);
  INSERT INTO no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
  INSERT INTO composite SELECT g % 3, 'k' || g, g FROM generate_series(1, 20) g;
  INSERT INTO parted VALUES (1, 'a'), (12, repeat('long', 5000));
  INSERT INTO generated (id, w) VALUES (1, 2);
  INSERT INTO dropped VALUES (1, 'v');
  INSERT INTO times SELECT '0044-03-15 BC'::timestamptz + g * interval '100 years', '0002-01-01 BC'::date + g * 365, decode(lpad(to_hex(g), 4, '0'), 'hex') FROM generate_series(1, 30) g;
  INSERT INTO by_record SELECT ROW('a "street", (' || g % 5, g)::place, ROW(NULL, g % 7)::place FROM generate_series(1, 20) g;
  INSERT INTO seats SELECT g % 4, g, g FROM generate_series(1, 40) g;
  INSERT INTO "My Schema"."Mixed ""Case"".T" VALUES (1, 'v');`;

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let reader: LogReader;

  beforeAll(async () => {
    server = await startPostgres({ major, settings: { datestyle: 'SQL, DMY', timezone: 'Asia/Kolkata', bytea_output: 'escape', lc_monetary: 'C' } });
    const database = await server.createDatabase('copies');
    await server.query(SCALARS_SQL, database);
    await server.query(TABLES, database);
    reader = new LogReader({
      url: server.url(database),
      config: { tables: ['public.*', 'My Schema.*'], slot: `copies_${major}`, publication: 'copies' },
    });
    await reader.until(async () => (await reader.source.observe(signal)).connected, 'the stream');
    await server.query(ROWS, database);
  });

  afterAll(async () => {
    await reader?.close();
    await server?.dispose();
  });

  test('every table is copied as it is streamed', async () => {
    const snapshots = await reader.source.snapshot();
    const labels = snapshots.tables().map(({ label }) => label);
    expect(labels).toHaveLength(12);
    await reader.until(() => reader.records.some(({ table }) => table.includes('Mixed')), 'the last row');
    const view = await snapshots.view(signal);
    for (const label of labels) {
      const streamed = reader.records.filter(({ table }) => table === label).map(({ after }) => JSON.stringify(after));
      const table = await view.open(label);
      expect([label, reader.tables.find((each) => each.label === label) === table.version]).toEqual([label, true]);
      const isKeyed = table.version.key.length > 0;
      const request = { range: isKeyed ? { after: null, upTo: null } : null, where: null, mark: SNAPSHOT_MARK.row };
      const copied: string[] = [];
      for await (const { batch } of view.rows(table, request)) {
        copied.push(...recordsOf(batch).map(({ after }) => JSON.stringify(after)));
        batch.release();
      }
      expect([label, copied.sort()]).toEqual([label, streamed.sort()]);
    }
    await view.close();
  });

  test('chunk after chunk by key every row comes once, whatever the type of the key', async () => {
    const snapshots = await reader.source.snapshot();
    const cases = [
      ['public.times', null],
      ['public.composite', null],
      ['public.by_index', null],
      ['public.parted', null],
      ['public.by_record', null],
      // By a surrogate key: before the key, one of several columns of it, beside that of the replica identity.
      ['public.times', 'bytes'],
      ['public.composite', 'a'],
      ['public.by_index', 'id'],
      ['public.parted', 'id'],
    ] as const;
    for (const [label, surrogateKey] of cases) {
      const seen: string[] = [];
      let version: TableVersion | null = null;
      for (let after: readonly string[] | null = null, ends = false; !ends; ) {
        const view = await snapshots.view(signal);
        const table = await view.open(label, surrogateKey);
        ({ version } = table);
        ends = true;
        for await (const { batch, lastKey } of view.rows(table, { range: { after, upTo: null }, limit: 3, where: null, mark: SNAPSHOT_MARK.row })) {
          ends = batch.count < 3;
          seen.push(...recordsOf(batch).map((row) => JSON.stringify(row.after)));
          after = lastKey;
          batch.release();
        }
        await view.close();
      }
      const streamed = reader.records.filter(({ table }) => table === label).map(({ after }) => JSON.stringify(after));
      expect([label, version?.key.length, [...seen].sort()]).toEqual([label, version?.key.length, streamed.sort()]);
    }
  });

  test('a table is parted whatever its columns are called', async () => {
    const view = await (await reader.source.snapshot()).view(signal);
    const table = await view.open('public.seats');
    // As if it were large enough.
    const bounds = await view.bounds({ ...table, estimatedRows: 20_000 }, 20);
    expect(bounds).toHaveLength(19);
    expect(bounds[9]).toEqual(['2', '2', '2']);
    await view.close();
  });

  test.each([
    ['public.composite', 'v', 'may be null'],
    ['public.composite', 'nothing', 'no such column'],
    ['public.no_key', 'a', 'no key'],
  ])('%s cannot be read by the surrogate key %s: it %s', async (label, surrogateKey, detail) => {
    const view = await (await reader.source.snapshot()).view(signal);
    await expect(view.open(label, surrogateKey)).rejects.toMatchObject({ code: 'SLUICE_PG_SURROGATE_KEY', message: expect.stringContaining(detail) });
    await view.close();
  });
});
