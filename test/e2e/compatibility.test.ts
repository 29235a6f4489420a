/** Changes of a table's shape that the connector's file does not allow, as a user meets them (docs/compatibility.md). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { type LimitedSink, natsLimited } from '../support/limited-sinks.ts';
import { readStream } from '../support/stream-ledger.ts';

describe('compatibility of table versions', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon;
  let to: LimitedSink;
  let sql: (text: string) => Promise<unknown>;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterEach(() => daemon.dispose());

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  async function begin(options: Record<string, unknown>, beside: readonly { readonly name: string }[] = []): Promise<void> {
    const name = `shape${++count}`;
    to = await natsLimited(nats, name.toUpperCase());
    const database = await postgres.createDatabase('shapes');
    sql = (text) => postgres.query(text, database);
    await sql('CREATE TABLE t (id bigint PRIMARY KEY, n int NOT NULL, v text NOT NULL); CREATE TABLE other (id bigint PRIMARY KEY)');
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.*'],
      slot: name,
      publication: name,
      snapshot: { mode: 'no_data' },
    };
    daemon = await Daemon.create([{ name: 'shop', source, sink: to.sink, checkpoint: { maxDelay: '20ms' }, ...options }, ...beside]);
    daemon.start();
    await streaming();
  }

  const streaming = (): Promise<unknown> =>
    expect.poll(() => daemon.logSinceStart.some(({ msg }) => msg.startsWith('Streaming')), { timeout: 60_000 }).toBe(true);
  const ask = async (...args: string[]): Promise<unknown> => JSON.parse((await sluice([...args, '--json', daemon.directory])).stdout) as unknown;
  /** Rows of the table, in the order in which they stand in the sink. */
  const rows = async (): Promise<unknown[]> => (await to.stored()).filter(({ destination }) => destination.endsWith('.t')).map(({ row }) => row);
  const others = async (): Promise<number> => (await to.stored()).filter(({ destination }) => destination.endsWith('.other')).length;
  const put = (id: number): string => `INSERT INTO t (id, n, v) VALUES (${id}, 1, 'x')`;
  const arrive = (ids: readonly number[]): Promise<unknown> => expect.poll(rows, { timeout: 20_000 }).toEqual(ids);
  const INCOMPATIBLE = 'SLUICE_SCHEMA_INCOMPATIBLE';
  /** Not allowed by `backward`: nothing stands for it in the rows of before. */
  const ADD = 'ALTER TABLE t ADD c timestamptz NOT NULL DEFAULT now()';

  it('stopTable: that table alone stops in front of the first row, its changes wait over kill -9, and come in order once accepted (I1, I3, I4)', async () => {
    await begin({ compatibility: { level: 'backward' }, schemaChanges: { topic: `SHAPE${count + 1}.meta.changes` } });
    await sql(`${put(1)}; ALTER TABLE t ADD b int; ${put(2)}`);
    await arrive([1, 2]);
    await sql(`BEGIN; ${put(3)}; ${ADD}; ${put(4)}; INSERT INTO other VALUES (1); COMMIT`);
    await daemon.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
    await expect.poll(others, { timeout: 20_000 }).toBe(1);
    await daemon.stop('SIGKILL');
    await sql(`${put(5)}; INSERT INTO other VALUES (2)`);
    daemon.start();
    await streaming();
    await expect.poll(others, { timeout: 20_000 }).toBe(2);
    expect((await rows()).slice(0, 2)).toEqual([1, 2]);
    expect(await rows()).not.toContain(4);
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ table: 'public.t', state: 'stopped', code: INCOMPATIBLE }]);
    expect(await ask('schema', 'list')).toMatchObject([
      { table: 'public.other', waiting: [] },
      { table: 'public.t', version: 3, waiting: [3] },
    ]);
    // Resumed without it, the table stops again in front of the same row.
    const resumed = await sluice(['tables', 'resume', '--table', 'public.t', daemon.directory]);
    expect([resumed.exit, resumed.stdout]).toEqual([1, expect.stringContaining('sluice schema accept')]);
    await streaming();
    expect(await rows()).not.toContain(4);
    // What comes while it waits is judged too.
    await sql(`ALTER TABLE t DROP n; ALTER TABLE t ADD n numeric NOT NULL DEFAULT random(); ${put(6)}`);
    await expect
      .poll(async () => ((await ask('tables', 'list')) as { messages: number }[])[0]?.messages, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(3);
    expect(await ask('schema', 'accept', '--table', 'public.t')).toEqual({
      connector: 'shop',
      table: 'public.t',
      accepted: expect.arrayContaining([3, 4]),
      isResumed: true,
    });
    await arrive([1, 2, 3, 4, 5, 6]);
    await sql(put(7));
    await arrive([1, 2, 3, 4, 5, 6, 7]);
    await expect.poll(() => ask('tables', 'list')).toEqual([]);
    const stored = (await to.stored()).filter(({ destination }) => !destination.endsWith('.other'));
    expect(
      stored.map(({ destination, row, headers }) => (destination.endsWith('.changes') ? `version ${headers['sluice.schema']}` : row)),
      'each shape is announced in front of its first row, also of those that waited',
      // The second "version 1" is that of the other table.
    ).toEqual(['version 1', 1, 'version 2', 2, 3, 'version 1', 'version 3', 4, 5, 'version 4', 6, 7]);
    const again = await sluice(['schema', 'accept', '--table', 'public.t', daemon.directory]);
    expect([again.exit, again.stderr]).toEqual([2, expect.stringContaining('SLUICE_SCHEMA_ACCEPT_NOTHING')]);
    const misspelt = await sluice(['schema', 'accept', '--table', 'public.tt', daemon.directory]);
    expect([misspelt.exit, misspelt.stderr]).toEqual([2, expect.stringContaining('SLUICE_SCHEMA_TABLE_UNKNOWN')]);
  });

  it('a full spool stops the connector; once accepted it goes on in the same daemon, and once discarded there is room (I1, I3)', async () => {
    const database = await postgres.createDatabase('beside');
    await postgres.query('CREATE TABLE idle (id int PRIMARY KEY)', database);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: database, publication: database };
    const beside = { name: 'beside', source: { ...source, snapshot: { mode: 'no_data' } }, sink: { type: 'blackhole' } };
    await begin({ compatibility: { level: 'backward' }, spool: { maxBytes: '1MiB' } }, [beside]);
    await sql(`${put(1)}; ${ADD}; ${put(2)}`);
    await daemon.waitForLog(({ code }) => code === 'SLUICE_TABLE_STOPPED');
    const fill = async (from: number): Promise<void> => {
      for (let id = from; id < from + 100; id++) await sql(`INSERT INTO t (id, n, v) VALUES (${id}, 1, repeat('x', 15000))`);
    };
    const isFull = (): Promise<unknown> =>
      expect.poll(() => daemon.logSinceStart.filter(({ code }) => code === 'SLUICE_SEGMENTS_FULL').length, { timeout: 20_000 }).toBe(1);
    await fill(3);
    await isFull();
    expect(await ask('schema', 'accept', '--connector', 'shop', '--table', 'public.t')).toMatchObject({ accepted: [2], isResumed: true });
    await arrive(Array.from({ length: 102 }, (_, index) => index + 1));
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toEqual([]);
    await sql(`ALTER TABLE t ADD d timestamptz NOT NULL DEFAULT now(); ${put(200)}`);
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 1 }]);
    await daemon.stop('SIGKILL');
    daemon.start();
    // Counted again: it runs.
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', messages: 1 }]);
    await fill(201);
    await isFull();
    const discarded = await sluice(['tables', 'discard', '--connector', 'shop', '--table', 'public.t', daemon.directory]);
    expect([discarded.exit, discarded.stdout]).toEqual([0, expect.stringContaining('the table is live again')]);
    await sql('INSERT INTO other VALUES (1)');
    // What did not fit before has come, and waits.
    await expect.poll(others, { timeout: 20_000 }).toBe(1);
    await expect.poll(() => ask('tables', 'list'), { timeout: 20_000 }).toMatchObject([{ state: 'stopped', code: INCOMPATIBLE }]);
    expect(daemon.logSinceStart.filter(({ code }) => code === 'SLUICE_SEGMENTS_FULL')).toHaveLength(1);
  });

  it('stop: the connector stops with cause and remedy, and again at its next start; accepted without a daemon, nothing is missing', async () => {
    await begin({ compatibility: { levels: { 'public.t': 'full' }, action: 'stop' } });
    await sql(`${put(1)}; ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t VALUES (2, 1, 2); INSERT INTO other VALUES (1)`);
    for (let start = 0; start < 2; start++) {
      if (start > 0) daemon.start();
      expect(await daemon.exit()).toBe(1);
      const said = daemon.logSinceStart.find(({ code }) => code === INCOMPATIBLE);
      expect(said).toMatchObject({ table: 'public.t', remedy: expect.stringContaining('sluice schema accept --connector shop --table public.t') });
      expect(said?.msg).toContain('version 2');
    }
    expect(await ask('schema', 'accept', '--table', 'public.t')).toMatchObject({ accepted: [2], isResumed: false });
    daemon.start();
    await arrive([1, 2]);
    await expect.poll(others).toBe(1);
  });

  it('deadLetter: rows in the shape become letters, in another they go on; accepted they go, and the letters can be sent again', async () => {
    await begin({ compatibility: { level: 'backward', action: 'deadLetter' }, deadLetter: { maxPercent: 100 } });
    await sql(`${put(1)}; ${ADD}; ${put(2)}`);
    await expect.poll(() => ask('dlq', 'list'), { timeout: 20_000 }).toHaveLength(1);
    await sql(`ALTER TABLE t DROP c; ${put(3)}; INSERT INTO other VALUES (1)`);
    await arrive([1, 3]);
    expect(await ask('dlq', 'list')).toMatchObject([{ code: INCOMPATIBLE, destination: expect.stringMatching(/\.t$/) }]);
    await daemon.stop('SIGKILL');
    daemon.start();
    await streaming();
    await sql(`INSERT INTO other VALUES (2)`);
    await expect.poll(others, { timeout: 20_000 }).toBe(2);
    expect(await ask('dlq', 'list')).toHaveLength(1);
    expect(await ask('schema', 'accept', '--table', 'public.t')).toMatchObject({ accepted: [2] });
    await streaming();
    await expect
      .poll(async () => (await sluice(['dlq', 'replay', '--connector', 'shop', '--all', daemon.directory])).exit, { timeout: 20_000 })
      .toBe(0);
    await arrive([1, 3, 2]);
  });

  it('continue: rows go, and it is said once; the next version is compared with the one that went', async () => {
    await begin({ compatibility: { level: 'backward', action: 'stop', actions: { 'public.t': 'continue' } } });
    await sql(`${put(1)}; ${ADD}; ${put(2)}; ${put(3)}`);
    await arrive([1, 2, 3]);
    expect(daemon.logSinceStart.filter(({ code }) => code === INCOMPATIBLE)).toHaveLength(1);
    await daemon.stop('SIGKILL');
    daemon.start();
    await sql(`ALTER TABLE t ADD b int; ${put(4)}`);
    await arrive([1, 2, 3, 4]);
    expect(daemon.logSinceStart.filter(({ code }) => code === INCOMPATIBLE)).toHaveLength(0);
  });

  it('columns that are deprecated may go', async () => {
    await begin({ compatibility: { level: 'full', action: 'stop', deprecated: ['public.t.v'] } });
    await sql(`${put(1)}; ALTER TABLE t DROP v; INSERT INTO t VALUES (2, 1)`);
    await arrive([1, 2]);
    await sql('ALTER TABLE t DROP n; INSERT INTO t VALUES (3)');
    expect(await daemon.exit()).toBe(1);
    expect(await rows()).toEqual([1, 2]);
  });

  it('a mapping keeps the old shape alive: nothing is in the way of it, and what it does not know is carried', async () => {
    await begin({
      compatibility: { level: 'full', action: 'stop', rules: 'jsonSchema' },
      mapping: { rename: { 'public.t.text': 'v' }, defaults: { 'public.t.n': 'integer=0' }, fixed: { 'public.t': 'id, n, v' } },
    });
    await sql(put(1));
    await arrive([1]);
    await sql(
      `ALTER TABLE t RENAME v TO text; ALTER TABLE t DROP n; ALTER TABLE t ADD more jsonb NOT NULL DEFAULT '{}'; INSERT INTO t VALUES (2, 'y', '{"a": 1}')`,
    );
    await arrive([1, 2]);
    const found: unknown[] = [];
    await readStream(nats.url, `SHAPE${count}`, ({ value }) => found.push(value?.after));
    expect(found).toEqual([
      { id: 1, n: 1, v: 'x', rest: '{}' },
      { id: 2, v: 'y', n: 0, rest: '{"more":"{\\"a\\": 1}"}' },
    ]);
  });
});
