/** Faults of the replication slot: what the server no longer has is a typed stop with a remedy that works, never skipped (I8). */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../../servers/index.ts';
import { judge } from '../../support/fault-ledger.ts';
import { carryOut, confirmed, goesOn, holder, sqlOf, stopped, walEnd } from '../../support/fault-postgres.ts';
import { FaultRun, natsFaultSink } from '../../support/fault-run.ts';
import { slotOf } from '../../support/postgres-fault-source.ts';

describe('faults of the replication slot (I1, I5, I8, I10)', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true, settings: { wal_sender_timeout: '5s' } }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  const begin = async (name: string, more: Partial<Parameters<typeof FaultRun.begin>[0]> = {}): Promise<FaultRun> => {
    run = await FaultRun.begin({ name, postgres, sink: natsFaultSink(nats, name.toUpperCase()), load: { pauseMs: 15 }, ...more });
    return run;
  };

  /** Ends whoever holds the slot and drops it before anybody else can take it. */
  const drop = async (name: string): Promise<void> => {
    const client = await postgres.connect();
    try {
      for (;;) {
        await client.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slotOf(name)}'`);
        const done = await client.query(`SELECT pg_drop_replication_slot('${slotOf(name)}')`).then(
          () => true,
          () => false,
        );
        if (done) return;
      }
    } finally {
      await client.end();
    }
  };

  it('slot dropped while running: a stop whose remedy works; a second connector of the daemon goes on', async () => {
    const beside = natsFaultSink(nats, 'BESIDE');
    const each = await begin('dropped');
    await each.committed(30);
    await each.daemon.stop();
    // The second one captures the first one's database, which has its name by now.
    await withSecond(each, beside.config);
    each.daemon.start();
    await each.streams(2);
    await each.committed(30);
    await drop('dropped');
    const remedy = await stopped(each, postgres, 'dropped', 'SLUICE_PG_SLOT_MISSING');
    await each.committed(50);
    await each.pause();
    const end = await walEnd(postgres);
    await expect.poll(async () => ((await confirmed(postgres, 'beside')) ?? 0n) >= end, { timeout: 30_000 }).toBe(true);
    await each.daemon.stop();
    await remedied(each, remedy, 2);
    const since = await judge(postgres, each.database, await beside.messages());
    expect([since.phantoms, since.disordered, since.duplicates]).toEqual([0, 0, 0]);
  });

  it('slot dropped while Sluice is down', async () => {
    const each = await begin('dropped-down');
    await each.committed(30);
    await each.daemon.stop();
    await drop('dropped-down');
    each.daemon.start();
    const remedy = await stopped(each, postgres, 'dropped-down', 'SLUICE_PG_SLOT_MISSING');
    expect(await confirmed(postgres, 'dropped-down'), 'no silent re-creation').toBeNull();
    await remedied(each, remedy);
  });

  it.each(['by SQL', 'by the protocol'])('slot dropped and made again under the same name while Sluice is down, %s', async (how) => {
    const name = `again-${how === 'by SQL' ? 'sql' : 'protocol'}`;
    const each = await begin(name);
    await each.committed(30);
    await each.pause();
    await each.caughtUp();
    await each.daemon.stop();
    await drop(name);
    // Nothing at all was committed in between, and yet it is another slot.
    if (how === 'by SQL') await postgres.query(`SELECT pg_create_logical_replication_slot('${slotOf(name)}', 'pgoutput')`, each.database);
    else {
      const client = await walsender(each.database);
      await client.query(`CREATE_REPLICATION_SLOT ${slotOf(name)} LOGICAL pgoutput (SNAPSHOT 'nothing')`);
      await client.end();
    }
    each.daemon.start();
    const remedy = await stopped(each, postgres, name, 'SLUICE_PG_SLOT_AHEAD', { slotMoved: true });
    await remedied(each, remedy);
  });

  it('slot dropped and made again while running: the new one is not taken for the old one', async () => {
    const each = await begin('swapped');
    await each.committed(30);
    await drop('swapped');
    await postgres
      .query(`SELECT pg_create_logical_replication_slot('${slotOf('swapped')}', 'pgoutput')`, each.database)
      .catch((error: Error) => expect(error.message).toContain('already exists'));
    const remedy = await stopped(each, postgres, 'swapped', 'SLUICE_PG_SLOT_AHEAD', { slotMoved: true });
    await remedied(each, remedy);
  });

  it('slot moved on by another client', async () => {
    const each = await begin('advanced');
    await each.committed(30);
    await each.daemon.stop();
    await each.committed(30);
    await each.pause();
    await postgres.query(`SELECT pg_replication_slot_advance('${slotOf('advanced')}', pg_current_wal_lsn())`, each.database);
    each.daemon.start();
    const remedy = await stopped(each, postgres, 'advanced', 'SLUICE_PG_SLOT_AHEAD', { slotMoved: true });
    await remedied(each, remedy);
  });

  it('slot invalidated by max_slot_wal_keep_size while Sluice is down', async () => {
    const each = await begin('invalidated');
    await each.committed(30);
    await each.pause();
    await each.daemon.stop();
    await invalidate(each);
    each.daemon.start();
    const remedy = await stopped(each, postgres, 'invalidated', 'SLUICE_PG_SLOT_LOST');
    await remedied(each, remedy);
  });

  it('slot invalidated by max_slot_wal_keep_size while the sink holds the stream up', async () => {
    const each = await begin('held-up');
    await each.committed(30);
    // The daemon stands still: its walsender holds the slot and confirms nothing.
    each.daemon.signal('SIGSTOP');
    try {
      await each.pause();
      await invalidate(each);
    } finally {
      each.daemon.signal('SIGCONT');
    }
    const remedy = await stopped(each, postgres, 'held-up', 'SLUICE_PG_SLOT_LOST');
    await remedied(each, remedy);
  });

  it('slot held by another process: a typed wait, and it goes on when the slot is free again', async () => {
    const each = await begin('held');
    await each.committed(30);
    const thief = await steal(each, 'held');
    const line = await each.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SLOT_IN_USE');
    expect([line.level, line.msg]).toEqual(['warn', expect.stringContaining('a thief')]);
    expect(line.remedy).toContain('pg_terminate_backend');
    const pid = await holder(postgres, 'held');
    expect(line.remedy).toContain(`pg_terminate_backend(${pid})`);
    await each.committed(30);
    expect(await holder(postgres, 'held'), 'another holder is not ended').toBe(pid);
    await thief.end();
    await each.recovers('slot held by another process', () => postgres.query('SELECT 1'));
    await each.verify('slot held by another process');
  });

  /** Takes the slot before Sluice takes it again. */
  async function steal(each: FaultRun, name: string): Promise<pg.Client> {
    for (;;) {
      await postgres.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slotOf(name)}'`);
      const client = await walsender(each.database);
      const taken = client.query(`START_REPLICATION SLOT ${slotOf(name)} LOGICAL 0/0 (proto_version '1', publication_names '${slotOf(name)}')`);
      const refused = taken.then(
        () => true,
        () => true,
      );
      const copies = new Promise<boolean>((resolve) =>
        (client as unknown as { connection: pg.Connection }).connection.once('replicationStart', () => resolve(false)),
      );
      if (!(await Promise.race([refused, copies]))) {
        // A live client: it answers, but confirms nothing.
        const { connection } = client as unknown as {
          connection: { stream: { write(bytes: Buffer): void; destroyed: boolean }; on(name: string, on: () => void): void };
        };
        const timer = setInterval(() => {
          if (connection.stream.destroyed) clearInterval(timer);
          else connection.stream.write(status());
        }, 1_000);
        return Object.assign(client, {
          end: async () => {
            clearInterval(timer);
            (connection.stream as unknown as { destroy(): void }).destroy();
          },
        });
      }
      await client.end().catch(() => undefined);
    }
  }

  /** Standby status update (manual 55.4) that confirms nothing. */
  function status(): Buffer {
    const bytes = Buffer.alloc(1 + 4 + 34);
    bytes.write('d');
    bytes.writeInt32BE(4 + 34, 1);
    bytes.write('r', 5);
    return bytes;
  }

  async function walsender(database: string): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: postgres.url(database),
      application_name: 'a thief',
      replication: 'database',
    } as pg.ClientConfig);
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** Writes log until the server gives the slot up. */
  async function invalidate(each: FaultRun): Promise<void> {
    await postgres.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await postgres.query('SELECT pg_reload_conf()');
    try {
      for (let turn = 0; turn < 20; turn++) {
        await postgres.query(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 4)`, each.database);
        await postgres.query('SELECT pg_switch_wal()');
        await postgres.query('CHECKPOINT');
        const [row] = await postgres.query<{ status: string }>(
          `SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name LIKE 'sluice_%' AND database = '${each.database}'`,
        );
        if (row?.status === 'lost') return;
      }
      throw new Error('the slot is not lost');
    } finally {
      await postgres.query('ALTER SYSTEM RESET max_slot_wal_keep_size');
      await postgres.query('SELECT pg_reload_conf()');
    }
  }

  /** Does what the remedy says, word for word, and sees that the connector streams again from there on. */
  async function remedied(each: FaultRun, remedy: string, connectors = 1): Promise<void> {
    await each.pause();
    if (each.daemon.child?.exitCode === null) await each.daemon.exit();
    const beforeCommand = remedy.slice(0, remedy.indexOf('sluice offsets'));
    for (const statement of sqlOf(beforeCommand)) await postgres.query(statement, each.database);
    await carryOut(each, remedy);
    await goesOn(each, connectors);
  }

  /** Adds a second connector on the same database to the daemon's configuration. */
  async function withSecond(each: FaultRun, sink: Readonly<Record<string, unknown>>): Promise<void> {
    const { writeFile } = await import('node:fs/promises');
    const tables = { tables: ['public.item', 'public.entry'], insertOnly: ['public.entry'], heartbeat: { interval: '1s' } };
    const connector = {
      name: 'beside',
      source: { type: 'postgres', url: postgres.url(each.database), ...tables, snapshot: { mode: 'no_data' } },
      sink,
    };
    await writeFile(`${each.daemon.directory}/connectors/beside.json`, JSON.stringify(connector));
  }
});
