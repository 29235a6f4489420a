/**
 * `npm run test:pgbench`: the real pgbench (it must be on the PATH), or on MySQL and MariaDB clients of our own, stream into NATS or Kafka, with or without kill -9 of the
 * daemon, restarts of both servers and faults of the brokers; then the tables are rebuilt from what arrived and compared with the source.
 */
import { parseArgs } from 'node:util';
import type { KafkaVersion, MysqlVersion } from '../servers/index.ts';
import { runLoad } from '../support/load-run.ts';
import type { LoadSource } from '../support/load-source.ts';
import { kafkaTarget, natsTarget } from '../support/load-target.ts';
import { mysqlLoadSource } from '../support/mysql-load-source.ts';
import { oltpLoad, tpcbLoad } from '../support/mysql-loads.ts';
import { pgbenchSource } from '../support/pgbench-source.ts';

const HELP = `Usage: npm run test:pgbench [-- --source S] [--load L] [--seconds N] [--scale N] [--clients N] [--kills N] [--source-faults LIST]
                              [--shared] [--sink kafka] [--driver D] [--kafka V] [--partitions N] [--brokers N] [--faults LIST]

  --source S    postgres-14 to postgres-18, mysql-9, mariadb-11 or mariadb-10.11 (default postgres-17)
  --load L      for MySQL and MariaDB: tpcb, pgbench's own transaction, or oltp, as sysbench's oltp_read_write (default tpcb)
  --seconds N   length of the load (default 60)
  --scale N     pgbench's scale: 100,000 accounts each; for oltp, 10,000 rows each in three tables (default 10)
  --clients N   connections of the load (default 8)
  --kills N     kill -9 of the daemon at random moments; with it, one restart of the sink, and faults of the source (default 0)
  --source-faults LIST  what happens to the source, spread over the kills: restart, kill; for MySQL and MariaDB also rotate (a new file of the log) and purge (of what the
                daemon has read). Default: restart; for MySQL and MariaDB restart,kill,rotate,purge,kill,purge
  --shared      the stream is shared with other writers ("exclusive": false)
  --sink S      nats or kafka (default nats)
  --driver D    for Kafka: platformatic or kafkajs (default platformatic)
  --kafka V     its version, 4 or 3.9 (default 4)
  --partitions N, --brokers N   for Kafka (default 6 and 1)
  --faults LIST what happens to the sink under load, one after the other: freeze (60 s); with three brokers also rolling and kill, one broker after the other
`;
const { values } = parseArgs({
  options: {
    source: { type: 'string', default: 'postgres-17' },
    load: { type: 'string', default: 'tpcb' },
    seconds: { type: 'string', default: '60' },
    scale: { type: 'string', default: '10' },
    clients: { type: 'string', default: '8' },
    kills: { type: 'string', default: '0' },
    'source-faults': { type: 'string' },
    shared: { type: 'boolean', default: false },
    sink: { type: 'string', default: 'nats' },
    driver: { type: 'string', default: 'platformatic' },
    kafka: { type: 'string', default: '4' },
    partitions: { type: 'string', default: '6' },
    brokers: { type: 'string', default: '1' },
    faults: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const names = (list: string): string[] => list.split(',').filter((name) => name !== '');
const say = (text: string): void => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

const [source, target] = await Promise.all([
  startSource(),
  values.sink === 'kafka'
    ? kafkaTarget({
        driver: values.driver,
        version: values.kafka as KafkaVersion,
        partitions: Number(values.partitions),
        brokers: Number(values.brokers),
      })
    : natsTarget(!values.shared),
]);
try {
  const { log, ...verdict } = await runLoad({
    source,
    target,
    seconds: Number(values.seconds),
    kills: Number(values.kills),
    ...(values['source-faults'] === undefined ? {} : { sourceFaults: names(values['source-faults']) }),
    sinkFaults: names(values.faults),
    say,
  });
  const { differences, misfits, duplicates, disordered, exit, other } = verdict;
  const failed = differences.length + misfits.length + duplicates + disordered + other.length > 0 || exit !== 0;
  process.stdout.write(`${JSON.stringify({ source: values.source, load: values.load, sink: values.sink, ...verdict }, null, 2)}\n`);
  if (failed) process.stderr.write(`${log.map((line) => JSON.stringify(line)).join('\n')}\n`);
  process.exitCode = failed ? 1 : 0;
} finally {
  await Promise.all([source.dispose(), target.dispose()]);
}

function startSource(): Promise<LoadSource> {
  const [system, major] = values.source.split('-');
  const [scale, clients] = [Number(values.scale), Number(values.clients)];
  if (system === 'postgres') return pgbenchSource({ major: Number(major) as 17, scale, clients });
  return mysqlLoadSource(values.source as MysqlVersion, values.load === 'oltp' ? oltpLoad(scale * 10_000) : tpcbLoad(scale, 100_000), clients);
}
