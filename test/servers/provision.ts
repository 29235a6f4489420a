/** Getting servers onto a bare machine: PostgreSQL from npm, nats-server from Debian or from source. */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cached, findCached, provideCached } from './cache.ts';
import { cleanEnvironment, run } from './command.ts';
import { unpackDebian } from './debian.ts';
import { isSupportedNats, NATS_GO_RELEASE, POSTGRES_PACKAGE, POSTGRES_RELEASES, type PostgresMajor } from './versions.ts';

/** The directory of `initdb` and `postgres` inside a cached PostgreSQL. */
export const postgresBin = (cached: Cached): string => join(cached.directory, 'node_modules', 'postgres', 'native', 'bin');

export const natsBinary = (cached: Cached): string => join(cached.directory, 'nats-server');

/** A PostgreSQL server as a private npm package of its own, so that the project's `npm ci` does not carry five servers. */
export function providePostgres(major: PostgresMajor): Promise<Cached> {
  const { version, release, integrity } = POSTGRES_RELEASES[major];
  const find = async () => (await findCached('postgres')).find((cached) => cached.version === version) ?? null;
  return provideCached('postgres', `postgres-${major}`, find, async (directory) => {
    if (process.platform !== 'linux' || process.arch !== 'x64')
      throw new Error(`there is no PostgreSQL package for ${process.platform}-${process.arch}`);
    await installPackage(directory, 'postgres', POSTGRES_PACKAGE, release, integrity);
    // The tarball cannot hold symbolic links. Its install script makes them, but scripts are off (and are often forbidden): without them the
    // server does not find its own libraries.
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: join(directory, 'node_modules', 'postgres'), env: cleanEnvironment() });
    const answer = await run(join(directory, 'node_modules', 'postgres', 'native', 'bin', 'postgres'), ['--version']);
    if (!answer.includes(` ${version}`)) throw new Error(`the package says "${answer.trim()}" where PostgreSQL ${version} is expected`);
    return version;
  });
}

/** Installs one package with a lock file of our own making, so that npm compares the checksum. */
export async function installPackage(directory: string, alias: string, name: string, version: string, integrity: string): Promise<void> {
  const dependencies = { [alias]: `npm:${name}@${version}` };
  const locked = { '': { dependencies }, [`node_modules/${alias}`]: { name, version, integrity } };
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await writeFile(join(directory, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, requires: true, packages: locked }));
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  await run(npm[0] as string, [...npm.slice(1), 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', directory], {
    cwd: directory,
    env: cleanEnvironment(),
  });
}

/** The newest usable cached nats-server, else the package of Debian's unstable suite, else a build from source. */
export function provideNats(): Promise<Cached> {
  return provideCached('nats-server', 'nats-server', findNats, async (directory) => {
    const reasons: string[] = [];
    for (const [way, provide] of [['the Debian package', natsFromDebian] as const, ['go install', natsFromSource] as const]) {
      try {
        await provide(directory);
        const version = natsVersion(await run(join(directory, 'nats-server'), ['--version']));
        if (isSupportedNats(version)) return version;
        reasons.push(`${way} brought ${version}`);
      } catch (error) {
        reasons.push(`${way}: ${(error as Error).message}`);
      }
    }
    throw new Error(`nats-server could not be provisioned (${reasons.join('; ')})`);
  });
}

async function findNats(): Promise<Cached | null> {
  const usable = (await findCached('nats-server')).filter((cached) => isSupportedNats(cached.version));
  return usable.sort((a, b) => b.version.localeCompare(a.version, 'en', { numeric: true }))[0] ?? null;
}

/** `nats-server: v2.15.1` → `2.15.1`. */
export function natsVersion(answer: string): string {
  return /v?(\d+\.\d+\.\d+)/.exec(answer)?.[1] ?? '';
}

/** The package of Debian's unstable suite. The program is static, so that it runs on any Linux. */
async function natsFromDebian(directory: string): Promise<void> {
  const root = await unpackDebian(directory, 'sid', ['nats-server']);
  for (const path of ['usr/sbin/nats-server', 'usr/bin/nats-server']) {
    if ((await stat(join(root, path)).catch(() => null)) === null) continue;
    await run('cp', [join(root, path), join(directory, 'nats-server')]);
    await rm(root, { recursive: true, force: true });
    return;
  }
  throw new Error('the package holds no nats-server');
}

async function natsFromSource(directory: string): Promise<void> {
  const env = { ...cleanEnvironment(), GOBIN: directory, CGO_ENABLED: '0' };
  await run('go', ['install', `github.com/nats-io/nats-server/v2@${NATS_GO_RELEASE}`], { cwd: directory, env, timeoutMs: 600_000 });
}
