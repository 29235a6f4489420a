/** Kafka for the tests: one broker, or a cluster, each a broker and a controller in one process. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { brokerProperties, javaArguments, type KafkaPlan, type KafkaSecurity, type KafkaUser, kafkaId } from './kafka-configuration.ts';
import { type KafkaCommand, KafkaNode } from './kafka-node.ts';
import { overWire, readMetadata } from './kafka-protocol.ts';
import { formatNode, kafkaTemplate } from './kafka-template.ts';
import { setScramPasswords, unsignedToken } from './kafka-users.ts';
import { classPath } from './maven.ts';
import { freePort, giveToServerUser, reachable, temporaryDirectory } from './process.ts';
import { type JavaBinary, resolveKafka } from './resolve.ts';
import type { KafkaVersion } from './versions.ts';

export interface KafkaOptions {
  /** The newest when left out. */
  version?: KafkaVersion;
  /** Number of nodes; 1 when left out. */
  cluster?: number;
  /** Broker properties beside and over the harness' own: `message.max.bytes`, `log.cleaner.…`. */
  settings?: Record<string, string>;
  /**
   * Two more listeners, and ACLs by which a user may do only what one allows: SASL_SSL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with
   * unsigned tokens) and SSL (client certificates). The plaintext listener stays, for the harness: whoever comes there may do everything.
   */
  secure?: boolean;
  /** Those who can log in on SASL_SSL; {@link KAFKA_USERS} when left out. Implies `secure`. */
  users?: readonly KafkaUser[];
  /** The SSL listener asks the client for a certificate; with `verify` it insists. Implies `secure`, where `true` is the default. */
  tls?: true | 'verify';
  /**
   * The address that a node tells the clients of its plaintext listener: of a proxy before it. Asked before the node starts, and again with
   * other ports when another process took one of them. Brokers reach each other without it.
   */
  advertise?: (node: { id: number; port: number }) => Promise<{ host: string; port: number }>;
  /** Arguments for the JVM after the harness' own: `-Xmx1g`, `-XX:TieredStopAtLevel=4`. */
  jvm?: readonly string[];
  /** A process of its own even where the environment names a server; implied by each of the options above. */
  own?: boolean;
}

/** The users of a secured Kafka that was given no others. The client certificate makes its holder `sluice` too. */
export const KAFKA_USERS: readonly KafkaUser[] = [
  { name: 'admin', password: 'admin-secret', super: true },
  { name: 'sluice', password: 'sluice-secret' },
];

/** One broker or a cluster. What is not asked of a certain node is asked of all. */
export class KafkaServer {
  readonly nodes: readonly KafkaNode[];
  /** Named by the environment: it cannot be stopped, signalled or configured. */
  readonly external: boolean;
  /** `host:port` of every plaintext listener, as clients are told. */
  readonly brokers: readonly string[];
  /** The same of the SASL_SSL and of the SSL listeners; none where it is not secured. */
  readonly saslBrokers: readonly string[];
  readonly sslBrokers: readonly string[];
  /** Empty when external: a broker does not tell it. */
  readonly version: string;
  readonly certificates: Certificates | null;
  readonly users: readonly KafkaUser[];
  private readonly directory: string | null;

  constructor(from: { brokers: readonly string[] } | OwnKafka) {
    const own = 'nodes' in from ? from : null;
    this.external = own === null;
    this.nodes = own?.nodes ?? [];
    this.brokers = 'brokers' in from ? from.brokers : this.nodes.map((node) => node.advertised);
    const secured = own?.security ? this.nodes : [];
    this.saslBrokers = secured.map((node) => `127.0.0.1:${node.saslPort}`);
    this.sslBrokers = secured.map((node) => `127.0.0.1:${node.sslPort}`);
    this.version = own?.version ?? '';
    this.certificates = own?.security?.certificates ?? null;
    this.users = own?.security?.users ?? [];
    this.directory = own?.directory ?? null;
  }

  /** Of the first node; 0 when stopped. */
  get pid(): number {
    return this.own()[0]?.pid ?? 0;
  }

  async start(): Promise<void> {
    for (const node of this.own()) node.launch();
    await Promise.all(this.nodes.map((node) => node.ready(this.nodes)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async kill(): Promise<void> {
    await Promise.all(this.own().map((node) => node.kill()));
  }

  async restart(mode: 'stop' | 'kill' = 'stop'): Promise<void> {
    await Promise.all(this.own().map((node) => node[mode]()));
    await this.start();
  }

  signal(signal: NodeJS.Signals): void {
    for (const node of this.own()) node.signal(signal);
  }

  /** Changes the SCRAM passwords of these users (or adds the users); PLAIN keeps those of the start. */
  async setPasswords(users: readonly KafkaUser[]): Promise<void> {
    await setScramPasswords(this.own(), users);
  }

  /** A token with which OAUTHBEARER lets this user in. @param seconds until it expires */
  token(user: string, seconds?: number): string {
    return unsignedToken(user, seconds);
  }

  /** Kills it and removes its files; nothing when external. */
  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    if (this.directory !== null) await rm(this.directory, { recursive: true, force: true });
  }

  private own(): readonly KafkaNode[] {
    if (this.external) throw new Error('this server is named by the environment: it cannot be controlled (start it with `own: true`)');
    return this.nodes;
  }
}

interface OwnKafka {
  directory: string;
  nodes: readonly KafkaNode[];
  version: string;
  security: KafkaSecurity | null;
}

/** Starts a broker or a cluster on random ports with its own data, or takes the one that the environment names. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const { own, ...configured } = options;
  const asks = Object.values(configured).some((value: unknown) => value !== undefined && value !== false);
  const found = await resolveKafka(options.version ?? '4', own || asks);
  if (found.kind === 'external') {
    const brokers = found.url.split(',');
    await overWire(brokers[0] as string, (connection) => readMetadata(connection));
    return new KafkaServer({ brokers });
  }
  const binary = { ...found, path: await reachable(found.path) };
  for (let attempt = 1; ; attempt++) {
    const directory = await temporaryDirectory('kafka');
    try {
      return await startOwn(binary, found.path, directory, options);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another process took a port meanwhile.
      if (attempt === 3 || !/address already in use|belongs to another server/i.test((error as Error).message)) throw error;
    }
  }
}

async function startOwn(binary: JavaBinary, origin: string, directory: string, options: KafkaOptions): Promise<KafkaServer> {
  const security = options.secure || options.users || options.tls ? await makeSecurity(directory, options) : null;
  const nodes = await makeNodes(binary, origin, directory, security, options);
  try {
    for (const node of nodes) node.launch();
    const outcomes = await Promise.allSettled(nodes.map((node) => node.ready(nodes)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (security !== null) await setScramPasswords(nodes, security.users);
    return new KafkaServer({ directory, nodes, version: binary.version, security });
  } catch (error) {
    await Promise.all(nodes.map((node) => node.kill()));
    throw error;
  }
}

async function makeSecurity(directory: string, options: KafkaOptions): Promise<KafkaSecurity> {
  const certificates = await makeCertificates(directory);
  const keyStore = join(directory, 'tls', 'server.pem');
  const parts = await Promise.all([certificates.key, certificates.cert, certificates.ca].map((path) => readFile(path, 'utf8')));
  await writeFile(keyStore, parts.join(''));
  giveToServerUser(keyStore, 0o600);
  return { certificates, keyStore, verify: options.tls === 'verify', users: options.users ?? KAFKA_USERS };
}

async function makeNodes(
  binary: JavaBinary,
  origin: string,
  directory: string,
  security: KafkaSecurity | null,
  options: KafkaOptions,
): Promise<KafkaNode[]> {
  const template = await kafkaTemplate(binary, origin);
  const clusterId = kafkaId();
  const plans = await makePlans(directory, options);
  const libs = await classPath(binary.path);
  const archive = template.archive === null ? [] : [`-XX:SharedArchiveFile=${template.archive}`];
  return Promise.all(
    plans.map(async (plan) => {
      await formatNode(template, plan, clusterId);
      await writeFile(join(plan.directory, 'server.properties'), brokerProperties(plan, plans, security, options.settings ?? {}));
      const java = [...archive, ...javaArguments(plan.directory), ...(options.jvm ?? []), '-cp', libs];
      const command: KafkaCommand = { java: binary.java, arguments: java };
      return new KafkaNode(command, plan, clusterId);
    }),
  );
}

async function makePlans(directory: string, options: KafkaOptions): Promise<KafkaPlan[]> {
  const count = options.cluster ?? 1;
  const free = await Promise.all(Array.from({ length: count * 5 }, freePort));
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [client, internal, controller, sasl, ssl] = free.slice(index * 5, index * 5 + 5) as [number, number, number, number, number];
      const id = index + 1;
      const advertised = (await options.advertise?.({ id, port: client })) ?? { host: '127.0.0.1', port: client };
      return { id, directory: join(directory, `node-${id}`), ports: { client, internal, controller, sasl, ssl }, advertised };
    }),
  );
}
