/** The rival in the same run: Debezium's engine on the same backlog, into nothing and into the same broker. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCached, provideCached } from '../servers/cache.ts';
import type { KafkaServer, PostgresServer } from '../servers/index.ts';
import { classPath, fetchJars, JARS } from '../servers/maven.ts';
import { findJava, findOnPath } from '../servers/resolve.ts';
import { Measured, type Usage } from './measure.ts';

const RELEASE = '3.6.1.Final';
const PROGRAM = fileURLToPath(new URL('debezium/Drain.java', import.meta.url));
const ARTIFACTS = [
  ...['debezium-api', 'debezium-embedded', 'debezium-connector-postgres'].map((artifact) => ({ group: 'io.debezium', artifact, version: RELEASE })),
  { group: 'org.slf4j', artifact: 'slf4j-simple', version: '2.0.17' },
];

/** Java with Debezium's engine on its class path. */
export interface Debezium {
  readonly java: string;
  readonly classPath: string;
}

/** @throws when there is no JDK, or Maven cannot provide the jars */
export async function provideDebezium(): Promise<Debezium> {
  const [{ java }, mvn] = [await findJava(), await findOnPath('mvn')];
  const find = async () => (await findCached('debezium')).find(({ version }) => version === RELEASE) ?? null;
  const { directory } = await provideCached('debezium', 'debezium', find, async (building) => {
    if (mvn === null) throw new Error('its jars are fetched by Maven, and there is no mvn on the PATH');
    await fetchJars(mvn, building, ARTIFACTS);
    return RELEASE;
  });
  return { java, classPath: await classPath(join(directory, JARS)) };
}

/** Drains a slot to the last row of the backlog. Counted from its first event: the start of the JVM and of the engine is left out, in its favour. */
export async function drainDebezium(
  { java, classPath: jars }: Debezium,
  from: { postgres: PostgresServer; database: string; slot: string; rows: number },
  into?: { kafka: KafkaServer; topic: string },
): Promise<Usage> {
  const url = new URL(from.postgres.url(from.database));
  const source = [url.hostname, url.port, url.username, from.database, from.slot, String(from.rows)];
  const sink = into === undefined ? [] : [into.kafka.brokers.join(','), into.topic];
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
  const run = new Measured(java, [quiet, '-cp', jars, PROGRAM, ...source, ...sink], {
    stderr: (line, self) => {
      if (line === 'Streaming') self.mark();
    },
  });
  const usage = await run.done;
  if (usage.exitCode !== 0) throw new Error(`Debezium: ${usage.stderr}`);
  return usage;
}
