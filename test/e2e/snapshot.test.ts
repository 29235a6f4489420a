/** Copies of tables on a live database: exact at the seam, whatever happens in between (I7). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';

const TABLES = ['t', 'pair', 'quiet'];

describe('snapshots', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let load: SnapshotLoad | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await load?.stop();
    load = null;
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  async function begin(rows: number, snapshot: object = { mode: 'initial', parallelism: 4 }, tables: readonly string[] = ['public.*']) {
    const database = await postgres.createDatabase('snapshot');
    const stream = `SNAP${++count}`;
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql(SNAPSHOT_TABLES);
    await sql(fillSql(rows));
    const source = { type: 'postgres', url: postgres.url(database), tables, slot: `snap${count}`, publication: `snap${count}`, snapshot };
    const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    const connector = { name: 'shop', source, sink, checkpoint: { maxDelay: '20ms' } };
    daemon = await Daemon.create([connector]);
    return { daemon, sql, connector, stream, url: postgres.url(database) };
  }

  /** Until what was committed by now has arrived. */
  async function caughtUp(sql: (text: string) => Promise<unknown>, stream: string): Promise<void> {
    const id = 900_000_000 + ++count;
    await sql(`INSERT INTO t (id, n) VALUES (${id}, 0)`);
    const { readStream } = await import('../support/stream-ledger.ts');
    const arrived = async (): Promise<boolean> => {
      let found = false;
      await readStream(nats.url, stream, ({ value }) => {
        if (value?.after?.['id'] === id) found = true;
      });
      return found;
    };
    await expect.poll(arrived, { timeout: 60_000, interval: 500 }).toBe(true);
  }

  it('--once finishes a first copy that was broken off, and only then ends', async () => {
    const slow = { mode: 'initial', parallelism: 1, maxRowsPerSecond: 2_000 };
    const run = await begin(20_000, slow, ['public.t']);
    run.daemon.start();
    await expect.poll(() => run.daemon.log.some(({ msg }) => msg.startsWith('Copying')), { timeout: 20_000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await run.daemon.stop()).toBe(0);
    expect(run.daemon.log.some(({ msg }) => msg.startsWith('Copied public.t'))).toBe(false);
    await run.daemon.rewrite({ ...run.connector, source: { ...(run.connector.source as object), snapshot: { mode: 'initial', parallelism: 1 } } });
    run.daemon.start(['--once']);
    expect(await run.daemon.exit()).toBe(0);
    expect(run.daemon.logSinceStart.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    expect(run.daemon.logSinceStart.some(({ msg }) => msg.startsWith('Copied public.t'))).toBe(true);
    expect((await rebuildFromStream(nats.url, run.stream, run.url, ['t'])).read['t']).toBe(20_000);
  }, 120_000);

  it("copies what is there before the changes, with Debezium's marks, and goes on with the log", async () => {
    const run = await begin(2_000, { mode: 'initial', parallelism: 1 });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.read).toEqual({ t: 2000, pair: 500, quiet: 500 });
    expect(rebuilt.marks).toEqual({ first: 1, first_in_data_collection: 2, last_in_data_collection: 2, last: 1, true: 2994, false: 1 });
    expect(rebuilt.readTwice).toBe(0);
  });

  it('is exact under load, with several connections', async () => {
    const run = await begin(60_000);
    load = new SnapshotLoad(run.url, 4, 60_000);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 60_000);
    await load.stop();
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.readTwice).toBe(0);
  });

  it('goes on after kill -9 in the middle, and is exact at the seam that it has then', async () => {
    const run = await begin(150_000);
    load = new SnapshotLoad(run.url, 4, 150_000);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.t'));
    await new Promise((resolve) => setTimeout(resolve, 400));
    await run.daemon.stop('SIGKILL');
    expect(run.daemon.log.some(({ msg }) => msg === 'All tables are copied.')).toBe(false);
    run.daemon.start();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await run.daemon.stop('SIGKILL');
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 120_000);
    await load.stop();
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
  });

  it('a table that may not be read is left out, says so, and is copied once it may be (I10)', async () => {
    const run = await begin(1_000);
    await run.sql(`CREATE ROLE reader${count} LOGIN REPLICATION`);
    await run.sql(`GRANT USAGE ON SCHEMA public TO reader${count}; GRANT SELECT ON t, quiet TO reader${count}`);
    await run.sql(`CREATE PUBLICATION snap${count} FOR TABLE t, pair, quiet WITH (publish_via_partition_root = true)`);
    const url = run.url.replace('postgres@', `reader${count}@`);
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url } });
    run.daemon.start();
    const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_TABLE_NOT_READABLE');
    expect(refused.remedy).toContain(`GRANT SELECT ON "public"."pair" TO "reader${count}"`);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql(`GRANT SELECT ON pair TO reader${count}`);
    await run.daemon.stop();
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.pair'));
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.readTwice).toBe(0);
  });

  describe('that are asked for while the log is read', () => {
    const ask = async (running: Daemon, ...args: string[]): Promise<{ table: string; copy: string; state: string; rows: number }[]> => {
      const { exit, stdout, stderr } = await sluice(['snapshot', ...args, '--json', running.directory]);
      if (exit !== 0) throw new Error(stderr + stdout);
      return JSON.parse(stdout) as { table: string; copy: string; state: string; rows: number }[];
    };
    const streaming = (running: Daemon): Promise<unknown> => running.waitForLog(({ msg }) => msg.startsWith('Streaming'));

    it('are exact under load, and over kill -9', async () => {
      const run = await begin(60_000, { mode: 'no_data', parallelism: 4 });
      run.daemon.start();
      await streaming(run.daemon);
      expect((await ask(run.daemon, 'status')).map(({ state }) => state)).toEqual(['skipped', 'skipped', 'skipped']);
      load = new SnapshotLoad(run.url, 4, 60_000);
      const begun = await ask(run.daemon, 'start', '--table', 'public.t', '--table', 'public.pair', '--table', 'public.quiet');
      expect(begun.map(({ table, copy }) => `${copy} ${table}`)).toEqual(['again public.t', 'again public.pair', 'again public.quiet']);
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.t'));
      await run.daemon.stop('SIGKILL');
      run.daemon.start();
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.t:'), 120_000);
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.pair:'), 60_000);
      await load.stop();
      await caughtUp(run.sql, run.stream);
      const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
      expect(rebuilt.problems).toEqual([]);
      expect(Object.keys(rebuilt.marks).sort()).toEqual(['false', 'incremental']);
    });

    it('take a condition, can be put off over a restart and ended, and say what is wrong with them', async () => {
      const run = await begin(30_000, { mode: 'no_data' });
      run.daemon.start();
      await streaming(run.daemon);
      const unknown = await sluice(['snapshot', 'start', '--table', 'public.nothing', run.daemon.directory]);
      expect([unknown.exit, unknown.stderr]).toEqual([2, expect.stringContaining('SLUICE_SNAPSHOT_UNKNOWN_TABLE')]);
      await ask(run.daemon, 'start', '--table', 'public.quiet', '--where', 'n <= 10 -- no more');
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.quiet: 10 rows'));
      await ask(run.daemon, 'start', '--table', 'public.quiet', '--where', 'nothing = 1');
      await run.daemon.waitForLog(({ code, msg }) => code === 'SLUICE_PG_COPY_CONDITION' && msg.includes('nothing'));
      // What failed can be asked for again, corrected.
      await ask(run.daemon, 'start', '--table', 'public.quiet', '--where', 'n <= 20');
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.quiet: 20 rows'));
      expect(run.daemon.log.filter(({ code }) => code === 'SLUICE_PG_COPY_CONDITION')).toHaveLength(1);
      // The table is locked: the copy waits for it.
      const blocker = await postgres.connect(run.url.slice(run.url.lastIndexOf('/') + 1));
      await blocker.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
      await ask(run.daemon, 'start', '--table', 'public.t');
      const twice = await sluice(['snapshot', 'start', '--table', 'public.t', run.daemon.directory]);
      expect([twice.exit, twice.stderr]).toEqual([1, expect.stringContaining('SLUICE_SNAPSHOT_UNDER_WAY')]);
      expect(await ask(run.daemon, 'pause')).toMatchObject([{ table: 'public.t', state: 'paused' }]);
      await blocker.query('COMMIT');
      await blocker.end();
      await run.daemon.stop();
      expect(run.daemon.log.filter(({ remedy }) => remedy?.includes('--once'))).toEqual([]);
      expect((await ask(run.daemon, 'status')).find(({ table, copy }) => table === 'public.t' && copy === 'again')).toMatchObject({
        state: 'paused',
        rows: 0,
      });
      run.daemon.start();
      await expect.poll(() => run.daemon.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 20_000 }).toBe(true);
      await expect.poll(() => ask(run.daemon, 'resume').catch(() => [])).toMatchObject([{ table: 'public.t' }]);
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.t: 30,000 rows'));
      await ask(run.daemon, 'start', '--table', 'public.t');
      await ask(run.daemon, 'stop', '--table', 'public.t');
      const ended = (await ask(run.daemon, 'status')).find(({ table, copy }) => table === 'public.t' && copy === 'again');
      expect(['stopped', 'done']).toContain(ended?.state);
    });

    it('go on where they were when they are resumed in the midst of a table', async () => {
      const run = await begin(30_000, { mode: 'no_data', maxRowsPerSecond: 3_000 });
      run.daemon.start();
      await streaming(run.daemon);
      await ask(run.daemon, 'start', '--table', 'public.t');
      const rows = async (): Promise<number> =>
        (await ask(run.daemon, 'status')).find(({ table, copy }) => table === 'public.t' && copy === 'again')?.rows ?? 0;
      await expect.poll(rows, { timeout: 10_000 }).toBeGreaterThan(500);
      expect(await ask(run.daemon, 'pause')).toMatchObject([{ table: 'public.t', state: 'paused' }]);
      let before = -1;
      const stands = async (): Promise<boolean> => {
        const last = before;
        before = await rows();
        return before === last;
      };
      await expect.poll(stands, { interval: 500, timeout: 10_000 }).toBe(true);
      expect(before).toBeLessThan(30_000);
      await ask(run.daemon, 'resume');
      await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.t: 30,000 rows'));
    });
  });
});
