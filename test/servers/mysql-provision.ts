/** MySQL and MariaDB servers on a bare machine: Debian packages with all that they need, run by the loader of their own root. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cached, findCached, provideCached } from './cache.ts';
import { run } from './command.ts';
import { unpackDebian } from './debian.ts';
import { serverUser, temporaryDirectory } from './process.ts';
import { MYSQL_RELEASES, type MysqlVersion } from './versions.ts';

/** How the server of a cached root is started: the program, and what stands before every argument. */
export interface MysqlProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** Paths inside the root that the server must be told. */
  readonly paths: readonly string[];
  readonly share: string;
}

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

export async function mysqlProgram(version: MysqlVersion, root: string): Promise<MysqlProgram> {
  const { program } = MYSQL_RELEASES[version];
  const loaders = [join(root, LIBRARIES, 'ld-linux-x86-64.so.2'), join(root, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2')];
  const command = await firstOf(loaders);
  const libraries = [LIBRARIES, 'lib/x86_64-linux-gnu', 'usr/lib/mysql/private'].map((path) => join(root, path)).join(':');
  // MariaDB 11 has its messages in a directory of its own name; 10.11 still in MySQL's.
  const share = (await firstOf(['mariadb', 'mysql'].map((name) => join(root, 'usr/share', name, 'english')))).slice(0, -'/english'.length);
  const paths = [
    '--no-defaults',
    `--basedir=${join(root, 'usr')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    `--plugin-dir=${join(root, 'usr/lib/mysql/plugin')}`,
  ];
  return { command, args: ['--library-path', libraries, join(root, 'usr/sbin', program)], paths, share };
}

async function firstOf(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if ((await readdir(parent).catch(() => [] as string[])).includes(path.slice(parent.length + 1))) return path;
  }
  throw new Error(`there is none of ${paths.join(', ')}`);
}

/** The cached root of a server, else the packages of its suite. */
export function provideMysql(version: MysqlVersion): Promise<Cached> {
  const { system, suite, packageName, line } = MYSQL_RELEASES[version];
  const find = async () => (await findCached(system)).find((cached) => cached.version.startsWith(line)) ?? null;
  return provideCached(system, version, find, async (directory) => {
    if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error(`there is no package for ${process.platform}-${process.arch}`);
    const root = await unpackDebian(directory, suite, [packageName], true);
    for (const path of ['doc', 'man', 'perl', 'perl5', 'locale', 'zoneinfo', 'bash-completion'])
      await rm(join(root, 'usr/share', path), { recursive: true, force: true });
    for (const name of await readdir(join(root, LIBRARIES)))
      if (/^(perl|gconv)/.test(name)) await rm(join(root, LIBRARIES, name), { recursive: true, force: true });
    const { command, args } = await mysqlProgram(version, root);
    const answer = await run(command, [...args, '--version']);
    const found = /Ver (\d+\.\d+\.\d+)/.exec(answer)?.[1] ?? '';
    if (!found.startsWith(line)) throw new Error(`the package says "${answer.trim()}" where ${version} is expected`);
    return found;
  });
}

/** The directory of a freshly initialised server's `data`, made once per server: copying it is faster than making it. */
export async function mysqlTemplate(version: MysqlVersion, release: string, program: MysqlProgram): Promise<string> {
  const name = `template-${version}-${serverUser.uid === undefined ? 'own' : 'nobody'}`;
  const find = async () => (await findCached(name)).find((cached) => cached.version === release) ?? null;
  const cached = await provideCached(name, name, find, async (building) => {
    const work = await temporaryDirectory('mysql-init');
    try {
      await initialise(version, program, join(work, 'data'), work);
      // A server that was copied must not believe that it is the one it was copied from.
      await rm(join(work, 'data', 'auto.cnf'), { force: true });
      await run('cp', ['-a', join(work, 'data'), building]);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return release;
  });
  return join(cached.directory, 'data');
}

async function initialise(version: MysqlVersion, { command, args, paths, share }: MysqlProgram, data: string, work: string): Promise<void> {
  const options = { cwd: '/', env: { PATH: process.env.PATH, HOME: '/tmp', TZ: 'UTC' }, ...serverUser };
  if (MYSQL_RELEASES[version].system === 'mysql') {
    const log = join(work, 'init.log');
    await run(command, [...args, ...paths, `--datadir=${data}`, '--mysqlx=OFF', '--initialize-insecure', `--log-error=${log}`], options);
    return;
  }
  const names = (await readdir(share)).filter((name) => /_(system_tables|performance_tables|system_tables_data|sys_schema)\.sql$/.test(name));
  const parts = ['system_tables.sql', 'performance_tables.sql', 'system_tables_data.sql', 'sys_schema.sql'];
  const scripts = parts
    .map((part) => names.find((name) => name.endsWith(`_${part}`) && name.length - part.length < 10))
    .filter((name) => name !== undefined);
  // Bootstrap mode ends a statement at a semicolon at the end of a line.
  const sql = ['create database if not exists mysql;', 'use mysql;', 'set @auth_root_socket=NULL;'];
  for (const name of scripts) sql.push(await readFile(join(share, name), 'utf8'));
  const input = join(work, 'bootstrap.sql');
  await writeFile(input, `${sql.join('\n')}\ncreate database if not exists test;\n`);
  const bootstrap = [...args, ...paths, `--datadir=${data}`, '--bootstrap', '--skip-log-bin', '--log-warnings=0', '--innodb-log-file-size=24M'];
  await run('mkdir', ['-p', data], options);
  await run('sh', ['-c', 'exec "$0" "$@" <"$SQL"', command, ...bootstrap], { ...options, env: { ...options.env, SQL: input } });
}
