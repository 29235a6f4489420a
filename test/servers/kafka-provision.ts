/** Getting Kafka onto a bare machine: its jars from Maven Central, and what makes it start fast. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cached, findCached, provideCached } from './cache.ts';
import { cleanEnvironment, run } from './command.ts';
import { KAFKA_LOGGER, KAFKA_RELEASES, type KafkaVersion } from './versions.ts';

/** Fixed, so that every machine does the same whatever its Maven would take. */
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/** The directory of the jars inside a cached Kafka. */
export const kafkaJars = (cached: Cached): string => join(cached.directory, 'libs');

/** The jars of a Kafka broker and all that they need. @param mvn Maven; null where there is none */
export function provideKafka(version: KafkaVersion, java: string, mvn: string | null): Promise<Cached> {
  const release = KAFKA_RELEASES[version];
  const find = async () => (await findCached('kafka')).find((cached) => cached.version === release) ?? null;
  // One task for all versions: two Mavens at once would write the same files of the machine's repository.
  return provideCached('kafka', 'kafka', find, async (directory) => {
    if (mvn === null) throw new Error('its jars are fetched by Maven, and there is no mvn on the PATH');
    const pom = join(directory, 'pom.xml');
    const libs = join(directory, 'libs');
    await writeFile(pom, projectFile(release));
    const goal = [`${DEPENDENCY_PLUGIN}:copy-dependencies`, `-DoutputDirectory=${libs}`, '-DincludeScope=runtime'];
    // Strict: a jar that does not match its checksum is refused, not only warned about.
    await run(mvn, ['--quiet', '--batch-mode', '--strict-checksums', '--file', pom, ...goal], { cwd: directory, env: cleanEnvironment() });
    const answer = await run(java, ['-cp', await classPath(libs), 'kafka.Kafka', '--version'], { cwd: directory });
    if (answer.trim().split(' ')[0] !== release) throw new Error(`the jars say "${answer.trim()}" where Kafka ${release} is expected`);
    return release;
  });
}

/** Every jar by name: with a wildcard the order would be the directory's, and a class data archive holds for one order only. */
export async function classPath(libs: string): Promise<string> {
  const jars = (await readdir(libs)).filter((name) => name.endsWith('.jar')).sort();
  return jars.map((name) => join(libs, name)).join(':');
}

/** The release of a directory of Kafka's jars; empty when it is none. */
export async function kafkaRelease(libs: string): Promise<string> {
  const present: string[] = await readdir(libs).catch(() => []);
  return present.map((name) => /^kafka_2\.\d+-(\d+\.\d+\.\d+)\.jar$/.exec(name)?.[1]).find((found) => found !== undefined) ?? '';
}

function projectFile(release: string): string {
  const dependency = (group: string, artifact: string, version: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sluice.test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', release)}
    ${dependency(KAFKA_LOGGER.group, KAFKA_LOGGER.artifact, KAFKA_LOGGER.version)}
  </dependencies>
</project>
`;
}
