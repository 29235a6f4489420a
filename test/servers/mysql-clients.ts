/** The client programs of MySQL and MariaDB that a benchmark is measured against, run by the loader of their own root. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findCached, provideCached } from './cache.ts';
import { run } from './command.ts';
import { unpackDebian } from './debian.ts';

/** A program, what stands before every argument, and where it finds its plugins. */
export interface ClientProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly plugins: string;
}

/** MariaDB's client talks to both servers; the readers of a log each to its own. */
export type ClientName = 'mariadb' | 'mariadb-binlog' | 'mysqlbinlog';

const PACKAGES = {
  'mariadb-client': { suite: 'trixie', packages: ['mariadb-client', 'mariadb-client-core'], program: 'mariadb' },
  'mysql-client': { suite: 'sid', packages: ['mysql-client-core', 'mysql-server-core'], program: 'mysqlbinlog' },
} as const;

/** Provides the package where the cache does not have it. */
export async function clientProgram(name: ClientName): Promise<ClientProgram> {
  const cacheName = name === 'mysqlbinlog' ? 'mysql-client' : 'mariadb-client';
  const { suite, packages, program } = PACKAGES[cacheName];
  const find = async () => (await findCached(cacheName)).at(-1) ?? null;
  const { directory } = await provideCached(cacheName, cacheName, find, async (building) => {
    const root = await unpackDebian(building, suite, packages, true);
    const { command, args } = await inRoot(root, program);
    return /(\d+\.\d+\.\d+)/.exec(await run(command, [...args, '--version']))?.[1] ?? 'unknown';
  });
  return inRoot(join(directory, 'root'), name);
}

async function inRoot(root: string, name: string): Promise<ClientProgram> {
  const folders = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/mysql/private'].map((path) => join(root, path));
  for (const folder of folders) {
    if (!(await readdir(folder).catch(() => [] as string[])).includes('ld-linux-x86-64.so.2')) continue;
    const found = (await readdir(join(root, 'usr/bin'))).includes(name) ? join(root, 'usr/bin', name) : join(root, 'usr/sbin', name);
    const args = ['--library-path', folders.join(':'), found];
    return { command: join(folder, 'ld-linux-x86-64.so.2'), args, plugins: join(folder, 'libmariadb3/plugin') };
  }
  throw new Error(`${root} has no loader`);
}
