/** What each snapshot mode does at its starts, on real servers. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { controlRequest } from '../../src/cli/control-client.ts';
import { type KafkaServer, type NatsServer, type PostgresServer, startKafka, startNats, startPostgres } from '../servers/index.ts';
import { availableKafkas } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { readTopic } from '../support/kafka-topics.ts';
import { LONG } from '../support/long-form.ts';
import { type Rebuilt, rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { type DebeziumValue, readStream } from '../support/stream-ledger.ts';

const TABLES = ['t', 'pair', 'quiet'];
const ROWS = { t: 2000, pair: 500, quiet: 500 };
const times = (factor: number): Record<string, number> => Object.fromEntries(Object.entries(ROWS).map(([table, rows]) => [table, rows * factor]));

interface Copy {
  readonly table: string;
  readonly copy: string;
  readonly state: string;
  readonly rows: number;
  readonly estimatedRows: number | null;
  readonly percent: number | null;
  readonly rowsPerSecond: number | null;
  readonly secondsLeft: number | null;
}

describe('snapshot modes', () => {
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

  async function begin(snapshot: object, rows = 2_000, sinkOf?: (stream: string) => object) {
    const database = await postgres.createDatabase('modes');
    const stream = `MODES${++count}`;
    const slot = `modes${count}`;
    const sql = <T extends object>(text: string): Promise<T[]> => postgres.query<T>(text, database);
    await sql(SNAPSHOT_TABLES);
    await sql(fillSql(rows));
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot, publication: slot, snapshot };
    const sink = sinkOf?.(stream) ?? { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    const connector = { name: 'shop', source, sink, checkpoint: { maxDelay: '20ms' } };
    const running = await Daemon.create([connector]);
    daemon = running;
    const said = (text: string, timeoutMs = 60_000): Promise<unknown> =>
      expect.poll(() => running.logSinceStart.some(({ msg }) => msg.includes(text)), { timeout: timeoutMs }).toBe(true);
    const rebuilt = (): Promise<Rebuilt> => rebuildFromStream(nats.url, stream, postgres.url(database), TABLES);
    return { daemon: running, sql, connector, stream, slot, said, rebuilt, url: postgres.url(database) };
  }

  type Run = Awaited<ReturnType<typeof begin>>;

  /** Until what was committed by now has arrived. */
  async function caughtUp({ sql, stream }: Run): Promise<void> {
    const id = 900_000_000 + ++count;
    await sql(`INSERT INTO t (id, n) VALUES (${id}, 0)`);
    const arrived = async (): Promise<boolean> => {
      let found = false;
      await readStream(nats.url, stream, ({ value }) => {
        if (value?.after?.['id'] === id) found = true;
      });
      return found;
    };
    await expect.poll(arrived, { timeout: 60_000, interval: 500 }).toBe(true);
  }

  async function status(running: Daemon): Promise<readonly Copy[]> {
    const { exit, stdout, stderr } = await sluice(['snapshot', 'status', '--json', running.directory]);
    if (exit !== 0) throw new Error(stderr + stdout);
    return JSON.parse(stdout) as readonly Copy[];
  }

  it.each(['no_data', 'never'])('%s copies nothing, at no start', async (mode) => {
    const run = await begin({ mode });
    for (let start = 0; start < 2; start++) {
      run.daemon.start();
      await run.said('Streaming');
      await caughtUp(run);
      expect((await status(run.daemon)).map(({ state }) => state)).toEqual(['skipped', 'skipped', 'skipped']);
      await run.daemon.stop();
    }
    expect((await run.rebuilt()).read).toEqual({});
  });

  describe('initial_only', () => {
    it('ends with 0 when everything is copied; so does a start behind it, and another mode reads on from there', async () => {
      const run = await begin({ mode: 'initial_only' });
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(0);
      await run.said('All tables are copied and confirmed');
      await run.sql('UPDATE t SET n = 5 WHERE id <= 10');
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(0);
      await run.said('there is nothing more to do');
      const before = await run.rebuilt();
      expect(before.read).toEqual(ROWS);
      expect(before.marks).not.toHaveProperty('false');
      await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: { mode: 'initial' } } });
      run.daemon.start();
      await run.said('Streaming');
      await caughtUp(run);
      const after = await run.rebuilt();
      expect([after.problems, after.read]).toEqual([[], ROWS]);
    });

    it('killed in the middle it goes on where it was', async () => {
      const run = await begin({ mode: 'initial_only' }, 100_000);
      run.daemon.start();
      await run.said('Copying public.t');
      await new Promise((resolve) => setTimeout(resolve, 300));
      await run.daemon.stop('SIGKILL');
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(0);
      const { problems, read, readTwice } = await run.rebuilt();
      expect(problems).toEqual([]);
      expect((read['t'] ?? 0) - readTwice).toBeLessThanOrEqual(100_000);
    });

    it('says which table it could not copy, and does not end with 0', async () => {
      const run = await begin({ mode: 'initial_only' });
      await run.sql(
        `CREATE ROLE only${count} LOGIN REPLICATION; GRANT USAGE ON SCHEMA public TO only${count}; GRANT SELECT ON t, quiet TO only${count}`,
      );
      await run.sql(`CREATE PUBLICATION ${run.slot} FOR TABLE t, pair, quiet WITH (publish_via_partition_root = true)`);
      const url = run.url.replace('postgres@', `only${count}@`);
      await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url } });
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(1);
      const line = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_SNAPSHOT_INCOMPLETE');
      expect(line.msg).toContain('could not copy public.pair.');
      await run.sql(`GRANT SELECT ON pair TO only${count}`);
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(0);
      const { problems, read } = await run.rebuilt();
      expect([problems, read]).toEqual([[], ROWS]);
    });
  });

  describe('always', () => {
    it('copies at every start, and not again when the connection was lost', async () => {
      const run = await begin({ mode: 'always' });
      run.daemon.start();
      await run.said('Streaming');
      await postgres.query(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${run.slot}'`);
      await run.daemon.waitForLog(({ msg }) => msg.endsWith('Trying again.'));
      await caughtUp(run);
      expect((await run.rebuilt()).read).toEqual(ROWS);
      await run.daemon.stop();
      await run.sql('DELETE FROM t WHERE id >= 900000000');
      run.daemon.start();
      await run.said('All tables are copied.');
      await caughtUp(run);
      const { problems, read } = await run.rebuilt();
      expect([problems, read]).toEqual([[], times(2)]);
    });

    it('killed in the middle it finishes that round, and begins none', async () => {
      const run = await begin({ mode: 'always', maxRowsPerSecond: 1_000 }, 8_000);
      run.daemon.start();
      await run.said('Copied public.');
      // It is saved.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      await run.daemon.stop('SIGKILL');
      const before = await status(run.daemon);
      expect(before.some(({ state }) => state === 'done')).toBe(true);
      expect(before.some(({ state }) => state === 'waiting' || state === 'copying')).toBe(true);
      await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: { mode: 'always' } } });
      run.daemon.start();
      await run.said('All tables are copied.');
      await caughtUp(run);
      const { problems, readTwice } = await run.rebuilt();
      expect(problems).toEqual([]);
      // What was done was not done again.
      expect(readTwice).toBeLessThan(8_000);
      const done = before.filter(({ state }) => state === 'done').map(({ table }) => table);
      for (const table of done) expect(run.daemon.logSinceStart.some(({ msg }) => msg.startsWith(`Copied ${table}:`))).toBe(false);
    });
  });

  describe('when_needed', () => {
    /** Changes while the daemon is down, that nothing will ever tell. */
    const GAP = `UPDATE t SET n = 7, v = nextval('versions') WHERE id <= 100; INSERT INTO t (id, n) VALUES (70001, 1); DELETE FROM quiet WHERE n = 1`;

    const loseSlot: Record<string, (run: Run) => Promise<unknown>> = {
      'the slot was dropped': ({ slot, sql }) => sql(`SELECT pg_drop_replication_slot('${slot}')`),
      'the slot was moved on by somebody else': ({ slot, sql }) => sql(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`),
      'the slot was invalidated': invalidate,
    };

    async function invalidate({ slot, sql }: Run): Promise<void> {
      await postgres.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
      await postgres.query('SELECT pg_reload_conf()');
      for (let turn = 0; turn < 20; turn++) {
        await sql(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 4)`);
        await sql('SELECT pg_switch_wal()');
        await sql('CHECKPOINT');
        const [row] = await sql<{ status: string }>(`SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = '${slot}'`);
        if (row?.status === 'lost') break;
      }
      await postgres.query('ALTER SYSTEM RESET max_slot_wal_keep_size');
      await postgres.query('SELECT pg_reload_conf()');
    }

    it.each(Object.keys(loseSlot).slice(0, LONG ? 3 : 1))('%s: everything is copied anew, exactly, and said', async (how) => {
      const run = await begin({ mode: 'when_needed' }, 20_000);
      run.daemon.start();
      await run.said('All tables are copied.');
      await caughtUp(run);
      await run.daemon.stop();
      await run.sql(GAP);
      await loseSlot[how]?.(run);
      run.daemon.start();
      const said = await run.daemon.waitForLog(({ msg }) => msg.includes('all tables are copied once more'));
      expect([said.code, said.msg]).toEqual([
        expect.stringMatching(/^SLUICE_PG_SLOT_(MISSING|LOST|AHEAD)$/),
        expect.stringContaining('Rows that were deleted meanwhile are not told as deletes'),
      ]);
      // From here on nothing is missed.
      const begun = /^Slot "\w+" (created|was made)/;
      await expect.poll(() => run.daemon.logSinceStart.some(({ msg }) => begun.test(msg)), { timeout: 20_000, interval: 10 }).toBe(true);
      load = new SnapshotLoad(run.url, 2, 20_000);
      await run.said('All tables are copied.');
      await load.stop();
      await caughtUp(run);
      const { problems } = await run.rebuilt();
      // The row that was deleted in the gap: nothing tells it, as was said.
      expect(problems).toEqual([expect.stringMatching(/^quiet: 1 rows are not in the source, such as .*"n":"1"}/)]);
      // It is an ordinary start again.
      await run.daemon.stop();
      run.daemon.start();
      await run.said('Streaming');
      await caughtUp(run);
      expect(run.daemon.logSinceStart.some(({ msg }) => msg.startsWith('Copying'))).toBe(false);
    });

    it('killed again and again while it begins anew it is exact: the old offset, or the new one with its copies', async () => {
      const run = await begin({ mode: 'when_needed' }, 20_000);
      run.daemon.start();
      await run.said('All tables are copied.');
      await run.daemon.stop();
      await run.sql(`SELECT pg_drop_replication_slot('${run.slot}'); UPDATE t SET n = 7, v = nextval('versions') WHERE id <= 100`);
      load = new SnapshotLoad(run.url, 2, 20_000);
      for (const afterMs of [250, 350, 450, 550, 700, 900]) {
        run.daemon.start();
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        await run.daemon.stop('SIGKILL');
      }
      run.daemon.start();
      await run.said('Streaming');
      await expect.poll(async () => (await status(run.daemon)).every(({ state }) => state === 'done'), { timeout: 60_000 }).toBe(true);
      await load.stop();
      await caughtUp(run);
      // Every row was read anew, in whichever of these lives.
      const { problems, read } = await run.rebuilt();
      expect(problems.filter((problem) => !problem.includes('rows are not in the source'))).toEqual([]);
      expect(read['quiet']).toBeGreaterThanOrEqual(1000);
    });

    it('does not begin anew on another server, or for a slot that is another one’s', async () => {
      const run = await begin({ mode: 'when_needed' });
      run.daemon.start();
      await run.said('All tables are copied.');
      await run.daemon.stop();
      const other = { ...run, slot: `other${count}` };
      await run.sql(`SELECT pg_create_logical_replication_slot('${other.slot}', 'pgoutput')`);
      await invalidate(other);
      await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, slot: other.slot } });
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(3);
      expect(run.daemon.logSinceStart.at(-1)?.msg).not.toContain('Streaming');
      expect(run.daemon.logSinceStart.some(({ level, code }) => level === 'error' && code === 'SLUICE_PG_SLOT_LOST')).toBe(true);
      expect(await run.sql(`SELECT FROM pg_replication_slots WHERE slot_name = '${other.slot}'`)).toHaveLength(1);
      // Of another version: servers of one are made from one, with its system identifier.
      const server = await startPostgres({ major: 18, own: true });
      try {
        const database = await server.createDatabase('modes');
        await server.query(SNAPSHOT_TABLES, database);
        await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url: server.url(database) } });
        run.daemon.start();
        expect(await run.daemon.exit()).toBe(3);
        expect(run.daemon.logSinceStart.some(({ level, code }) => level === 'error' && code === 'SLUICE_PG_OTHER_SYSTEM')).toBe(true);
      } finally {
        await server.dispose();
      }
    });

    it('in any other mode a lost position stays a stop, whose remedy names the mode', async () => {
      const run = await begin({ mode: 'initial' });
      run.daemon.start();
      await run.said('All tables are copied.');
      await run.daemon.stop();
      await run.sql(`SELECT pg_drop_replication_slot('${run.slot}')`);
      run.daemon.start();
      expect(await run.daemon.exit()).toBe(3);
      const stopped = run.daemon.logSinceStart.find(({ code }) => code === 'SLUICE_PG_SLOT_MISSING');
      expect([stopped?.level, stopped?.remedy]).toEqual(['error', expect.stringContaining('"when_needed"')]);
    });

    describe.runIf(availableKafkas.length > 0)('to Kafka', () => {
      let kafka: KafkaServer;
      beforeAll(async () => {
        kafka = await startKafka({ own: true });
      }, 240_000);
      afterAll(() => kafka.dispose(), 60_000);

      it('the sink takes what comes anew behind what stands there', async () => {
        const run = await begin({ mode: 'when_needed' }, 2_000, (stream) => ({
          type: 'kafka',
          brokers: kafka.brokers,
          partitions: 2,
          topic: `${stream}.{schema}.{table}`,
        }));
        run.daemon.start();
        await run.said('All tables are copied.');
        await run.sql(`UPDATE t SET n = 3 WHERE id <= 10`);
        await run.daemon.stop();
        await run.sql(`SELECT pg_drop_replication_slot('${run.slot}')`);
        run.daemon.start();
        await run.said('All tables are copied.');
        await run.sql(`INSERT INTO t (id, n) VALUES (7001, 1)`);
        const read = async (): Promise<DebeziumValue[]> => {
          const records = await readTopic(kafka, `${run.stream}.public.t`);
          return records.flatMap(({ value }) => (value === null ? [] : [JSON.parse(value.toString('utf8')) as DebeziumValue]));
        };
        await expect.poll(async () => (await read()).some(({ after }) => after?.['id'] === 7001), { timeout: 30_000 }).toBe(true);
        const values = await read();
        expect(values.filter(({ op }) => op === 'r')).toHaveLength(4_000);
        expect(new Set(values.filter(({ op }) => op === 'r').map(({ after }) => after?.['id'])).size).toBe(2_000);
      });
    });
  });

  describe('how far they are, and how fast', () => {
    it('the first copy, which cannot be changed, is seen while it runs; the rows a second are held', async () => {
      const run = await begin({ mode: 'initial', maxRowsPerSecond: 20_000, parallelism: 2 }, 240_000);
      run.daemon.start();
      await run.said('Copying public.t');
      // Between `askedMs` and `atMs` it was so.
      const rows = async (): Promise<{ askedMs: number; atMs: number; sum: number; views: readonly Copy[] }> => {
        const askedMs = performance.now();
        const views = (await controlRequest(run.daemon.dataDir, 'snapshot/status', {})) as readonly Copy[];
        return { askedMs, atMs: performance.now(), sum: views.reduce((sum, each) => sum + each.rows, 0), views };
      };
      await expect.poll(async () => (await rows()).sum, { timeout: 20_000 }).toBeGreaterThan(5_000);
      const from = await rows();
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      const to = await rows();
      expect(to.sum).toBeGreaterThan(from.sum);
      // Never more, however busy the machine is; how far it stays below is the machine's.
      expect(((to.sum - from.sum) / (to.atMs - from.askedMs)) * 1000).toBeLessThan(21_500);
      // A second without a row has the rate 0.
      const copying = async (): Promise<Copy | undefined> =>
        (await rows()).views.find((each) => each.state === 'copying' && (each.rowsPerSecond ?? 0) > 0);
      await expect.poll(copying, { timeout: 10_000 }).toBeDefined();
      const view = to.views.find(({ state }) => state === 'copying') as Copy;
      expect(view).toMatchObject({ copy: 'first', state: 'copying', estimatedRows: expect.any(Number), percent: expect.any(Number) });
      const text = await sluice(['snapshot', 'status', run.daemon.directory]);
      expect(text.stdout).toMatch(/public\.t +first +copying +[\d,]+ +about [\d,]+ +\d+ % +[\d,]+/);
    });

    it('beside the log they are held too', async () => {
      const run = await begin({ mode: 'no_data', maxRowsPerSecond: 20_000, parallelism: 2 }, 160_000);
      run.daemon.start();
      await run.said('Streaming');
      const begun = performance.now();
      expect((await sluice(['snapshot', 'start', '--table', 'public.t', run.daemon.directory])).exit).toBe(0);
      await run.said('Copied public.t: 160,000 rows', 60_000);
      expect((performance.now() - begun) / 1000).toBeGreaterThan(7.4);
    });

    it('beside the log copies are put off while the connector is too far behind, said once each way', async () => {
      const run = await begin({ mode: 'no_data', maxLag: '1MiB' });
      run.daemon.start();
      await run.said('Streaming');
      let isWriting = true;
      const filler = (async () => {
        while (isWriting) await run.sql(`SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000)) FROM generate_series(1, 2)`);
      })();
      // The source is looked at every five seconds.
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      expect((await sluice(['snapshot', 'start', '--table', 'public.t', run.daemon.directory])).exit).toBe(0);
      await run.said('Copying beside the log is put off');
      expect((await status(run.daemon)).find(({ copy }) => copy === 'again')?.rows).toBe(0);
      isWriting = false;
      await filler;
      await run.said('Copying beside the log goes on');
      await run.said('Copied public.t: 2,000 rows');
      const lines = run.daemon.log.filter(({ msg }) => msg.startsWith('Copying beside the log'));
      expect(lines.map(({ level }) => level)).toEqual(['warn', 'info']);
      expect(lines[0]?.remedy).toContain('snapshot.maxLag');
    });
  });
});
