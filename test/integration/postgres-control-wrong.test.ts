/** What is wrong is answered with one clear message, its code, the remedy and the exit code; the remedy mends it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationName, connectClient, endClient, replicationClientConfig } from '../../connectors/postgres/client.ts';
import type { PostgresConfig } from '../../connectors/postgres/config.ts';
import { formatLsn, type LogPosition, parseLsn } from '../../connectors/postgres/log/position.ts';
import { type PreparedLog, prepareLog } from '../../connectors/postgres/log/prepare.ts';
import { preflightPostgres } from '../../connectors/postgres/preflight.ts';
import type { ReadOptions } from '../../src/plugin/source.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { postgresConfig, rejection, sourceContext, type TestContext } from '../support/postgres-source.ts';

const NEW: ReadOptions = { from: null, published: [], sinkHoldsOutput: false };
const signal = new AbortController().signal;
/** The oldest and the newest: the catalogs in between are theirs. */
const majors = availableMajors.filter((_major, index) => index === 0 || index === availableMajors.length - 1);

let context: TestContext;

const prepare = (config: PostgresConfig, options: ReadOptions = NEW): Promise<PreparedLog> => prepareLog(config, context, options, signal);

/** Code and exit code of the errors that preflight finds. */
async function errors(config: PostgresConfig): Promise<string[]> {
  const { findings } = await preflightPostgres(config, context, signal);
  for (const { message, remedy } of findings) expect(`${message} ${remedy}`).not.toMatch(/\{\w+\}|undefined|null/);
  return findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
}

describe.each(majors)('PostgreSQL %i', (major) => {
  let server: PostgresServer;
  let number = 0;

  beforeAll(async () => {
    server = await startPostgres({ major, settings: { max_slot_wal_keep_size: '1MB', max_wal_senders: 4, max_replication_slots: 3 } });
    await server.query(
      `CREATE TABLE keyed (id bigint PRIMARY KEY, filler text); CREATE TABLE history (line text); CREATE TABLE "Mixed" (id int PRIMARY KEY);
       CREATE TABLE late (id int PRIMARY KEY DEFERRABLE); CREATE TABLE mute (id int PRIMARY KEY); ALTER TABLE mute REPLICA IDENTITY NOTHING;
       CREATE TABLE whole (line text); ALTER TABLE whole REPLICA IDENTITY FULL;
       CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
       CREATE VIEW seen AS SELECT 1 AS x; CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
       CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE postgres TO plain; CREATE ROLE copier LOGIN REPLICATION`,
    );
  });

  afterAll(() => server.dispose());

  function connector(overrides: Partial<PostgresConfig> = {}, user = 'postgres', database = 'postgres'): PostgresConfig {
    context = sourceContext(`c${number++}`);
    return postgresConfig(server.url(database, { user }), { tables: ['public.keyed'], ...overrides });
  }

  async function dropSlots(): Promise<void> {
    await server.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active');
  }

  it('a host where nothing listens: retried, exit 3, one cause for both addresses of localhost', async () => {
    context = sourceContext('nowhere');
    const error = await rejection(prepare(postgresConfig('postgres://u@localhost:1/d')));
    expect([error.code, error.kind.retry, error.kind.exit]).toEqual(['SLUICE_PG_UNREACHABLE', 'auto', 3]);
    expect(error.message).toBe('Postgres at localhost:1 cannot be reached: connection refused.');
  });

  it('a database and a role that do not exist', async () => {
    expect((await rejection(prepare(connector({}, 'postgres', 'nowhere')))).code).toBe('SLUICE_PG_DATABASE_MISSING');
    expect((await rejection(prepare(connector({}, 'nobody_here')))).code).toBe('SLUICE_PG_NOT_ADMITTED');
  });

  it('no right to replicate: it is tried, and the statement in the remedy mends it', async () => {
    const config = connector({}, 'plain');
    expect(await errors(config)).toContain('SLUICE_PG_NO_REPLICATION_RIGHT');
    const error = await rejection(prepare(config));
    expect([error.code, error.kind.exit]).toEqual(['SLUICE_PG_NO_REPLICATION_RIGHT', 3]);
    await server.query((error.remedy.match(/^ALTER ROLE [^;]+;/) as RegExpMatchArray)[0]);
    expect(await errors(config)).not.toContain('SLUICE_PG_NO_REPLICATION_RIGHT');
    await server.query('ALTER ROLE plain NOREPLICATION');
  });

  it('no right to make a publication: the exact SQL', async () => {
    const error = await rejection(prepare(connector({}, 'copier')));
    expect(error.code).toBe('SLUICE_PG_PUBLICATION_RIGHT');
    expect(error.remedy).toContain(
      `CREATE PUBLICATION "sluice_${context.connector}" FOR TABLE "public"."keyed" WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);`,
    );
    expect(await errors(connector({}, 'copier'))).toEqual(['SLUICE_PG_PUBLICATION_RIGHT']);
  });

  it('tables: missing, misspelt, no table at all, and patterns that match nothing', async () => {
    expect(await errors(connector({ tables: ['public.keyed', 'public.nowhere'] }))).toEqual(['SLUICE_PG_TABLE_MISSING']);
    const error = await rejection(prepare(connector({ tables: ['public.mixed'] })));
    expect([error.code, error.kind.exit]).toEqual(['SLUICE_PG_TABLE_MISSING', 2]);
    expect(error.message).toContain('there is public.Mixed');
    expect(await errors(connector({ tables: ['public.seen'] }))).toEqual(['SLUICE_PG_TABLE_KIND']);
    expect(await errors(connector({ tables: ['public.fleeting'] }))).toEqual(['SLUICE_PG_TABLE_KIND']);
    expect(await errors(connector({ tables: ['nowhere.*'] }))).toEqual(['SLUICE_PG_NO_TABLES']);
    const { findings } = await preflightPostgres(connector({ tables: ['public.keyed', 'public.f*', 'x.*'] }), context, signal);
    expect(findings).toContainEqual(expect.objectContaining({ code: 'SLUICE_PG_TABLE_SKIPPED', table: 'public.fleeting' }));
    expect(findings).toContainEqual(expect.objectContaining({ code: 'SLUICE_PG_PATTERN_MATCHES_NOTHING', severity: 'warning' }));
  });

  it('a table with no replica identity: an error before it is added, so that the updates of others never fail', async () => {
    for (const table of ['history', 'late', 'mute', 'parted']) {
      const config = connector({ tables: [`public.${table}`] });
      expect(await errors(config), table).toEqual(['SLUICE_PG_NO_REPLICA_IDENTITY']);
      const error = await rejection(prepare(config));
      expect([error.code, error.kind.exit, error.table]).toEqual(['SLUICE_PG_NO_REPLICA_IDENTITY', 3, `public.${table}`]);
      expect(error.remedy).toContain('REPLICA IDENTITY FULL');
      expect(error.remedy).toContain(`"insertOnly": ["public.${table}"]`);
    }
    expect(await errors(connector({ tables: ['public.whole', 'public.history'], insertOnly: ['public.history'] }))).toEqual([]);
    await server.query(`INSERT INTO history VALUES ('x'); UPDATE history SET line = 'y'`);
  });

  it('all findings at once', async () => {
    await server.query('CREATE ROLE poor LOGIN');
    const codes = await errors(connector({ tables: ['public.nowhere', 'public.history'] }, 'poor'));
    expect(codes).toEqual(['SLUICE_PG_NO_REPLICATION_RIGHT', 'SLUICE_PG_TABLE_MISSING', 'SLUICE_PG_NO_REPLICA_IDENTITY']);
    await server.query('DROP ROLE poor');
  });

  it('no free slot, no walsender', async () => {
    await server.query(`SELECT pg_create_logical_replication_slot('s' || n, 'pgoutput') FROM generate_series(1, 3) n`);
    const config = connector();
    expect(await errors(config)).toEqual(['SLUICE_PG_NO_FREE_SLOT']);
    const error = await rejection(prepare(config));
    expect([error.code, error.kind.exit]).toEqual(['SLUICE_PG_NO_FREE_SLOT', 3]);
    expect(error.message).toContain('max_replication_slots = 3');
    await dropSlots();
    const options = { applicationName: 'x', runtime: context.runtime, replication: true };
    const senders = await Promise.all(Array.from({ length: 4 }, () => connectClient(config, options)));
    const full = await rejection(prepare(config));
    expect([full.code, full.kind.retry]).toEqual(['SLUICE_PG_NO_WALSENDER', 'auto']);
    expect(full.message).toContain('max_wal_senders = 4');
    // It may become free: whoever starts the connector leaves it to the reading, which waits (`Judge`).
    expect(await errors(config)).toEqual(['SLUICE_PG_NO_WALSENDER']);
    await Promise.all(senders.map(endClient));
  });

  it('a slot of another kind, plug-in or database', async () => {
    await server.query('CREATE DATABASE elsewhere');
    const wrong = async (create: string, database?: string): Promise<string> => {
      await server.query(create, database);
      const config = connector({ slot: 'odd' });
      expect(await errors(config)).toContain('SLUICE_PG_SLOT_UNUSABLE');
      const error = await rejection(prepare(config));
      expect(error.code).toBe('SLUICE_PG_SLOT_UNUSABLE');
      await dropSlots();
      return error.message;
    };
    expect(await wrong(`SELECT pg_create_physical_replication_slot('odd')`)).toContain('physical');
    expect(await wrong(`SELECT pg_create_logical_replication_slot('odd', 'test_decoding')`)).toContain('test_decoding');
    expect(await wrong(`SELECT pg_create_logical_replication_slot('odd', 'pgoutput', false, true)`)).toContain('two_phase');
    expect(await wrong(`SELECT pg_create_logical_replication_slot('odd', 'pgoutput')`, 'elsewhere')).toContain('"elsewhere"');
    await server.query('DROP DATABASE elsewhere');
  });

  /** Streams from the slot of `config` under an application name, and says when the server has taken it. */
  async function hold(config: PostgresConfig, slot: string, name: string): Promise<{ end(): Promise<void> }> {
    const { Client } = (await import('pg')).default;
    const client = new Client(await replicationClientConfig(config, { applicationName: name, runtime: context.runtime }));
    client.on('error', () => undefined);
    await client.connect();
    void client.query(`START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '"${slot}"')`).catch(() => undefined);
    await expect.poll(() => server.query(`SELECT FROM pg_replication_slots WHERE slot_name = '${slot}' AND active`)).toHaveLength(1);
    return { end: () => endClient(client) };
  }

  it('a slot that another client holds is waited for; a half-open session of our own is ended (algorithms §5)', async () => {
    const config = connector();
    const { slot, from } = await prepare(config);
    for (const name of ['pg_recvlogical', applicationName(context.connector, 'another-directory'), applicationName('another', context.instance)]) {
      const holder = await hold(config, slot, name);
      // As above: said, and left to the reading.
      expect(await errors(config)).toEqual(['SLUICE_PG_SLOT_IN_USE']);
      const error = await rejection(prepare(config, { ...NEW, from }));
      expect([error.code, error.kind.retry]).toEqual(['SLUICE_PG_SLOT_IN_USE', 'auto']);
      expect(error.message).toContain(name);
      await holder.end();
      await expect.poll(() => server.query('SELECT FROM pg_replication_slots WHERE active')).toEqual([]);
    }
    const own = await hold(config, slot, applicationName(context.connector, context.instance));
    expect((await prepare(config, { ...NEW, from })).from).toEqual(from);
    await own.end();
    await dropSlots();
  });

  it('lost state while the sink holds output is no new start (I8); the slot alone is', async () => {
    const config = connector();
    const { slot } = await prepare(config);
    const error = await rejection(prepare(config, { ...NEW, sinkHoldsOutput: true }));
    expect([error.code, error.remedy]).toEqual([
      'SLUICE_PG_OFFSET_MISSING',
      `sluice offsets recover --connector ${context.connector} --from sink (or --from slot)`,
    ]);
    await dropSlots();
    expect((await rejection(prepare(config, { ...NEW, sinkHoldsOutput: true }))).remedy).toContain(
      `pg_create_logical_replication_slot('${slot}', 'pgoutput')`,
    );
    expect(await server.query('SELECT FROM pg_replication_slots')).toEqual([]);
  });

  it('a slot that was dropped, and one that was made anew, are gaps (I8)', async () => {
    const config = connector();
    const { slot, from } = await prepare(config);
    await dropSlots();
    const missing = await rejection(prepare(config, { ...NEW, from }));
    expect([missing.code, missing.kind.retry]).toEqual(['SLUICE_PG_SLOT_MISSING', 'manual']);
    expect(missing.message).toContain(from.lsn);
    expect(await server.query('SELECT FROM pg_replication_slots')).toEqual([]);
    await server.query('INSERT INTO keyed VALUES (1)');
    await server.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    const ahead = await rejection(prepare(config, { ...NEW, from }));
    expect(ahead.code).toBe('SLUICE_PG_SLOT_AHEAD');
    expect(ahead.remedy).toContain(`sluice offsets recover --connector ${context.connector} --from slot`);
    await server.query('DELETE FROM keyed');
    await dropSlots();
  });

  it('an offset beyond the slot is what every restart has; one beyond the log is not', async () => {
    const config = connector();
    const { from } = await prepare(config);
    await server.query('INSERT INTO keyed SELECT generate_series(1, 1000); DELETE FROM keyed');
    const [row] = await server.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    const later = { ...from, lsn: row?.lsn as string };
    expect((await prepare(config, { ...NEW, from: later })).from.lsn).toBe(later.lsn);
    const beyond = formatLsn((parseLsn(later.lsn) as bigint) + (1n << 32n));
    expect((await rejection(prepare(config, { ...NEW, from: { ...from, lsn: beyond } }))).code).toBe('SLUICE_PG_OFFSET_AHEAD');
    // What the sink holds beyond the offset counts as read: the server was set back below it.
    const id = `${from.systemId}/${((parseLsn(later.lsn) as bigint) + (1n << 32n)).toString(16).padStart(16, '0')}.9`;
    expect((await rejection(prepare(config, { from: later, published: [id], sinkHoldsOutput: false }))).code).toBe('SLUICE_PG_OFFSET_AHEAD');
    await dropSlots();
  });

  it('another server, and a server set back to an earlier timeline', async () => {
    const config = connector();
    const { from } = await prepare(config);
    const other = await rejection(prepare(config, { ...NEW, from: { ...from, systemId: '7000000000000000001' } }));
    expect(other.code).toBe('SLUICE_PG_OTHER_SYSTEM');
    expect(other.message).toContain('7000000000000000001');
    expect((await rejection(prepare(config, { ...NEW, from, published: ['7000000000000000001/0000000000000001.5'] }))).code).toBe(
      'SLUICE_PG_OTHER_SYSTEM',
    );
    expect((await rejection(prepare(config, { ...NEW, from: { ...from, timeline: '2' } }))).code).toBe('SLUICE_PG_TIMELINE');
    expect((await rejection(prepare(config, { ...NEW, from: { lsn: 'rubbish' } }))).code).toBe('SLUICE_PG_POSITION_INVALID');
    await dropSlots();
  });

  it('a slot whose log was removed is a stop', async () => {
    const config = connector();
    const { slot, from } = await prepare(config);
    await server.query(`INSERT INTO keyed SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n; DELETE FROM keyed`);
    for (let n = 0; n < 4; n++) await server.query('SELECT pg_switch_wal(); CHECKPOINT');
    expect(await errors(config)).toEqual(['SLUICE_PG_SLOT_LOST']);
    const error = await rejection(prepare(config, { ...NEW, from }));
    expect([error.code, error.kind.retry, error.kind.exit]).toEqual(['SLUICE_PG_SLOT_LOST', 'manual', 3]);
    expect(error.remedy).toContain(`pg_drop_replication_slot('${slot}')`);
    await dropSlots();
  });

  it('wal_level is not logical: said before anything is changed, and the remedy mends it', async () => {
    await server.restart('fast', { wal_level: 'replica' });
    const config = connector();
    expect(await errors(config)).toEqual(['SLUICE_PG_WAL_LEVEL']);
    const error = await rejection(prepare(config));
    expect([error.code, error.kind.exit]).toEqual(['SLUICE_PG_WAL_LEVEL', 3]);
    expect(error.remedy).toContain("ALTER SYSTEM SET wal_level = 'logical'");
    expect(await server.query(`SELECT FROM pg_publication WHERE pubname = 'sluice_${context.connector}'`)).toEqual([]);
    await server.restart('fast', { wal_level: 'logical' });
    expect(await errors(config)).toEqual([]);
  });

  it('a promoted server: the switch point decides (algorithms §5)', async () => {
    const config = connector();
    const before = await prepare(config);
    const [row] = await server.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    // Recovery to the end of the log and promotion make a new timeline, as a failover does. `fast` writes a shutdown checkpoint first.
    await server.stop('fast');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(`${server.dataDir}/standby.signal`, '');
    await server.start();
    await server.query('SELECT pg_promote()');
    // A slot that a standby had is gone there only if it was made later; here it is the same data directory.
    const after = await prepare(config, { ...NEW, from: before.from });
    expect(after.from).toEqual({ ...before.from, timeline: '2' });
    const [now] = await server.query<{ lsn: string }>(`INSERT INTO keyed VALUES (77); SELECT pg_current_wal_lsn()::text AS lsn`);
    expect(row).not.toEqual(now);
    const position: LogPosition = { ...before.from, lsn: now?.lsn as string };
    const diverged = await rejection(prepare(config, { ...NEW, from: position }));
    expect([diverged.code, diverged.kind.retry]).toEqual(['SLUICE_PG_TIMELINE', 'manual']);
    const id = `${before.from.systemId}/${(parseLsn(position.lsn) as bigint).toString(16).padStart(16, '0')}.9`;
    expect((await rejection(prepare(config, { ...NEW, from: before.from, published: [id] }))).code).toBe('SLUICE_PG_TIMELINE');
    await dropSlots();
  });
});
