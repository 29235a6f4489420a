/** Schema changes on MySQL and MariaDB under load, as a user sees them: no stop, no value under a wrong column, every version right (I7, I11). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, type NatsServer, startMysql, startNats } from '../servers/index.ts';
import { availableMysqls } from '../support/available-servers.ts';
import { Daemon } from '../support/daemon.ts';
import { mysqlStorm } from '../support/ddl-mysql.ts';
import { runStorm } from '../support/ddl-run.ts';
import { LONG } from '../support/long-form.ts';

describe.each(availableMysqls)('schema changes on %s', (version) => {
  let server: MysqlServer;
  let nats: NatsServer;

  beforeAll(async () => {
    [server, nats] = await Promise.all([startMysql({ version, fsync: true }), startNats({ own: true })]);
  });

  afterAll(() => Promise.all([server.dispose(), nats.dispose()]));

  it('under load, with kill -9 of the daemon and of the server: every row under the columns that it was written with (`npm run test:ddl`)', async () => {
    const { verdict, transactions } = await runStorm({
      database: await mysqlStorm(server),
      nats,
      changes: LONG ? 200 : 25,
      kills: LONG ? 20 : 2,
      restarts: LONG ? 3 : 1,
      clients: 3,
      announces: true,
      seed: Date.now() % 1_000_000,
      say: () => undefined,
    });
    expect(verdict.problems).toEqual([]);
    expect(verdict.compared).toBeGreaterThan(50);
    expect(transactions).toBeGreaterThan(30);
  }, 600_000);

  it('a TRUNCATE is no change of its table: nothing is announced and nothing refused, be it the first that is seen of it', async () => {
    const database = await server.createDatabase('truncated');
    await server.query('CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL)', database);
    const daemon = await Daemon.create([
      {
        name: 'shop',
        source: { type: server.system, url: server.url(), tables: [`${database}.t`], snapshot: { mode: 'no_data' } },
        format: { type: 'native' },
        sink: { type: 'stdout' },
        schemaChanges: { topic: 'shapes' },
        compatibility: { level: 'full-transitive' },
        checkpoint: { maxDelay: '20ms' },
      },
    ]);
    const lines = () =>
      daemon.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { topic: string; value: { op?: string; version?: number }; headers: Record<string, string> });
    try {
      // trap: mysql2 compiles its readers of rows from what the server says of the columns.
      daemon.start([], { NODE_OPTIONS: '--disallow-code-generation-from-strings' });
      await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
      await server.query('TRUNCATE t; INSERT INTO t VALUES (1, 1); TRUNCATE TABLE t; INSERT INTO t VALUES (2, 2)', database);
      await expect.poll(() => lines().length, { timeout: 20_000 }).toBe(5);
      // A process that has seen no row of it.
      await daemon.stop();
      daemon.start();
      await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
      await server.query('TRUNCATE t; INSERT INTO t VALUES (3, 3); ALTER TABLE t ADD b int; INSERT INTO t VALUES (4, 4, 4)', database);
      await expect.poll(() => lines().length, { timeout: 20_000 }).toBe(9);
      expect(
        lines().map(({ topic, value, headers }) => (topic === 'shapes' ? `shape ${value.version}` : `${value.op} ${headers['sluice.schema']}`)),
      ).toEqual(['truncate 1', 'shape 1', 'create 1', 'truncate 1', 'create 1', 'truncate 1', 'create 1', 'shape 2', 'create 2']);
      expect(daemon.other).toEqual([]);
    } finally {
      await daemon.dispose();
    }
  });
});
