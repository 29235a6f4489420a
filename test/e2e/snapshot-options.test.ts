/** What of the rows that are there is copied, by the section `snapshot`; what changes is captured whatever it says. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';
import { readStream } from '../support/stream-ledger.ts';

describe('options of copies', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let count = 0;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  async function begin(snapshot: object, prepare = '') {
    const database = await postgres.createDatabase('options');
    const stream = `OPT${++count}`;
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql(`CREATE TABLE orders (id int PRIMARY KEY, status text, secret text); CREATE TABLE log (id int PRIMARY KEY, line text); CREATE TABLE small (id int PRIMARY KEY);
      INSERT INTO orders SELECT g, CASE WHEN g % 2 = 0 THEN 'open' ELSE 'archived' END, 'x' FROM generate_series(1, 1000) g;
      INSERT INTO log SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g; INSERT INTO small VALUES (1); ANALYZE; ${prepare}`);
    const source = {
      type: 'postgres',
      url: postgres.url(database),
      tables: ['public.*'],
      slot: `opt${count}`,
      publication: `opt${count}`,
      newTablesInterval: '300ms',
      snapshot: { mode: 'initial', parallelism: 1, ...snapshot },
    };
    const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    const connector = { name: 'shop', source, sink, checkpoint: { maxDelay: '20ms' } };
    daemon = await Daemon.create([connector]);
    daemon.start();
    return { daemon, sql, connector, stream };
  }

  /** `table op` → rows, once this one has arrived. */
  async function arrived(stream: string, last: { table: string; id: number }): Promise<Map<string, Record<string, unknown>[]>> {
    let rows = new Map<string, Record<string, unknown>[]>();
    const read = async (): Promise<boolean> => {
      rows = new Map();
      await readStream(nats.url, stream, ({ subject, value }) => {
        if (value === null) return;
        const name = `${subject.slice(subject.lastIndexOf('.') + 1)} ${value.op}`;
        rows.set(name, [...(rows.get(name) ?? []), { ...value.after }]);
      });
      return [...rows].some(([name, all]) => name.startsWith(`${last.table} `) && name !== `${last.table} r` && all.some(({ id }) => id === last.id));
    };
    await expect.poll(read, { timeout: 30_000, interval: 200 }).toBe(true);
    return rows;
  }

  it('"include", "exclude" and "where" say which rows are copied; the changes of all are captured', async () => {
    const run = await begin({ include: ['public.*'], exclude: ['public.log'], where: { 'public.ord*': "status <> 'archived' -- no more" } });
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await run.sql("UPDATE log SET line = 'y' WHERE id = 7; UPDATE orders SET secret = 'y' WHERE id = 3; INSERT INTO small VALUES (99)");
    const rows = await arrived(run.stream, { table: 'small', id: 99 });
    expect(rows.get('orders r')?.map(({ id }) => id)).toEqual(Array.from({ length: 500 }, (_, n) => 2 * n + 2));
    expect(rows.get('small r')).toEqual([{ id: 1 }]);
    expect(rows.get('log r')).toBeUndefined();
    expect([rows.get('log u')?.length, rows.get('orders u')?.map(({ id }) => id)]).toEqual([1, [3]]);
  });

  it('they hold for a table that comes later, and beside the log', async () => {
    const run = await begin({ include: ['public.none', 'public.new'], where: { 'public.new': 'id > 90' } });
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await run.sql(
      'CREATE TABLE new (id int PRIMARY KEY); INSERT INTO new SELECT generate_series(1, 100); CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)',
    );
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.new: 10 rows'));
    await expect.poll(() => run.daemon.log.filter(({ msg }) => msg.includes('has come')).length, { timeout: 20_000 }).toBe(2);
    await expect.poll(() => run.daemon.log.at(-1)?.msg ?? '', { timeout: 20_000 }).toMatch(/^(Streaming|Copied|All tables)/);
    await run.sql('INSERT INTO other VALUES (2)');
    const rows = await arrived(run.stream, { table: 'other', id: 2 });
    expect(rows.get('new r')?.length).toBe(10);
    expect(['orders r', 'log r', 'other r'].map((name) => rows.get(name))).toEqual([undefined, undefined, undefined]);
    expect(run.daemon.log.find(({ code }) => code === 'SLUICE_PG_PATTERN_MATCHES_NOTHING')?.msg).toContain('"public.none" of "snapshot.include"');
  });

  it.each(['nothing = 1', 'status ==', 'id / 0 = 1'])('a condition that is wrong (%s) ends the copy of its table alone', async (condition) => {
    const run = await begin({ where: { 'public.orders': condition } });
    const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_PG_COPY_CONDITION');
    expect([refused.table, refused.level]).toEqual(['public.orders', 'error']);
    expect(refused.remedy).toContain('"snapshot.where"');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.log: 5,000 rows'));
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await run.sql("UPDATE orders SET status = 'x' WHERE id = 1");
    const rows = await arrived(run.stream, { table: 'orders', id: 1 });
    expect([rows.get('orders r'), rows.get('orders u')?.length]).toEqual([undefined, 1]);
    await run.daemon.stop();
    const { source } = run.connector;
    await run.daemon.rewrite({
      ...run.connector,
      source: { ...source, snapshot: { ...source.snapshot, where: { 'public.orders': 'id <= 5' } } },
    } as never);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Copied public.orders: 5 rows'));
  });

  it.each([
    ['listed', ['log', 'orders', 'small']],
    ['smallest', ['small', 'orders', 'log']],
    ['largest', ['log', 'orders', 'small']],
  ])('"order" %s', async (order, expected) => {
    const run = await begin({ order });
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    const begun = run.daemon.log.map(({ msg }) => /^Copying public\.(\w+): about/.exec(msg)?.[1]).filter((name) => name !== undefined);
    expect(begun).toEqual(expected);
  });

  it('a column list of the publication holds for copies as for changes (I11)', async () => {
    const run = await begin({}, `CREATE PUBLICATION opt${count + 1} FOR TABLE orders (id, status), log, small`);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await run.sql("UPDATE orders SET status = 'x' WHERE id = 1");
    const rows = await arrived(run.stream, { table: 'orders', id: 1 });
    expect(rows.get('orders r')?.[0]).toEqual({ id: 1, status: 'archived' });
    expect(rows.get('orders u')).toEqual([{ id: 1, status: 'x' }]);
  });
});
