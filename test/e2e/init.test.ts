/** `sluice init`: a newcomer answers questions, the database is looked at, and the file that is written runs. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../servers/index.ts';
import { type Answer, sluice } from '../support/cli.ts';
import { SLUICE_MAIN } from '../support/daemon.ts';

const PASSWORD = 'canary-of-a-password';

describe('sluice init', () => {
  let postgres: PostgresServer;
  let database: string;
  let directory: string;
  let url: string;

  beforeAll(async () => {
    postgres = await startPostgres({ major: 17, own: true, password: true });
    database = await postgres.createDatabase();
    await postgres.query(`CREATE TABLE orders (id int PRIMARY KEY); CREATE ROLE newcomer LOGIN REPLICATION PASSWORD '${PASSWORD}'`, database);
    directory = await mkdtemp(join(tmpdir(), 'sluice-init-'));
    url = postgres.url(database, { user: 'newcomer' });
  }, 120_000);

  afterAll(async () => {
    await postgres.dispose();
    await rm(directory, { recursive: true, force: true });
  }, 60_000);

  /** Gives the answers line by line. */
  const init = (answers: readonly string[], ...options: readonly string[]): Promise<Answer> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [SLUICE_MAIN, 'init', ...options, directory], { stdio: 'pipe' });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      child.once('close', (exit) => resolve({ exit: exit ?? -1, stdout, stderr }));
      child.stdin.end(answers.map((answer) => `${answer}\n`).join(''));
    });
  const written = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(directory, 'connectors', `${name}.json`), 'utf8'));

  it('asks again for what cannot be, shows the tables, writes no secret, and says what is still to be done', async () => {
    // The name, the source twice, its URL twice; what the first password opens is nothing, so that it is asked anew.
    const answers = ['shop', 'oracle', 'postgres', 'no url', url, '', 'wrong', url, 'OTHER_PASSWORD', PASSWORD, 'public.orders', 'stdout'];
    const { exit, stdout, stderr } = await init(answers);
    expect(stderr).toContain('"oracle" is no answer to that.');
    expect(stderr).toContain('is not a Postgres URL');
    expect(stderr).toContain('password authentication failed');
    expect(stderr).toContain('  public.orders\n');
    expect(stdout).toMatch(/shop: postgres to stdout\n.*SLUICE_PG_/s);
    expect(stdout.replaceAll('npx sluice', 'sluice')).toContain(
      `Next:\n  export OTHER_PASSWORD=…\n  sluice doctor ${join(directory, 'connectors', 'shop.json')}\n`,
    );
    expect(exit).toBe(0);
    expect(await written('shop')).toEqual({
      name: 'shop',
      source: { type: 'postgres', url, password: '${env:OTHER_PASSWORD}', tables: ['public.orders'] },
      sink: { type: 'stdout' },
    });
    expect(stdout + stderr).not.toContain(PASSWORD);
    expect((await sluice(['validate', directory])).exit).toBe(0);
  }, 60_000);

  it('takes everything from the command line, and leaves a file that is there as it is', async () => {
    const options = ['--offline', '--json', '--source', 'postgres', '--set', `source.url=${url}`, '--set', 'source.tls.mode=disable'];
    const more = [
      '--table',
      'public.a',
      '--table',
      'public.b',
      '--sink',
      'nats',
      '--set',
      'sink.servers=nats://a:4222,nats://b:4222',
      '--set',
      'sink.stream=S',
    ];
    const { exit, stdout } = await init([], '--name', 'lines', ...options, ...more);
    expect([exit, JSON.parse(stdout)]).toEqual([0, { connector: 'lines', file: join(directory, 'connectors', 'lines.json'), variables: [] }]);
    expect(await written('lines')).toMatchObject({
      source: { tls: { mode: 'disable' }, tables: ['public.a', 'public.b'] },
      sink: { servers: ['nats://a:4222', 'nats://b:4222'], stream: 'S' },
    });
    const again = await init([], '--name', 'lines', ...options, ...more);
    expect([again.exit, JSON.parse(again.stdout)]).toMatchObject([2, { error: { code: 'SLUICE_INIT_EXISTS' } }]);
  }, 30_000);

  it('without answers, with what is no option, and where nothing answers it says so and writes nothing', async () => {
    const codes = async (...options: readonly string[]): Promise<readonly [number, string]> => {
      const { exit, stdout } = await init([], '--json', '--name', 'none', '--source', 'postgres', ...options);
      return [exit, (JSON.parse(stdout) as { error: { code: string } }).error.code];
    };
    expect(await codes()).toEqual([2, 'SLUICE_INIT_UNANSWERED']);
    expect(await codes('--set', 'url=x')).toEqual([2, 'SLUICE_INIT_OPTION']);
    expect(await codes('--set', `source.url=${url}`, '--set', 'source.nothing=1', '--table', 'a.b', '--sink', 'stdout')).toEqual([
      2,
      'SLUICE_CONFIG_INVALID',
    ]);
    expect(await codes('--set', 'source.url=postgres://a@127.0.0.1:1/a', '--sink', 'stdout')).toEqual([3, 'SLUICE_PG_UNREACHABLE']);
    await expect(written('none')).rejects.toThrow('ENOENT');
  }, 60_000);
});
