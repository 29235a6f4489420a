/** The packed tarball, installed in an empty directory, as a user has it. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { cleanEnvironment, run } from '../servers/command.ts';
import { startPostgres } from '../servers/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const env = cleanEnvironment();
let directory: string;
let tarball: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-package-'));
  const packed = join(directory, 'packed');
  await run('mkdir', [packed]);
  await run('npm', ['pack', '--pack-destination', packed], { cwd: root, env });
  tarball = join(packed, (await readdir(packed))[0] as string);
  const user = join(directory, 'user');
  await run('mkdir', [user]);
  await writeFile(join(user, 'package.json'), '{"private":true}');
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: user, env });
});

afterAll(() => rm(directory, { recursive: true, force: true }));

const npx = (...args: string[]) =>
  run('npx', ['--no-install', 'sluice', ...args], {
    cwd: join(directory, 'user'),
    env: { ...env, SHOP_DB_PASSWORD: 'x', SLUICE_HEALTH: '127.0.0.1:0' },
  });

describe('the packed tarball', () => {
  it('holds what runs and what editors need, and no sources or tests', async () => {
    const files = (await run('tar', ['-tzf', tarball])).trim().split('\n');
    expect(files).toContain('package/dist/src/main.js');
    expect(files).toContain('package/dist/src/index.d.ts');
    expect(files).toContain('package/LICENSE');
    expect(files).toContain('package/README.md');
    expect(files.filter((file) => /^package\/(src|connectors|test|scripts)\//.test(file) || file.endsWith('.tsbuildinfo'))).toEqual([]);
  });

  it('answers npx sluice version', async () => {
    expect(await npx('version')).toContain(VERSION);
  });

  it('explains npx sluice run', async () => {
    expect(await npx('run', '--help')).toContain('--once');
  });

  it('captures from a Postgres with npx sluice run --once', async () => {
    const postgres = await startPostgres({ major: 17 });
    try {
      const database = await postgres.createDatabase('package');
      await postgres.query('CREATE TABLE orders (id int PRIMARY KEY, total numeric(12,2))', database);
      const source = {
        type: 'postgres',
        url: postgres.url(database),
        password: '${env:SHOP_DB_PASSWORD}',
        tables: ['public.orders'],
        slot: database,
      };
      const connector = { name: 'shop', source, format: { type: 'native' }, sink: { type: 'stdout' } };
      await writeFile(join(directory, 'user', 'shop.json'), JSON.stringify(connector));
      expect(await npx('validate', 'shop.json')).toContain('no errors');
      expect(await npx('run', '--once', 'shop.json')).toBe('');
      await postgres.query('INSERT INTO orders VALUES (1, 9.90); UPDATE orders SET total = 10', database);
      const lines = (await npx('run', '--once', 'shop.json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines).toMatchObject([
        { topic: 'shop.public.orders', value: { op: 'create', after: { id: 1, total: '9.90' } } },
        { topic: 'shop.public.orders', value: { op: 'update', after: { id: 1, total: '10.00' } } },
      ]);
      await postgres.query(`SELECT pg_drop_replication_slot('${database}')`);
    } finally {
      await postgres.dispose();
    }
  });

  it('is a library with types', async () => {
    const names = await run(process.execPath, ['-e', "import('sluice').then((m) => console.log(Object.keys(m).join()))"], {
      cwd: join(directory, 'user'),
      env,
    });
    expect(names.trim().split(',')).toEqual(expect.arrayContaining(['defineError', 'runDaemon', 'loadConfiguration']));
  });
});
