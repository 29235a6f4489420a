/** Failover, restored backups and replaced servers: goes on where the log is a continuation, else a typed stop (algorithms §5, I8). */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type FaultProxy, type NatsServer, type PostgresServer, startNats, startPostgres, startProxy } from '../../servers/index.ts';
import { copyPostgres } from '../../servers/postgres-copy.ts';
import { FAULT_TABLES } from '../../support/fault-load.ts';
import { carryOut, confirmed, goesOn, sqlOf, stopped, stored, walEnd } from '../../support/fault-postgres.ts';
import { FaultRun, natsFaultSink } from '../../support/fault-run.ts';
import { postgresFaultSource, slotOf } from '../../support/postgres-fault-source.ts';

const MAJOR = 17;
const PRIMARY = { wal_sender_timeout: '5s', hot_standby_feedback: 'on' };

describe('failover and restored servers (I1, I5, I8, I10)', () => {
  let nats: NatsServer;
  let run: FaultRun | null = null;
  const servers: PostgresServer[] = [];
  let proxy: FaultProxy | null = null;

  beforeAll(async () => {
    nats = await startNats({ own: true });
  });

  afterEach(async () => {
    await run?.dispose();
    run = null;
    await proxy?.close();
    proxy = null;
    for (const server of servers.splice(0)) await server.dispose();
  });

  afterAll(() => nats.dispose());

  const primaryServer = async (settings: Record<string, string | number> = {}): Promise<PostgresServer> => {
    const server = await startPostgres({ major: MAJOR, own: true, settings: { ...PRIMARY, ...settings } });
    servers.push(server);
    return server;
  };

  /** A standby that follows over the physical slot `standby`, so that the primary keeps what it still needs. */
  const standbyOf = async (primary: PostgresServer, settings: Record<string, string | number> = {}): Promise<PostgresServer> => {
    await primary.query(`SELECT pg_create_physical_replication_slot('standby', true)`);
    await primary.stop('fast');
    const follow = {
      ...PRIMARY,
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres application_name=standby`,
      primary_slot_name: 'standby',
      wal_receiver_status_interval: 1,
      wal_retrieve_retry_interval: '200ms',
      ...settings,
    };
    const standby = await copyPostgres(primary, { standby: true, settings: follow });
    servers.push(standby);
    await primary.start();
    await standby.start();
    return standby;
  };

  const begin = async (name: string, postgres: PostgresServer): Promise<FaultRun> => {
    proxy = await startProxy(postgres.url());
    const through = (url: string): string => (proxy as FaultProxy).through(url);
    run = await FaultRun.begin({ name, postgres, sink: natsFaultSink(nats, name.toUpperCase()), load: { pauseMs: 15 }, through });
    return run;
  };

  const promote = (standby: PostgresServer) => standby.query('SELECT pg_promote(true, 60)');

  /** The slot is kept on the standby, and far enough to outlive the primary. */
  const synced = async (standby: PostgresServer, name: string): Promise<void> => {
    await expect
      .poll(() => standby.query(`SELECT FROM pg_replication_slots WHERE slot_name = '${slotOf(name)}' AND synced AND NOT temporary`), {
        timeout: 60_000,
        interval: 200,
      })
      .toHaveLength(1);
  };

  /** The primary is gone, the standby is promoted: what follows goes there. */
  const failOver = async (each: FaultRun, primary: PostgresServer, standby: PostgresServer): Promise<void> => {
    await primary.stop('kill');
    await promote(standby);
    (proxy as FaultProxy).retarget(standby.url());
    each.moveTo(postgresFaultSource(standby));
  };

  const replayed = async (standby: PostgresServer, lsn: bigint): Promise<void> => {
    await expect
      .poll(async () => (await standby.query<{ n: string }>(`SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::text AS n`))[0]?.n, {
        timeout: 30_000,
      })
      .toSatisfy((n: string) => BigInt(n) >= lsn);
  };

  it('failover under load to a standby that keeps the slot (synchronized_standby_slots): goes on, nothing lost', async () => {
    const primary = await primaryServer();
    const standby = await standbyOf(primary, { sync_replication_slots: 'on' });
    const each = await begin('failover', primary);
    expect(await primary.query(`SELECT failover FROM pg_replication_slots WHERE slot_name = '${slotOf('failover')}'`)).toEqual([{ failover: true }]);
    // Nothing is committed nor sent to Sluice that the standby does not have.
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
    await primary.query(`ALTER SYSTEM SET synchronized_standby_slots = 'standby'`);
    await primary.query('SELECT pg_reload_conf()');
    await synced(standby, 'failover');
    await each.committed(100);
    await each.pause();
    await failOver(each, primary, standby);
    await each.recovers('failover to a standby with the slot', () => standby.query(`SELECT 1 WHERE NOT pg_is_in_recovery()`));
    each.resume();
    await each.committed(50);
    await each.verify('failover to a standby with the slot');
  });

  it('sent to the standby before it is promoted: waits for the promotion, then goes on', async () => {
    const primary = await primaryServer();
    const standby = await standbyOf(primary, { sync_replication_slots: 'on' });
    const each = await begin('early', primary);
    await synced(standby, 'early');
    await each.pause();
    await each.caughtUp();
    // The daemon's own heartbeats would go on moving the log.
    await each.daemon.stop();
    await replayed(standby, await walEnd(primary));
    await primary.stop('kill');
    (proxy as FaultProxy).retarget(standby.url());
    each.moveTo(postgresFaultSource(standby));
    each.daemon.start();
    await each.daemon.waitForLog(({ level, code }) => level === 'warn' && code === 'SLUICE_PG_SLOT_STANDBY_COPY');
    await sleep(1_000);
    await promote(standby);
    await each.recovers('promoted after Sluice came', () => standby.query('SELECT 1'));
    each.resume();
    await each.committed(50);
    await each.verify('promoted after Sluice came');
  });

  it('failover to a standby that is behind what was published: a typed stop, nothing skipped', async () => {
    const primary = await primaryServer();
    const standby = await standbyOf(primary, { sync_replication_slots: 'on' });
    const each = await begin('behind', primary);
    await synced(standby, 'behind');
    await each.committed(30);
    // From here on the standby gets nothing more, and Sluice publishes all the same.
    await standby.stop('fast');
    await each.committed(50);
    await each.pause();
    await each.caughtUp();
    await primary.stop('kill');
    await standby.start();
    await promote(standby);
    // The new primary goes on: other commits come to stand where the lost ones were.
    await standby.query(`UPDATE item SET note = 'other history'`, each.database);
    (proxy as FaultProxy).retarget(standby.url());
    each.moveTo(postgresFaultSource(standby));
    const remedy = await stopped(each, standby, 'behind', 'SLUICE_PG_TIMELINE');
    await each.daemon.exit();
    await carryOut(each, remedy);
    await goesOn(each);
  });

  it('failover to a standby without the slot: a typed stop that names the remedy, no silent re-creation', async () => {
    const primary = await primaryServer();
    const standby = await standbyOf(primary);
    const each = await begin('slotless', primary);
    await each.committed(30);
    await each.pause();
    await each.caughtUp();
    await each.daemon.stop();
    await replayed(standby, await walEnd(primary));
    await failOver(each, primary, standby);
    each.daemon.start();
    const remedy = await stopped(each, standby, 'slotless', 'SLUICE_PG_SLOT_MISSING');
    expect(await confirmed(standby, 'slotless')).toBeNull();
    for (const statement of sqlOf(remedy.slice(0, remedy.indexOf('sluice offsets')))) await standby.query(statement, each.database);
    await carryOut(each, remedy);
    await goesOn(each);
  });

  it('database restored from an older backup: a typed stop', async () => {
    const primary = await primaryServer();
    const each = await begin('restored', primary);
    await each.committed(30);
    await each.pause();
    await each.daemon.stop();
    await primary.stop('fast');
    const backup = await copyPostgres(primary, { port: primary.port, settings: PRIMARY });
    servers.push(backup);
    await primary.start();
    each.daemon.start();
    each.resume();
    await each.streams(1);
    await each.committed(50);
    await each.pause();
    await each.caughtUp();
    await primary.stop('kill');
    await backup.start();
    each.moveTo(postgresFaultSource(backup));
    expect((await walEnd(backup)) < (await stored(each, 'restored'))).toBe(true);
    const remedy = await stopped(each, backup, 'restored', 'SLUICE_PG_OFFSET_AHEAD');
    await each.daemon.exit();
    await carryOut(each, remedy);
    await goesOn(each);
  });

  it('another server at the same address (restored into a new cluster, pg_upgrade): a typed stop', async () => {
    const primary = await primaryServer();
    const each = await begin('replaced', primary);
    await each.committed(30);
    await each.pause();
    await each.caughtUp();
    // Its system identifier is another one.
    const other = await startPostgres({ major: (MAJOR + 1) as 18, own: true, settings: PRIMARY });
    servers.push(other);
    await other.query(`CREATE DATABASE "${each.database}"`);
    (proxy as FaultProxy).retarget(other.url());
    (proxy as FaultProxy).cut();
    each.moveTo(postgresFaultSource(other));
    // Same database, same tables, a slot and a publication of the same names: what a migration makes.
    await other.query(
      FAULT_TABLES.concat(
        `CREATE PUBLICATION ${slotOf('replaced')} FOR TABLE item; CREATE PUBLICATION ${slotOf('replaced')}_inserts FOR TABLE entry WITH (publish = 'insert, truncate')`,
      ),
      each.database,
    );
    await other.query(`SELECT pg_create_logical_replication_slot('${slotOf('replaced')}', 'pgoutput')`, each.database);
    const remedy = await stopped(each, other, 'replaced', 'SLUICE_PG_OTHER_SYSTEM', { slotMoved: true });
    await each.daemon.exit();
    await carryOut(each, remedy);
    await goesOn(each);
  });
});
