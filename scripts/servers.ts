/** `npm run servers`: real servers for a person to try things with, until Ctrl-C. */
import {
  type KafkaVersion,
  MYSQL_VERSIONS,
  type MysqlVersion,
  POSTGRES_MAJORS,
  type PostgresMajor,
  ServerUnavailable,
  startKafka,
  startMysql,
  startNats,
  startPostgres,
} from '../test/servers/index.ts';

const DEFAULT_MAJOR = 17;

const HELP = `Usage: npm run servers -- SERVER…

Starts real servers on random ports of 127.0.0.1 with temporary data, prints their URLs and runs until Ctrl-C.

  postgres        PostgreSQL ${DEFAULT_MAJOR}, wal_level=logical, superuser postgres without a password
  postgres:16     another major: ${POSTGRES_MAJORS.join(', ')}
  nats            one NATS server with JetStream
  nats:3          a cluster of three
  kafka           one Kafka broker without passwords or TLS; topics are not created by themselves
  kafka:3         a cluster of three
  mysql-9         MySQL 9 with a binlog of full rows and GTIDs, superuser root without a password
  mariadb-11      MariaDB 11, the same; mariadb-10.11 the older line
  kafka-3.9       the last release of Kafka 3; kafka-3.9:3 a cluster of it

Examples:
  npm run servers -- postgres nats
  npm run servers -- postgres:14 postgres:18 nats:3
  npm run servers -- postgres kafka

What is not on the machine is fetched once (npm, apt, go or Maven) into \${SLUICE_TEST_CACHE:-~/.cache/sluice-test}.
`;

interface Started {
  line: string;
  dispose(): Promise<void>;
}

/** What one argument asks for. @throws with a sentence for the user */
function parse(argument: string): () => Promise<Started> {
  const [name, detail] = argument.split(':');
  if (name === 'postgres') {
    const major = POSTGRES_MAJORS.find((known) => String(known) === (detail ?? String(DEFAULT_MAJOR)));
    if (major === undefined) throw new Error(`there is no PostgreSQL ${detail} here, only ${POSTGRES_MAJORS.join(', ')}`);
    return () => postgres(major);
  }
  const version = MYSQL_VERSIONS.find((known) => known === argument);
  if (version !== undefined) return () => mysql(version);
  if (name === 'nats') {
    const nodes = numberOfNodes(argument, detail);
    return () => nats(nodes);
  }
  if (name === 'kafka' || name === 'kafka-3.9') {
    const nodes = numberOfNodes(argument, detail);
    return () => kafka(name === 'kafka' ? '4' : '3.9', nodes);
  }
  throw new Error(`unknown server '${argument}'`);
}

function numberOfNodes(argument: string, detail: string | undefined): number {
  const nodes = Number(detail ?? 1);
  if (!(Number.isInteger(nodes) && nodes >= 1 && nodes <= 9)) throw new Error(`${argument} names no number of nodes`);
  return nodes;
}

async function postgres(major: PostgresMajor): Promise<Started> {
  const server = await startPostgres({ major, fsync: true });
  return { line: `PostgreSQL ${server.version}  ${server.url()}`, dispose: () => server.dispose() };
}

async function mysql(version: MysqlVersion): Promise<Started> {
  const server = await startMysql({ version, fsync: true });
  return { line: `${server.system === 'mysql' ? 'MySQL' : 'MariaDB'} ${server.release}  ${server.url()}`, dispose: () => server.dispose() };
}

async function nats(nodes: number): Promise<Started> {
  const server = await startNats({ ...(nodes > 1 ? { cluster: nodes } : {}), own: true });
  return { line: `NATS ${server.version}  ${server.urls.join(',')}`, dispose: () => server.dispose() };
}

async function kafka(version: KafkaVersion, nodes: number): Promise<Started> {
  const server = await startKafka({ version, ...(nodes > 1 ? { cluster: nodes } : {}), own: true });
  return { line: `Kafka ${server.version}  ${server.brokers.join(',')}`, dispose: () => server.dispose() };
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  let starts: (() => Promise<Started>)[];
  try {
    if (args.length === 0) throw new Error('name at least one server');
    starts = args.map(parse);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  const outcomes = await Promise.allSettled(starts.map((start) => start()));
  const running = outcomes.filter((outcome) => outcome.status === 'fulfilled').map((outcome) => outcome.value);
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').map((outcome) => outcome.reason as Error);
  for (const reason of failed) process.stderr.write(`${reason instanceof ServerUnavailable ? reason.message : (reason.stack ?? reason.message)}\n`);
  if (failed.length === 0) {
    process.stdout.write(`${running.map((server) => server.line).join('\n')}\nCtrl-C stops ${running.length === 1 ? 'it' : 'them'}.\n`);
    // The servers hold no handle of this process open.
    const hold = setInterval(() => undefined, 60_000);
    await ended;
    clearInterval(hold);
  }
  await Promise.all(running.map((server) => server.dispose()));
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
