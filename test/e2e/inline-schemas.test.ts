/** Inline schemas through the whole daemon: a row that is copied and one that is streamed carry the same, and so does a row after a restart. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { Daemon } from '../support/daemon.ts';

interface Line {
  readonly key: { readonly payload: { readonly id: number } };
  readonly value: { readonly schema: unknown; readonly payload: { readonly op: string } };
  readonly headers: Readonly<Record<string, string>>;
}

describe('inline schemas', () => {
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

  it('are the same for copied and streamed rows, and follow a change of a default', async () => {
    const database = await postgres.createDatabase('schemas');
    const sql = (text: string): Promise<unknown> => postgres.query(text, database);
    await sql(`CREATE TYPE mood AS ENUM ('sad', 'ok');
      CREATE TABLE t (id serial PRIMARY KEY, m mood NOT NULL DEFAULT 'ok', ms mood[], at timestamptz NOT NULL DEFAULT now(), n numeric(10,2) DEFAULT 1.5);
      INSERT INTO t DEFAULT VALUES`);
    const source = { type: 'postgres', url: postgres.url(database), tables: ['public.t'], slot: 'schemas', snapshot: { mode: 'initial' } };
    daemon = await Daemon.create([
      {
        name: 'shop',
        source,
        format: { type: 'debezium', schemasEnable: true, columnPropagateSourceType: ['public.t.(id|n|ms)'] },
        sink: { type: 'stdout' },
      },
    ]);
    const running = daemon;
    const lines = (): Line[] =>
      running.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    const arrived = (count: number) => expect.poll(() => lines().length, { timeout: 30_000 }).toBe(count);
    running.start();
    await running.waitForLog(({ msg }) => msg === 'All tables are copied.');
    await sql('INSERT INTO t DEFAULT VALUES');
    await arrived(2);
    await sql('ALTER TABLE t ALTER n SET DEFAULT 2.5; INSERT INTO t DEFAULT VALUES');
    await arrived(3);
    await running.stop();
    running.start();
    await sql('INSERT INTO t DEFAULT VALUES');
    await arrived(4);
    const [copied, streamed, changed, restarted] = lines();
    expect(lines().map(({ value, headers }) => [value.payload.op, headers['sluice.schema']])).toEqual([
      ['r', '1'],
      ['c', '1'],
      ['c', '2'],
      ['c', '2'],
    ]);
    expect(streamed?.value.schema).toEqual(copied?.value.schema);
    expect(restarted?.value.schema).toEqual(changed?.value.schema);
    const text = JSON.stringify(copied?.value.schema);
    const told = (type: string, length: number, scale: number, name: string) =>
      `"__debezium.source.column.type":"${type}","__debezium.source.column.length":"${length}","__debezium.source.column.scale":"${scale}","__debezium.source.column.name":"${name}"`;
    expect(text).toContain(`{"type":"int32","optional":false,"parameters":{${told('INT4', 10, 0, 'id')}},"default":0,"field":"id"}`);
    expect(text).toContain(told('NUMERIC', 10, 2, 'n'));
    expect(text).toContain(`"optional":true,"parameters":{${told('_MOOD', 2147483647, 0, 'ms')}},"field":"ms"}`);
    expect(text).toContain('"parameters":{"allowed":"sad,ok"},"default":"ok","field":"m"}');
    expect(text).toContain('"name":"io.debezium.time.ZonedTimestamp","version":1,"default":"1970-01-01T00:00:00.000000Z","field":"at"}');
    expect(JSON.stringify(changed?.value.schema)).toContain('"default":"APo="');
  });
});
