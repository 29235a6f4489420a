/** The packed tarball, installed in an empty directory, as a user has it. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { cleanEnvironment, run } from '../servers/command.ts';

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

const npx = (...args: string[]) => run('npx', ['--no-install', 'sluice', ...args], { cwd: join(directory, 'user'), env });

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

  it('is a library with types', async () => {
    const names = await run(process.execPath, ['-e', "import('sluice').then((m) => console.log(Object.keys(m).join()))"], {
      cwd: join(directory, 'user'),
      env,
    });
    expect(names.trim().split(',')).toEqual(expect.arrayContaining(['defineError', 'runDaemon', 'loadConfiguration']));
  });
});
