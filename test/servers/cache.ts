/**
 * The cache of provisioned servers: one directory per server and version, complete when it holds `.complete` (written last, with the version).
 * Several processes may want the same server at once: one builds it, the others wait.
 */
import { access, chmod, constants, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_STALE_MS = 10 * 60_000;

export interface Cached {
  directory: string;
  version: string;
}

/** PostgreSQL refuses to run as root, so that root runs it as nobody (65534), who must be able to reach the binaries and the data. */
export const NOBODY = 65534;
export const runsAsRoot = process.getuid?.() === 0;

/** Whether every directory above (and with) `path` lets other users through. */
export async function reachableByNobody(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const state = await stat(at).catch(() => null);
    if (state !== null && state.uid !== NOBODY && (state.mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** `SLUICE_TEST_CACHE`, else the user's cache; for root, whose home is usually closed to others, the machine's. */
export async function cacheDirectory(): Promise<string> {
  const named = process.env.SLUICE_TEST_CACHE;
  const own = join(homedir(), '.cache', 'sluice-test');
  const directory = named || (runsAsRoot && !(await reachableByNobody(own)) ? '/var/cache/sluice-test' : own);
  await mkdir(directory, { recursive: true });
  await access(directory, constants.W_OK);
  return directory;
}

/** The complete cache directories called `<name>-…`. */
export async function findCached(name: string): Promise<Cached[]> {
  const cache = await cacheDirectory();
  const found: Cached[] = [];
  for (const entry of await readdir(cache)) {
    if (!entry.startsWith(`${name}-`) || entry.includes('.tmp-')) continue;
    const version = await readFile(join(cache, entry, '.complete'), 'utf8').catch(() => null);
    if (version !== null) found.push({ directory: join(cache, entry), version: version.trim() });
  }
  return found;
}

/**
 * What `find` finds, else what `build` puts into an empty directory, renamed to `<name>-<version>` when complete.
 * @param task one at a time on this machine
 * @param build gets the temporary directory and answers with the version that it put there.
 */
export async function provideCached(
  name: string,
  task: string,
  find: () => Promise<Cached | null>,
  build: (directory: string) => Promise<string>,
): Promise<Cached> {
  const found = await find();
  if (found !== null) return found;
  const cache = await cacheDirectory();
  const unlock = await lock(join(cache, `${task}.lock`));
  const building = join(cache, `${task}.tmp-${process.pid}`);
  try {
    const meanwhile = await find();
    if (meanwhile !== null) return meanwhile;
    await rm(building, { recursive: true, force: true });
    await mkdir(building, { recursive: true });
    const version = await build(building);
    await chmod(building, 0o755);
    await writeFile(join(building, '.complete'), `${version}\n`);
    const directory = join(cache, `${name}-${version}`);
    await rm(directory, { recursive: true, force: true });
    await rename(building, directory);
    return { directory, version };
  } finally {
    await rm(building, { recursive: true, force: true });
    await unlock();
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await mkdir(path);
      await writeFile(join(path, 'pid'), String(process.pid));
      return () => rm(path, { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    // Taken away by rename, so that of several waiters only one removes it.
    if (await isStale(path)) {
      const stale = `${path}.stale-${process.pid}`;
      await rename(path, stale).catch(() => undefined);
      await rm(stale, { recursive: true, force: true });
    } else await sleep(200);
  }
}

async function isStale(path: string): Promise<boolean> {
  const state = await stat(path).catch(() => null);
  if (state === null) return false;
  const ageMs = Date.now() - state.mtimeMs;
  if (ageMs > LOCK_STALE_MS) return true;
  const pid = Number(await readFile(join(path, 'pid'), 'utf8').catch(() => ''));
  // Between mkdir and the pid file the owner is unknown for a moment.
  if (!pid) return ageMs > 5_000;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
