/** Getting a schema registry onto a bare machine: Apicurio's own archive from Maven Central. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cached, findCached, provideCached } from './cache.ts';
import { run } from './command.ts';
import { fetchFile } from './maven.ts';
import { REGISTRY_RELEASE } from './versions.ts';

const ARCHIVE = { group: 'io.apicurio', artifact: 'apicurio-registry-app', version: REGISTRY_RELEASE, type: 'tar.gz', classifier: 'all' } as const;

/** The program of a cached registry. */
export const registryJar = (cached: Cached): string => join(cached.directory, `apicurio-registry-app-${REGISTRY_RELEASE}-runner.jar`);

/** @param mvn Maven; null where there is none */
export function provideRegistry(mvn: string | null): Promise<Cached> {
  const find = async () => (await findCached('apicurio')).find((cached) => cached.version === REGISTRY_RELEASE) ?? null;
  return provideCached('apicurio', 'apicurio', find, async (directory) => {
    if (mvn === null) throw new Error('its archive is fetched by Maven, and there is no mvn on the PATH');
    const archive = await fetchFile(mvn, directory, ARCHIVE);
    await run('tar', ['-xzf', archive, '-C', directory]);
    await rm(archive);
    if (!(await readdir(directory)).some((name) => name.endsWith('-runner.jar'))) throw new Error('the archive holds no registry');
    return REGISTRY_RELEASE;
  });
}
