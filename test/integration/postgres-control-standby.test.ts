/** Reading from a standby: from version 16 on, with what the primary has made; the standby itself is never written to. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareLog } from '../../connectors/postgres/log/prepare.ts';
import { observeSlot, observeStandbys } from '../../connectors/postgres/log/slot.ts';
import { preflightPostgres } from '../../connectors/postgres/preflight.ts';
import { PostgresSnapshots } from '../../connectors/postgres/snapshot/snapshots.ts';
import { PostgresServer, startPostgres } from '../servers/index.ts';
import { freePort, temporaryDirectory } from '../servers/process.ts';
import { resolvePostgres } from '../servers/resolve.ts';
import { availableMajors } from '../support/available-servers.ts';
import { postgresConfig, rejection, sourceContext } from '../support/postgres-source.ts';

const NEW = { from: null, published: [], sinkHoldsOutput: false };
const signal = new AbortController().signal;
const majors = availableMajors.filter((major) => major === 15 || major === 17);

describe.each(majors)('a standby of PostgreSQL %i', (major) => {
  let primary: PostgresServer;
  let standby: PostgresServer;

  beforeAll(async () => {
    primary = await startPostgres({ major, own: true });
    await primary.query('CREATE TABLE keyed (id int PRIMARY KEY)');
    await primary.stop('fast');
    const binary = await resolvePostgres(major, true);
    if (binary.kind === 'external') throw new Error('a server of its own was asked for');
    const directory = await temporaryDirectory(`standby-${major}`);
    await cp(primary.dataDir, join(directory, 'data'), { recursive: true, preserveTimestamps: true });
    await writeFile(join(directory, 'data', 'standby.signal'), '');
    const { run } = await import('../servers/command.ts');
    await run('chown', ['-R', '--reference', primary.dataDir, join(directory, 'data')]);
    await run('chmod', ['700', join(directory, 'data')]);
    await primary.start();
    const settings = { primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres`, hot_standby_feedback: 'on' };
    const url = new URL(`postgres://postgres@127.0.0.1:${await freePort()}/postgres`);
    standby = new PostgresServer({ major, settings }, url, { binary, directory, certificates: null });
    await standby.start();
  });

  afterAll(async () => {
    await standby?.dispose();
    await primary.dispose();
  });

  const config = () => postgresConfig(standby.url(), { tables: ['public.keyed'] });

  it.runIf(major < 16)('is refused before version 16', async () => {
    const context = sourceContext('shop');
    const error = await rejection(prepareLog(config(), context, NEW, signal));
    expect([error.code, error.kind.exit]).toEqual(['SLUICE_PG_STANDBY', 3]);
    expect((await preflightPostgres(config(), context, signal)).findings.map(({ code }) => code)).toContain('SLUICE_PG_STANDBY');
  });

  it.runIf(major >= 16)('is read, with the publication of the primary', async () => {
    const context = sourceContext('shop');
    const error = await rejection(prepareLog(config(), context, NEW, signal));
    expect([error.code, error.message]).toEqual(['SLUICE_PG_PUBLICATION_RIGHT', expect.stringContaining('on the primary')]);
    await primary.query((error.remedy.match(/CREATE PUBLICATION.*?;/) as RegExpMatchArray)[0]);
    await expect.poll(() => standby.query('SELECT FROM pg_publication')).toHaveLength(1);
    const preparing = prepareLog(config(), context, NEW, signal);
    // A standby needs to hear from the primary which transactions run: it is said what helps.
    await expect
      .poll(() => context.lines.find(({ fields }) => fields.code === 'SLUICE_PG_SLOT_WAITS')?.fields.remedy, { timeout: 10_000 })
      .toContain('pg_log_standby_snapshot()');
    await primary.query('SELECT pg_log_standby_snapshot()');
    const prepared = await preparing;
    expect(prepared.server.standby).toBe(true);
    expect(prepared.publications).toEqual([prepared.slot]);
    expect((await prepareLog(config(), context, { ...NEW, from: prepared.from }, signal)).from).toEqual(prepared.from);
    const client = await standby.connect();
    expect((await observeSlot(client, prepared.slot)).slotState).toBe('reserved');
    await client.end();
    await standby.query(`SELECT pg_drop_replication_slot('${prepared.slot}')`);
  });

  it.runIf(major >= 16)('is copied from once the transactions that were open on the primary have ended', async () => {
    const context = sourceContext('settles');
    await primary.query('CREATE PUBLICATION settles FOR TABLE keyed');
    await expect.poll(() => standby.query("SELECT FROM pg_publication WHERE pubname = 'settles'")).toHaveLength(1);
    const preparing = prepareLog({ ...config(), slot: 'settles', publication: 'settles' }, context, NEW, signal);
    await expect.poll(() => standby.query("SELECT FROM pg_replication_slots WHERE slot_name = 'settles'")).toHaveLength(1);
    await primary.query('SELECT pg_log_standby_snapshot()');
    const snapshots = new PostgresSnapshots(config(), context, await preparing, () => undefined);
    const open = await primary.connect();
    await open.query('BEGIN; INSERT INTO keyed VALUES (77)');
    const { rows } = await open.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
    // Another one makes the standby know of it.
    await primary.query('INSERT INTO keyed VALUES (78)');
    const later = `SELECT FROM pg_current_snapshot() s WHERE pg_snapshot_xmax(s)::text::bigint > ${rows[0]?.xid}`;
    await expect.poll(() => standby.query(later)).toHaveLength(1);
    let isSettled = false;
    const settled = snapshots.settle(signal).then(() => {
      isSettled = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isSettled).toBe(false);
    await open.query('COMMIT');
    await open.end();
    await settled;
    await snapshots.close();
    await standby.query("SELECT pg_drop_replication_slot('settles')");
  });

  it('how far it is behind is seen from the primary, by a role that may; another one is told so', async () => {
    await primary.query('CREATE ROLE onlooker LOGIN REPLICATION');
    const client = await primary.connect();
    await standby.query('SELECT pg_wal_replay_pause()');
    await client.query(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))`);
    await expect.poll(() => observeStandbys(client), { timeout: 10_000 }).toBeGreaterThan(900_000);
    await standby.query('SELECT pg_wal_replay_resume()');
    await expect.poll(() => observeStandbys(client), { timeout: 10_000 }).toBeLessThan(100_000);
    await client.query('SET ROLE onlooker');
    expect(await observeStandbys(client)).toBeNull();
    await client.end();
    const snapshot = { ...postgresConfig(primary.url()).snapshot, maxStandbyLag: 1024 ** 2 };
    const told = async (url: string): Promise<readonly string[]> => {
      const { findings } = await preflightPostgres(postgresConfig(url, { tables: ['public.keyed'], snapshot }), sourceContext('shop'), signal);
      return findings.map(({ code }) => code);
    };
    const url = primary.url();
    expect(await told(url)).not.toContain('SLUICE_PG_STANDBY_LAG_UNSEEN');
    expect(await told(url.replace('postgres@', 'onlooker@'))).toContain('SLUICE_PG_STANDBY_LAG_UNSEEN');
  });
});
