/** Getting Kafka onto a bare machine: its jars from Maven Central, and what makes it start fast. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cached, findCached, provideCached } from './cache.ts';
import { run } from './command.ts';
import { classPath, fetchJars, JARS } from './maven.ts';
import { KAFKA_LOGGER, KAFKA_RELEASES, type KafkaVersion } from './versions.ts';

/** The directory of the jars inside a cached Kafka. */
export const kafkaJars = (cached: Cached): string => join(cached.directory, JARS);

/** The jars of a Kafka broker and all that they need. @param mvn Maven; null where there is none */
export function provideKafka(version: KafkaVersion, java: string, mvn: string | null): Promise<Cached> {
  const release = KAFKA_RELEASES[version];
  const find = async () => (await findCached('kafka')).find((cached) => cached.version === release) ?? null;
  // One task for all versions: two Mavens at once would write the same files of the machine's repository.
  return provideCached('kafka', 'kafka', find, async (directory) => {
    if (mvn === null) throw new Error('its jars are fetched by Maven, and there is no mvn on the PATH');
    const libs = await fetchJars(mvn, directory, [{ group: 'org.apache.kafka', artifact: 'kafka_2.13', version: release }, KAFKA_LOGGER]);
    const answer = await run(java, ['-cp', await classPath(libs), 'kafka.Kafka', '--version'], { cwd: directory });
    if (answer.trim().split(' ')[0] !== release) throw new Error(`the jars say "${answer.trim()}" where Kafka ${release} is expected`);
    return release;
  });
}

/** The release of a directory of Kafka's jars; empty when it is none. */
export async function kafkaRelease(libs: string): Promise<string> {
  const present: string[] = await readdir(libs).catch(() => []);
  return present.map((name) => /^kafka_2\.\d+-(\d+\.\d+\.\d+)\.jar$/.exec(name)?.[1]).find((found) => found !== undefined) ?? '';
}
