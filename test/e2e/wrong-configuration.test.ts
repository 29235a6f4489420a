/**
 * Wrong configuration, tried with the built daemon: each mistake is answered with one message, its code, a remedy and the right exit code (design §5),
 * without a stack and without a secret (I12).
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type NatsServer, type PostgresServer, startNats, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import {
  CANARY,
  type Case,
  create,
  disposeDaemon,
  environmentOf,
  expectClean,
  expectWaiting,
  failure,
  PASSWORD,
  SENTENCE,
  type Section,
  WRONG_PASSWORD,
} from '../support/mistakes.ts';

afterEach(disposeDaemon);

describe('in a file: all of it is said before anything is started, exit 2', () => {
  const token = `token-${CANARY}`;
  const nats = { type: 'nats', servers: ['nats://127.0.0.1:1'], stream: 'SHOP', auth: { token } };

  const cases: readonly [string, Case & { code: string; place: string; says: string }][] = [
    ['an unknown key', { source: { tabels: ['x'] }, code: 'UNKNOWN_KEY', place: 'source.tabels', says: 'Did you mean "tables"?' }],
    ['a wrong type', { source: { tables: 'public.orders' }, code: 'WRONG_TYPE', place: 'source.tables', says: 'list' }],
    ['a missing secret', { environment: { SHOP_DB_PASSWORD: '' }, code: 'VARIABLE_MISSING', place: 'source.password', says: 'Set SHOP_DB_PASSWORD' }],
    ['a bare number as duration', { top: { batch: { maxDelay: 5 } }, code: 'NO_UNIT', place: 'batch.maxDelay', says: '"5ms"' }],
    ['an option that is not supported yet', { top: { transforms: [{}] }, code: 'NOT_SUPPORTED', place: 'transforms', says: 'not supported yet' }],
  ];

  it.each(cases)('%s', async (_name, { code, place, says, ...wrong }) => {
    const { directory } = await create({ sink: nats, ...wrong });
    const text = await sluice(['run', directory], environmentOf(wrong));
    expect(text).toMatchObject({ exit: 2, stdout: '' });
    expect(text.stderr).toContain(`connectors/shop.json:1:`);
    expect(text.stderr.match(/^ {2}error .*/gm)).toEqual([expect.stringContaining(`error SLUICE_CONFIG_${code}: `)]);
    expect(text.stderr).toContain(place);
    expect(text.stderr).toContain(says);
    expectClean(text.stderr);

    const json = await sluice(['run', '--json', directory], environmentOf(wrong));
    expect(json).toMatchObject({ exit: 2, stderr: '' });
    const { error } = JSON.parse(json.stdout) as {
      error: { code: string; problems: { code: string; path: string; message: string; remedy: string }[] };
    };
    expect(error.code).toBe('SLUICE_CONFIG_INVALID');
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]).toMatchObject({
      code: `SLUICE_CONFIG_${code}`,
      path: place,
      message: expect.stringMatching(SENTENCE),
      remedy: expect.any(String),
    });
    expectClean(json.stdout);
  });

  it('several mistakes come at once', async () => {
    const { directory } = await create({ source: { tabels: [], slot: 'Not A Slot' }, top: { batch: { maxDelay: 5 } } });
    const { exit, stderr } = await sluice(['run', directory], environmentOf({}));
    expect([exit, stderr.match(/^ {2}error /gm)?.length]).toEqual([2, 3]);
  });
});

describe('against servers', () => {
  let postgres: PostgresServer;
  let notLogical: PostgresServer;
  let nats: NatsServer;

  beforeAll(async () => {
    [postgres, notLogical, nats] = await Promise.all([
      startPostgres({ major: 17, password: true, settings: { max_replication_slots: 2 } }),
      startPostgres({ major: 17, settings: { wal_level: 'replica' } }),
      startNats({ config: `authorization { users = [{ user: app, password: "${PASSWORD}" }] }` }),
    ]);
    const tables = 'CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE notes (line text);';
    await postgres.query(`${tables} CREATE ROLE sluice LOGIN REPLICATION PASSWORD '${PASSWORD}'; CREATE ROLE plain LOGIN PASSWORD '${PASSWORD}';
      CREATE PUBLICATION sluice_shop FOR TABLE orders; GRANT CREATE ON DATABASE postgres TO plain`);
    await notLogical.query(`${tables} CREATE ROLE sluice LOGIN REPLICATION; CREATE PUBLICATION sluice_shop FOR TABLE orders`);
  });

  afterAll(() => Promise.all([postgres?.dispose(), notLogical?.dispose(), nats?.dispose()]));

  const source = (overrides: Section = {}, user = 'sluice', server = postgres): Section => {
    const url = new URL(server.url('postgres', { user }));
    return { url: url.href, ...overrides };
  };

  it('a Postgres that cannot be reached is said once and waited for', async () => {
    await expectWaiting({ source: { url: 'postgres://sluice@127.0.0.1:1/shop' } }, 'SLUICE_PG_UNREACHABLE');
  });

  it('a wrong password', async () => {
    const { exit, code, msg, remedy } = await failure({ source: source(), environment: { SHOP_DB_PASSWORD: WRONG_PASSWORD } });
    expect([exit, code]).toEqual([2, 'SLUICE_PG_AUTHENTICATION']);
    expect(msg).toContain('user "sluice"');
    expect(remedy).toContain('ALTER ROLE "sluice" PASSWORD');
  });

  it('wal_level is not logical', async () => {
    const { exit, code, remedy } = await failure({ source: source({}, 'sluice', notLogical) });
    expect([exit, code]).toEqual([3, 'SLUICE_PG_WAL_LEVEL']);
    expect(remedy).toContain("ALTER SYSTEM SET wal_level = 'logical'");
  });

  it('no right to replicate', async () => {
    const { exit, code, remedy } = await failure({ source: source({}, 'plain') });
    expect([exit, code]).toEqual([3, 'SLUICE_PG_NO_REPLICATION_RIGHT']);
    expect(remedy).toContain('ALTER ROLE "plain" REPLICATION');
  });

  it('no free slot', async () => {
    await postgres.query("SELECT pg_create_logical_replication_slot(name, 'pgoutput') FROM unnest(ARRAY['one', 'two']) name");
    try {
      const { exit, code, remedy } = await failure({ source: source() });
      expect([exit, code]).toEqual([3, 'SLUICE_PG_NO_FREE_SLOT']);
      expect(remedy).toContain('pg_drop_replication_slot');
    } finally {
      await postgres.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    }
  });

  it('a table that does not exist', async () => {
    const { exit, code, msg } = await failure({ source: source({ tables: ['public.orders', 'public.order'] }) });
    expect([exit, code]).toEqual([2, 'SLUICE_PG_TABLE_MISSING']);
    expect(msg).toContain('public.order ');
  });

  it('a table with no replica identity that publishes updates', async () => {
    const { exit, code, remedy } = await failure({ source: source({ tables: ['public.notes'] }) });
    expect([exit, code]).toEqual([3, 'SLUICE_PG_NO_REPLICA_IDENTITY']);
    expect(remedy).toContain('REPLICA IDENTITY FULL');
    expect(remedy).toContain('insertOnly');
  });

  it('a NATS server that cannot be reached is said once and waited for', async () => {
    await expectWaiting({ source: source(), sink: { type: 'nats', servers: ['nats://127.0.0.1:1'], stream: 'SHOP' } }, 'SLUICE_NATS_UNREACHABLE');
  });

  const sink = (overrides: Section = {}): Section => ({
    type: 'nats',
    servers: [nats.url],
    stream: 'SHOP',
    auth: { user: 'app', password: '${env:NATS_PASSWORD}' },
    ...overrides,
  });

  it('wrong NATS credentials', async () => {
    const environment = { SHOP_DB_PASSWORD: PASSWORD, NATS_PASSWORD: WRONG_PASSWORD };
    const { exit, code, remedy } = await failure({ source: source(), sink: sink(), environment });
    expect([exit, code]).toEqual([2, 'SLUICE_NATS_AUTH']);
    expect(remedy).toContain('auth');
  });

  it('a stream that is missing and may not be created', async () => {
    const environment = { SHOP_DB_PASSWORD: PASSWORD, NATS_PASSWORD: PASSWORD };
    const { exit, code, remedy } = await failure({ source: source(), sink: sink({ createStream: false }), environment });
    expect([exit, code]).toEqual([3, 'SLUICE_NATS_STREAM_MISSING']);
    expect(remedy).toContain('nats stream add SHOP');
  });
});

describe('on this machine, exit 3', () => {
  const asked = async (directory: string): Promise<{ error: { code: string; message: string; remedy: string } }> => {
    const text = await sluice(['run', directory], environmentOf({}));
    expect(text.exit).toBe(3);
    expectClean(text.stderr);
    const json = await sluice(['run', '--json', directory], environmentOf({}));
    expect(json.exit).toBe(3);
    const answer = JSON.parse(json.stdout) as Awaited<ReturnType<typeof asked>>;
    expect(text.stderr).toContain(`error: ${answer.error.message}\n  code:   ${answer.error.code}\n  remedy: ${answer.error.remedy}\n`);
    expect(answer.error.message).toMatch(SENTENCE);
    return answer;
  };

  it('a data directory that another daemon has', async () => {
    const running = await create({});
    running.start([], environmentOf({}));
    await running.healthUrl();
    const { error } = await asked(running.directory);
    expect(error.code).toBe('SLUICE_STATE_LOCKED');
    expect(error.remedy).toContain('dataDir');
    expect(await running.stop()).toBe(0);
  });

  it('a health port that is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : 0;
    try {
      const { directory } = await create({ settings: { health: { listen: `127.0.0.1:${port}` } } });
      const { error } = await asked(directory);
      expect(error.code).toBe('SLUICE_HEALTH_LISTEN');
      expect(error.message).toContain(`127.0.0.1:${port}`);
      expect(error.remedy).toContain('health.listen');
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
  });

  it('a data directory that is a file', async () => {
    const { directory, dataDir } = await create({});
    await mkdir(join(directory, 'connectors'), { recursive: true });
    await writeFile(dataDir, '');
    expect((await asked(directory)).error.code).toBe('SLUICE_STATE_ACCESS');
  });
});
