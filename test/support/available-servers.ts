/** Which servers a test can have; what is missing stands in the summary at the end of the run, and fails it in CI. */
import { inject } from 'vitest';
import type { MysqlOptions } from '../servers/mysql.ts';
import { KAFKA_VERSIONS, type KafkaVersion, MYSQL_VERSIONS, type MysqlVersion, POSTGRES_MAJORS, type PostgresMajor } from '../servers/versions.ts';

/** For `describe.each`: the majors that can be started. */
export const availableMajors: readonly PostgresMajor[] = POSTGRES_MAJORS.filter(
  (major) => inject('missingServers')[`postgres-${major}`] === undefined,
);

/** For `describe.runIf`. */
export const natsAvailable: boolean = inject('missingServers').nats === undefined;

/** For `describe.each`: the Kafka versions that can be started. */
export const availableKafkas: readonly KafkaVersion[] = KAFKA_VERSIONS.filter(
  (version) => inject('missingServers')[`kafka-${version}`] === undefined,
);

/** For `describe.each`: the MySQL and MariaDB servers that can be started. */
export const availableMysqls: readonly MysqlVersion[] = MYSQL_VERSIONS.filter((version) => inject('missingServers')[version] === undefined);

/** For `describe.runIf`. */
export const registryAvailable: boolean = inject('missingServers').registry === undefined;

/** MySQL as it is set up by default. */
export const WITHOUT_GTIDS = { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' } as const;

/** For `describe.each('$title')`: those servers, and MySQL without GTIDs. */
export const mysqlVariants: readonly { readonly title: string; readonly options: Pick<MysqlOptions, 'version' | 'settings'> }[] = [
  ...availableMysqls.map((version) => ({ title: version, options: { version } })),
  ...availableMysqls
    .filter((version) => version === 'mysql-9')
    .map((version) => ({ title: `${version} without GTIDs`, options: { version, settings: { ...WITHOUT_GTIDS } } })),
];
