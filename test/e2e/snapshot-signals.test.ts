/** Commands for copies by rows of a table, as Debezium's signals: followed once, whatever is killed, and never published. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon, type LogLine } from '../support/daemon.ts';
import { rebuildFromStream } from '../support/snapshot-check.ts';
import { fillSql, SNAPSHOT_TABLES, SnapshotLoad } from '../support/snapshot-load.ts';
import { readStream } from '../support/stream-ledger.ts';

const TABLES = ['t', 'pair', 'quiet'];
const SIGNALS = 'CREATE TABLE debezium_signal (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048) NULL)';

interface View {
  readonly table: string;
  readonly copy: string;
  readonly state: string;
  readonly rows: number;
  readonly where: string | null;
  readonly surrogateKey: string | null;
}

describe('signals', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let load: { stop(): Promise<void> } | null = null;
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

  async function begin(rows: number, snapshot: object = {}, source: object = {}) {
    const database = await postgres.createDatabase('signals');
    const stream = `SIGN${++count}`;
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql(`${SNAPSHOT_TABLES}; ${SIGNALS}`);
    await sql(fillSql(rows));
    const connector = {
      name: 'shop',
      source: {
        type: 'postgres',
        url: postgres.url(database),
        tables: ['public.*'],
        slot: `sign${count}`,
        publication: `sign${count}`,
        snapshot: { mode: 'no_data', parallelism: 4, signalTable: 'public.debezium_signal', ...snapshot },
        ...source,
      },
      sink: { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` },
      checkpoint: { maxDelay: '20ms' },
    };
    daemon = await Daemon.create([connector]);
    const signal = (type: string, data: unknown = null): Promise<unknown> => {
      const text = data === null ? 'NULL' : `'${(typeof data === 'string' ? data : JSON.stringify(data)).replaceAll("'", "''")}'`;
      return sql(`INSERT INTO debezium_signal VALUES ('s${++count}', '${type}', ${text})`);
    };
    return { daemon, sql, signal, connector, stream, database, url: postgres.url(database) };
  }

  async function status(running: Daemon): Promise<readonly View[]> {
    const { exit, stdout, stderr } = await sluice(['snapshot', 'status', '--json', running.directory]);
    if (exit !== 0) throw new Error(stderr + stdout);
    return JSON.parse(stdout) as View[];
  }

  const again = async (running: Daemon, table: string): Promise<View | undefined> =>
    (await status(running)).find((view) => view.table === table && view.copy === 'again');
  const streaming = (running: Daemon): Promise<unknown> => {
    const isStreaming = (): boolean => running.logSinceStart.some(({ msg }) => msg.startsWith('Streaming'));
    return expect.poll(isStreaming, { timeout: 20_000 }).toBe(true);
  };
  const copied = (running: Daemon, table: string, rows: string): Promise<LogLine> =>
    running.waitForLog(({ msg }) => msg.startsWith(`Copied ${table}: ${rows} rows`), 120_000);

  /** Until what was committed by now has arrived. */
  async function caughtUp(sql: (text: string) => Promise<unknown>, stream: string): Promise<void> {
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

  /** Every subject, with the number of its messages. */
  async function subjects(stream: string): Promise<Readonly<Record<string, number>>> {
    const found: Record<string, number> = {};
    await readStream(nats.url, stream, ({ subject }) => {
      found[subject] = (found[subject] ?? 0) + 1;
    });
    return found;
  }

  it('copy tables by name, by expression and with conditions; nothing of them is published or copied', async () => {
    const run = await begin(4_000, { mode: 'initial' });
    await run.signal('execute-snapshot', { 'data-collections': ['public.quiet'] });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.signal('execute-snapshot', {
      'data-collections': ['public\\.(t|quiet)', 'public.debezium_signal'],
      'additional-conditions': [{ 'data-collection': 'public.quiet', filter: "n <= 10 AND 'a''b' <> ''" }],
    });
    await copied(run.daemon, 'public.quiet', '10');
    await expect.poll(async () => (await again(run.daemon, 'public.t'))?.state, { timeout: 20_000 }).toBe('done');
    // The table of signals is none that could be copied.
    await run.daemon.waitForLog(({ code }) => code === 'SLUICE_SIGNAL_NO_TABLE');
    await run.sql("UPDATE debezium_signal SET data = '{}'; DELETE FROM debezium_signal; TRUNCATE debezium_signal");
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
    // What was inserted before the log began is none.
    expect(rebuilt.read).toEqual({ t: 8_000, pair: 1_000, quiet: 510 });
    expect(Object.keys(await subjects(run.stream)).sort()).toEqual(TABLES.map((table) => `${run.stream}.public.${table}`).sort());
    expect((await status(run.daemon)).some(({ table }) => table === 'public.debezium_signal')).toBe(false);
  });

  it('put copies off, over a restart, resume and end them', async () => {
    const run = await begin(30_000);
    run.daemon.start();
    await streaming(run.daemon);
    // A copy waits for the transactions that are open when it begins.
    const blocker = await postgres.connect(run.database);
    await blocker.query('BEGIN; INSERT INTO pair (a, b, n) VALUES (-1, -1, 0)');
    await run.signal('execute-snapshot', { 'data-collections': ['public.t', 'public.quiet'] });
    await run.daemon.waitForLog(({ msg }) => msg === 'Copies begun by a signal: public.t, public.quiet.');
    await run.signal('execute-snapshot', { 'data-collections': ['public.t'] });
    expect(await run.daemon.waitForLog(({ code }) => code === 'SLUICE_SIGNAL_UNDER_WAY')).toMatchObject({ level: 'warn', table: 'public.t' });
    await run.signal('pause-snapshot');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copies put off by a signal'));
    await expect.poll(async () => (await again(run.daemon, 'public.t'))?.state).toBe('paused');
    await run.signal('stop-snapshot', { 'data-collections': ['public\\.q.*'], type: 'incremental' });
    await expect.poll(async () => (await again(run.daemon, 'public.quiet'))?.state).toBe('stopped');
    await blocker.query('COMMIT');
    await blocker.end();
    await caughtUp(run.sql, run.stream);
    await run.daemon.stop();
    expect(await again(run.daemon, 'public.t')).toMatchObject({ state: 'paused', rows: 0 });
    run.daemon.start();
    await streaming(run.daemon);
    await run.signal('resume-snapshot', '{"ignored": true}');
    await copied(run.daemon, 'public.t', '30,001');
    await run.signal('execute-snapshot', { 'data-collections': ['public.t', 'public.pair'] });
    await run.signal('stop-snapshot');
    await run.daemon.waitForLog(
      ({ msg }) => msg === 'A signal asked to stop copies; none is open.' || msg.startsWith('Copies stopped by a signal: public.t'),
    );
    await caughtUp(run.sql, run.stream);
    expect((await status(run.daemon)).every(({ state }) => ['skipped', 'stopped', 'done'].includes(state))).toBe(true);
    expect((await rebuildFromStream(nats.url, run.stream, run.url, [])).problems).toEqual([]);
  });

  it('have conditions that can only read: no statement comes with them', async () => {
    const run = await begin(100);
    run.daemon.start();
    await streaming(run.daemon);
    const filter = 'false)) TO STDOUT; COMMIT; BEGIN; CREATE TABLE public.came (); COMMIT; BEGIN; COPY (SELECT * FROM public.quiet WHERE (false';
    const conditions = [{ 'data-collection': 'public.quiet', filter }];
    await run.signal('execute-snapshot', { 'data-collections': ['public.quiet'], 'additional-conditions': conditions });
    const said = await run.daemon.waitForLog(({ table, msg, code }) => table === 'public.quiet' && (code !== undefined || msg.startsWith('Copied')));
    expect([said.code, await postgres.query("SELECT to_regclass('public.came') AS came", run.database)]).toEqual([
      'SLUICE_PG_COPY_CONDITION',
      [{ came: null }],
    ]);
  });

  it('that cannot be understood are said and passed over, without a word of theirs (I12)', async () => {
    const run = await begin(100);
    run.daemon.start();
    await streaming(run.daemon);
    await run.signal('secret-type');
    await run.signal('execute-snapshot', '{"data-collections": ["secret');
    await run.signal('execute-snapshot', { type: 'blocking', 'data-collections': ['public.quiet'] });
    await run.signal('execute-snapshot', { 'data-collections': ['public.secret'] });
    await run.signal('execute-snapshot', { 'data-collections': ['public.quiet'] });
    await copied(run.daemon, 'public.quiet', '500');
    const warned = run.daemon.log.filter(({ level, code }) => level === 'warn' && code?.startsWith('SLUICE_SIGNAL'));
    expect(warned.map(({ code }) => code)).toEqual(['SLUICE_SIGNAL_TYPE', 'SLUICE_SIGNAL_DATA', 'SLUICE_SIGNAL_BLOCKING', 'SLUICE_SIGNAL_NO_TABLE']);
    expect(warned.every(({ remedy }) => (remedy ?? '') !== '')).toBe(true);
    expect(run.daemon.stderr).not.toContain('secret');
  });

  it('are followed though the process is killed right behind them, under load, and the copies are exact', async () => {
    const run = await begin(30_000);
    run.daemon.start();
    await streaming(run.daemon);
    load = new SnapshotLoad(run.url, 2, 30_000);
    for (const [table, delay] of [
      ['quiet', 0],
      ['pair', 15],
      ['t', 40],
    ] as const) {
      await run.signal('execute-snapshot', { 'data-collections': [`public.${table}`] });
      await new Promise((resolve) => setTimeout(resolve, delay));
      await run.daemon.stop('SIGKILL');
      run.daemon.start();
      await streaming(run.daemon);
      await expect.poll(async () => (await again(run.daemon, `public.${table}`))?.state, { timeout: 120_000, interval: 500 }).toBe('done');
    }
    await load.stop();
    await caughtUp(run.sql, run.stream);
    const rebuilt = await rebuildFromStream(nats.url, run.stream, run.url, TABLES);
    expect(rebuilt.problems).toEqual([]);
    expect(Object.keys(await subjects(run.stream))).not.toContain(`${run.stream}.public.debezium_signal`);
  });

  it('copy a table by a surrogate key, exactly, while rows change its value and leave others out', async () => {
    const run = await begin(10);
    await run.sql(`CREATE TABLE placed (id bigint PRIMARY KEY, place int NOT NULL, v bigint NOT NULL DEFAULT nextval('versions'), pad text, big text, maybe int);
      ALTER TABLE placed ALTER big SET STORAGE EXTERNAL;
      INSERT INTO placed (id, place, pad, big) SELECT g, (random() * 1000)::int, repeat('p', 300), CASE WHEN g % 40 = 0 THEN repeat(md5(g::text), 100) END FROM generate_series(1, 40000) g;
      CREATE INDEX ON placed (place); ANALYZE placed`);
    run.daemon.start();
    await streaming(run.daemon);
    load = new Placer(run.url);
    await run.signal('execute-snapshot', { 'data-collections': ['public.placed'], 'surrogate-key': 'place' });
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copying public.placed'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await run.daemon.stop('SIGKILL');
    run.daemon.start();
    await expect.poll(async () => (await again(run.daemon, 'public.placed'))?.state, { timeout: 120_000, interval: 500 }).toBe('done');
    await load.stop();
    await caughtUp(run.sql, run.stream);
    expect((await rebuildFromStream(nats.url, run.stream, run.url, ['placed'])).problems).toEqual([]);
    expect(await again(run.daemon, 'public.placed')).toMatchObject({ surrogateKey: 'place' });
    // A column that may be null has no order.
    const { exit } = await sluice(['snapshot', 'start', '--table', 'public.placed', '--surrogate-key', 'maybe', run.daemon.directory]);
    expect(exit).toBe(0);
    const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SURROGATE_KEY');
    expect(refused).toMatchObject({ level: 'error', table: 'public.placed' });
  });

  it('need a table, which is looked at before the start and taken into the publication', async () => {
    const run = await begin(100, {}, { tables: ['public.quiet'] });
    await run.sql('DROP TABLE debezium_signal');
    run.daemon.start();
    expect(await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SIGNAL_TABLE_MISSING')).toMatchObject({
      remedy: expect.stringContaining(
        'CREATE TABLE "public"."debezium_signal" (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))',
      ),
    });
    expect(await run.daemon.exit()).toBe(3);
    await run.sql('CREATE TABLE debezium_signal (id int PRIMARY KEY, type text, data text)');
    run.daemon.start();
    await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_SIGNAL_TABLE_UNFIT');
    expect(await run.daemon.exit()).toBe(3);
    // A connector that runs already gets one.
    const { signalTable: _, ...without } = run.connector.source.snapshot;
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: without } });
    run.daemon.start();
    await streaming(run.daemon);
    await run.daemon.stop();
    await run.sql(`DROP TABLE debezium_signal; ${SIGNALS}`);
    await run.daemon.rewrite(run.connector);
    run.daemon.start();
    await streaming(run.daemon);
    await run.signal('execute-snapshot', { 'data-collections': ['public.quiet'] });
    await copied(run.daemon, 'public.quiet', '500');
    await expect.poll(() => subjects(run.stream), { timeout: 20_000 }).toEqual({ [`${run.stream}.public.quiet`]: 500 });
  });
});

/** Moves rows of `placed` in the order of its surrogate key, forth and back, most of them with a value out of line that stays as it is. */
class Placer {
  #stopping = false;
  readonly #done: Promise<unknown>;

  constructor(url: string) {
    this.#done = Promise.all([0, 1].map((client) => this.#write(url, client)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #write(url: string, client: number): Promise<void> {
    const connection = new pg.Client({ connectionString: url });
    await connection.connect();
    try {
      while (!this.#stopping) {
        const id = (Math.floor(Math.random() * 500) * 2 + client) * 40;
        const place = Math.floor(Math.random() * 1000);
        await connection.query(`UPDATE placed SET place = ${place}, v = nextval('versions') WHERE id = ${Math.random() < 0.9 ? id : id + 1}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } finally {
      await connection.end();
    }
  }
}
