/** `sluice doctor`, built: everything at once, on real servers, without a trace on them or in the state, and without a secret. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { sluice } from '../support/cli.ts';
import { Daemon } from '../support/daemon.ts';
import { CANARY, expectClean, PASSWORD, SENTENCE } from '../support/mistakes.ts';

interface Found {
  readonly part: string;
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly why?: string;
  readonly remedy: string;
  readonly fix?: string;
}
interface Report {
  readonly connector: string;
  readonly state: string | null;
  readonly findings: readonly Found[];
  readonly applied: readonly { readonly code: string; readonly statement: string; readonly failed?: string }[];
}

let postgres: PostgresServer;
let daemon: Daemon | null = null;
const environment = { SHOP_DB_PASSWORD: PASSWORD };
const ROW = `row-${CANARY}`;

beforeAll(async () => {
  postgres = await startPostgres({ major: 17, password: true });
  await postgres.query(`CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, '${ROW}'); CREATE TABLE keyless (line text);
    CREATE ROLE sluice LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT CREATE ON DATABASE postgres TO sluice; ALTER TABLE orders OWNER TO sluice;
    GRANT ALL ON SCHEMA public TO sluice; GRANT SELECT ON keyless TO sluice`);
});

afterAll(() => postgres?.dispose());
afterEach(async () => {
  await daemon?.dispose();
  daemon = null;
  await postgres.query('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
  await expect.poll(() => postgres.query('SELECT FROM pg_replication_slots WHERE active')).toEqual([]);
  await postgres.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
  await postgres.query('DROP PUBLICATION IF EXISTS sluice_shop, sluice_shop_inserts, sluice_bad');
});

type Section = Record<string, unknown>;

function connector(name: string, source: Section = {}, sink: Section = { type: 'blackhole' }): Section & { name: string } {
  const url = postgres.url('postgres', { user: 'sluice' });
  return { name, source: { type: 'postgres', url, password: '${env:SHOP_DB_PASSWORD}', tables: ['public.orders'], ...source }, sink };
}

async function create(...connectors: (Section & { name: string })[]): Promise<Daemon> {
  daemon = await Daemon.create(connectors);
  return daemon;
}

/** Asks for JSON, and looks at every text in it. */
async function doctor(directory: string, ...options: string[]): Promise<{ exit: number; reports: Report[]; codes: (name?: string) => string[] }> {
  const { exit, stdout, stderr } = await sluice(['doctor', '--json', ...options, directory], environment);
  expectClean(stdout + stderr);
  const { connectors: reports } = JSON.parse(stdout) as { connectors: Report[] };
  for (const { message, remedy, why } of reports.flatMap(({ findings }) => findings)) {
    for (const text of [message, why ?? 'Fine.']) expect(text).toMatch(SENTENCE);
    expect(remedy).not.toMatch(/\{\w+\}/);
  }
  const codes = (name = 'shop'): string[] => reports.find((each) => each.connector === name)?.findings.map(({ code }) => code) ?? [];
  return { exit, reports, codes };
}

/** Of every file of the state. */
async function stateOf(dataDir: string): Promise<Record<string, string>> {
  const names = await readdir(join(dataDir, 'state'), { recursive: true, withFileTypes: true });
  const files = names.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  const hashes = files.map(
    async (file): Promise<[string, string]> => [
      file,
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    ],
  );
  return Object.fromEntries(await Promise.all(hashes));
}

it('says everything at once: what hides one connector, or one part of it, hides no other', async () => {
  const { directory, dataDir } = await create(
    connector('shop'),
    connector('bad', { tables: ['public.keyless'] }, { type: 'nats', servers: ['nats://127.0.0.1:1'], stream: 'SHOP' }),
    connector('away', { url: 'postgres://sluice@127.0.0.1:1/shop' }),
  );
  const { exit, reports, codes } = await doctor(directory);
  expect(exit).toBe(3);
  expect(reports.map(({ connector: name, state }) => [name, state])).toEqual([
    ['away', null],
    ['bad', null],
    ['shop', null],
  ]);
  expect(codes('away')).toEqual(['SLUICE_PG_UNREACHABLE']);
  expect(reports.find(({ connector: name }) => name === 'bad')?.findings.filter(({ severity }) => severity === 'error')).toEqual([
    expect.objectContaining({
      part: 'source',
      code: 'SLUICE_PG_NO_REPLICA_IDENTITY',
      remedy: expect.stringContaining('ALTER TABLE "public"."keyless"'),
    }),
    expect.objectContaining({ part: 'sink', code: 'SLUICE_NATS_UNREACHABLE' }),
  ]);
  expect(codes()).toEqual(['SLUICE_PG_UNLIMITED_WAL']);
  // Nothing was made, neither there nor here.
  expect(await postgres.query('SELECT slot_name::text AS name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication')).toEqual([]);
  await expect(readdir(dataDir)).rejects.toThrow('ENOENT');

  const text = await sluice(['doctor', directory], environment);
  expectClean(text.stdout + text.stderr);
  expect(text.exit).toBe(3);
  expect(text.stdout).toContain(`bad: postgres to nats\n  error   SLUICE_PG_NO_REPLICA_IDENTITY (source, public.keyless)\n    Table public.keyless`);
  expect(text.stdout).toMatch(/\n {4}why: {4}While Sluice is down.*\n {4}remedy: /);
  expect(text.stdout).toMatch(/\n3 errors, no warnings, 2 notes\n$/);

  const one = await doctor(directory, '--connector', 'shop');
  expect([one.exit, one.reports.map((each) => each.connector)]).toEqual([0, ['shop']]);
});

it('ends with 2 where the configuration is wrong', async () => {
  const { directory } = await create(connector('shop', { tabels: [] }));
  expect(await sluice(['doctor', directory], environment)).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('tabels') });
  const right = await create(connector('shop'));
  expect(await sluice(['doctor', '--connector', 'nobody', right.directory], environment)).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('SLUICE_CONNECTOR_UNKNOWN'),
  });
  const { exit, stdout } = await sluice(['doctor', '--help']);
  expect([exit, stdout]).toEqual([0, expect.stringContaining('$ sluice doctor --connector shop --fix --json /etc/sluice')]);
});

describe('beside a daemon', () => {
  it('disturbs it in nothing, and takes its session for its own; without one it looks at the state and leaves it as it is', async () => {
    const running = await create(connector('shop'));
    running.start([], environment);
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await running.waitForLog(({ msg }) => msg.includes('copied'));
    const holder = 'SELECT active_pid AS pid FROM pg_replication_slots';
    const before = await postgres.query(holder);
    const lines = running.log.length;
    const beside = await doctor(running.directory);
    expect([beside.exit, beside.reports[0]?.state]).toEqual([0, 'running']);
    expect(beside.codes()).not.toContain('SLUICE_PG_SLOT_IN_USE');
    expect(await postgres.query(holder)).toEqual(before);
    expect(running.log.slice(lines).filter(({ level }) => level !== 'info')).toEqual([]);

    await running.stop('SIGKILL');
    const state = await stateOf(running.dataDir);
    const alone = await doctor(running.directory);
    expect([alone.exit, alone.reports[0]?.state]).toEqual([0, null]);
    await expect.poll(() => postgres.query('SELECT FROM pg_replication_slots WHERE active')).toEqual([]);
    await postgres.query('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
    const lost = await doctor(running.directory);
    expect([lost.exit, lost.codes()[0]]).toEqual([3, 'SLUICE_PG_SLOT_MISSING']);
    expect(await stateOf(running.dataDir)).toEqual(state);
  });

  it('says which of its connectors it has stopped', async () => {
    const running = await create(connector('shop'), connector('bad', { tables: ['public.keyless'] }));
    running.start([], environment);
    await running.waitForLog(({ level, connector: name }) => level === 'error' && name === 'bad');
    await running.waitForLog(({ msg, connector: name }) => msg.startsWith('Streaming') && name === 'shop');
    const { exit, reports, codes } = await doctor(running.directory);
    expect(exit).toBe(3);
    expect(Object.fromEntries(reports.map(({ connector: name, state }) => [name, state]))).toEqual({ bad: 'failed', shop: 'running' });
    expect(codes('bad')).toEqual(expect.arrayContaining(['SLUICE_DOCTOR_STOPPED', 'SLUICE_PG_NO_REPLICA_IDENTITY']));
  });

  it('says that it cannot see the state', async () => {
    const running = await create(connector('shop'));
    running.start([], environment);
    await running.waitForLog(({ msg }) => msg.startsWith('Streaming'));
    await running.stop('SIGKILL');
    await expect.poll(() => postgres.query('SELECT FROM pg_replication_slots WHERE active')).toEqual([]);
    const { rm } = await import('node:fs/promises');
    await rm(join(running.dataDir, 'state', 'marker.json'));
    const { exit, reports } = await doctor(running.directory);
    const unseen = reports[0]?.findings.find(({ code }) => code === 'SLUICE_DOCTOR_STATE_UNSEEN');
    expect([exit, unseen?.severity, unseen?.part]).toEqual([0, 'warning', 'state']);
    expect(unseen?.message).toContain(running.dataDir);
  });
});

it('--fix carries out what is harmless, word for word as it is printed, and says so', async () => {
  await postgres.query(
    `CREATE PUBLICATION sluice_shop FOR TABLE orders WITH (publish = 'insert, update, delete'); ALTER PUBLICATION sluice_shop OWNER TO sluice`,
  );
  const { directory } = await create(connector('shop'));
  const before = await doctor(directory);
  const limited = before.reports[0]?.findings.find(({ code }) => code === 'SLUICE_PG_PUBLICATION_LIMITED');
  expect(limited?.fix).toBe(limited?.remedy);
  const { exit, reports, codes } = await doctor(directory, '--fix');
  expect([exit, reports[0]?.applied]).toEqual([0, [{ code: 'SLUICE_PG_PUBLICATION_LIMITED', statement: limited?.fix }]]);
  expect(codes()).toEqual(['SLUICE_PG_UNLIMITED_WAL']);
  expect(await postgres.query(`SELECT pubtruncate AS truncates FROM pg_publication WHERE pubname = 'sluice_shop'`)).toEqual([{ truncates: true }]);

  await postgres.query(`ALTER PUBLICATION sluice_shop SET (publish = 'insert, update, delete')`);
  const text = await sluice(['doctor', '--fix', directory], environment);
  expect(text.stdout).toContain(`  fixed   SLUICE_PG_PUBLICATION_LIMITED\n    did:    ${limited?.fix}\n`);

  // What keeps it from being done is said, and what it was about stays.
  await postgres.query(`ALTER PUBLICATION sluice_shop SET (publish = 'insert, update, delete')`);
  const writer = await postgres.connect();
  await writer.query(`BEGIN; INSERT INTO orders VALUES (2, '${ROW}')`);
  const busy = await doctor(directory, '--fix');
  await writer.end();
  expect(busy.reports[0]?.applied).toEqual([expect.objectContaining({ failed: expect.stringContaining('not changed yet') })]);
  expect(busy.codes()).toContain('SLUICE_PG_PUBLICATION_LIMITED');
});
