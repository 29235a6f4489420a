/** Copies of tables on live MySQL and MariaDB servers: exact at the seam, whatever happens in between (I7). */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../servers/index.ts';
import { mysqlVariants } from '../support/available-servers.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { LONG } from '../support/long-form.ts';
import { type Rebuilt, rebuildFromStream } from '../support/snapshot-check.ts';
import { snapshotDatabase } from '../support/snapshot-database.ts';
import { SnapshotLoad } from '../support/snapshot-load.ts';
import { readStream } from '../support/stream-ledger.ts';

const TABLES = ['t', 'pair', 'quiet'];
/** MariaDB's older line is copied by the same statements; at the seam it is tested in any case (integration/mysql-snapshot-seam). */
const VARIANTS = mysqlVariants.filter(({ options }) => LONG || options.version !== 'mariadb-10.11');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(VARIANTS)('snapshots of $title', ({ options }) => {
  let server: MysqlServer;
  let nats: NatsServer;
  let daemon: Daemon | null = null;
  let load: SnapshotLoad | null = null;
  let count = 0;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ ...options, fsync: true }), startNats({ own: true })]);
  });

  afterEach(async () => {
    await load?.stop();
    load = null;
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => Promise.all([server.dispose(), nats.dispose()]));

  async function begin(rows: number, snapshot: object = { mode: 'initial', parallelism: 3 }, more: object = {}) {
    const database = await server.createDatabase('snap');
    const url = `${server.url().replace(/\/$/, '')}/${database}`;
    const stream = `SNAP${++count}`;
    const sql = <T = Record<string, unknown>>(text: string): Promise<T[]> => server.query<T>(text, database);
    const { tables, fill } = { tables: snapshotDatabase(url).tables, fill: snapshotDatabase(url).fill(rows) };
    await sql(tables);
    await sql(fill);
    const source = { type: server.system, url: server.url(), tables: [`${database}.*`], snapshot, heartbeat: { interval: '1s' }, ...more };
    const sink = { type: 'nats', servers: [nats.url], stream, subject: `${stream}.{schema}.{table}` };
    const connector = { name: stream.toLowerCase(), source, sink, checkpoint: { maxDelay: '20ms' } };
    const running = await Daemon.create([connector]);
    daemon = running;
    /** Once everything that was committed by now has arrived. */
    const rebuilt = async (of: readonly string[] = TABLES): Promise<Rebuilt> => {
      const id = 900_000_000 + ++count;
      await sql(`INSERT INTO t (id, v, n) VALUES (${id}, 0, 0)`);
      for (let isThere = false, end = Date.now() + 30_000; !isThere; await pause(200)) {
        await readStream(nats.url, stream, ({ value }) => {
          isThere ||= value?.after?.['id'] === id;
        });
        if (Date.now() > end) throw new Error(`it does not catch up: ${JSON.stringify(running.log.slice(-5))}`);
      }
      return rebuildFromStream(nats.url, stream, url, of);
    };
    return { daemon: running, sql, connector, stream, url, database, rebuilt };
  }

  it("copies what is there, with Debezium's marks, and goes on with the log", async () => {
    const run = await begin(2_000, { mode: 'initial', parallelism: 1 });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    const rebuilt = await run.rebuilt();
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.read).toEqual({ t: 2000, pair: 500, quiet: 500 });
    expect(rebuilt.marks).toEqual({ first: 1, first_in_data_collection: 2, last_in_data_collection: 2, last: 1, true: 2994, false: 1 });
    expect(rebuilt.readTwice).toBe(0);
  });

  it('is exact under load, over kill -9 and in several parts', async () => {
    const run = await begin(60_000);
    load = new SnapshotLoad(run.url, 4, 60_000);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => /^Copying .*\.t:.* in 3 parts/.test(msg));
    for (let kill = 0; kill < 2; kill++) {
      await pause(300 + Math.random() * 300);
      await run.daemon.stop('SIGKILL');
      run.daemon.start();
    }
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.', 60_000);
    await load.stop();
    expect(load.transactions).toBeGreaterThan(100);
    const rebuilt = await run.rebuilt();
    expect(rebuilt.problems).toEqual([]);
  });

  it('copies tables anew beside the log, and one that is added', async () => {
    const run = await begin(20_000, { mode: 'no_data', parallelism: 2 });
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, tables: [`${run.database}.t`, `${run.database}.pair`] } });
    load = new SnapshotLoad(run.url, 2, 20_000);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const { exit, stderr } = await sluice([
      'snapshot',
      'start',
      '--table',
      `${run.database}.t`,
      '--table',
      `${run.database}.pair`,
      run.daemon.directory,
    ]);
    expect([exit, stderr]).toEqual([0, '']);
    await run.daemon.waitForLog(({ msg }) => /^Copied .*\.t:/.test(msg), 30_000);
    await run.daemon.waitForLog(({ msg }) => /^Copied .*\.pair:/.test(msg), 30_000);
    await run.daemon.stop();
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: { mode: 'initial' } } });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => /^Copied .*\.quiet: 500 rows/.test(msg));
    await load.stop();
    const rebuilt = await run.rebuilt();
    expect(rebuilt.problems).toEqual([]);
    expect([rebuilt.read['quiet'], rebuilt.marks['last']]).toEqual([500, 1]);
  });

  it('a table that may not be read is left out, says so, and is copied once it may be (I10)', async () => {
    const run = await begin(1_000);
    const user = `reader${++count}`;
    await run.sql(
      `CREATE USER ${user}@'%'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${user}@'%'; GRANT SELECT ON t TO ${user}@'%'; GRANT SELECT ON quiet TO ${user}@'%';
       GRANT INSERT ON pair TO ${user}@'%'`,
    );
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url: server.url({ user }) } });
    run.daemon.start();
    const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_MYSQL_TABLE_NOT_READABLE');
    expect(refused.remedy).toContain(`GRANT SELECT ON \`${run.database}\`.\`pair\` TO '${user}'@'%'`);
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql(`GRANT SELECT ON pair TO ${user}@'%'`);
    await run.daemon.stop();
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => /^Copied .*\.pair: 250 rows/.test(msg));
    const rebuilt = await run.rebuilt();
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.readTwice).toBe(0);
  });

  it('a table of which not all columns may be read is not copied in part', async () => {
    const run = await begin(1_000);
    const user = `reader${++count}`;
    await run.sql(
      `CREATE USER ${user}@'%'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${user}@'%'; GRANT SELECT ON t TO ${user}@'%'; GRANT SELECT (id) ON quiet TO ${user}@'%'`,
    );
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, url: server.url({ user }) } });
    run.daemon.start();
    const refused = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_MYSQL_TABLE_NOT_READABLE');
    expect(refused.remedy).toContain(`GRANT SELECT ON \`${run.database}\`.\`quiet\` TO '${user}'@'%'`);
  });

  it('a table that comes empty is told whole by the log, and copied when that is asked for; any other is copied at the next start', async () => {
    const run = await begin(100);
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await run.sql(
      `CREATE TABLE come (id int PRIMARY KEY, v int); INSERT INTO come VALUES (1, 1), (2, 2);
       CREATE TABLE IF NOT EXISTS perhaps (id int PRIMARY KEY); INSERT INTO perhaps VALUES (1);
       CREATE TABLE come2 (id int PRIMARY KEY); INSERT INTO come2 VALUES (1); DROP TABLE come2;
       CREATE DATABASE ${run.database}_x; CREATE TABLE ${run.database}_x.a (id int PRIMARY KEY); INSERT INTO ${run.database}_x.a VALUES (7); RENAME TABLE ${run.database}_x.a TO come2`,
    );
    await run.rebuilt([]);
    const come = `${run.database}.come`;
    const copied = () => run.daemon.logSinceStart.flatMap(({ msg }) => /^Copied \S+\.(\w+):/.exec(msg)?.[1] ?? []).sort();
    await run.daemon.stop('SIGKILL');
    run.daemon.start();
    await expect.poll(() => run.daemon.logSinceStart.some(({ msg }) => msg === 'All tables are copied.'), { timeout: 20_000 }).toBe(true);
    expect(copied()).toEqual(['come2', 'perhaps']);
    const status = await sluice(['snapshot', 'status', '--json', run.daemon.directory]);
    expect(JSON.parse(status.stdout)).toContainEqual(expect.objectContaining({ table: come, state: 'streamed' }));
    // At once after it has come, too.
    await run.sql('CREATE TABLE late (id int PRIMARY KEY); INSERT INTO late VALUES (1)');
    await run.rebuilt([]);
    const { exit, stderr } = await sluice(['snapshot', 'start', '--table', come, '--table', `${run.database}.late`, run.daemon.directory]);
    expect([exit, stderr]).toEqual([0, '']);
    await expect.poll(copied, { timeout: 10_000 }).toEqual(['come', 'come2', 'late', 'perhaps']);
    const rebuilt = await run.rebuilt();
    expect([rebuilt.problems, rebuilt.read['come'], rebuilt.read['late'], rebuilt.read['come2']]).toEqual([[], 2, 1, 1]);
  });

  it('--once copies all that is there and ends', async () => {
    const run = await begin(3_000, { mode: 'initial', where: { '*.t': 'id % 2 = 0' }, exclude: ['*.pair'] });
    run.daemon.start(['--once']);
    expect(await run.daemon.exit()).toBe(0);
    expect(run.daemon.log.filter(({ level, code }) => level !== 'info' && code !== 'SLUICE_MYSQL_PLACES')).toEqual([]);
    const { read } = await rebuildFromStream(nats.url, run.stream, run.url, []);
    expect(read).toEqual({ t: 1500, quiet: 500 });
  });

  it('follows signals in a table that is neither copied nor published', async () => {
    const run = await begin(500, { mode: 'no_data' });
    await run.sql(
      'CREATE DATABASE IF NOT EXISTS steering; CREATE TABLE IF NOT EXISTS steering.signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))',
    );
    await run.daemon.rewrite({
      ...run.connector,
      source: { ...run.connector.source, snapshot: { mode: 'no_data', signalTable: 'steering.signals' } },
    });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    const data = {
      'data-collections': [`${run.database}.quiet`],
      'additional-conditions': [{ 'data-collection': `${run.database}.quiet`, filter: 'n <= 7' }],
    };
    await run.sql(`INSERT INTO steering.signals VALUES (uuid(), 'execute-snapshot', '${JSON.stringify(data)}')`);
    await run.daemon.waitForLog(({ msg }) => /^Copied .*\.quiet: 7 rows/.test(msg));
    const rebuilt = await run.rebuilt([]);
    expect([rebuilt.read, rebuilt.marks]).toEqual([{ quiet: 7 }, { incremental: 7, false: 1 }]);
  });

  it('initial_only ends when everything is copied; when_needed copies anew where the log was purged', async () => {
    const run = await begin(300, { mode: 'initial_only' });
    run.daemon.start();
    expect(await run.daemon.exit()).toBe(0);
    await run.sql('UPDATE t SET v = 1, n = 7; FLUSH BINARY LOGS; INSERT INTO pair VALUES (1, "new", 1, 1); FLUSH BINARY LOGS');
    const files = await run.sql<{ Log_name: string }>('SHOW BINARY LOGS');
    await run.sql(`PURGE BINARY LOGS TO '${files.at(-1)?.Log_name}'`);
    await run.daemon.rewrite({ ...run.connector, source: { ...run.connector.source, snapshot: { mode: 'when_needed' } } });
    run.daemon.start();
    await run.daemon.waitForLog(({ msg }) => msg.includes('"when_needed" the log is begun anew'));
    await expect.poll(() => run.daemon.logSinceStart.some(({ msg }) => msg === 'All tables are copied.'), { timeout: 10_000 }).toBe(true);
    const rebuilt = await run.rebuilt();
    expect(rebuilt.problems).toEqual([]);
    expect(rebuilt.read).toEqual({ t: 600, pair: 75 + 76, quiet: 600 });
  });
});
