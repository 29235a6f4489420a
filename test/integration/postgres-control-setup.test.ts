/** Publication, slot and catalog on real servers, from nothing and made beforehand by a DBA. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCatalog } from '../../connectors/postgres/catalog.ts';
import { applicationName, ControlConnection, connectClient, endClient } from '../../connectors/postgres/client.ts';
import type { PostgresConfig } from '../../connectors/postgres/config.ts';
import { HEARTBEAT_PREFIX, Heartbeat } from '../../connectors/postgres/heartbeat.ts';
import { formatLsn, parseLsn } from '../../connectors/postgres/log/position.ts';
import { type PreparedLog, prepareLog } from '../../connectors/postgres/log/prepare.ts';
import { recoverPosition } from '../../connectors/postgres/log/recover.ts';
import { observeSlot } from '../../connectors/postgres/log/slot.ts';
import { preflightPostgres } from '../../connectors/postgres/preflight.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { postgresConfig, rejection, sourceContext, type TestContext } from '../support/postgres-source.ts';

const NEW = { from: null, published: [], sinkHoldsOutput: false };
const signal = new AbortController().signal;

describe.each(availableMajors)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let database: string;
  let context: TestContext;
  let number = 0;

  beforeAll(async () => {
    server = await startPostgres({ major });
    database = await server.createDatabase();
    await server.query(
      `CREATE TABLE keyed (id bigint PRIMARY KEY, "Note" text); CREATE TABLE log (line text); CREATE TABLE other (id int PRIMARY KEY);
       CREATE SCHEMA "My.Schema"; CREATE TABLE "My.Schema"."Quo""ted" (id int PRIMARY KEY);
       CREATE TABLE parted (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
       CREATE TABLE parted_26 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
       CREATE VIEW seen AS SELECT 1 AS x; CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)`,
      database,
    );
  });

  afterAll(() => server.dispose());

  /** A connector of its own for each test, so that none sees another's slot. */
  function connector(overrides: Partial<PostgresConfig>, role?: { user: string; password?: string }): PostgresConfig {
    context = sourceContext(`c${number++}`);
    return postgresConfig(server.url(database, role), overrides);
  }

  const prepare = (config: PostgresConfig, options = NEW): Promise<PreparedLog> => prepareLog(config, context, options, signal);

  async function published(name: string): Promise<string[]> {
    const rows = await server.query<{ table: string }>(
      `SELECT schemaname || '.' || tablename AS table FROM pg_publication_tables WHERE pubname = '${name}' ORDER BY 1`,
      database,
    );
    return rows.map((row) => row.table);
  }

  async function dropSlot(name: string): Promise<void> {
    await server.query(`SELECT pg_drop_replication_slot('${name}')`, database);
  }

  it('trap: a connection that is still being made when everything is closed stays open for ever, and keeps the process from ending', async () => {
    const name = `closed while connecting ${major}`;
    const open = async (): Promise<number> =>
      (await server.query(`SELECT 1 FROM pg_stat_activity WHERE application_name = '${name}'`, database)).length;
    // It takes some milliseconds: at one of these moments it is nearly there.
    for (let ms = 0; ms < 20; ms++) {
      const control = new ControlConnection(connector({}), { applicationName: name, runtime: context.runtime });
      const asked = control.run('a question', (client) => client.query('SELECT 1')).catch((error: Error) => error);
      await new Promise((resolve) => setTimeout(resolve, ms / 2));
      await control.close();
      await asked;
    }
    await expect.poll(open, { timeout: 5_000 }).toBe(0);
  });

  it('from nothing: intent first, then the publication of exactly the captured tables, then the slot', async () => {
    const config = connector({ tables: ['public.keyed', '"My.Schema".*', 'public.parted*', 'public.log'], insertOnly: ['public.log'] });
    const prepared = await prepare(config);
    const { slot } = prepared;
    expect(context.intentStored).toMatchObject({ slot });
    expect(await published(slot)).toEqual(['My.Schema.Quo"ted', 'public.keyed', 'public.parted']);
    expect(await published(`${slot}_inserts`)).toEqual(['public.log']);
    expect(prepared.publications).toEqual([slot, `${slot}_inserts`]);
    const [row] = await server.query<{ plugin: string; confirmed: string; slot: { failover?: boolean; two_phase: boolean } }>(
      `SELECT plugin, confirmed_flush_lsn::text AS confirmed, to_jsonb(s) AS slot FROM pg_replication_slots s WHERE slot_name = '${slot}'`,
    );
    expect(row).toMatchObject({ plugin: 'pgoutput', confirmed: prepared.from.lsn, slot: { two_phase: false } });
    if (major >= 17) expect(row?.slot.failover).toBe(true);
    expect(prepared.captures('public', 'keyed')).toBe(true);
    expect(prepared.captures('public', 'other')).toBe(false);
    // The user's updates go on: the keyless table is in no publication that publishes them.
    await server.query(`INSERT INTO log VALUES ('a'); UPDATE log SET line = 'b'; DELETE FROM log`, database);
    // The same again changes nothing and begins where it was left.
    const again = await prepare(config, { ...NEW, from: prepared.from as never });
    expect(again.from).toEqual(prepared.from);
    expect(context.lines.filter((line) => line.message.startsWith('The publication was changed'))).toHaveLength(2);
    await dropSlot(slot);
  });

  it('adds tables that match newly, and takes out those that it has added itself', async () => {
    const config = connector({ tables: ['public.keyed'] });
    const first = await prepare(config);
    await server.query(`ALTER PUBLICATION ${first.slot} ADD TABLE parted`, database);
    await prepare({ ...config, tables: ['public.other'] }, { ...NEW, from: first.from as never });
    expect(await published(first.slot)).toEqual(['public.other', 'public.parted']);
    await prepare(config, { ...NEW, from: first.from as never });
    expect(await published(first.slot)).toEqual(['public.keyed', 'public.parted']);
    await dropSlot(first.slot);
  });

  it('a crash between the intent and the first offset: the slot is known for ours', async () => {
    const config = connector({ tables: ['public.keyed'] });
    const first = await prepare(config);
    const again = await prepare(config);
    expect(again.from).toEqual(first.from);
    expect(context.lines.at(-1)?.message).toContain('was made by an earlier start of this connector');
    await dropSlot(first.slot);
  });

  it('with the right to read and to replicate only, slot and publication made by a DBA (security.md 1)', async () => {
    const user = `reader_${database}`;
    const slot = `dba_${database}`;
    await server.query(
      `CREATE ROLE ${user} LOGIN REPLICATION; GRANT SELECT ON keyed TO ${user}; REVOKE CREATE ON DATABASE "${database}" FROM PUBLIC;
       CREATE PUBLICATION by_dba FOR TABLE keyed`,
      database,
    );
    await server.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`, database);
    const config = connector({ tables: ['public.keyed'], slot, publication: 'by_dba' }, { user });
    const { findings } = await preflightPostgres(config, context, signal);
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const prepared = await prepare(config);
    expect(prepared.publications).toEqual(['by_dba']);
    expect(context.lines.at(-1)?.message).toContain('existed already');
    // A table more: the error holds the exact statement.
    const wider = { ...config, tables: ['public.keyed', 'public.other'] };
    const error = await rejection(prepare(wider));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_RIGHT');
    expect(error.remedy).toContain(
      'BEGIN; LOCK TABLE "public"."other" IN SHARE MODE; ALTER PUBLICATION "by_dba" ADD TABLE "public"."other"; COMMIT;',
    );
    expect((await preflightPostgres(wider, context, signal)).findings.map(({ code }) => code)).toContain('SLUICE_PG_PUBLICATION_RIGHT');
    // That statement mends it.
    await server.query((error.remedy.match(/ALTER PUBLICATION.*?;/) as RegExpMatchArray)[0], database);
    expect((await prepare(wider)).publications).toEqual(['by_dba']);
    await dropSlot(slot);
  });

  it('FOR ALL TABLES made by a DBA is taken as it is', async () => {
    await server.query('CREATE PUBLICATION everything FOR ALL TABLES', database);
    const config = connector({ tables: ['public.keyed'], publication: 'everything' });
    const prepared = await prepare(config);
    expect(prepared.publications).toEqual(['everything']);
    expect(prepared.captures('public', 'other')).toBe(false);
    const codes = (await preflightPostgres(config, context, signal)).findings.map(({ code }) => code);
    expect(codes).toContain('SLUICE_PG_PUBLICATION_WIDER');
    // Partitions under their own names, while the partitioned table is asked for: nothing would be captured.
    const error = await rejection(prepare({ ...config, tables: ['public.parted'] }, { ...NEW, from: prepared.from as never }));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_BY_PARTITION');
    await server.query('DROP PUBLICATION everything', database);
    await dropSlot(prepared.slot);
  });

  it('a publication that lacks operations or publishes a partition under its root', async () => {
    await server.query(
      `CREATE PUBLICATION inserts_only FOR TABLE keyed WITH (publish = 'insert'); CREATE PUBLICATION by_root FOR TABLE parted WITH (publish_via_partition_root = true)`,
      database,
    );
    const limited = connector({ tables: ['public.keyed'], publication: 'inserts_only' });
    const error = await rejection(prepare(limited));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_OPERATIONS');
    await server.query(error.remedy.replace('Run: ', ''), database);
    await dropSlot((await prepare(limited)).slot);
    const byRoot = connector({ tables: ['public.parted_26'], publication: 'by_root' });
    expect((await rejection(prepare(byRoot))).code).toBe('SLUICE_PG_PUBLICATION_BY_ROOT');
  });

  it('says of each table what columns it has, and of which the log carries old values', async () => {
    await server.query(
      `CREATE TABLE o_key (a int, b int, c int, PRIMARY KEY (c, a) INCLUDE (b));
       CREATE TABLE o_full (a int, b int); ALTER TABLE o_full REPLICA IDENTITY FULL;
       CREATE TABLE o_index (a int PRIMARY KEY, b int NOT NULL, gone int); ALTER TABLE o_index DROP COLUMN gone;
       CREATE UNIQUE INDEX o_index_b ON o_index (b); ALTER TABLE o_index REPLICA IDENTITY USING INDEX o_index_b;
       CREATE TABLE o_inserts (a int);
       CREATE TABLE o_parted (a int, b int, PRIMARY KEY (a)) PARTITION BY LIST (a); ALTER TABLE o_parted REPLICA IDENTITY FULL;
       CREATE TABLE o_parted_1 PARTITION OF o_parted FOR VALUES IN (1); ALTER TABLE o_parted_1 REPLICA IDENTITY FULL;
       CREATE TABLE o_parted_2 PARTITION OF o_parted DEFAULT;`,
      database,
    );
    const config = connector({ tables: ['public.o_*'], insertOnly: ['public.o_inserts'] });
    const { tables } = await preflightPostgres(config, context, signal);
    expect(tables.map(({ name, columnNames, oldColumnNames }) => [name, columnNames, oldColumnNames])).toEqual([
      ['o_full', ['a', 'b'], ['a', 'b']],
      ['o_index', ['a', 'b'], ['b']],
      ['o_inserts', ['a'], null],
      ['o_key', ['a', 'b', 'c'], ['a', 'c']],
      ['o_parted', ['a', 'b'], ['a']],
    ]);
    await server.query('ALTER TABLE o_parted_2 REPLICA IDENTITY FULL', database);
    expect((await preflightPostgres(config, context, signal)).tables.at(-1)?.oldColumnNames).toEqual(['a', 'b']);
    await server.query('DROP TABLE o_key, o_full, o_index, o_inserts, o_parted', database);
  });

  it.runIf(major >= 15)('a row filter and a column list of the publication are said', async () => {
    await server.query(`CREATE PUBLICATION part FOR TABLE keyed (id) WHERE (id > 5)`, database);
    const { findings } = await preflightPostgres(connector({ tables: ['public.keyed'], publication: 'part' }), context, signal);
    expect(findings.find(({ code }) => code === 'SLUICE_PG_PUBLICATION_LIMITED')?.message).toContain(
      'a row filter and a column list for public.keyed',
    );
  });

  it('a publication cannot be made after the slot: decoding at its position would fail for ever', async () => {
    const config = connector({ tables: ['public.keyed'] });
    const slot = `sluice_${context.connector}`;
    await server.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`, database);
    const error = await rejection(prepare(config));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_AFTER_SLOT');
    expect(await server.query(`SELECT FROM pg_publication WHERE pubname = '${slot}'`, database)).toEqual([]);
    await dropSlot(slot);
  });

  it('a keyless table that is named later needs its publication before the slot, too', async () => {
    const config = connector({ tables: ['public.keyed'] });
    await server.query(`CREATE PUBLICATION sluice_${context.connector} FOR TABLE keyed`, database);
    const { slot, from } = await prepare(config);
    const wider = { ...config, tables: ['public.keyed', 'public.log'], insertOnly: ['public.log'] };
    const error = await rejection(prepare(wider, { ...NEW, from: from as never }));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_AFTER_SLOT');
    expect(error.remedy).toContain(
      `CREATE PUBLICATION "${slot}_inserts" FOR TABLE "public"."log" WITH (publish = 'insert, truncate', publish_via_partition_root = true);`,
    );
    await dropSlot(slot);
  });

  it('the slot waits for an older transaction, which is named with its process', async () => {
    const blocker = await server.connect(database);
    await blocker.query(`BEGIN; INSERT INTO keyed VALUES (${1000 + number}, 'x')`);
    const config = connector({ tables: ['public.keyed'] });
    const preparing = prepare(config);
    await expect
      .poll(() => context.lines.find((line) => line.fields.code === 'SLUICE_PG_SLOT_WAITS')?.message, { timeout: 10_000 })
      .toMatch(new RegExp(`older transactions: process ${(blocker as unknown as { processID: number }).processID} \\(open for \\d+ s\\)`));
    await blocker.query('COMMIT');
    await dropSlot((await preparing).slot);
    await blocker.end();
  });

  it('stopping while the slot waits leaves no slot behind', async () => {
    const blocker = await server.connect(database);
    await blocker.query(`BEGIN; INSERT INTO keyed VALUES (${2000 + number}, 'x')`);
    const config = connector({ tables: ['public.keyed'] });
    const stop = new AbortController();
    const preparing = prepareLog(config, context, NEW, stop.signal);
    await expect.poll(() => context.lines.some((line) => line.fields.code === 'SLUICE_PG_SLOT_WAITS'), { timeout: 10_000 }).toBe(true);
    stop.abort(new Error('stopped'));
    await expect(preparing).rejects.toThrow('stopped');
    await blocker.query('COMMIT');
    await blocker.end();
    await expect.poll(() => server.query(`SELECT FROM pg_replication_slots WHERE slot_name = 'sluice_${context.connector}'`)).toEqual([]);
  });

  it('the catalog: keys in key order, replica identities, domains and enums', async () => {
    await server.query(
      `CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN price AS numeric(12,2);
       CREATE TABLE facts (a int, "B" text NOT NULL, c price, d mood, e mood[], gone int, g int GENERATED ALWAYS AS (a + 1) STORED, PRIMARY KEY ("B", a));
       ALTER TABLE facts DROP COLUMN gone; CREATE UNIQUE INDEX facts_i ON facts ("B") INCLUDE (c);
       ALTER TABLE facts REPLICA IDENTITY USING INDEX facts_i`,
      database,
    );
    const [row] = await server.query<{ oid: number }>(`SELECT 'facts'::regclass::oid AS oid`, database);
    const oid = row?.oid as number;
    const config = connector({});
    const client = await connectClient(config, { applicationName: applicationName('x', 'y'), runtime: context.runtime });
    const { tables, types } = await loadCatalog(client, [oid, 1]);
    await endClient(client);
    expect([...tables.keys()]).toEqual([oid]);
    expect(tables.get(oid)).toMatchObject({
      schema: 'public',
      name: 'facts',
      kind: 'table',
      replicaIdentity: 'index',
      primaryKey: ['B', 'a'],
      identityIndex: ['B'],
    });
    const columns = tables.get(oid)?.columns ?? [];
    expect(columns.map(({ name, generated, notNull }) => [name, generated, notNull])).toEqual([
      ['a', false, true],
      ['B', false, true],
      ['c', false, false],
      ['d', false, false],
      ['e', false, false],
      ['g', true, false],
    ]);
    const typeOf = (name: string) => types.get(columns.find((column) => column.name === name)?.typeOid as number);
    expect(typeOf('c')).toMatchObject({ name: 'price', kind: 'domain', baseOid: 1700, typmod: ((12 << 16) | 2) + 4 });
    expect(typeOf('d')).toMatchObject({ name: 'mood', kind: 'enum' });
    expect(typeOf('e')).toMatchObject({ kind: 'array' });
    // Row types of tables are as many as tables: they are not loaded.
    expect([...types.values()].map(({ name }) => name)).not.toContain('facts');
  });

  it('heartbeats stand in the log, also with a dead synchronous standby (a raw client reads them)', async () => {
    const config = connector({ tables: ['public.keyed'] });
    const { slot } = await prepare(config);
    await server.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
    await server.query('SELECT pg_reload_conf()');
    const control = new ControlConnection(config, {
      applicationName: applicationName(context.connector, context.instance),
      runtime: context.runtime,
    });
    const heartbeat = new Heartbeat(control, 100, context.runtime, context.log);
    heartbeat.start();
    const read = () =>
      server.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_logical_slot_peek_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', '${slot}', 'messages', 'true')
         WHERE position('${HEARTBEAT_PREFIX}'::bytea IN data) > 0`,
        database,
      );
    await expect.poll(async () => (await read())[0]?.n, { timeout: 10_000 }).toBeGreaterThan(1);
    // None of them had to wait for that standby.
    expect(context.lines.filter(({ fields }) => fields.code === 'SLUICE_PG_HEARTBEAT')).toEqual([]);
    // A broken connection is made anew.
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${applicationName(context.connector, context.instance)}'`,
    );
    const before = (await read())[0]?.n as number;
    await expect.poll(async () => (await read())[0]?.n, { timeout: 10_000 }).toBeGreaterThan(before + 1);
    heartbeat.stop();
    await control.close();
    await server.query('ALTER SYSTEM RESET synchronous_standby_names');
    await server.query('SELECT pg_reload_conf()');
    await dropSlot(slot);
  });

  it('the state of the slot, and an offset found again', async () => {
    const config = connector({ tables: ['public.keyed'] });
    const prepared = await prepare(config);
    await server.query(`INSERT INTO keyed VALUES (${3000 + number}, repeat('x', 10000))`, database);
    const client = await connectClient(config, { applicationName: applicationName('x', 'y'), runtime: context.runtime });
    const health = await observeSlot(client, prepared.slot);
    expect(health.slotState).toBe('reserved');
    expect(health.lagBytes).toBeGreaterThan(0);
    expect(health.retainedBytes).toBeGreaterThanOrEqual(health.lagBytes as number);
    expect(await observeSlot(client, 'nowhere')).toEqual({ lagBytes: null, retainedBytes: null, slotState: null });
    await endClient(client);
    const fromSlot = await recoverPosition(config, context, { from: 'slot', lastTransaction: null }, signal);
    expect(fromSlot).toEqual(prepared.from);
    const id = (lsn: bigint) => `${prepared.from.systemId}/${lsn.toString(16).padStart(16, '0')}.777`;
    const start = parseLsn(prepared.from.lsn) as bigint;
    const recover = (lastTransaction: string | null) => recoverPosition(config, context, { from: 'sink', lastTransaction }, signal);
    // Past the slot: that transaction comes again. Before it: the slot was acknowledged past it, so nothing is missing there.
    expect((await recover(id(start + 8n))).lsn).toBe(formatLsn(start + 8n));
    expect((await recover(id(start - 8n))).lsn).toBe(prepared.from.lsn);
    expect((await rejection(recover(null))).code).toBe('SLUICE_PG_RECOVER_NO_TAIL');
    expect((await rejection(recover(`123/${'0'.repeat(16)}.1`))).code).toBe('SLUICE_PG_OTHER_SYSTEM');
    expect((await rejection(recover(id(start + (1n << 40n))))).code).toBe('SLUICE_PG_OFFSET_AHEAD');
    await dropSlot(prepared.slot);
    expect((await rejection(recover(id(start)))).code).toBe('SLUICE_PG_RECOVER_NO_SLOT');
  });
});
