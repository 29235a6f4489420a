/** Keys of the user's choice through the whole daemon: what keeps them from being known stops before a row is read, or at the change that does it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';

interface Line {
  readonly key: unknown;
  readonly value: { readonly op: string; readonly source: { readonly table: string } } | null;
}

describe('messageKeyColumns', () => {
  let postgres: PostgresServer;
  let daemon: Daemon | null = null;

  beforeAll(async () => {
    postgres = await startPostgres({ major: 17, own: true });
  });

  afterEach(async () => {
    await daemon?.dispose();
    daemon = null;
  });

  afterAll(() => postgres.dispose());

  it('stand on copied and streamed rows; what the log does not carry, and a column that is gone, stop with their error', async () => {
    const database = await postgres.createDatabase('message_key');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql(`CREATE TABLE t (id int PRIMARY KEY, tenant int NOT NULL, v text);
      CREATE TABLE keyless (tenant int, v text); ALTER TABLE keyless REPLICA IDENTITY FULL;
      INSERT INTO t VALUES (1, 7, 'a'); INSERT INTO keyless VALUES (7, 'k')`);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.*'], slot: 'message_key', newTablesInterval: '300ms' };
    const format = { type: 'debezium', messageKeyColumns: ['public.t:tenant,id', 'public.(?!t$).*:tenant'] };
    daemon = await Daemon.create([{ name: 'shop', source, format, sink: { type: 'stdout' }, checkpoint: { maxDelay: '20ms' } }]);
    const running = daemon;
    const lines = (): Line[] =>
      running.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    const keys = (): unknown[] => lines().map(({ key, value }) => [value?.op ?? 'tombstone', key]);
    const arrived = (count: number) => expect.poll(() => lines().length, { timeout: 30_000 }).toBe(count);
    const ended = (code: string) =>
      expect.poll(() => running.logSinceStart.find((line) => line.level === 'error')?.code, { timeout: 30_000 }).toBe(code);

    running.start();
    await ended('SLUICE_DEBEZIUM_KEY_NOT_IN_LOG');
    expect(await running.exit()).toBe(3);
    expect(await postgres.query('SELECT FROM pg_replication_slots', database)).toEqual([]);

    await sql('ALTER TABLE t REPLICA IDENTITY FULL');
    running.start();
    await running.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await sql(`UPDATE t SET tenant = 8; DELETE FROM keyless`);
    await arrived(7);
    expect(keys().slice(0, 2)).toEqual(
      expect.arrayContaining([
        ['r', { tenant: 7, id: 1 }],
        ['r', { tenant: 7 }],
      ]),
    );
    expect(keys().slice(2)).toEqual([
      ['d', { tenant: 7, id: 1 }],
      ['tombstone', { tenant: 7, id: 1 }],
      ['c', { tenant: 8, id: 1 }],
      ['d', { tenant: 7 }],
      ['tombstone', { tenant: 7 }],
    ]);

    // A table that comes without the column stops no other.
    await sql('CREATE TABLE come (id int PRIMARY KEY)');
    await running.waitForLog(({ code, table }) => code === 'SLUICE_DEBEZIUM_KEY_COLUMN' && table === 'public.come');
    await sql(`INSERT INTO come VALUES (1); UPDATE t SET v = 'b'`);
    await arrived(8);
    expect(keys().at(-1)).toEqual(['u', { tenant: 8, id: 1 }]);

    await sql('ALTER TABLE t REPLICA IDENTITY DEFAULT; UPDATE t SET tenant = 9');
    await ended('SLUICE_DEBEZIUM_KEY_NOT_IN_LOG');
    expect(await running.exit()).toBe(3);
    expect(lines()).toHaveLength(8);
  });

  it('a column that is dropped stops at the first row without it', async () => {
    const database = await postgres.createDatabase('message_key');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql('CREATE TABLE t (id int PRIMARY KEY, tenant int); ALTER TABLE t REPLICA IDENTITY FULL');
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.t'], slot: 'message_key_2', snapshot: { mode: 'no_data' } };
    daemon = await Daemon.create([{ name: 'shop', source, format: { messageKeyColumns: ['public.t:tenant'] }, sink: { type: 'stdout' } }]);
    const running = daemon.start();
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await sql('INSERT INTO t VALUES (1, 7)');
    await expect.poll(() => running.stdout, { timeout: 30_000 }).toContain('{"tenant":7}');
    await sql('ALTER TABLE t DROP COLUMN tenant; INSERT INTO t VALUES (2)');
    const { remedy, table } = await running.waitForLog(({ code }) => code === 'SLUICE_DEBEZIUM_KEY_COLUMN');
    expect([table, remedy]).toEqual(['public.t', expect.stringContaining('name the columns that it has now')]);
    expect(await running.exit()).toBe(2);
  });
});
