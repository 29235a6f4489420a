/** What a configuration was read from is seen to change, on a real file system: also by Kubernetes' way, where a symbolic link is exchanged. */
import { chmod, mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WatchedFiles } from '../../src/config/watched-files.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sluice-watched-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function read(...paths: readonly string[]): Promise<WatchedFiles> {
  const files = new WatchedFiles();
  for (const path of paths) {
    const found = await files.look(path);
    if (found?.kind === 'directory') await files.list(path);
    else if (found !== null) await files.read(path);
  }
  return files;
}

it('a file with other content, a file more and a file less', async () => {
  const file = join(directory, 'a.json');
  await writeFile(file, '{}');
  const files = await read(directory, file);
  expect(await files.haveChanged()).toBe(false);
  await writeFile(file, '{ }');
  expect(await files.haveChanged()).toBe(true);
  await writeFile(file, '{}');
  expect(await files.haveChanged()).toBe(false);
  await writeFile(join(directory, 'b.json'), '{}');
  expect(await files.haveChanged()).toBe(true);
  await unlink(join(directory, 'b.json'));
  await unlink(file);
  expect(await files.haveChanged()).toBe(true);
});

it('a file that was looked for and comes', async () => {
  const file = join(directory, 'sluice.json');
  const files = await read(file);
  expect(await files.haveChanged()).toBe(false);
  await writeFile(file, '{}');
  expect(await files.haveChanged()).toBe(true);
});

it('a ConfigMap: the link to the data is exchanged', async () => {
  for (const [name, text] of [
    ['..1', 'old'],
    ['..2', 'new'],
  ] as const) {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'shop.json'), text);
  }
  await symlink('..1', join(directory, '..data'));
  await symlink(join('..data', 'shop.json'), join(directory, 'shop.json'));
  const files = await read(join(directory, 'shop.json'));
  expect(await files.haveChanged()).toBe(false);
  await symlink('..2', join(directory, '..tmp'));
  await rename(join(directory, '..tmp'), join(directory, '..data'));
  expect(await files.haveChanged()).toBe(true);
});

it('a file that cannot be read any more', async () => {
  const file = join(directory, 'a.json');
  await writeFile(file, '{}');
  const files = await read(file);
  await unlink(file);
  await mkdir(file);
  await chmod(file, 0o700);
  expect(await files.haveChanged()).toBe(true);
});
