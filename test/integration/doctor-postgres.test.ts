/** What `sluice doctor` finds on PostgreSQL: each finding on a real server that has the fault, and gone once the printed remedy was carried out word for word. */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationName } from '../../connectors/postgres/client.ts';
import type { PostgresConfig } from '../../connectors/postgres/config.ts';
import { preflightPostgres } from '../../connectors/postgres/preflight.ts';
import { minorFindings } from '../../connectors/postgres/preflight-server.ts';
import { nodeRuntime } from '../../src/daemon/node-runtime.ts';
import type { Finding } from '../../src/plugin/finding.ts';
import type { StoredPosition } from '../../src/plugin/source.ts';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { availableMajors } from '../support/available-servers.ts';
import { postgresConfig, sourceContext } from '../support/postgres-source.ts';
import { settingsOf, statementsOf } from '../support/remedy.ts';

const signal = new AbortController().signal;
const newest = Math.max(...availableMajors) as (typeof availableMajors)[number];

describe(`PostgreSQL ${newest}`, () => {
  let server: PostgresServer;
  let database: string;
  const context = sourceContext('shop');

  beforeAll(async () => {
    server = await startPostgres({ major: newest, own: true, tls: true });
    database = await server.createDatabase();
    await run(
      `CREATE TABLE orders (id int PRIMARY KEY, note text); CREATE TABLE keyless (line text);
       CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON orders, keyless TO reader`,
    );
  });

  afterAll(() => server?.dispose());

  const run = (sql: string): Promise<unknown> => server.query(sql, database);

  function config(overrides: Partial<PostgresConfig> = {}, user = 'reader'): PostgresConfig {
    const base = postgresConfig(server.url(database, { user }), { tables: ['public.orders'] });
    return { ...base, snapshot: { ...base.snapshot, mode: 'initial' }, ...overrides };
  }

  async function findings(overrides: Partial<PostgresConfig> = {}, user?: string, stored?: StoredPosition): Promise<readonly Finding[]> {
    const { findings: found } = await preflightPostgres(config(overrides, user), context, signal, stored);
    for (const { message, why = '', remedy } of found) expect(`${message} ${why} ${remedy}`).not.toMatch(/\{\w+\}|undefined|null|NaN/);
    return found;
  }

  const named = (found: readonly Finding[], code: string): Finding | undefined => found.find((each) => each.code === `SLUICE_PG_${code}`);

  /** Shows the finding, carries its remedy out one statement after the other, and shows that it is gone. Returns it as it was. */
  async function mended(code: string, overrides: Partial<PostgresConfig> = {}, user?: string, choose = statementsOf): Promise<Finding> {
    const found = named(await findings(overrides, user), code);
    expect(found, `${code} is found`).toBeDefined();
    const client = await server.connect(database);
    for (const statement of choose(found?.remedy ?? '')) await client.query(statement);
    await client.end();
    // A setting holds a moment after it was told.
    await expect
      .poll(async () => named(await findings(overrides, user), code), { message: `${code} after: ${found?.remedy}`, timeout: 3_000 })
      .toBeUndefined();
    return found as Finding;
  }

  /** A setting of the server, as ALTER SYSTEM has it; null: as it was. */
  async function set(name: string, value: string | null): Promise<void> {
    const loaded = async (): Promise<number> => Number((await server.query<{ at: Date }>('SELECT pg_conf_load_time() AS at'))[0]?.at);
    const before = await loaded();
    await run(value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`);
    await run('SELECT pg_reload_conf()');
    await expect.poll(loaded).toBeGreaterThan(before);
  }

  it('of a server with nothing wrong nothing but notes is said', async () => {
    await run('CREATE PUBLICATION sluice_shop FOR TABLE orders WITH (publish_via_partition_root = true)');
    expect((await findings()).map(({ severity, code }) => [severity, code])).toEqual([['info', 'SLUICE_PG_UNLIMITED_WAL']]);
  });

  it('settings of the server', async () => {
    await set('wal_sender_timeout', '0');
    await mended('WALSENDER_TIMEOUT');
    await set('wal_sender_timeout', '3s');
    await mended('WALSENDER_TIMEOUT_SHORT');
    await set('wal_sender_timeout', null);
    await set('max_slot_wal_keep_size', '1GB');
    expect(named(await findings(), 'LIMITED_WAL')?.remedy).toContain("max_slot_wal_keep_size = '4096MB'");
    await set('max_slot_wal_keep_size', null);
    expect((await mended('UNLIMITED_WAL')).severity).toBe('info');
    await set('max_slot_wal_keep_size', null);
  });

  it.runIf(newest >= 17)('a timeout that ends copies', async () => {
    await run(`ALTER ROLE reader SET transaction_timeout = '10min'`);
    expect((await mended('TRANSACTION_TIMEOUT')).message).toContain('600000 ms');
  });

  it.runIf(newest >= 18)('a timeout that ends slots', async () => {
    await set('idle_replication_slot_timeout', '1h');
    expect((await mended('IDLE_TIMEOUT')).message).toContain('3600 s');
  });

  it('more rights than are needed', async () => {
    await run('ALTER ROLE reader CREATEDB CREATEROLE BYPASSRLS; GRANT pg_write_server_files TO reader; GRANT INSERT, DELETE ON orders TO reader');
    const { message } = await mended('EXCESS_RIGHTS');
    for (const right of ['CREATEDB', 'CREATEROLE', 'BYPASSRLS', 'pg_write_server_files', 'INSERT, DELETE on public.orders'])
      expect(message).toContain(right);
    await run('CREATE ROLE mighty SUPERUSER LOGIN');
    await mended('SUPERUSER', {}, 'mighty');
    expect(named(await findings({}, 'mighty'), 'NO_REPLICATION_RIGHT')).toBeUndefined();
  });

  it('no right to replicate', async () => {
    await run('CREATE ROLE plain LOGIN; GRANT SELECT ON orders TO plain');
    await mended('NO_REPLICATION_RIGHT', {}, 'plain');
  });

  it('rows that cannot be copied', async () => {
    await run('CREATE SCHEMA inner_room; CREATE TABLE inner_room.vault (id int PRIMARY KEY); CREATE PUBLICATION vault FOR TABLE inner_room.vault');
    const vault = { tables: ['inner_room.vault'], publication: 'vault' };
    expect((await mended('COPY_DENIED', vault)).message).toContain('inner_room.vault');
    expect(named(await findings({ ...vault, snapshot: config().snapshot }), 'COPY_DENIED')).toBeUndefined();
    await run('ALTER TABLE inner_room.vault ENABLE ROW LEVEL SECURITY');
    expect(named(await findings(vault), 'ROW_SECURITY')).toBeDefined();
    await mended('COPY_ROW_SECURITY', vault);
    // Now it needs that right.
    expect(named(await findings(vault), 'EXCESS_RIGHTS')).toBeUndefined();
    await run('ALTER ROLE reader NOBYPASSRLS');
  });

  it('a table whose updates would be refused', async () => {
    await mended('NO_REPLICA_IDENTITY', { tables: ['public.keyless'], publication: 'p_keyless' }, undefined, (remedy) => [
      (/ALTER TABLE \S+ REPLICA IDENTITY FULL/.exec(remedy) as RegExpExecArray)[0],
    ]);
    await run('ALTER TABLE keyless REPLICA IDENTITY NOTHING; CREATE PUBLICATION loose FOR TABLE orders, keyless');
    const loose = { tables: ['public.orders', 'public.keyless'], insertOnly: ['public.keyless'], publication: 'loose' };
    await run('CREATE PUBLICATION loose_inserts FOR TABLE keyless WITH (publish = insert)');
    await expect(run(`INSERT INTO keyless VALUES ('x'); UPDATE keyless SET line = 'y'`)).rejects.toThrow('replica identity');
    await mended('UPDATES_REFUSED', loose);
    await run(`INSERT INTO keyless VALUES ('x'); UPDATE keyless SET line = 'y'`);
    await mended('INSERT_ONLY', loose, undefined, (remedy) => [remedy.slice(0, remedy.indexOf(', or'))]);
  });

  it('what a publication leaves out, and --fix for our own', async () => {
    await run('DROP PUBLICATION sluice_shop; CREATE PUBLICATION sluice_shop FOR TABLE orders WITH (publish = $$insert, update, delete$$)');
    const ofOthers = named(await findings(), 'PUBLICATION_LIMITED');
    expect([ofOthers?.remedy, ofOthers?.fix]).toEqual([
      `ALTER PUBLICATION "sluice_shop" SET (publish = 'insert, update, delete, truncate');`,
      undefined,
    ]);
    await run('ALTER PUBLICATION sluice_shop OWNER TO reader').catch(() => undefined);
    await run(`GRANT CREATE ON DATABASE ${database} TO reader; GRANT CREATE ON SCHEMA public TO reader;
      ALTER PUBLICATION sluice_shop OWNER TO reader; ALTER TABLE orders OWNER TO reader`);
    const ours = named(await findings(), 'PUBLICATION_LIMITED');
    expect(ours?.remedy).toBe(
      `BEGIN; LOCK TABLE "public"."orders" IN SHARE MODE; ALTER PUBLICATION "sluice_shop" SET (publish = 'insert, update, delete, truncate'); COMMIT;`,
    );
    expect(ours?.fix?.statement).toBe(ours?.remedy);
    // One with a name of somebody's choice may be read by others, too.
    await run(`CREATE PUBLICATION chosen FOR TABLE orders WITH (publish = 'insert, update, delete'); ALTER PUBLICATION chosen OWNER TO reader`);
    const chosen = named(await findings({ publication: 'chosen' }), 'PUBLICATION_LIMITED');
    expect([chosen?.remedy.startsWith('ALTER PUBLICATION "chosen"'), chosen?.fix]).toEqual([true, undefined]);
    await ours?.fix?.apply(signal);
    expect(named(await findings(), 'PUBLICATION_LIMITED')).toBeUndefined();
    await run(`ALTER PUBLICATION sluice_shop SET (publish = 'insert, update, delete')`);
    await mended('PUBLICATION_LIMITED');
    await run(`ALTER PUBLICATION sluice_shop SET (publish = 'insert')`);
    await mended('PUBLICATION_OPERATIONS');
  });

  it.runIf(newest >= 15)('a row filter and a column list', async () => {
    await run('CREATE PUBLICATION part FOR TABLE orders (id) WHERE (id > 5)');
    await mended('PUBLICATION_LIMITED', { publication: 'part' });
  });

  it('more tables in a publication than are captured', async () => {
    await run(
      'CREATE TABLE "Not mine" (id int PRIMARY KEY); CREATE PUBLICATION wide FOR TABLE orders, keyless, "Not mine" WITH (publish_via_partition_root = true)',
    );
    const found = await mended('PUBLICATION_WIDER', { publication: 'wide' });
    expect([found.severity, found.message]).toEqual(['info', expect.stringContaining('2 table(s)')]);
    expect(await server.query("SELECT tablename FROM pg_publication_tables WHERE pubname = 'wide'", database)).toEqual([{ tablename: 'orders' }]);
    await run('CREATE PUBLICATION all_of_them FOR ALL TABLES WITH (publish_via_partition_root = true)');
    expect(named(await findings({ publication: 'all_of_them' }), 'PUBLICATION_WIDER')?.remedy).toMatch(/^Leave it/);
    await run('DROP PUBLICATION all_of_them');
  });

  it('a pattern that matches nothing', async () => {
    const misspelt = { tables: ['public.orders', 'public.odrers_*'] };
    const found = named(await findings(misspelt), 'PATTERN_MATCHES_NOTHING');
    expect([found?.severity, found?.message]).toEqual(['warning', expect.stringContaining('"public.odrers_*"')]);
    expect(found?.remedy).toMatch(/^Correct /);
    expect(named(await findings({ tables: ['public.orders', 'public.order*'] }), 'PATTERN_MATCHES_NOTHING')).toBeUndefined();
    // Or a table has come.
    await run('CREATE TABLE odrers_1 (id int PRIMARY KEY)');
    expect(named(await findings(misspelt), 'PATTERN_MATCHES_NOTHING')).toBeUndefined();
  });

  it('a partitioned table: a note that says what its log does not have, and stays', async () => {
    await run('CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)');
    const parted = { tables: ['public.parts'], publication: 'parts' };
    const found = named(await findings(parted), 'PARTITIONED');
    expect([found?.severity, found?.table, found?.remedy]).toEqual(['info', 'public.parts', expect.stringContaining('DELETE before')]);
    expect(named(await findings(), 'PARTITIONED')).toBeUndefined();
  });

  it('heartbeats that are off', async () => {
    const off = { heartbeat: { enabled: false, interval: 10_000 } };
    const { remedy = '' } = named(await findings(off), 'NO_HEARTBEAT') ?? {};
    const mend = settingsOf(remedy)['heartbeat'] as object;
    expect(named(await findings({ heartbeat: { ...off.heartbeat, ...mend } }), 'NO_HEARTBEAT')).toBeUndefined();
  });

  it('standbys that the role does not see', async () => {
    const { snapshot } = config();
    await mended('STANDBY_LAG_UNSEEN', { snapshot: { ...snapshot, maxStandbyLag: 1_000 } });
  });

  it('tables that have no changes in the log', async () => {
    await run('CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)');
    await mended('TABLE_SKIPPED', { tables: ['public.orders', 'public.fleet*'] });
    await run('ALTER TABLE fleeting SET UNLOGGED');
    await mended('TABLE_KIND', { tables: ['public.orders', 'public.fleeting'] }, undefined, (remedy) => [
      (/ALTER TABLE .* SET LOGGED/.exec(remedy) as RegExpExecArray)[0],
    ]);
  });

  describe('the slot', () => {
    const slot = 'sluice_shop';
    const advance = async (segments: number): Promise<void> => {
      for (let each = 0; each < segments; each++) await run(`SELECT pg_logical_emit_message(false, '', 'x'); SELECT pg_switch_wal()`);
    };

    it('of others that nobody reads', async () => {
      await run(`SELECT pg_create_physical_replication_slot('forgotten', true)`);
      expect(named(await findings(), 'OTHER_SLOT')).toBeUndefined();
      await advance(5);
      expect((await mended('OTHER_SLOT')).severity).toBe('info');
    });

    it('that is near its limit, and past it', async () => {
      await run(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
      await advance(4);
      await set('max_slot_wal_keep_size', '64MB');
      const { message } = await mended('SLOT_NEAR_LIMIT');
      expect(message).toMatch(/keeps \d+ MiB of log for slot "sluice_shop", and [\d.]+ (MiB|bytes) more make it lost/);
      await set('max_slot_wal_keep_size', '1MB');
      await expect.poll(async () => named(await findings(), 'SLOT_UNRESERVED')?.severity).toBe('warning');
      await mended('SLOT_UNRESERVED');
      await set('max_slot_wal_keep_size', '1MB');
      await advance(2);
      await run('CHECKPOINT');
      const lost = named(await findings(), 'SLOT_LOST');
      expect(lost?.severity).toBe('error');
      // The SQL in it; `sluice offsets recover` behind it is for the state.
      for (const statement of statementsOf(lost?.remedy ?? '').slice(0, 2)) await run(statement);
      expect(named(await findings(), 'SLOT_LOST')).toBeUndefined();
      await set('max_slot_wal_keep_size', null);
    });

    it('that another client reads; not one of our own', async () => {
      const stream = async (name: string): Promise<pg.Client> => {
        const options = { connectionString: server.url(database), replication: 'database', application_name: name };
        const client = new pg.Client(options as pg.ClientConfig);
        client.on('error', () => undefined);
        await client.connect();
        void client.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'sluice_shop')`).catch(() => undefined);
        await expect
          .poll(async () => (await server.query(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`))[0])
          .toEqual({ active: true });
        return client;
      };
      const idle = async (): Promise<void> => {
        await expect
          .poll(async () => (await server.query(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`))[0])
          .toEqual({ active: false });
      };
      await stream('somebody');
      const { severity, message } = await mended('SLOT_IN_USE', {}, 'postgres', (remedy) => [
        (/SELECT pg_terminate_backend\(\d+\)/.exec(remedy) as RegExpExecArray)[0],
        'SELECT pg_sleep(0.3)',
      ]);
      expect([severity, message]).toEqual(['error', expect.stringContaining('application "somebody"')]);
      await idle();
      await stream(applicationName(context.connector, context.instance));
      expect(named(await findings({}, 'postgres'), 'SLOT_IN_USE')).toBeUndefined();
      await run(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}'`);
      await idle();
    });

    it.runIf(newest >= 17)('that a failover would leave behind', async () => {
      await set('synchronized_standby_slots', 'of_a_standby');
      const found = named(await findings(), 'SLOT_NO_FAILOVER');
      const [statement = ''] = /ALTER_REPLICATION_SLOT .*$/.exec(found?.remedy ?? '') ?? [];
      expect([found?.severity, found?.remedy]).toEqual(['warning', expect.stringContaining('replication=database')]);
      const client = new pg.Client({ connectionString: server.url(database), replication: 'database' } as pg.ClientConfig);
      await client.connect();
      await client.query(statement);
      await client.end();
      expect(named(await findings(), 'SLOT_NO_FAILOVER')).toBeUndefined();
      await set('synchronized_standby_slots', null);
    });

    it('whose decoding goes over the disk', async () => {
      await set('logical_decoding_work_mem', '64kB');
      await run(`INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n`);
      await run(
        `SELECT count(*) FROM pg_logical_slot_get_binary_changes('${slot}', NULL, NULL, 'proto_version', '1', 'publication_names', 'sluice_shop')`,
      );
      await expect.poll(async () => named(await findings(), 'SPILLS')?.message).toMatch(/has written .* of transactions/);
      await mended('SPILLS');
      await set('logical_decoding_work_mem', null);
    });

    it('and an offset that is stored: only for who does not read it', async () => {
      const [{ id, lsn }] = (await server.query(
        `SELECT system_identifier::text AS id, (SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '${slot}') AS lsn FROM pg_control_system()`,
      )) as [{ id: string; lsn: string }];
      const stored = (position: object, isRead = false): StoredPosition => ({
        position: { lsn, lastCommit: null, lastCommitMicros: null, timeline: '1', systemId: id, ...position },
        isRead,
        savedMicros: 0,
      });
      const errors = async (position: object, isRead?: boolean): Promise<string[]> =>
        (await findings({}, undefined, stored(position, isRead))).filter(({ severity }) => severity === 'error').map(({ code }) => code);
      expect(await errors({})).toEqual([]);
      expect(await errors({ lsn: '0/1' })).toEqual(['SLUICE_PG_SLOT_AHEAD']);
      expect(await errors({ lsn: '0/1' }, true)).toEqual([]);
      expect(await errors({ lsn: 'FF/0' })).toEqual(['SLUICE_PG_OFFSET_AHEAD']);
      expect(await errors({ systemId: '1' })).toEqual(['SLUICE_PG_OTHER_SYSTEM']);
      await run(`SELECT pg_drop_replication_slot('${slot}')`);
      expect(await errors({})).toEqual(['SLUICE_PG_SLOT_MISSING']);
    });

    it('for which there is no room', async () => {
      await run(`SELECT pg_create_physical_replication_slot('full_' || n) FROM generate_series(1, 20) n`);
      await mended('NO_FREE_SLOT', {}, undefined, (remedy) => {
        const [drop] = /SELECT pg_drop_replication_slot\('…'\)/.exec(remedy) as RegExpExecArray;
        return [drop?.replace('…', 'full_1') as string];
      });
      await run(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`);
      const holders = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const client = new pg.Client({ connectionString: server.url(database), replication: 'database' } as pg.ClientConfig);
          await client.connect();
          return client;
        }),
      );
      expect(named(await findings(), 'NO_WALSENDER')?.severity).toBe('error');
      await Promise.all(holders.map((client) => client.end()));
      await expect.poll(async () => named(await findings(), 'NO_WALSENDER')).toBeUndefined();
    });
  });

  it('a connection that leaves this machine unprotected', async () => {
    // Another name of this machine, which is not known for one.
    const away = server.url(database, { user: 'reader' }).replace('127.0.0.1', '127.1');
    expect(named(await findings({ url: away, tls: { mode: 'disable' } }), 'NOT_ENCRYPTED')?.severity).toBe('warning');
    expect(named(await findings({ url: away, tls: { mode: 'require' } }), 'NOT_VERIFIED')?.message).toContain('who answers is not checked');
    const ca = server.certificates?.ca as string;
    expect(named(await findings({ url: away, tls: { mode: 'verify-ca', ca } }), 'NOT_VERIFIED')?.message).toContain('the name in its certificate');
    const mendedCodes = (await findings({ url: away, tls: { mode: 'verify-full', ca, serverName: 'localhost' } })).map(({ code }) => code);
    expect(mendedCodes).not.toContain('SLUICE_PG_NOT_VERIFIED');
    expect(mendedCodes).not.toContain('SLUICE_PG_NOT_ENCRYPTED');
  });

  it('clocks that are apart', async () => {
    const real = nodeRuntime();
    const skewed = async (seconds: number): Promise<Finding | undefined> => {
      const runtime = { ...real, nowMicros: () => real.nowMicros() + seconds * 1e6 };
      return named((await preflightPostgres(config(), { ...context, runtime }, signal)).findings, 'CLOCK');
    };
    expect((await skewed(-60))?.message).toMatch(/ (59\.9|60\.0) s apart \(the server is ahead\)/);
    expect((await skewed(60))?.message).toContain('the server is behind');
    expect(await skewed(2)).toBeUndefined();
  });

  it('a pooler that drops what a session asks for', async () => {
    const pooler = await dropOptions(server.port);
    const url = server.url(database, { user: 'reader' }).replace(`:${server.port}`, `:${(pooler.address() as { port: number }).port}`);
    expect(named(await findings({ url }), 'POOLER')?.severity).toBe('error');
    pooler.close();
    expect(named(await findings(), 'POOLER')).toBeUndefined();
  });
});

it('a server whose log cannot be decoded', async () => {
  const server = await startPostgres({ major: newest, settings: { wal_level: 'replica' } });
  try {
    await server.query('CREATE TABLE orders (id int PRIMARY KEY)');
    const look = async (): Promise<Finding | undefined> => {
      const { findings } = await preflightPostgres(postgresConfig(server.url(), { tables: ['public.orders'] }), sourceContext('shop'), signal);
      return findings.find(({ code }) => code === 'SLUICE_PG_WAL_LEVEL');
    };
    expect([(await look())?.severity, (await look())?.remedy]).toEqual([
      'error',
      expect.stringContaining("ALTER SYSTEM SET wal_level = 'logical'; then restart"),
    ]);
    // The harness gives this setting on the command line, above ALTER SYSTEM.
    await server.restart('fast', { wal_level: 'logical' });
    expect(await look()).toBeUndefined();
  } finally {
    await server.dispose();
  }
});

describe('minor releases', () => {
  it.each([
    [170004, 'SLUICE_PG_MINOR_VERSION'],
    [170005, 'SLUICE_PG_MINOR_MEMORY'],
    [170006, undefined],
    [140017, 'SLUICE_PG_MINOR_VERSION'],
    [140018, 'SLUICE_PG_MINOR_MEMORY'],
    [180000, undefined],
  ])('%i', (version, code) => {
    expect(minorFindings({ version, versionText: '17.4' })[0]?.code).toBe(code);
  });
});

/** As PgBouncer does with `ignore_startup_parameters = options`: lets the start-up packet through without what stands there. */
async function dropOptions(port: number): Promise<Server> {
  const relay = createServer((client: Socket) => {
    const upstream = dial(port, '127.0.0.1');
    client.once('data', (packet) => {
      const parts = packet.subarray(8).toString('latin1').split('\0');
      const kept: string[] = [];
      for (let at = 0; at + 1 < parts.length && parts[at] !== ''; at += 2)
        if (parts[at] !== 'options') kept.push(parts[at] as string, parts[at + 1] as string);
      const body = Buffer.from(`${kept.join('\0')}\0\0`, 'latin1');
      const head = Buffer.alloc(8);
      head.writeInt32BE(8 + body.length, 0);
      packet.copy(head, 4, 4, 8);
      upstream.write(Buffer.concat([head, body]));
      client.pipe(upstream);
      upstream.pipe(client);
    });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return relay;
}
