/** Schema changes under load, as a user sees them: no stop, no value under a wrong column, every version right (I7, I11). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { postgresStorm } from '../support/ddl-postgres.ts';
import { runStorm } from '../support/ddl-run.ts';

describe('schema changes', () => {
  let postgres: PostgresServer;
  let nats: NatsServer;

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres({ major: 17, own: true }), startNats({ own: true })]);
  });

  afterAll(() => Promise.all([postgres.dispose(), nats.dispose()]));

  it('under load, with kill -9 in between: every row under the columns that it was written with (`npm run test:ddl`, short)', async () => {
    const { verdict, transactions } = await runStorm({
      database: await postgresStorm(postgres),
      nats,
      changes: 40,
      kills: 4,
      clients: 2,
      announces: true,
      seed: Date.now() % 1_000_000,
      say: () => undefined,
    });
    expect(verdict.problems).toEqual([]);
    expect(verdict.compared).toBeGreaterThan(100);
    expect(transactions).toBeGreaterThan(100);
  });

  it('are kept as versions, and shown with what changed between them, with and without a daemon', async () => {
    const database = await postgres.createDatabase('schema');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE orders (id int PRIMARY KEY, note varchar(10)); CREATE TABLE quiet (id int PRIMARY KEY)');
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], snapshot: { mode: 'no_data' } };
    const daemon = await Daemon.create([
      { name: 'shop', source, format: { type: 'debezium', schemasEnable: true }, sink: { type: 'stdout' }, checkpoint: { maxDelay: '20ms' } },
    ]);
    const ask = async (...args: string[]) => JSON.parse((await sluice(['schema', ...args, '--json', daemon.directory])).stdout) as unknown;
    try {
      expect(await ask('list')).toEqual([]);
      daemon.start();
      await daemon.waitForLog(({ msg }) => msg.startsWith('Streaming'));
      const changes = [
        'INSERT INTO orders VALUES (1)',
        'ALTER TABLE orders RENAME note TO remark; ALTER TABLE orders ALTER remark TYPE text; INSERT INTO orders VALUES (2)',
        'ALTER TABLE orders ADD amount int NOT NULL DEFAULT 7, DROP remark; INSERT INTO orders VALUES (3)',
      ];
      for (const [index, change] of changes.entries()) {
        await sql(change);
        // The catalogue counts where it still fits the log.
        await expect.poll(() => daemon.stdout.split('\n').length - 1, { timeout: 20_000 }).toBe(index + 1);
      }
      const summary = { connector: 'shop', table: 'public.orders', version: 3, versions: 3, columns: 2, waiting: [] };
      await expect
        .poll(() => ask('list'))
        .toEqual([{ ...summary, since: { position: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/), micros: expect.any(Number) } }]);
      const about = { connector: 'shop', table: 'public.orders' };
      const renamed = {
        ...about,
        from: 1,
        to: 2,
        changes: [
          { kind: 'columnRenamed', column: 'remark', before: 'note', after: 'remark' },
          { kind: 'typeWidened', column: 'remark', before: 'character varying(10)', after: 'text' },
        ],
      };
      expect(await ask('diff', '--table', 'public.orders', '--from', '1', '--to', '2')).toEqual(renamed);
      await daemon.stop();
      expect(await ask('diff', '--table', 'public.orders', '--to', '2')).toEqual(renamed);
      expect(await ask('diff', '--table', 'public.orders')).toEqual({
        ...about,
        from: 2,
        to: 3,
        changes: [
          { kind: 'columnAdded', column: 'amount', before: null, after: 'integer' },
          { kind: 'columnDropped', column: 'remark', before: 'text', after: null },
        ],
      });
      const shown = await sluice(['schema', 'show', '--table', 'public.orders', daemon.directory]);
      expect(shown.stdout).toMatch(/^public\.orders, version 3, since [0-9A-F/]+ \(.*\), replica identity default\n/);
      expect(shown.stdout).toContain('amount  integer       not null, default 7');
      const unknown = await sluice(['schema', 'show', '--table', 'public.orders', '--at', '9', daemon.directory]);
      expect([unknown.exit, unknown.stderr]).toEqual([2, expect.stringContaining('SLUICE_SCHEMA_VERSION_UNKNOWN')]);
      const schemas = await sluice(['schema', 'show', '--table', 'public.orders', '--json-schema', daemon.directory]);
      expect([schemas.exit, schemas.stderr]).toEqual([2, expect.stringContaining('SLUICE_SCHEMA_NO_JSON_SCHEMA')]);
      await daemon.rewrite({ name: 'shop', source, format: { type: 'native' }, sink: { type: 'stdout' } });
      expect(await ask('show', '--table', 'public.orders', '--json-schema', '--at', '1')).toMatchObject({
        table: 'public.orders',
        version: 1,
        key: { properties: { id: { type: 'integer' } } },
        value: { $defs: { row: { properties: { note: { description: 'character varying(10)' } } } } },
      });
      const absent = await sluice(['schema', 'diff', '--table', 'public.quiet', daemon.directory]);
      expect([absent.exit, absent.stderr]).toEqual([2, expect.stringContaining('SLUICE_SCHEMA_TABLE_UNKNOWN')]);
    } finally {
      await daemon.dispose();
    }
  });
});
