/** What the log source reads from real servers: every kind of row, table and message. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { LogReader, readToEnd } from '../support/log-reader.ts';
import type { Seen } from '../support/pgoutput.ts';
import { SCALARS, SCALARS_SQL } from '../support/postgres-values.ts';

const op = ({ op: kind, table, before, after }: Seen): unknown[] => [kind, table, before, after];

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let database: string;
  let url: string;
  let reader: LogReader;
  const sql = (text: string): Promise<unknown[]> => server.query(text, database);

  beforeAll(async () => {
    // Names that fold, a style of dates that is not ours, another zone: what the session must not take over.
    server = await startPostgres({
      major,
      settings: { datestyle: 'SQL, DMY', timezone: 'Asia/Kolkata', bytea_output: 'escape', intervalstyle: 'sql_standard', lc_monetary: 'C' },
    });
    database = await server.createDatabase('Log "rows"'.replaceAll('"', ''));
    url = server.url(database);
    await sql(SCALARS_SQL);
    await sql(`
      CREATE TABLE full_identity (id int PRIMARY KEY, v text); ALTER TABLE full_identity REPLICA IDENTITY FULL; ALTER TABLE full_identity ALTER v SET STORAGE EXTERNAL;
      CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL, v int); CREATE UNIQUE INDEX by_index_code ON by_index (code); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code;
      CREATE TABLE no_identity (id int PRIMARY KEY, v int); ALTER TABLE no_identity REPLICA IDENTITY NOTHING;
      CREATE TABLE no_key (a int, b text); ALTER TABLE no_key REPLICA IDENTITY FULL;
      CREATE TABLE composite (a int, b int, v int, PRIMARY KEY (b, a));
      CREATE TABLE toasted (id int PRIMARY KEY, big text, small int); ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
      CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
      CREATE TABLE generated (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) STORED, w int); ALTER TABLE generated REPLICA IDENTITY FULL;
      CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Mixed ""Case"".T" ("Ünï" int PRIMARY KEY, "select" text);
      CREATE TABLE changing (id int PRIMARY KEY, v int);
      CREATE SCHEMA other; CREATE TABLE other.secret (id int PRIMARY KEY);`);
    const tables = ['public.*', 'My Schema.*'];
    const config = { tables, insertOnly: ['public.no_identity'], messages: ['outbox'], publication: 'Log "pub', slot: `rows_${major}` };
    reader = new LogReader({ url, config });
    await reader.until(async () => (await reader.source.observe(new AbortController().signal)).connected, 'the stream');
  });

  afterAll(async () => {
    await reader?.close();
    await server?.dispose();
  });

  test('every scalar type arrives exactly', async () => {
    await sql(
      `INSERT INTO scalars VALUES (1, ${SCALARS.map(([type, value]) => `(${value})::${type}`).join(', ')}, '\\x41425c'); INSERT INTO scalars (id) VALUES (2)`,
    );
    const [first, second] = await reader.take(2);
    expect(SCALARS.map(([type], i) => [type, first?.after?.[`c${i}`]])).toEqual(SCALARS.map(([type, , cell]) => [type, cell]));
    expect(first?.after?.['bytes']).toBe('AB\\');
    expect(Object.values(second?.after ?? {}).every((cell, i) => (i === 0 ? cell === '2' : cell === null))).toBe(true);
    const shape = reader.tables.find(({ name }) => name === 'scalars');
    expect(shape?.columns.slice(1, -1).map(({ typeName }) => typeName.replace(' without time zone', '').replace(' with time zone', ''))).toEqual(
      SCALARS.map(([type]) =>
        type
          .replace('timetz', 'time')
          .replace('timestamptz', 'timestamp')
          .replace(/^varchar/, 'character varying')
          .replace(/^char\(/, 'character(')
          .replace('varbit', 'bit varying'),
      ),
    );
    expect(shape?.catalog).toBe(database);
  });

  test('replica identities: what the old image holds, and the key', async () => {
    await sql(`INSERT INTO full_identity VALUES (1, 'a'); UPDATE full_identity SET v = 'b'; DELETE FROM full_identity;
      INSERT INTO by_index VALUES (1, 'x', 1); UPDATE by_index SET v = 2; UPDATE by_index SET code = 'y'; DELETE FROM by_index;
      INSERT INTO no_identity VALUES (1, 1);
      INSERT INTO no_key VALUES (1, 'a'), (1, 'a'); DELETE FROM no_key;
      INSERT INTO composite VALUES (1, 2, 3); UPDATE composite SET a = 9; DELETE FROM composite`);
    const absent = '<absent>';
    expect((await reader.take(15)).map(op)).toEqual([
      ['create', 'public.full_identity', null, { id: '1', v: 'a' }],
      ['update', 'public.full_identity', { id: '1', v: 'a' }, { id: '1', v: 'b' }],
      ['delete', 'public.full_identity', { id: '1', v: 'b' }, null],
      ['create', 'public.by_index', null, { id: '1', code: 'x', v: '1' }],
      ['update', 'public.by_index', null, { id: '1', code: 'x', v: '2' }],
      ['update', 'public.by_index', { id: absent, code: 'x', v: absent }, { id: '1', code: 'y', v: '2' }],
      ['delete', 'public.by_index', { id: absent, code: 'y', v: absent }, null],
      ['create', 'public.no_identity', null, { id: '1', v: '1' }],
      ['create', 'public.no_key', null, { a: '1', b: 'a' }],
      ['create', 'public.no_key', null, { a: '1', b: 'a' }],
      ['delete', 'public.no_key', { a: '1', b: 'a' }, null],
      ['delete', 'public.no_key', { a: '1', b: 'a' }, null],
      ['create', 'public.composite', null, { a: '1', b: '2', v: '3' }],
      ['update', 'public.composite', { a: '1', b: '2', v: absent }, { a: '9', b: '2', v: '3' }],
      ['delete', 'public.composite', { a: '9', b: '2', v: absent }, null],
    ]);
    const keys = Object.fromEntries(reader.tables.map(({ name, key, columns }) => [name, key.map((i) => columns[i]?.name)]));
    expect(keys).toMatchObject({ full_identity: ['id'], by_index: ['code'], no_identity: ['id'], no_key: [], composite: ['b', 'a'] });
  });

  test('an out-of-line value that did not change is unavailable; under FULL it is filled from the old row (I11)', async () => {
    const big = 'x'.repeat(5000);
    await sql(`INSERT INTO toasted VALUES (1, '${big}', 1); UPDATE toasted SET small = 2; UPDATE toasted SET big = NULL;
      INSERT INTO full_identity VALUES (1, '${big}'); UPDATE full_identity SET id = 2; DELETE FROM full_identity`);
    expect((await reader.take(6)).map(op)).toEqual([
      ['create', 'public.toasted', null, { id: '1', big, small: '1' }],
      ['update', 'public.toasted', null, { id: '1', big: '<unavailable>', small: '2' }],
      ['update', 'public.toasted', null, { id: '1', big: null, small: '2' }],
      ['create', 'public.full_identity', null, { id: '1', v: big }],
      ['update', 'public.full_identity', { id: '1', v: big }, { id: '2', v: big }],
      ['delete', 'public.full_identity', { id: '2', v: big }, null],
    ]);
  });

  test('a key that is stored out of line and did not change comes from the old image', async () => {
    const key = Array.from({ length: 80 }, (_, i) => createHash('md5').update(String(i)).digest('hex'))
      .join('')
      .slice(0, 2500);
    await sql(`CREATE TABLE long_key (k text PRIMARY KEY, v int); ALTER TABLE long_key ALTER k SET STORAGE EXTERNAL;
      ALTER PUBLICATION "Log ""pub" ADD TABLE long_key`);
    await sql(`INSERT INTO long_key VALUES ('${key}', 1); UPDATE long_key SET v = 2`);
    const [, update] = await reader.take(2);
    expect(op(update as Seen)).toEqual(['update', 'public.long_key', { k: key, v: '<absent>' }, { k: key, v: '2' }]);
  });

  test('partitions under the name of their root, quoted names, generated columns, tables that are not captured', async () => {
    await sql(`INSERT INTO parted VALUES (1, 'a'), (11, 'b'); UPDATE parted SET id = 12 WHERE id = 1;
      INSERT INTO other.secret VALUES (1);
      INSERT INTO "My Schema"."Mixed ""Case"".T" VALUES (1, 's');
      INSERT INTO generated (id, w) VALUES (3, 4)`);
    const seen = await reader.take(6);
    expect(seen.slice(0, 5).map(op)).toEqual([
      ['create', 'public.parted', null, { id: '1', v: 'a' }],
      ['create', 'public.parted', null, { id: '11', v: 'b' }],
      // A row that moves to another partition is deleted there and inserted here.
      ['delete', 'public.parted', { id: '1', v: '<absent>' }, null],
      ['create', 'public.parted', null, { id: '12', v: 'a' }],
      ['create', 'My Schema.Mixed "Case".T', null, { Ünï: '1', select: 's' }],
    ]);
    expect(seen[5]).toMatchObject({ table: 'public.generated', after: { id: '3', w: '4' } });
    expect(reader.tables.find(({ name }) => name === 'generated')?.key).toEqual([0]);
  });

  test('a Truncate of several tables is one record for each', async () => {
    await sql('BEGIN; INSERT INTO changing VALUES (1, 1); TRUNCATE changing, composite RESTART IDENTITY; INSERT INTO changing VALUES (1, 2); COMMIT');
    const seen = await reader.take(4);
    expect(seen.map(({ op: kind, table, ordinal, before, after }) => [kind, table, ordinal, before, after?.['v'] ?? null])).toEqual([
      ['create', 'public.changing', 0, null, '1'],
      ['truncate', expect.stringMatching(/changing|composite/), 1, null, null],
      ['truncate', expect.stringMatching(/changing|composite/), 2, null, null],
      ['create', 'public.changing', 3, null, '2'],
    ]);
    expect(seen[1]?.table).not.toBe(seen[2]?.table);
  });

  test('I2: nothing of what was rolled back, whole or to a savepoint; messages as their prefix says', async () => {
    await sql(`BEGIN; INSERT INTO composite VALUES (1, 1, 1); ROLLBACK`);
    await sql(`BEGIN; INSERT INTO composite VALUES (2, 2, 2); SAVEPOINT s; INSERT INTO composite VALUES (3, 3, 3); SELECT pg_logical_emit_message(true, 'outbox', 'lost');
      ROLLBACK TO s; SELECT pg_logical_emit_message(true, 'elsewhere', 'not ours'); SELECT pg_logical_emit_message(true, 'outbox', 'kept é'); COMMIT`);
    await sql(`BEGIN; SELECT pg_logical_emit_message(false, 'outbox', 'at once'); ROLLBACK`);
    // Nothing has flushed that message to the log yet.
    await sql('INSERT INTO other.secret VALUES (2)');
    const seen = await reader.take(3);
    expect(seen.map(({ op: kind, ordinal, after }) => [kind, ordinal, after])).toEqual([
      ['create', 0, { a: '2', b: '2', v: '2' }],
      ['message', 2, { prefix: 'outbox', content: 'kept é' }],
      ['message', 0, { prefix: 'outbox', content: 'at once' }],
    ]);
    expect(seen[1]?.transaction).toBe(seen[0]?.transaction);
    expect(seen[2]?.transaction).toMatch(/\.0$/);
    expect(seen[2]?.origin['txId']).toBeNull();
  });

  test('a change of the table in mid-stream is a new version from that row on', async () => {
    await sql(`TRUNCATE changing; INSERT INTO changing VALUES (1, 1); ALTER TABLE changing ADD w numeric(6,2) DEFAULT 1.5; INSERT INTO changing VALUES (2, 2);
      ALTER TABLE changing RENAME v TO "V"; ALTER TABLE changing DROP CONSTRAINT changing_pkey, ADD PRIMARY KEY ("V"); INSERT INTO changing VALUES (3, 3); UPDATE changing SET "V" = 4 WHERE id = 3;
      ALTER TABLE changing REPLICA IDENTITY FULL; DELETE FROM changing WHERE id = 3`);
    const seen = await reader.take(6);
    expect(seen.slice(1).map(({ op: kind, before, after }) => [kind, before, after])).toEqual([
      ['create', null, { id: '1', v: '1' }],
      ['create', null, { id: '2', v: '2', w: '1.50' }],
      ['create', null, { id: '3', V: '3', w: '1.50' }],
      ['update', { id: '<absent>', V: '3', w: '<absent>' }, { id: '3', V: '4', w: '1.50' }],
      ['delete', { id: '3', V: '4', w: '1.50' }, null],
    ]);
    const versions = reader.tables.filter(({ name }) => name === 'changing').map(({ key, columns }) => key.map((i) => columns[i]?.name));
    expect(versions).toEqual([['id'], ['id'], ['V']]);
  });

  test('an enum label that is added in mid-stream, a type that is made in mid-stream', async () => {
    await sql(
      `CREATE TYPE shade AS ENUM ('red'); CREATE DOMAIN cents AS bigint; CREATE TABLE painted (id int PRIMARY KEY, c shade, p cents); ALTER PUBLICATION "Log ""pub" ADD TABLE painted`,
    );
    await sql(`INSERT INTO painted VALUES (1, 'red', 5)`);
    await sql(`ALTER TYPE shade ADD VALUE 'blue'`);
    await sql(`INSERT INTO painted VALUES (2, 'blue', 6)`);
    expect((await reader.take(2)).map(({ after }) => after)).toEqual([
      { id: '1', c: 'red', p: '5' },
      { id: '2', c: 'blue', p: '6' },
    ]);
    expect(reader.tables.find(({ name }) => name === 'painted')?.columns.map(({ type, typeName }) => [type, typeName])).toEqual([
      ['int32', 'integer'],
      ['text', 'shade'],
      ['int64', 'cents'],
    ]);
  });

  test('one transaction over many batches: no checkpoint inside it (I6), every row once, in order', async () => {
    const before = reader.checkpoint;
    reader.batchSizes.length = 0;
    await sql("INSERT INTO no_key SELECT g, repeat('x', 100) FROM generate_series(1, 12000) g");
    const seen = await reader.take(12_000);
    expect(reader.batchSizes.length).toBeGreaterThan(5);
    expect(seen.map(({ ordinal }) => ordinal)).toEqual(seen.map((_, i) => i));
    expect(seen.every(({ after }, i) => after?.['a'] === String(i + 1))).toBe(true);
    expect(new Set(seen.map(({ transaction }) => transaction)).size).toBe(1);
    await reader.until(() => reader.checkpoint !== before, 'the checkpoint of its commit');
  });

  test('a replay gives the same records: ids, ordinals and origin (I4)', async () => {
    await reader.until(async () => (await slotLsn()) === reader.checkpoint?.['lsn'], 'the slot at the checkpoint');
    const from = reader.checkpoint;
    await reader.close();
    await sql(`INSERT INTO no_key VALUES (1, 'again'); INSERT INTO composite VALUES (7, 7, 7)`);
    await sql(`SELECT pg_logical_emit_message(false, 'outbox', 'between')`);
    await sql(`DELETE FROM no_key WHERE a < 10`);
    const config = {
      tables: ['public.*', 'My Schema.*'],
      insertOnly: ['public.no_identity'],
      messages: ['outbox'],
      publication: 'Log "pub',
      slot: `rows_${major}`,
    };
    const first = await readToEnd({ url, config, from, acknowledge: false });
    const second = await readToEnd({ url, config, from, acknowledge: false });
    expect(first.ended && second.ended).toBe(true);
    expect(first.records.length).toBe(13);
    expect(second.records).toEqual(first.records);
    expect(first.records[0]?.origin['sequence']).toMatch(/^\["\d+","\d+"\]$/);
  });

  const slotLsn = async (): Promise<string> => {
    const [row] = await server.query<{ lsn: string }>(
      `SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = 'rows_${major}'`,
    );
    return row?.lsn ?? '';
  };
});
