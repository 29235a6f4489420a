/** The configuration of a Kafka broker for the tests: small, quick to start, and quick to notice that another broker is gone. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';

export interface KafkaUser {
  /** Letters, digits and `_`. */
  name: string;
  /** For PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  password: string;
  /** May do everything; else nothing but what an ACL allows. */
  super?: boolean;
}

/** One node's place in the cluster. */
export interface KafkaPlan {
  id: number;
  directory: string;
  /** `client` is the plaintext listener; brokers talk to each other on `internal`, so that a proxy before the other one is not in their way. */
  ports: { client: number; internal: number; controller: number; sasl: number; ssl: number };
  /** What clients of the plaintext listener are told. */
  advertised: { host: string; port: number };
}

/** What the secured listeners need. */
export interface KafkaSecurity {
  certificates: Certificates;
  /** Private key and certificates in one file, as Kafka wants them. */
  keyStore: string;
  /** The client must show a certificate on the SSL listener. */
  verify: boolean;
  users: readonly KafkaUser[];
}

/** The text of `server.properties`. */
export function brokerProperties(
  plan: KafkaPlan,
  all: readonly KafkaPlan[],
  security: KafkaSecurity | null,
  settings: Record<string, string>,
): string {
  const { ports, advertised } = plan;
  const own = (port: number) => `127.0.0.1:${port}`;
  const secured = security === null ? [] : [`SASL_SSL://${own(ports.sasl)}`, `SSL://${own(ports.ssl)}`];
  const internal = `INTERNAL://${own(ports.internal)}`;
  const properties: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': plan.id,
    'controller.quorum.voters': all.map((node) => `${node.id}@${own(node.ports.controller)}`).join(','),
    listeners: [`PLAINTEXT://${own(ports.client)}`, internal, ...secured, `CONTROLLER://${own(ports.controller)}`].join(','),
    'advertised.listeners': [`PLAINTEXT://${advertised.host}:${advertised.port}`, internal, ...secured].join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL',
    'log.dirs': join(plan.directory, 'data'),
    ...coordinators(all.length),
    'group.initial.rebalance.delay.ms': 0,
    // On, it would hide that a topic is missing.
    'auto.create.topics.enable': 'false',
    // 128 MiB of heap by default.
    'log.cleaner.dedupe.buffer.size': 4194304,
    'log.cleaner.threads': 1,
    ...(all.length > 1 ? CLUSTER : SINGLE),
    ...(security === null ? {} : securityProperties(security)),
    ...settings,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join('');
}

/** As Java reads a properties file: in Latin-1, with backslashes for what is not plain. */
function escaped(value: string): string {
  return value.replace(/[^ -[\]-~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const SINGLE = {
  // There is nobody to hand over to.
  'controlled.shutdown.enable': 'false',
  // A broker that comes back after `kill -9` is let in when its earlier session has ended.
  'broker.session.timeout.ms': 2000,
  'broker.heartbeat.interval.ms': 500,
};

const CLUSTER = {
  'controlled.shutdown.enable': 'true',
  'broker.session.timeout.ms': 6000,
  'broker.heartbeat.interval.ms': 1000,
  // So that leaders really move back to a node that has returned.
  'leader.imbalance.check.interval.seconds': 5,
  'leader.imbalance.per.broker.percentage': 0,
};

function coordinators(nodes: number): Record<string, number> {
  const replicas = Math.min(3, nodes);
  const inSync = nodes > 1 ? 2 : 1;
  return {
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
  };
}

function securityProperties({ certificates, keyStore, verify, users }: KafkaSecurity): Record<string, string> {
  const quoted = (value: string) => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const sasl = 'listener.name.sasl_ssl';
  const login = (name: string) => `org.apache.kafka.common.security.${name} required`;
  const scram = `${login('scram.ScramLoginModule')};`;
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keyStore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': certificates.ca,
    // A client certificate for `CN=sluice` is the same user as the one who logs in as `sluice`.
    'ssl.principal.mapping.rules': 'RULE:^CN=([^,]+).*$/$1/,DEFAULT',
    'listener.name.ssl.ssl.client.auth': verify ? 'required' : 'requested',
    'listener.name.sasl_ssl.ssl.client.auth': 'none',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [`${sasl}.plain.sasl.jaas.config`]: `${login('plain.PlainLoginModule')} ${users.map((user) => `user_${user.name}=${quoted(user.password)}`).join(' ')};`,
    [`${sasl}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${sasl}.scram-sha-512.sasl.jaas.config`]: scram,
    // Without options it takes tokens that nobody signed, which is what the tests make.
    [`${sasl}.oauthbearer.sasl.jaas.config`]: `${login('oauthbearer.OAuthBearerLoginModule')};`,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // The harness, the brokers and the controllers come without a name.
    'super.users': ['ANONYMOUS', ...users.filter((user) => user.super).map((user) => user.name)].map((name) => `User:${name}`).join(';'),
    'allow.everyone.if.no.acl.found': 'false',
  };
}

/** Arguments for the JVM of a broker or of one of its tools. @param directory for what it writes beside its data */
export function javaArguments(directory: string): string[] {
  return [
    '-Xms64m',
    '-Xmx384m',
    '-XX:+UseSerialGC',
    // Half the work at start; a benchmark overrules it.
    '-XX:TieredStopAtLevel=1',
    // No /tmp/hsperfdata_… and no libraries unpacked into /tmp: nothing would remove them after `kill -9`.
    '-XX:-UsePerfData',
    `-Djava.io.tmpdir=${directory}`,
    `-XX:ErrorFile=${directory}/java-error.log`,
    '-XX:+ExitOnOutOfMemoryError',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-Dorg.slf4j.simpleLogger.showDateTime=true',
    '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
  ];
}

/** An identifier as Kafka makes them: 16 random bytes in 22 characters. */
export function kafkaId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    // On a command line it would be taken for an option.
    if (!id.startsWith('-')) return id;
  }
}

/** The file that makes a data directory this node's of this cluster. */
export function metaProperties(clusterId: string, nodeId: number): string {
  return `version=1\ncluster.id=${clusterId}\nnode.id=${nodeId}\ndirectory.id=${kafkaId()}\n`;
}
