/** Jars from Maven Central, with all that they need. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanEnvironment, run } from './command.ts';

/** Fixed, so that every machine does the same whatever its Maven would take. */
const DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

/** Where {@link fetchJars} puts them, inside the directory that it is given. */
export const JARS = 'libs';

export interface Artifact {
  readonly group: string;
  readonly artifact: string;
  readonly version: string;
}

/** Puts the artifacts and what they need at run time into a directory, and answers with it. @param mvn the Maven program */
export async function fetchJars(mvn: string, directory: string, artifacts: readonly Artifact[]): Promise<string> {
  const pom = join(directory, 'pom.xml');
  const libs = join(directory, JARS);
  await writeFile(pom, projectFile(artifacts));
  const goal = [`${DEPENDENCY_PLUGIN}:copy-dependencies`, `-DoutputDirectory=${libs}`, '-DincludeScope=runtime'];
  // Strict: a jar that does not match its checksum is refused, not only warned about.
  await run(mvn, ['--quiet', '--batch-mode', '--strict-checksums', '--file', pom, ...goal], { cwd: directory, env: cleanEnvironment() });
  return libs;
}

export interface MavenFile extends Artifact {
  readonly type: string;
  readonly classifier: string;
}

/** Puts one file into a directory, and answers with its path. @param mvn the Maven program */
export async function fetchFile(mvn: string, directory: string, { group, artifact, version, type, classifier }: MavenFile): Promise<string> {
  const goal = [`${DEPENDENCY_PLUGIN}:copy`, `-Dartifact=${group}:${artifact}:${version}:${type}:${classifier}`, `-DoutputDirectory=${directory}`];
  await run(mvn, ['--quiet', '--batch-mode', '--strict-checksums', ...goal], { cwd: directory, env: cleanEnvironment() });
  return join(directory, `${artifact}-${version}-${classifier}.${type}`);
}

/** Every jar by name: with a wildcard the order would be the directory's, and a class data archive holds for one order only. */
export async function classPath(libs: string): Promise<string> {
  const jars = (await readdir(libs)).filter((name) => name.endsWith('.jar')).sort();
  return jars.map((name) => join(libs, name)).join(':');
}

function projectFile(artifacts: readonly Artifact[]): string {
  const dependencies = artifacts.map(
    ({ group, artifact, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sluice.test</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependencies.join('\n    ')}
  </dependencies>
</project>
`;
}
