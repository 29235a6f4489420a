/**
 * What every start of one Kafka on one Java has in common, made once and kept in the cache: a formatted data directory, and an archive of the
 * classes that a broker loads, with which it starts in half the time.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { access, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCached, provideCached, runsAsRoot } from './cache.ts';
import { run } from './command.ts';
import { brokerProperties, javaArguments, type KafkaPlan, kafkaId, metaProperties } from './kafka-configuration.ts';
import { KafkaNode } from './kafka-node.ts';
import { classPath } from './maven.ts';
import { freePort, giveToServerUser, serverUser, temporaryDirectory } from './process.ts';
import type { JavaBinary } from './resolve.ts';

/** Changed when what is made here changes. */
const FORMAT = 1;

export interface KafkaTemplate {
  /** A formatted data directory, to be copied. */
  data: string;
  /** Class data archive; null when this Java makes none. */
  archive: string | null;
}

/** @param origin where the jars are kept: `binary.path` may be a copy of them under a name of the moment */
export async function kafkaTemplate(binary: JavaBinary, origin: string): Promise<KafkaTemplate> {
  const facts = [origin, binary.java, binary.javaVersion, process.getuid?.(), FORMAT, ...javaArguments('')];
  const name = `template-kafka-${createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 12)}`;
  const find = async () => (await findCached(name)).find((cached) => cached.version === binary.version) ?? null;
  const cached = await provideCached(name, name, find, async (building) => {
    await makeTemplate(binary, building);
    return binary.version;
  });
  const archive = join(cached.directory, 'kafka.jsa');
  const present = await access(archive).then(
    () => true,
    () => false,
  );
  return { data: join(cached.directory, 'data'), archive: present ? archive : null };
}

async function makeTemplate(binary: JavaBinary, building: string): Promise<void> {
  const directory = await temporaryDirectory('kafka-template');
  try {
    const [client, internal, controller] = (await Promise.all([freePort(), freePort(), freePort()])) as [number, number, number];
    const ports = { client, internal, controller, sasl: 0, ssl: 0 };
    const plan: KafkaPlan = { id: 1, directory, ports, advertised: { host: '127.0.0.1', port: client } };
    const clusterId = kafkaId();
    const properties = join(directory, 'server.properties');
    await writeFile(properties, brokerProperties(plan, [plan], null, {}));
    const java = [...javaArguments(directory), '-cp', await classPath(binary.path)];
    const archive = join(directory, 'kafka.jsa');
    await run(binary.java, [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties], {
      cwd: '/',
      env: { PATH: process.env.PATH, HOME: tmpdir() },
      ...serverUser,
    });
    await run('cp', ['-a', join(directory, 'data'), building]);
    await run('chmod', ['-R', 'a+r', join(building, 'data')]);
    const node = new KafkaNode({ java: binary.java, arguments: [`-XX:ArchiveClassesAtExit=${archive}`, ...java] }, plan, clusterId);
    try {
      await node.start();
      await node.stop();
    } finally {
      await node.kill();
    }
    // A Java without an archive of its own makes none: brokers start more slowly then.
    await run('cp', [archive, building]).catch(() => undefined);
    await run('chmod', ['-R', 'a+rX', building]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Copies the formatted data directory and makes it this node's of this cluster. */
export async function formatNode(template: KafkaTemplate, plan: KafkaPlan, clusterId: string): Promise<void> {
  mkdirSync(plan.directory, { recursive: true });
  await run('cp', ['-R', template.data, plan.directory]);
  await writeFile(join(plan.directory, 'data', 'meta.properties'), metaProperties(clusterId, plan.id));
  giveToServerUser(plan.directory, 0o755);
  if (runsAsRoot) await run('chown', ['-R', `${serverUser.uid}:${serverUser.gid}`, plan.directory]);
}
